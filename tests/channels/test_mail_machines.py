"""Machines that write to us, and two gateways that write to each other: nobody is answered twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from channels.simulated import MailDelivery
from gateway.testing import RunningGateway, Start
from store.tables import WINDOWS
from tests.channels.mailroom import MailServer
from tests.channels.town import CITIZEN, OURS, Town, place
from tests.ports import free_port

__all__ = ["place"]

OTHER = "li@example.org"


async def test_a_sender_is_answered_by_ourselves_once_a_day(place: Town) -> None:
    await place.writes("朝阳路的路灯不亮。")
    await place.writes("井盖坏了。", "Zhang@example.net")
    code = (await place.matter()).tracking_code
    assert await place.writes(f"进度 {code}", "Zhang@example.net") == "answered"
    assert len(place.acknowledged) == 1
    await place.writes("噪音扰民。", OTHER)
    assert len(place.acknowledged) == 2
    await place.told("已受理。")
    await place.told("已派人。")
    assert len(place.server.got) == 4, "the core's word is not counted"
    over = update(WINDOWS).values(expires_at=datetime.now(UTC))
    await place.gateway.node.store._database.write(lambda connection: connection.execute(over))
    await place.writes("垃圾没人清运。")
    assert len(place.acknowledged) == 3


NEVER: dict[str, dict[str, Any]] = {
    "ourselves": {"sender": OURS},
    "ourselves by tag": {"sender": f"mayor+{'a' * 48}@example.gov.cn"},
    "no-reply": {"sender": "no-reply@example.net"},
    "noreply": {"sender": "noreply@163.com"},
    "do not reply": {"sender": "do-not-reply@example.net"},
    "postmaster": {"sender": "postmaster@example.net"},
    "mailer-daemon": {"sender": "MAILER-DAEMON@example.net"},
    "null sender": {"mail_from": ""},
    "auto-submitted": {"auto_submitted": "auto-generated"},
    "auto-replied": {"auto_submitted": "auto-replied; owner-email=x@y"},
    "bulk": {"precedence": "bulk"},
    "a list": {"list_id": "<news.example.net>"},
    "suppressed": {"x_auto_response_suppress": "All"},
    "our own loop": {"x_loop": OURS},
    "out of office": {"subject": "自动回复：外出", "text": "您好，您的邮件已收到，我会尽快回复您。"},
}


@pytest.mark.parametrize("how", NEVER.values(), ids=NEVER)
async def test_these_are_never_answered(place: Town, how: dict[str, Any]) -> None:
    more = {"text": "朝阳路的路灯不亮。", "sender": CITIZEN} | how
    await place.takes(place.mail(more.pop("text"), more.pop("sender"), **more))
    assert place.server.got == []
    assert sum((await place.gateway.books())["outcomes"].values()) == 1


# -- Two gateways that write to each other -----------------------------------------------------------------------------


class Stripping(MailServer):
    """A relay that hands on what it takes without anything that marks a machine's mail."""

    def __init__(self, to: RunningGateway | None = None, keep: bool = False) -> None:
        super().__init__()
        self.to, self.keep = to, keep

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        got = self.got[-1]
        raw, sender = got.raw, got.mail_from
        if not self.keep:
            marks = (b"Auto-Submitted", b"X-Auto-Response", b"X-Loop", b"Message-ID", b"In-Reply-To", b"References")
            lines = raw.split(b"\r\n")
            raw = b"\r\n".join(line for line in lines if not line.startswith((*marks, b" <")))
            sender = got.mail["From"].rpartition("<")[2].rstrip(">")
        assert self.to is not None
        ack = await MailDelivery("mailbox", sender, got.recipients, raw).send(self.to)
        return answer if ack.ok else f"{ack.status} no"


@asynccontextmanager
async def two(start_gateway: Start, keep: bool) -> AsyncIterator[tuple[Town, Town]]:
    """Each other's citizens: what one sends goes to the other's mailbox."""
    first, second = Stripping(keep=keep), Stripping(keep=keep)
    async with first.running(), second.running():

        def change(name: str, server: MailServer) -> Any:
            def edit(document: dict[str, Any]) -> None:
                ours = {"kind": "smtp", "listen": f"127.0.0.1:{free_port()}", "recipients": [f"mayor@{name}.example"]}
                document["channels"] = {"mailbox": ours | {"outgoing": server.settings}}
                document["store"] |= {"url": f"sqlite:///{name}.db", "files": f"{name}-files"}
                document["keys"], document["replies"] = {"file": f"{name}.json"}, {"acknowledge": True}

            return edit

        async with (
            start_gateway(change("one", first)) as one,
            start_gateway(change("two", second)) as other,
        ):
            first.to, second.to = other, one
            yield Town(one, first), Town(other, second)


@pytest.mark.parametrize("keep", [True, False], ids=["marks kept", "marks stripped"])
async def test_two_gateways_fall_silent_after_one_round(start_gateway: Start, keep: bool) -> None:
    async with two(start_gateway, keep) as (one, other):
        start = one.mail("路灯不亮。", "mayor@two.example", to="mayor@one.example", subject="路灯")
        assert (await start.send(one.gateway)).ok
        for _ in range(4):
            await one.gateway.settle()
            await other.gateway.settle()
        assert (len(one.server.got), len(other.server.got)) == ((1, 0) if keep else (1, 1))
        before = len(one.server.got) + len(other.server.got)
        await one.takes(one.mail("还有井盖。", "mayor@two.example", to="mayor@one.example", subject="井盖"))
        await other.gateway.settle()
        await one.gateway.settle()
        assert len(one.server.got) + len(other.server.got) == before, "nor does a further mail wake them"
        for place in (one, other):
            assert (await place.gateway.books())["balanced"]
