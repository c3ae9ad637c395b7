"""WeChat is asked whose an openid is: what becomes of its answer, and of every answer that is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from channels import rest, wechat_api, wechat_token
from channels.errors import Missing, NotSent, Uncertain
from channels.simulated.app import AppPeer
from channels.simulated.wechat import WeChatPeer, openid
from gateway import identities
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, Contact, ContactType
from store.tables import IDENTITIES
from tests.channels.chats import BAD_GATEWAY, CUT, HANG, HTML, LIST, NOTHING, SLOW, FakeWeChat, Notes
from tests.channels.test_wechat_send import APP_ID, SECRET, channel, kept
from tests.handing import until
from tests.store.conftest import run

UNIONID = "o6_bmasdasdsad6_2sgVt7hMZOPfL"
CITIZEN = Contact(type=ContactType.WECHAT, value="o6_bmjr42", assurance=Assurance.VERIFIED)


@pytest.fixture
async def wechat() -> AsyncIterator[FakeWeChat]:
    async with FakeWeChat(APP_ID, SECRET).running() as fake:
        yield fake


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (wechat_api, wechat_token):
        monkeypatch.setattr(module, "call", partial(rest.call, seconds=0.3))


async def test_whose_it_is(wechat: FakeWeChat) -> None:
    wechat.users[CITIZEN.value] = {"unionid": UNIONID, "remark": "张三", "subscribe_time": 1434093047}
    assert await channel(wechat, unionid=True).unionid(CITIZEN, Notes()) == UNIONID


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_token_that_has_expired_is_renewed_once(wechat: FakeWeChat, code: int) -> None:
    wechat.users[CITIZEN.value], wechat.script = {"unionid": UNIONID}, [code]
    assert await channel(wechat).unionid(CITIZEN, kept()) == UNIONID
    wechat.script = [code, code]
    with pytest.raises(NotSent, match=f"^errcode_{code}$"):
        await channel(wechat).unionid(CITIZEN, kept())


ANSWERS: dict[str, tuple[Any, type[Exception], str]] = {
    "today's quota is used up": (45009, NotSent, "errcode_45009"),
    "busy": (-1, NotSent, "busy"),
    "the account may not ask": (48001, NotSent, "errcode_48001"),
    "no openid of this account": (40003, Missing, "errcode_40003"),
    "bad gateway": (BAD_GATEWAY, NotSent, "status_502"),
    "too many": (SLOW, NotSent, "status_429"),
    "no JSON": (HTML, Uncertain, "not_json"),
    "a list": (LIST, Uncertain, "not_json"),
    "nothing at all": (NOTHING, Missing, "no_unionid"),
    "hangs": (HANG, Uncertain, "timeout"),
    "cuts": (CUT, Uncertain, "cut"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("step", "error", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_what_is_no_answer(wechat: FakeWeChat, step: Any, error: type[Exception], reason: str) -> None:
    wechat.users[CITIZEN.value], wechat.script = {"unionid": UNIONID}, [step, step]
    with pytest.raises(error) as caught:
        await channel(wechat).unionid(CITIZEN, kept())
    assert getattr(caught.value, "reason", None) == reason


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "he does not follow": ({"subscribe": 0}, "not_subscribed"),
    "he does not follow, and yet a unionid": ({"subscribe": 0, "unionid": UNIONID}, "not_subscribed"),
    "the account is bound to no other": ({}, "no_unionid"),
    "empty": ({"unionid": ""}, "no_unionid"),
    "null": ({"unionid": None}, "no_unionid"),
    "a number": ({"unionid": 12345678901234567890}, "no_unionid"),
    "no unionid by its form": ({"unionid": "o6_bmasd asdsad6_2sgVt7hMZOPfL"}, "no_unionid"),
    "of somebody else": ({"unionid": UNIONID, "openid": "o6_other"}, "no_unionid"),
}


@pytest.mark.parametrize(("said", "reason"), SAID.values(), ids=SAID.keys())
async def test_an_answer_without_a_unionid(wechat: FakeWeChat, said: dict[str, Any], reason: str) -> None:
    wechat.users[CITIZEN.value] = said
    with pytest.raises(Missing, match=f"^{reason}$"):
        await channel(wechat).unionid(CITIZEN, kept())


# -- Through the gateway -----------------------------------------------------------------------------------------------


async def asked(start_gateway: Start, wechat: FakeWeChat, unionid: bool, script: list[Any]) -> dict[str, Any]:
    """A citizen writes by the app, logged in with WeChat, then twice to the account; what there is of it in the end."""

    def change(document: dict[str, Any]) -> None:
        document["channels"] = {kind: document["channels"][kind] for kind in ("app", "wechat")}
        document["channels"]["wechat"] |= {"app_id": APP_ID, "app_secret": SECRET, "api_base": wechat.url}
        document["channels"]["wechat"]["unionid"] = unionid

    async with start_gateway(change) as gateway:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        user = {"id": "u1", "wechat_unionid": UNIONID}
        assert (await app.post({"user": user, "text": "路灯不亮"}, key="1").send(gateway)).ok
        peer, wechat.script = WeChatPeer("wechat", gateway.channel("wechat").settings), script
        for number in "12":
            said = peer.say(f"井盖松动{number}", sender="42", message_id=number, at=datetime.now(UTC))
            assert (await said.send(gateway)).ok
            await gateway.settle()
        await until(lambda: none_queued(gateway), 30)
        await gateway.settle()
        rows = await run(gateway.node.store, select(IDENTITIES.c.state, IDENTITIES.c.reason))
        assert (await gateway.books())["balanced"]
        people = {matter.caller_id for matter in await gateway.matters()}
        return {"rows": [tuple(row) for row in rows], "people": people, "calls": wechat.calls}


async def none_queued(gateway: RunningGateway) -> bool:
    return not await run(gateway.node.store, select(IDENTITIES.c.id).where(IDENTITIES.c.state == "queued"))


@pytest.mark.parametrize("script", [[], [BAD_GATEWAY, 45011], [40001]], ids=["at once", "at the third try", "token"])
async def test_a_citizen_of_the_app_is_the_same_on_wechat(
    start_gateway: Start, wechat: FakeWeChat, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(identities.Identities.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)
    monkeypatch.setattr(identities, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(identities, "IDLE_SECONDS", 0.05)
    wechat.users[openid("42")] = {"unionid": UNIONID}
    found = await asked(start_gateway, wechat, True, list(script))
    assert found["rows"] == [("known", None)] and len(found["people"]) == 1
    assert found["calls"] == ["user"] * (1 + len(script)), "he is asked about once, however often he writes"


async def test_without_an_answer_he_stays_himself(start_gateway: Start, wechat: FakeWeChat) -> None:
    wechat.users[openid("42")] = {}
    found = await asked(start_gateway, wechat, True, [])
    assert found["rows"] == [("unknown", "no_unionid")] and len(found["people"]) == 2


async def test_nobody_is_asked_unless_the_settings_say_so(start_gateway: Start, wechat: FakeWeChat) -> None:
    wechat.users[openid("42")] = {"unionid": UNIONID}
    found = await asked(start_gateway, wechat, False, [])
    assert (found["rows"], found["calls"], len(found["people"])) == ([], [], 2)
