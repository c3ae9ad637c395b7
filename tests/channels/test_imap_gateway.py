"""The mailbox in the whole gateway: conformance, the same mail by two roads, and how it is shown to operations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channels.simulated.imap import ImapPeer
from channels.simulated.smtp import SmtpPeer
from channels.testing import Cases, Expected, check_channel
from gateway.commands.channels import _state, _told
from gateway.config import Server
from gateway.testing import RunningGateway, Start
from tests.channels.imap_world import until
from tests.dovecot import PASSWORD, USERNAME, Dovecot, dovecot
from tests.test_door import only

__all__ = ["dovecot"]

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OURS = "letters@example.gov.cn"


def both(document: dict[str, Any]) -> None:
    """One office, its mail by SMTP and by IMAP."""
    only("imap", "mailbox")(document)
    document["channels"]["mailbox"]["recipients"] = [OURS]
    document["channels"]["imap"]["poll_seconds"] = 1


def peer(gateway: RunningGateway) -> ImapPeer:
    return ImapPeer("imap", gateway.channel("imap").settings)


@pytest.mark.parametrize("server", ["stand-in", "Dovecot"])
async def test_conformance(start_gateway: Start, server: str, request: pytest.FixtureRequest) -> None:
    def change(document: dict[str, Any]) -> None:
        both(document)
        if server == "Dovecot":
            real: Dovecot = request.getfixturevalue("dovecot")
            document["channels"]["imap"] |= {"port": real.port, "username": USERNAME, "password": PASSWORD}

    async with start_gateway(change) as gateway:
        await check_channel("imap", cases(peer(gateway)), gateway)


def cases(imap: ImapPeer) -> Cases:
    imap.patience = 5.0
    html = {"Content-Type": "text/html; charset=gb2312"} | imap.headers(sender="5", message_id="5", at=NOW)
    away = {"Auto-Submitted": "auto-replied"} | imap.headers(sender="6", message_id="6", at=NOW)
    return Cases(
        peer=imap,
        readable={
            "plain": (imap.say("路灯不亮", sender="1", message_id="1", at=NOW), Expected(text="路灯不亮")),
            "gb2312": (imap.say("井盖松动", sender="2", message_id="2", at=NOW), Expected(text="井盖松动")),
            "html": (imap.mail(html, "<p>停水</p>".encode("gbk"), sender="5"), Expected(text="停水")),
            "vacation": (imap.mail(away, b"away", sender="6"), Expected(outcome="notice")),
        },
        forged={},
        polled=True,
        odd={"nobody": imap.mail({"Return-Path": "<nobody>", "Subject": "x"}, b"x", sender="7")},
        retries=(451,),
    )


async def test_the_same_mail_by_two_roads_is_one_message(start_gateway: Start) -> None:
    async with start_gateway(both) as gateway:
        at = datetime.now(UTC).replace(microsecond=0)
        said = {"sender": "1", "message_id": "1", "at": at}
        smtp = SmtpPeer("mailbox", gateway.channel("mailbox").settings)
        assert (await smtp.say("路灯不亮", **said).send(gateway)).ok
        assert (await peer(gateway).say("路灯不亮", **said).send(gateway)).ok
        await gateway.settle()
        books = await gateway.books()
        assert {name: n for name, n in books["outcomes"].items() if n} == {"filed": 1, "redelivered": 1}
        assert books["balanced"]


async def readiness(gateway: RunningGateway) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{gateway.http_url}/readyz")
        return answer.status_code, answer.json()


async def state(gateway: RunningGateway) -> str:
    """What `gateway channels` says of it."""
    server = Server(listen=gateway.http_url.removeprefix("http://"), public_url="https://hotline.example")
    return _state("imap", await asyncio.to_thread(_told, server))


async def progress(gateway: RunningGateway) -> float:
    value: float = gateway.node.metrics.progress.labels("imap")._value.get()
    return value


async def test_every_look_is_progress_and_its_absence_an_alarm(start_gateway: Start) -> None:
    late = timedelta(0)

    def clock() -> datetime:
        return datetime.now(UTC) + late

    async with start_gateway(both, clock=clock) as gateway:
        await until(lambda: "UID SEARCH" in gateway.mail.asked)
        first = await progress(gateway)
        async with asyncio.timeout(10):
            while await progress(gateway) <= first:
                await asyncio.sleep(0.02)
        assert await readiness(gateway) == (200, {"status": "ready", "complaints": [], "notes": []})

        async def hangs(*_: Any) -> bool:
            await asyncio.sleep(60)
            return True

        gateway.mail.trick = hangs
        await asyncio.sleep(1.2)
        late = timedelta(minutes=11)
        status, told = await readiness(gateway)
        assert (status, told["complaints"]) == (503, ["channel imap: no progress for 11 minutes"])


async def test_a_server_that_is_away_is_a_note_and_a_wrong_password_a_complaint(start_gateway: Start) -> None:
    async with start_gateway(both) as gateway:
        await until(lambda: "UID SEARCH" in gateway.mail.asked)
        address = gateway.mail.address
        await gateway.mail.close()
        await until(lambda: gateway.node.supervisor.health["imap"].trouble)
        status, told = await readiness(gateway)
        assert (status, told["complaints"]) == (200, [])
        assert told["notes"] in (["channel imap: Connection refused"], ["channel imap: cut"])
        assert await state(gateway) in {"Connection refused", "cut"}
        gateway.mail.password = "changed"
        await gateway.mail.start(*address)
        await until(lambda: gateway.node.supervisor.health["imap"].trouble == "login_refused")
        assert await readiness(gateway) == (
            503,
            {"status": "not ready", "complaints": ["channel imap: login_refused"], "notes": []},
        )
        assert await state(gateway) == "login_refused"
        logins = gateway.mail.asked.count("LOGIN")
        await asyncio.sleep(3)
        assert gateway.mail.asked.count("LOGIN") == logins, "it is not knocked at again for ten minutes"
