"""Telegram through the running gateway: updates that come badly, by webhook and by poll, and answers that do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels import telegram, telegram_calls
from channels.simulated import Ack
from channels.simulated.telegram import TelegramPeer
from gateway import replies
from gateway.supervisor import Supervisor
from gateway.testing import Start
from tests.channels.scenes import COMMON, Books, Scene, Stage, Step, changes_its_key, play, walk
from tests.channels.test_telegram import BotApi, batch
from tests.channels.test_telegram_send import CUT, HTML, FakeBotApi, membership, refusal
from tests.handing import until
from tests.test_door import only

OLD = "a-token-before"
PICTURES = {f"photos/{n}.jpg": b"\xff\xd8\xff" + b"x" * 99 for n in (1, 2)}


@pytest.fixture
async def api() -> AsyncIterator[FakeBotApi]:
    async with FakeBotApi(files=PICTURES).running() as running:
        yield running


@pytest.fixture
async def stage(start_gateway: Start, api: FakeBotApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(telegram_calls, "CALL_SECONDS", 0.5)
    monkeypatch.setitem(replies.Replies.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)

    def change(document: dict[str, Any]) -> None:
        only("telegram", telegram={"api_base": api.url, "previous_secret_token": OLD})(document)
        document["replies"] = {"acknowledge": True}

    async with start_gateway(change) as gateway:
        settings = gateway.channel("telegram").settings
        before = settings.model_copy(update={"secret_token": settings.previous_secret_token})
        peers = (TelegramPeer("telegram", one) for one in (settings, before))
        yield Stage(gateway, next(peers), before=next(peers), keeps_cut=True)


class Citizen:
    """One citizen; what he does is an update."""

    def __init__(self, stage: Stage) -> None:
        assert isinstance(stage.peer, TelegramPeer)
        self.stage, self.peer, self.id = stage, stage.peer, stage.citizen()

    def says(self, number: int, **content: Any) -> dict[str, Any]:
        return self.peer.message(sender=self.id, message_id=str(number), at=datetime.now(UTC), **content)

    async def sends(self, *updates: Any) -> None:
        await self.stage.taken(*(self.peer.update(update) for update in updates))

    async def sends_slowly(self, *updates: Any) -> None:
        """Each once the one before is done with."""
        for update in updates:
            await self.sends(update)
            await self.stage.gateway.settle()


def edited(update: dict[str, Any], number: int, text: str) -> dict[str, Any]:
    message = update["message"] | {"text": text, "edit_date": update["message"]["date"] + 5}
    return {"update_id": number, "edited_message": message}


async def an_edit_comes_twice_and_before_the_next(stage: Stage) -> dict[str, int]:
    """Each wording is kept in the matter of the first, once."""
    citizen = Citizen(stage)
    first = citizen.says(1, text="路灯坏")
    second, third = edited(first, 2, "路灯坏了"), edited(first, 3, "北门路灯坏了")
    await citizen.sends(first, third, second, third, first)
    await stage.gateway.settle()
    said = [one.text for one in (await stage.gateway.matters())[-1].messages]
    assert said == ["路灯坏", "北门路灯坏了", "路灯坏了"]
    return {"filed": 1, "attached": 2, "redelivered": 2}


async def an_edit_overtakes_its_message(stage: Stage) -> dict[str, int]:
    citizen = Citizen(stage)
    first = citizen.says(11, text="路灯坏")
    await citizen.sends(edited(first, 12, "路灯坏了"), first)
    return {"filed": 1, "attached": 1}


async def an_album_comes_backwards_and_twice(stage: Stage) -> dict[str, int]:
    citizen = Citizen(stage)
    photos = [[{"file_id": name, "file_unique_id": name, "width": 9, "height": 9}] for name in PICTURES]
    one, two = (citizen.says(20 + n, media_group_id="g", photo=photo) for n, photo in enumerate(photos))
    await citizen.sends(two, one, two, one)
    await stage.gateway.settle()
    matter = (await stage.gateway.matters())[-1]
    assert [file.availability for file in matter.attachments] == ["held", "held"]
    return {"filed": 1, "attached": 1, "redelivered": 2}


async def steps_of_no_citizen_come_between(stage: Stage) -> dict[str, int]:
    citizen = Citizen(stage)
    others = [{"update_id": 30, "callback_query": {}}, {"update_id": 31, "something_new": 1}]
    await citizen.sends(others[0], citizen.says(32, text="/start"), citizen.says(33, text="路灯不亮"), *others)
    return {"filed": 1, "notice": 4}


async def he_blocks_and_unblocks(stage: Stage) -> dict[str, int]:
    citizen = Citizen(stage)
    at = datetime.now(UTC)
    shut, open_ = (membership(status, at, id=int(citizen.id)) for status in ("kicked", "member"))
    await citizen.sends_slowly(shut | {"update_id": 40}, open_ | {"update_id": 41}, citizen.says(42, text="路灯不亮"))
    return {"filed": 1, "notice": 2}


async def he_blocked_yesterday_and_it_is_told_today(stage: Stage) -> dict[str, int]:
    """Whoever writes to us is answered, whatever he did before."""
    citizen = Citizen(stage)
    shut = membership("kicked", datetime.now(UTC) - timedelta(hours=24), id=int(citizen.id))
    first, last = citizen.says(60, text="路灯不亮"), citizen.says(62, text="井盖也坏了")
    await citizen.sends_slowly(first, shut | {"update_id": 61}, last)
    return {"filed": 2, "notice": 1}


async def sends_what_nobody_can_read(stage: Stage) -> dict[str, int]:
    citizen = Citizen(stage)
    await citizen.sends([], citizen.says(50, text=5), {"update_id": 0}, citizen.says(51, text="路灯不亮"))
    return {"filed": 1, "malformed": 3}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    an_edit_comes_twice_and_before_the_next,
    an_edit_overtakes_its_message,
    an_album_comes_backwards_and_twice,
    steps_of_no_citizen_come_between,
    he_blocks_and_unblocks,
    he_blocked_yesterday_and_it_is_told_today,
    sends_what_nobody_can_read,
)


async def test_whatever_telegram_does_each_message_has_one_outcome_and_each_matter_one_answer(stage: Stage) -> None:
    await play(stage, SCENES, answered=True)


STEPS = {
    "all is well": Step([], ("sent", None), 1),
    "too often, then well": Step([refusal(429, "x", retry_after=0)], ("sent", None), 1),
    "blocked by the citizen": Step([refusal(403, "Forbidden: bot was blocked by the user")], ("failed", "blocked"), 0),
    "no chat": Step([refusal(400, "Bad Request: chat not found")], ("failed", "no_chat"), 0),
    "500": Step([refusal(500, "Internal Server Error")], ("unknown", "status_500"), 0),
    "502 and a page": Step([(502, HTML)], ("unknown", "not_json"), 0),
    "200 with an error inside": Step([(200, refusal(403, "Forbidden")[1])], ("unknown", "status_200"), 0),
    "200 and a page": Step([(200, HTML)], ("unknown", "not_json"), 0),
    "200 and half the answer": Step([(200, b'{"ok":true,"resu')], ("unknown", "not_json"), 0),
    "cut after it was taken": Step([CUT], ("unknown", "cut"), 1),
    "hangs": Step([None], ("unknown", "timeout"), 0),
}


async def test_whatever_the_bot_api_does_a_reply_has_one_end_and_is_never_sent_twice(
    stage: Stage, api: FakeBotApi
) -> None:
    async def speaks() -> list[Ack]:
        return await stage.taken(stage.say())

    await walk(stage, STEPS, api, api.got, speaks)


# -- By poll -----------------------------------------------------------------------------------------------------------


def said(number: int, text: str = "") -> dict[str, Any]:
    person = {"id": 900000077, "first_name": "市民"}
    message = {"message_id": number, "from": person | {"is_bot": False}, "chat": person | {"type": "private"}}
    return {"update_id": number, "message": message | {"date": 1_790_000_000, "text": text or f"第{number}件事"}}


#: One answer of getUpdates after the other; what is not whole or not of Telegram's making is asked for again.
POLLS: list[tuple[int, bytes] | None] = [
    batch(said(7), said(8)),
    batch(said(8), said(7), said(9)),  # again, and in another order
    batch(said(10), said(10)),  # twice in one
    (200, b'{"ok":true,"result":['),  # cut off
    (200, b'{"ok":true,"result":['),  # also when asked for one only
    (200, b'{"ok":false,"error_code":500}'),  # an error inside
    (200, b'{"ok":false,"error_code":500}'),
    (409, b'{"ok":false,"error_code":409}'),  # another poller
    (401, b'{"ok":false,"error_code":401}'),  # the token is being changed
    (502, HTML),
    None,  # hangs
    batch(said(11), {"update_id": 12, "message": {"text": 5}}, {"no": "number"}, said(13)),  # two that cannot be read
    batch({"no": "number"}, said(14)),
]


async def test_however_the_poll_is_answered_each_update_is_kept_once_and_none_is_lost(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram, "PAUSE", 0.01)
    monkeypatch.setattr(telegram, "SLACK_SECONDS", 0)
    monkeypatch.setitem(Supervisor.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)
    async with BotApi(POLLS).running() as bot:
        polled = only("telegram", telegram={"mode": "poll", "poll_seconds": 1, "api_base": bot.url})
        async with start_gateway(polled) as gateway:
            await until(lambda: asyncio.sleep(0, len(bot.asked) > len(POLLS)), 60)
            came = await Books(gateway).came()
            said_once = {f"第{n}件事" for n in (7, 8, 9, 10, 11, 13, 14)}
            assert {matter.content for matter in await gateway.matters()} == said_once
            assert came.outcomes == {"filed": 7, "redelivered": 3, "malformed": 2}
            assert bot.asked[-1]["offset"] == 15
            assert json.loads((await gateway.envelopes())[-1].body)["update_id"] == 14
