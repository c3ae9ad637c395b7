"""The mailbox on a real server, Dovecot: killed, asked by TLS and by OAuth2, counted again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from channels import imap_queue
from channels.base import StateChange
from channels.errors import ChannelError
from channels.imap import Imap
from channels.imap_line import Client
from channels.recount import Listed, Period, Unanswered
from gateway.clock import now
from gateway.outward import ChannelState
from gateway.recount import compare
from gateway.supervisor import Supervisor
from gateway.testing import RunningGateway, Start, settings
from normalizer.model import Envelope, Kept
from store.store import Store
from tests.channels.imap_world import mail, on, running, until
from tests.channels.imap_world import settings as of_mailbox
from tests.dovecot import PASSWORD, USERNAME, Dovecot, dovecot
from tests.postgres import postgresql
from tests.store.conftest import key_file, postgresql_url, trio
from tests.test_cli import run
from tests.test_door import only

__all__ = ["dovecot", "key_file", "postgresql", "postgresql_url", "trio"]


def fetching(server: Dovecot, **more: Any) -> Callable[[dict[str, Any]], None]:
    """Only this mailbox."""

    def change(document: dict[str, Any]) -> None:
        only("imap", "app")(document)
        asked = {"port": server.port, "username": USERNAME, "password": PASSWORD, "poll_seconds": 1}
        document["channels"]["imap"] |= asked | more

    return change


async def outcomes(gateway: RunningGateway) -> dict[str, int]:
    await gateway.settle()
    books = await gateway.books()
    assert books["balanced"], books
    return {name: n for name, n in books["outcomes"].items() if n}


async def test_what_waits_is_kept_and_then_moved_unread(dovecot: Dovecot) -> None:
    mails = [mail(1), mail(2, size=3_000_000), mail(3)]
    dovecot.put(*mails)
    async with running(on(dovecot)) as mailbox:
        await until(lambda: len(mailbox.kept) == 3)
        await until(lambda: not dovecot.uids())
        dovecot.put(mail(4))
        await until(lambda: len(mailbox.kept) == 4 and not dovecot.uids())
    assert mailbox.bodies == [*mails, mail(4)] and mailbox.ended == []
    assert len(dovecot.uids("Done")) == 4 and dovecot.flags("Done") == set()
    assert mailbox.kept[0].context["mail_from"] == "citizen1@example.net"


async def test_what_people_have_read_or_marked_waits_all_the_same(dovecot: Dovecot) -> None:
    dovecot.put(mail(1), mail(2))
    with dovecot.client() as client:
        client.add_flags([1], [b"\\Seen", b"\\Answered", b"\\Flagged"])
    async with running(on(dovecot, folder="INBOX", done_folder="已处理/电子邮件")) as mailbox:
        await until(lambda: len(mailbox.kept) == 2 and not dovecot.uids())
    assert dovecot.flags("已处理/电子邮件") == {b"\\Seen", b"\\Answered", b"\\Flagged"}


async def test_idle_brings_news_at_once(dovecot: Dovecot) -> None:
    async with running(on(dovecot, poll_seconds=600, alarm_minutes=20)) as mailbox:
        await until(lambda: mailbox.looks == 1)
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()
        dovecot.put(mail(1))
        await until(lambda: mailbox.kept)
        assert asyncio.get_running_loop().time() - began < 5


async def test_killed_while_it_is_fetched_from_nothing_is_lost_or_doubled(
    dovecot: Dovecot, start_gateway: Start
) -> None:
    sent = [mail(number, size=60_000) for number in range(60)]
    dovecot.put(*sent)
    async with start_gateway(fetching(dovecot)) as gateway:
        for kept in (10, 30):
            await until(lambda kept=kept: _envelopes(gateway) >= kept)  # type: ignore[misc]
            dovecot.kill()
            await until(lambda: gateway.node.supervisor.health["imap"].trouble)
            dovecot.start()
        await until(lambda: not dovecot.uids(), 60)
        found = await outcomes(gateway)
        assert found.pop("filed") == 60 and found.keys() <= {"redelivered"}
        assert len({matter.content for matter in await gateway.matters()}) == 60
    assert _envelopes(gateway) < 70, "it goes on where it was"


def _envelopes(gateway: RunningGateway) -> float:
    value: float = gateway.node.metrics.envelopes.labels("imap")._value.get()
    return value


async def test_kept_and_not_moved_when_the_node_died_it_is_redelivered(
    dovecot: Dovecot, start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.put(mail(1))

    def refuse(_client: Client, _uid: int, _folder: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(imap_queue, "move", refuse)
        async with start_gateway(fetching(dovecot)) as gateway:
            await until(lambda: _envelopes(gateway) == 1)
            assert await outcomes(gateway) == {"filed": 1}
    assert dovecot.uids() == [1]
    async with start_gateway(fetching(dovecot)) as gateway:
        await until(lambda: not dovecot.uids())
        assert await outcomes(gateway) == {"filed": 1, "redelivered": 1}


async def test_on_three_nodes_one_reads_and_another_takes_over(dovecot: Dovecot, trio: list[Store]) -> None:
    nodes = [_Node(store, on(dovecot)) for store in trio]
    dovecot.put(*(mail(number) for number in range(10)))
    await until(lambda: sum(node.kept for node in nodes) == 10)
    (leader,) = [node for node in nodes if node.supervisor.health["imap"].running]
    others = [node for node in nodes if node is not leader]
    assert leader.kept == 10 and all(node.supervisor.health["imap"].standing_by for node in others)
    await leader.stop()
    dovecot.put(*(mail(number) for number in range(10, 20)))
    await until(lambda: sum(node.kept for node in others) == 10, 60)
    assert leader.kept == 10
    await until(lambda: len(dovecot.uids("Done")) == 20)  # moved after it was kept
    for node in others:
        await node.stop()


class _Node:
    """As much of a node as reads a mailbox."""

    def __init__(self, store: Store, channel: Imap) -> None:
        self._store, self.kept = store, 0
        state = {"imap": ChannelState(store, "imap")}
        self.supervisor = Supervisor([channel], self.deliver, state, store.lead, clock=now)
        self._task = asyncio.create_task(self.supervisor.run())

    async def deliver(self, envelope: Envelope, change: StateChange | None = None) -> Kept:
        kept = await self._store.keep(envelope)
        self.kept += 1
        return kept

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._store.close()


# -- Who is let in, and by whom ----------------------------------------------------------------------------------------

TLS = {
    "from the start": (True, "localhost", True, None),
    "by STARTTLS": ("starttls", "localhost", True, None),
    "of an authority nobody knows": (True, "localhost", False, "certificate"),
    "by STARTTLS, of an authority nobody knows": ("starttls", "localhost", False, "certificate"),
    "of another name": (True, "127.0.0.1", True, "certificate"),
    "none where it is asked for": ("plain", "localhost", True, "tls"),
}


@pytest.mark.parametrize(("tls", "host", "known", "word"), TLS.values(), ids=TLS)
async def test_tls(dovecot: Dovecot, tls: Any, host: str, known: bool, word: str | None) -> None:
    port = dovecot.tls_port if tls is True else dovecot.port
    ca_file = str(dovecot.folder / "server.pem") if known else None
    channel = Imap("imap", of_mailbox(host, port, tls=True if tls == "plain" else tls, ca_file=ca_file))
    dovecot.put(mail(1))
    async with running(channel) as mailbox:
        await until(lambda: mailbox.kept or mailbox.ended)
    assert [error.reason for error in mailbox.ended[:1] if isinstance(error, ChannelError)] == ([word] if word else [])
    assert len(mailbox.kept) == (word is None)


async def test_by_oauth2(dovecot: Dovecot) -> None:
    """Dovecot asks whose token it is; the refresh token rolls at each use, as Microsoft's does."""
    refreshed: list[str] = []

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        if form["client_secret"] != "s3":
            return web.json_response({"error": "invalid_client"}, status=401)
        refreshed.append(str(form["refresh_token"]))
        access = "good" if len(refreshed) > 1 else "expired"
        return web.json_response({"access_token": access, "expires_in": 3600, "refresh_token": f"r{len(refreshed)}"})

    async def whose(request: web.Request) -> web.Response:
        if request.query["access_token"] != "good":
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"email": USERNAME})

    application = web.Application()
    application.add_routes([web.post("/token", token), web.get("/whose", whose)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    asked = dovecot.folder / "oauth2.conf"
    asked.write_text(f"tokeninfo_url = {url}/whose?access_token=\nusername_attribute = email\n")
    await asyncio.to_thread(dovecot.kill)
    dovecot.configure("xoauth2", f"passdb {{\n driver = oauth2\n mechanisms = xoauth2\n args = {asked}\n}}\n")
    await asyncio.to_thread(dovecot.start)
    dovecot.put(mail(1))
    oauth2 = {"token_url": f"{url}/token", "client_id": "12345", "client_secret": "s3", "refresh_token": "r0"}
    channel = on(dovecot, password=None, oauth2=oauth2)
    async with running(channel) as mailbox:
        await until(lambda: mailbox.kept)
        assert [str(error) for error in mailbox.ended] == ["login_refused"], (
            "a token that is not taken is not used again"
        )
        assert refreshed == ["r0", "r1"]
    wrong = on(dovecot, password=None, oauth2=oauth2 | {"client_secret": "other"})
    async with running(wrong) as mailbox:
        await until(lambda: mailbox.ended)
    assert str(mailbox.ended[0]) == "oauth2_refused"
    await runner.cleanup()
    dovecot.put(mail(2))
    async with running(on(dovecot, password=None, oauth2=oauth2)) as mailbox:
        await until(lambda: mailbox.ended)
    assert str(mailbox.ended[0]) == "oauth2_unreachable"


# -- What operators ask ------------------------------------------------------------------------------------------------


async def test_what_lies_in_the_mailbox_is_counted_again(dovecot: Dovecot, start_gateway: Start) -> None:
    hour = datetime.now(UTC) - timedelta(hours=1)
    bounce = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@example.net\r\nMessage-ID: <b@example.net>\r\n\r\nfailed\r\n"
    dovecot.put(mail(1), mail(2), bounce, b"From: a@example.net\r\n\r\nno Message-ID\r\n", at=hour)
    async with start_gateway(fetching(dovecot)) as gateway:
        await until(lambda: not dovecot.uids())
        await gateway.settle()
        node = gateway.node
        found = (await compare(node.store, node.channels, node.clock()))["imap"]
        assert (found.listed, found.ours, found.missing, found.waiting, found.unanswered) == (3, 3, [], 0, None)
        dovecot.put(mail(8), bounce.replace(b"<b@", b"<c@"), folder="Done", at=hour)
        dovecot.put(mail(9), folder="Done", at=datetime.now(UTC) - timedelta(days=3))
        dovecot.put(mail(7), folder="Done")
        found = (await compare(node.store, node.channels, node.clock()))["imap"]
        assert (found.missing, found.ours, found.unsettled) == (["UID 5 in Done", "UID 6 in Done"], 3, 1)
    dovecot.put(mail(10), at=hour)
    day = Period(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC))
    told = [one async for one in gateway.channel("imap").recount(day, _none())]
    assert "UID 5 in INBOX" in str(told) and "Waiting(number=1" in str(told), told
    recent = Period(datetime.now(UTC) - timedelta(minutes=30), datetime.now(UTC))
    told = [one async for one in gateway.channel("imap").recount(recent, _none())]
    assert [one.name for one in told if isinstance(one, Listed)] == ["UID 5 in INBOX", "UID 8 in Done"]
    dovecot.kill()
    with pytest.raises(Unanswered, match="Connection refused"):
        [one async for one in gateway.channel("imap").recount(day, _none())]


async def _none() -> Any:
    for nothing in ():
        yield nothing


def test_check_live_tries_the_mailbox(dovecot: Dovecot, tmp_path: Path) -> None:
    dovecot.put(mail(1), mail(2))
    document = settings("http://127.0.0.1:1/")
    fetching(dovecot)(document)
    document["core"] = {"sink": "file", "path": "events.jsonl"}

    def checked(**more: Any) -> tuple[int, str]:
        document["channels"]["imap"] |= more
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
        result = run("check", "--live", "--config", str(tmp_path / "config.yaml"))
        return result.exit_code, " ".join(result.output.split())

    from gateway.demo.secrets import make_secrets  # noqa: PLC0415

    make_secrets(tmp_path / "secrets")
    code, told = checked()
    assert code == 0, told
    assert (
        "channels.imap: 2 mails wait in INBOX; each becomes ours and goes to Done (which is made at the start)" in told
    )
    assert dovecot.uids() == [1, 2] and dovecot.flags("INBOX") == set()
    code, told = checked(password="not-the-password")
    assert code == 1 and f"channels.imap: {USERNAME} at 127.0.0.1:{dovecot.port}: login_refused" in told
    code, told = checked(password=PASSWORD, folder="Nowhere")
    assert code == 1 and "no_folder" in told
    dovecot.kill()
    code, told = checked(folder="INBOX")
    assert code == 1 and "Connection refused" in told
