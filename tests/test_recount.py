"""`gateway reconcile --providers`: what the providers count, beside what went through the real entrance."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from channels.recount import Period, Told, Unanswered
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.simulated.telegram import TelegramPeer
from channels.weibo import Weibo
from gateway import recount
from gateway.commands.reconcile import SHOWN, print_comparisons
from gateway.recount import Comparison, compare
from gateway.testing import PUBLIC_URL, RunningGateway, Start
from normalizer.model import Envelope
from tests.rest import Answer, Rest, TwilioMessages, document
from tests.test_cli import run_apart
from tests.test_door import only


class Providers:
    """Twilio and Telegram as they would answer, a gateway, and citizens who write by them."""

    def __init__(self, gateway: RunningGateway, twilio: TwilioMessages, rest: Rest) -> None:
        self.gateway, self.twilio, self.rest = gateway, twilio, rest
        self.now = datetime.now(UTC)
        self.sms = SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=PUBLIC_URL)
        self.telegram = TelegramPeer("telegram", gateway.channel("telegram").settings)

    async def text(self, number: int, *, delivered: bool = True, ago: float = 600, **more: str) -> str:
        """A citizen sends a text message; Twilio has it, and calls us or not. Its id."""
        fields = self.sms.message("路灯坏了", sender=str(number), message_id=str(number)) | more
        self.twilio.add(fields["MessageSid"], fields["From"], self.now - timedelta(seconds=ago), fields["To"])
        if delivered:
            assert (await self.sms.form(fields).send(self.gateway)).ok
        return fields["MessageSid"]

    async def update(self, number: int) -> None:
        assert (await self.telegram.say("路灯", sender="1", message_id=str(number), at=self.now).send(self.gateway)).ok

    async def compared(self, **more: Any) -> dict[str, Comparison]:
        """An hour later, so that all has settled here."""
        await self.gateway.settle()
        node = self.gateway.node
        return await compare(node.store, node.channels, self.now + timedelta(hours=1), **more)


@pytest.fixture
async def providers(start_gateway: Start) -> AsyncIterator[Providers]:
    twilio = TwilioMessages("AC0123456789abcdef0123456789abcdef", "")

    def serve(target: str, headers: dict[str, str]) -> Answer:
        if target.endswith("/getWebhookInfo"):
            return document({"ok": True, "result": {"url": "https://x.example/", "pending_update_count": 0}})
        return twilio(target, headers)

    async with Rest(serve).running() as rest:
        at = {"api_base": rest.url}
        async with start_gateway(only("sms", "telegram", "weibo", sms=at, telegram=at)) as gateway:
            twilio.token = gateway.channel("sms").settings.auth_token.get_secret_value()
            yield Providers(gateway, twilio, rest)


async def test_nothing_is_missing(providers: Providers) -> None:
    for number in (1, 2, 3):
        await providers.text(number)
        await providers.update(number)
    await providers.text(4, To="whatsapp:+15005550006", From="whatsapp:+9991234")
    found = await providers.compared()
    assert found == {
        "sms": Comparison("sms_twilio", listed=4, ours=4),
        "telegram": Comparison("telegram", listed=3, ours=3, waiting=0),
        "weibo": Comparison("weibo", unanswered="unsupported"),
    }
    assert all(one.complete for one in found.values())


async def test_what_never_came_is_named(providers: Providers) -> None:
    await providers.text(1)
    lost = [await providers.text(number, delivered=False) for number in (2, 3)]
    for number in (7, 9, 12):
        await providers.update(number)
    found = await providers.compared()
    assert (found["sms"].listed, found["sms"].ours, sorted(found["sms"].missing)) == (3, 1, lost)
    assert found["telegram"].missing == ["update 8", "update 10", "update 11"]
    assert (found["telegram"].listed, found["telegram"].ours) == (6, 3)


async def test_what_no_message_came_of_is_not_missing(providers: Providers) -> None:
    await providers.text(1, OptOutType="STOP")
    await providers.text(2, NumMedia="0", Latitude="x", From="")  # malformed: no sender
    providers.twilio.messages[0]["from"] = "+9991"
    outcomes = (await providers.compared(), await providers.gateway.books())[1]["outcomes"]
    assert (outcomes["notice"], outcomes["malformed"]) == (1, 1)
    assert (await providers.compared())["sms"] == Comparison("sms_twilio", listed=2, ours=2)


async def test_what_is_younger_than_a_minute_is_no_gap(providers: Providers) -> None:
    node = providers.gateway.node
    await providers.text(1, delivered=False, ago=59)
    await providers.text(2, ago=0)
    await providers.gateway.settle()
    found = await compare(node.store, {"sms": node.channels["sms"]}, providers.now)
    assert found == {"sms": Comparison("sms_twilio", listed=1, ours=1, unsettled=1)}
    found = await compare(node.store, {"sms": node.channels["sms"]}, providers.now + timedelta(seconds=2))
    assert len(found["sms"].missing) == 1


async def test_a_day_is_asked_about_unless_somebody_says_more(providers: Providers) -> None:
    await providers.text(1, delivered=False, ago=25 * 3600)
    assert (await providers.compared())["sms"].listed == 0
    since = providers.now - timedelta(days=2)
    assert len((await providers.compared(since=since))["sms"].missing) == 1


async def test_many_are_looked_up_a_batch_at_a_time(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "BATCH", 3)
    delivered = [await providers.text(number) for number in range(1, 9)]
    lost = await providers.text(9, delivered=False)
    assert len(delivered) == 8
    assert (await providers.compared())["sms"] == Comparison("sms_twilio", listed=9, ours=8, missing=[lost])


async def test_what_was_told_before_an_error_counts_and_other_channels_are_told(providers: Providers) -> None:
    providers.twilio.page = 1
    lost = await providers.text(1, delivered=False)
    await providers.text(2)
    await providers.update(5)
    serve, pages = providers.rest.serve, 0

    def failing(target: str, headers: dict[str, str]) -> Answer:
        nonlocal pages
        asked = "Messages.json" in target
        pages += asked
        return document({}, 503) if asked and pages == 3 else serve(target, headers)

    providers.rest.serve = failing
    found = await providers.compared()
    assert found["sms"] == Comparison("sms_twilio", listed=2, ours=1, missing=[lost], unanswered="status_503")
    assert found["telegram"] == Comparison("telegram", listed=1, ours=1, waiting=0)


async def test_a_channel_that_fails_hides_no_other(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: Weibo, _period: Period, _kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        for unlikely in ():
            yield unlikely
        raise RuntimeError("13800138000")

    monkeypatch.setattr(Weibo, "recount", broken)
    await providers.update(5)
    found = await providers.compared()
    assert (found["weibo"], found["telegram"].ours) == (Comparison("weibo", unanswered="fault"), 1)


def test_a_kind_without_the_verb_cannot_be_asked(providers: Providers) -> None:
    period = Period(providers.now, providers.now)
    with pytest.raises(Unanswered, match=r"^unsupported$"):
        providers.gateway.channel("weibo").recount(period, None)  # type: ignore[arg-type]  # not looked at


# -- the command -------------------------------------------------------------------------------------------------------


async def test_the_command_names_the_gap_and_no_citizen(providers: Providers, tmp_path: Path) -> None:
    await providers.text(1)
    await providers.update(7)
    await providers.gateway.settle()
    words = ("reconcile", "--providers", "--config", tmp_path / "config.yaml")
    code, out, err = await run_apart(*words, "--json")
    told = json.loads(out)
    sms = asdict(Comparison("sms_twilio", listed=1, ours=1))
    assert (code, err, told["balanced"], told["providers"]["sms"]) == (0, "", True, sms)

    lost = await providers.text(2, delivered=False)
    code, out, _ = await run_apart(*words, "--json")
    told = json.loads(out)
    assert (code, told["balanced"], told["providers"]["sms"]["missing"]) == (1, True, [lost])
    assert "+999" not in out


async def test_without_providers_nobody_is_asked(providers: Providers, tmp_path: Path) -> None:
    lost = await providers.text(2, delivered=False)
    code, out, _ = await run_apart("reconcile", "--json", "--config", tmp_path / "config.yaml")
    assert (code, "providers" in json.loads(out), providers.rest.asked, lost in out) == (0, False, [], False)


def printed(**found: Comparison) -> str:
    out = Console(file=StringIO(), width=120)
    print_comparisons(found, out)
    return out.file.getvalue()


def test_a_person_sees_what_is_missing_and_who_cannot_be_asked() -> None:
    shown = printed(
        sms=Comparison("sms_twilio", listed=SHOWN + 5, missing=[f"SM{number}" for number in range(SHOWN + 3)]),
        telegram=Comparison("telegram", listed=2, ours=2, waiting=3, obstacle="Wrong [/red] answer"),
        weibo=Comparison("weibo", unanswered="unsupported"),
    )
    lines = shown.splitlines()
    assert "✗ sms: SM0 is not in the books" in lines and f"✗ sms: SM{SHOWN} is not in the books" not in lines
    assert "✗ sms: … and 3 more; --json names all" in lines
    assert "✗ telegram: 3 wait at the provider: Wrong [/red] answer" in lines
    assert "cannot be asked: unsupported" in shown and "✓" not in shown


def test_a_person_sees_that_all_is_there() -> None:
    assert "✓ we have all" in printed(sms=Comparison("sms_twilio", listed=2, ours=2))


def test_what_waits_behind_an_obstacle_is_missing_too() -> None:
    assert not Comparison("telegram", waiting=1, obstacle="no_webhook").complete
    assert Comparison("telegram", waiting=1).complete and Comparison("weibo", unanswered="unsupported").complete
