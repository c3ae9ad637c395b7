"""WeChat's access token: whatever happens, few ask for it, on however many nodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import Any

import pytest
import structlog

from channels.errors import NotSent
from channels.wechat_token import KEY, Tokens
from gateway.outward import ChannelState
from normalizer.reply import Sent
from store.store import Store
from tests.channels.chats import CUT, HANG, HTML, NOTHING, FakeWeChat, Notes, soon
from tests.channels.test_wechat_send import SECRET, channel, impatient, kept, reply, wechat
from tests.postgres import postgresql
from tests.store.conftest import key_file, postgresql_url, trio

__all__ = ["impatient", "key_file", "postgresql", "postgresql_url", "trio", "wechat"]


async def test_one_asks_and_all_use_it(wechat: FakeWeChat) -> None:
    state, first, second = Notes(), channel(wechat), channel(wechat)
    await asyncio.gather(*(first.send(reply(), state) for _ in range(20)))
    assert wechat.asked == [False]
    await asyncio.gather(*(second.send(reply(), state) for _ in range(20)))
    assert wechat.asked == [False], "another node reads it"
    assert len(wechat.given) == 40


@pytest.mark.parametrize(("seconds", "asked"), [(301, []), (299, [False]), (-1, [False])])
async def test_it_is_renewed_in_its_last_five_minutes(wechat: FakeWeChat, seconds: float, asked: list[bool]) -> None:
    state = kept(seconds=seconds)
    await channel(wechat).send(reply(), state)
    assert wechat.asked == asked
    assert json.loads(state.values["access_token"])["expires_at"] > soon(seconds - 2)


async def test_who_was_faster_gives_the_token(wechat: FakeWeChat) -> None:
    state = Notes()
    state.faster = kept("another_nodes").values
    assert await Tokens("wechat", channel(wechat).settings).current(state) == "another_nodes"
    assert wechat.asked == []


async def test_of_several_nodes_one_asks_and_the_others_wait(wechat: FakeWeChat) -> None:
    state, nodes = Notes(), [channel(wechat) for _ in range(5)]
    found = await asyncio.gather(*(node.send(reply(), state) for node in nodes), return_exceptions=True)
    waited = [one for one in found if isinstance(one, NotSent)]
    assert len(waited) == 4 and {(one.reason, one.after_seconds) for one in waited} == {
        ("token_renewed_elsewhere", 5.0)
    }
    assert wechat.asked == [False] and len(wechat.given) == 1
    assert await asyncio.gather(*(node.send(reply(), state) for node in nodes)) == [Sent()] * 5
    assert wechat.asked == [False]


async def test_while_one_asks_the_others_use_the_old_one_as_long_as_it_counts(wechat: FakeWeChat) -> None:
    state, nodes = kept(seconds=200), [channel(wechat) for _ in range(5)]
    assert await asyncio.gather(*(node.send(reply(), state) for node in nodes)) == [Sent()] * 5
    assert wechat.asked == [False]


@pytest.mark.parametrize(("ago", "asked"), [(19, []), (21, [False])])
async def test_who_died_while_he_asked_holds_up_nobody_for_long(
    wechat: FakeWeChat, ago: float, asked: list[bool]
) -> None:
    state = kept(value="", seconds=-1, asked_at=time.time() - ago)
    with contextlib.nullcontext() if asked else pytest.raises(NotSent, match="token_renewed_elsewhere"):
        await channel(wechat).send(reply(), state)
    assert wechat.asked == asked


async def test_a_token_that_still_counts_is_used_while_wechat_has_no_new_one(wechat: FakeWeChat) -> None:
    wechat.token_script = [-1]
    sender, state = channel(wechat), kept(seconds=200)
    assert await sender.send(reply(), state) == Sent()
    assert await sender.send(reply(), state) == Sent()
    assert wechat.asked == [False, False], "and asked for again"


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_refused_token_is_renewed_and_the_reply_goes_out(wechat: FakeWeChat, code: int) -> None:
    wechat.generation, wechat.script = 2, [code]
    state = kept("token_1")
    assert await channel(wechat).send(reply(), state) == Sent()
    assert (wechat.asked, len(wechat.calls), len(wechat.given)) == ([False], 2, 1)
    assert json.loads(state.values["access_token"])["value"] == "token_2"


async def test_a_token_that_another_node_has_renewed_is_taken_without_asking(wechat: FakeWeChat) -> None:
    wechat.generation = 2
    sender, state = channel(wechat), kept("token_1")
    read = state.get

    async def renewed_after_the_first_reading(key: str) -> str | None:
        found = await read(key)
        state.values |= kept("token_2").values
        return found

    state.get = renewed_after_the_first_reading  # type: ignore[method-assign]
    assert await sender.send(reply(), state) == Sent()
    assert (wechat.asked, len(wechat.calls)) == ([], 2)


async def test_a_token_that_wechat_calls_good_and_refuses_is_forced_once(wechat: FakeWeChat) -> None:
    wechat.script = [40001]
    assert await channel(wechat).send(reply(), Notes()) == Sent()
    assert wechat.asked == [False, False, True]
    assert wechat.token == "token_2"


async def test_a_server_that_always_refuses_costs_few_calls(wechat: FakeWeChat) -> None:
    """Each forced refresh counts: twenty a day, thirty seconds apart."""
    wechat.refuses = True
    sender, state = channel(wechat), Notes()
    for _ in range(10):
        async with asyncio.timeout(5):
            with pytest.raises(NotSent) as raised:
                await sender.send(reply(), state)
        assert raised.value.after_seconds == 60
    assert wechat.asked.count(True) == 1
    assert len(wechat.asked) <= 13 and len(wechat.calls) <= 12
    assert wechat.given == []


async def test_thirty_seconds_later_it_may_be_forced_again(wechat: FakeWeChat) -> None:
    wechat.refuses = True
    for ago, forced in ((29, 0), (31, 1)):
        wechat.asked.clear()
        with pytest.raises(NotSent):
            await channel(wechat).send(reply(), kept(forced_at=time.time() - ago))
        assert wechat.asked.count(True) == forced


async def test_two_nodes_do_not_force_at_once(wechat: FakeWeChat) -> None:
    wechat.refuses = True
    state = kept()
    nodes = [channel(wechat) for _ in range(4)]
    results = await asyncio.gather(*(node.send(reply(), state) for node in nodes), return_exceptions=True)
    assert all(isinstance(result, NotSent) for result in results), results
    assert wechat.asked.count(True) == 1


@pytest.mark.parametrize(
    ("step", "reason", "after"),
    [
        (40125, "token_errcode_40125", 60.0),
        (40164, "token_errcode_40164", 60.0),
        (-1, "token_busy", 5.0),
        (HTML, "token_not_json", 5.0),
        (NOTHING, "token_errcode_None", 60.0),
        (CUT, "token_cut", 5.0),
        (HANG, "token_timeout", 5.0),
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_without_a_token_nothing_has_gone_out(wechat: FakeWeChat, step: Any, reason: str, after: float) -> None:
    wechat.token_script = [step]
    with structlog.testing.capture_logs() as logged, pytest.raises(NotSent) as raised:
        await channel(wechat).send(reply(), Notes())
    assert (raised.value.reason, raised.value.after_seconds) == (reason, after)
    assert wechat.calls == []
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__!r} {logged}"
    assert [line["channel"] for line in logged] == (["wechat"] if after == 60 else [])


async def test_where_nobody_listens_nothing_has_gone_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent, match="token_connect"):
        await channel(f"http://127.0.0.1:{port}").send(reply(), Notes())


async def test_on_three_real_nodes_one_asks(trio: list[Store], wechat: FakeWeChat) -> None:
    """Each with a connection of its own to one PostgreSQL; whoever did not get it in time has it at his next try."""
    nodes = [(channel(wechat), ChannelState(store, "wechat")) for store in trio]
    for _ in range(2):
        ways = [node.send(reply(), state) for node, state in nodes * 5]
        found = await asyncio.gather(*ways, return_exceptions=True)
        assert all(one == Sent() or isinstance(one, NotSent) for one in found), found
    assert found == [Sent()] * 15 and wechat.asked == [False]
    wechat.generation = 2  # WeChat has given another one: all are refused at once
    for _ in range(2):
        ways = [node.send(reply(), state) for node, state in nodes * 5]
        found = await asyncio.gather(*ways, return_exceptions=True)
    assert found == [Sent()] * 15 and wechat.asked == [False, False]
    stored = {await state.get(KEY) for _, state in nodes}
    assert [json.loads(raw)["value"] for raw in stored if raw] == ["token_2"]
