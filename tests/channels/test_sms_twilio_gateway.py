"""Twilio through the running gateway: webhooks that misbehave, and a REST interface that does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.simulated import Ack
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.sms_twilio import SmsTwilio
from gateway import replies
from gateway.testing import Start
from tests.channels.carriers import ACCOUNT, CUT, HANG, TOKEN, Carrier
from tests.channels.scenes import COMMON, Scene, Stage, Step, changes_its_key, play, walk

OLD = "the-token-before"
ERROR = {"code": 21211, "message": "…", "more_info": "…", "status": 400}


@pytest.fixture
async def twilio() -> AsyncIterator[Carrier]:
    async with Carrier().running() as carrier:
        yield carrier


@pytest.fixture
async def stage(start_gateway: Start, twilio: Carrier, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(SmsTwilio, "send_seconds", 0.5)
    monkeypatch.setitem(replies.Replies.__init__.__kwdefaults__ or {}, "first_seconds", 0.01)

    def change(document: dict[str, Any]) -> None:
        ours = {"api_base": twilio.url, "account_sid": ACCOUNT, "auth_token": TOKEN, "previous_auth_token": OLD}
        document["channels"] = {"sms": document["channels"]["sms"] | ours}
        document["replies"] = {"acknowledge": True}

    async with start_gateway(change) as gateway:
        settings = gateway.channel("sms").settings
        before = settings.model_copy(update={"auth_token": settings.previous_auth_token})
        peers = (SmsTwilioPeer("sms", one, public_url=gateway.public_url) for one in (settings, before))
        yield Stage(gateway, next(peers), before=next(peers))


def peer_of(stage: Stage) -> SmsTwilioPeer:
    assert isinstance(stage.peer, SmsTwilioPeer)
    return stage.peer


async def takes_a_key_that_was_taken_away(stage: Stage) -> dict[str, int]:
    """Neither the new one nor the one before: nothing is kept, and it is counted."""
    peer = peer_of(stage)
    gone = peer.settings.model_copy(update={"auth_token": type(peer.settings.auth_token)("the-token-before-that")})
    refused = (await stage.gateway.refused("sms")).get("signature", 0)
    said = stage.say(by=SmsTwilioPeer("sms", gone, public_url=stage.gateway.public_url))
    assert (await said.send(stage.gateway)).status == 403
    assert (await stage.gateway.refused("sms"))["signature"] == refused + 1
    return {}


async def tells_what_became_of_ours_before_and_after(stage: Stage) -> dict[str, int]:
    """Reports come twice, out of order, and of messages that we never sent."""
    peer = peer_of(stage)
    told = {"AccountSid": ACCOUNT, "From": peer.settings.number, "To": "+999000000000007"}
    words = ("delivered", "sent", "delivered", "queued", "undelivered")
    forms = [told | {"MessageSid": f"SM{n:032x}", "MessageStatus": word} for n, word in enumerate(words, 7_000)]
    await stage.taken(*(peer.form(form) for form in forms))
    return {"notice": 5}


async def uses_json_and_a_form_for_the_same(stage: Stage) -> dict[str, int]:
    """Its sid tells that it is the same message."""
    peer = peer_of(stage)
    fields = peer.message("路灯不亮", sender=stage.citizen(), message_id="8000")
    await stage.taken(peer.form(fields), peer.json(fields))
    return {"filed": 1, "redelivered": 1}


async def adds_a_field_on_its_second_try(stage: Stage) -> dict[str, int]:
    """A new signature for the same message."""
    peer = peer_of(stage)
    fields = peer.message("路灯不亮", sender=stage.citizen(), message_id="8001")
    await stage.taken(peer.form(fields), peer.form(fields | {"AddOns": "", "RetryCount": "1"}))
    return {"filed": 1, "redelivered": 1}


SCENES: tuple[Scene[Stage], ...] = (
    *COMMON,
    changes_its_key,
    takes_a_key_that_was_taken_away,
    tells_what_became_of_ours_before_and_after,
    uses_json_and_a_form_for_the_same,
    adds_a_field_on_its_second_try,
)


async def test_whatever_twilio_does_each_message_has_one_outcome_and_each_matter_one_answer(stage: Stage) -> None:
    await play(stage, SCENES, answered=True)


STEPS = {
    "all is well": Step([], ("sent", None), 1),
    "too often, then well": Step([(429, {"code": 20429})], ("sent", None), 1),
    "no such number": Step([(400, ERROR)], ("failed", "code_21211"), 0),
    "he has opted out": Step([(400, {**ERROR, "code": 21610})], ("failed", "code_21610"), 0),
    "500": Step([(500, {"code": 20500})], ("unknown", "status_500"), 0),
    "502 and a page": Step([(502, b"<html>")], ("unknown", "status_502"), 0),
    "200 with an error inside": Step([(200, {**ERROR, "status": 400})], ("unknown", "answer"), 0),
    "200 and a page": Step([(200, b"<html>")], ("unknown", "not_json"), 0),
    "201 and half the answer": Step([(201, b'{"sid":"SM')], ("unknown", "not_json"), 0),
    "leads elsewhere": Step([(307, b"", {"Location": "http://127.0.0.1:1/"})], ("unknown", "status_307"), 0),
    "cut after it was taken": Step([CUT], ("unknown", "cut"), 1),
    "hangs after it was taken": Step([HANG], ("unknown", "timeout"), 1),
}


async def test_whatever_the_rest_interface_does_a_reply_has_one_end_and_is_never_sent_twice(
    stage: Stage, twilio: Carrier
) -> None:
    async def speaks() -> list[Ack]:
        return await stage.taken(stage.say())

    await walk(stage, STEPS, twilio, twilio.taken, speaks)
