"""Independent mailers against the mailbox: swaks, and Postfix' smtp-source and its whole self, by LMTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels.simulated.smtp import SmtpPeer
from tests.brokers import free_port
from tests.channels.smtp_line import NOW, OURS, Running, peer, running
from tests.channels.test_smtp_tls import certified
from tests.conftest import missing
from tests.handing import until


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/lib/postfix/sbin")
    if found is None:
        missing(name)
    return str(found)


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, output.decode("utf-8", "replace")


def at(mailbox: Running) -> str:
    host, port = mailbox.listening("mailbox")
    return f"{host}:{port}"


async def swaks(mailbox: Running, *more: str) -> tuple[int, str]:
    return await run(program("swaks"), "--server", at(mailbox), "--from", "citizen@example.net", "--to", OURS, *more)


# -- swaks -------------------------------------------------------------------------------------------------------------


async def test_swaks_delivers_a_mail_with_an_attachment(tmp_path: Path) -> None:
    (tmp_path / "路灯.txt").write_text("坏了", encoding="utf-8")
    async with running() as mailbox:
        code, said = await swaks(mailbox, "--body", "路灯不亮", "--attach", f"@{tmp_path}/路灯.txt")
        assert code == 0, said
    (envelope,) = mailbox.kept
    assert "路灯不亮".encode() in envelope.body and envelope.context["mail_from"] == "citizen@example.net"
    ((_, file),) = mailbox.channel.carried(envelope).items()
    assert file.content.decode() == "坏了"


async def test_swaks_by_lmtp() -> None:
    other = "office@example.gov.cn"
    async with running(protocol="lmtp", recipients=[OURS, other]) as mailbox:
        code, said = await swaks(mailbox, "--protocol", "LMTP", "--to", f"{OURS},{other}")
        assert code == 0, said
    assert said.count("250 2.0.0 Kept") == 2
    assert [envelope.context["recipients"] for envelope in mailbox.kept] == [f"{OURS} {other}"]


async def test_swaks_is_refused_what_is_not_ours() -> None:
    async with running(max_size=5000) as mailbox:
        for more in (
            ("--to", "someone@example.net"),
            ("--body", "x" * 6000),
            ("--auth", "PLAIN", "-au", "a", "-ap", "b"),
        ):
            code, said = await swaks(mailbox, *more)
            assert code != 0, said
    assert mailbox.kept == []


async def test_swaks_pipelines() -> None:
    """Whole sessions in one packet, though it is not offered: no command is lost or taken twice."""
    async with running() as mailbox:
        code, said = await swaks(mailbox, "--pipeline", "--force-getpwuid")
        assert code == 0, said
    assert len(mailbox.kept) == 1


# -- smtp-source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("-d",)], ids=["a session each", "one session"])
async def test_smtp_source_sends_hundreds(more: tuple[str, ...]) -> None:
    async with running() as mailbox:
        sent = ("-s", "20", "-m", "400", "-l", "5000", "-f", "a@example.net", "-t", OURS)
        code, said = await run(program("smtp-source"), *more, *sent, at(mailbox))
        assert code == 0, said
    assert len(mailbox.kept) == 400 and {len(envelope.body) > 5000 for envelope in mailbox.kept} == {True}
    assert mailbox.refused == []


async def test_smtp_source_by_lmtp_with_many_recipients() -> None:
    ours = [f"{number}desk@example.gov.cn" for number in ("", 2, 3, 4, 5)]
    async with running(protocol="lmtp", recipients=ours) as mailbox:
        many = "-L -s 5 -m 50 -r 5 -l 2000 -f a@example.net -t desk@example.gov.cn"
        code, said = await run(program("smtp-source"), *many.split(), at(mailbox))
        assert code == 0, said
    assert len(mailbox.kept) == 50
    assert {len(envelope.context["recipients"].split()) for envelope in mailbox.kept} == {5}


# -- Postfix -----------------------------------------------------------------------------------------------------------

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.gov.cn
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.gov.cn
virtual_mailbox_maps = inline:{{ {ours}=x }}
virtual_transport = lmtp:inet:{lmtp}
lmtp_destination_recipient_limit = 50
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
smtp_host_lookup = native
lmtp_host_lookup = native
header_checks = regexp:{folder}/header_checks
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
lmtp_tls_security_level = {tls}
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
flush unix n - n 1000? 0 flush
"""


@asynccontextmanager
async def postfix(folder: Path, mailbox: Running, tls: str) -> AsyncIterator[int]:
    """A Postfix of its own that delivers to the mailbox by LMTP; the port where it takes mail."""
    if os.geteuid() != 0:
        missing("root, without which no Postfix starts")
    master = program("master")
    program("postconf")
    config, port = folder / "etc", free_port()
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    for parent in (folder, *folder.parents[:3]):  # its children run as other users
        if parent.owner() == "root" and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    shutil.chown(folder / "data", "postfix")
    # A server in front marks what it checked, and takes away marks that strangers forged (RFC 8601 section 5).
    forged = "/^Authentication-Results: mx.example.gov.cn/ IGNORE\n"
    marked = "/^From:/ PREPEND Authentication-Results: mx.example.gov.cn; spf=pass smtp.mailfrom=example.net\n"
    (folder / "header_checks").write_text(forged + marked)
    (config / "main.cf").write_text(_MAIN.format(folder=folder, ours=OURS, lmtp=at(mailbox), tls=tls))
    (config / "master.cf").write_text(_MASTER.format(port=port))
    code, said = await run(program("postfix"), "-c", str(config), "check")
    assert code == 0, said
    process = await asyncio.create_subprocess_exec(master, "-c", str(config), "-d", "-e", "120", start_new_session=True)
    try:
        await until(lambda: _answers(port))
        yield port
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _kept(mailbox: Running, number: int) -> bool:
    return len(mailbox.kept) >= number


@pytest.mark.parametrize("tls", ["none", "encrypt"])
async def test_postfix_delivers_by_lmtp_and_tries_again(tmp_path: Path, tls: str) -> None:
    failures = ["first", "second"]

    async def fails() -> None:
        if failures:
            failures.pop()
            raise RuntimeError("db secret-host")

    files = certified(tmp_path, "mx") if tls == "encrypt" else None
    async with running(protocol="lmtp", tls=files) as mailbox:
        mailbox.before = fails
        async with postfix(tmp_path, mailbox, tls) as port:
            letter = SmtpPeer("mailbox", peer().settings).say("路灯不亮", sender="1", message_id="1", at=NOW)
            forged = b"Authentication-Results: mx.example.gov.cn; dkim=pass header.d=example.gov.cn\r\n"
            (tmp_path / "mail").write_bytes(forged + letter.data)
            code, said = await run(
                *(program("swaks"), "--server", f"127.0.0.1:{port}", "--from", "citizen1@example.net"),
                *("--to", OURS, "--data", f"@{tmp_path}/mail"),
            )
            assert code == 0, said
            await until(lambda: _kept(mailbox, 1))
    (envelope,) = mailbox.kept
    assert failures == [] and mailbox.refused == ["internal"] * 2
    head = envelope.body.partition(b"\r\n\r\n")[0].decode()
    assert head.count("Authentication-Results:") == 1 and "spf=pass" in head and "dkim=pass" not in head
    assert "Received: from" in head and "by mx.example.gov.cn (Postfix)" in head
    assert envelope.context["mail_from"] == "citizen1@example.net" and envelope.context["recipients"] == OURS
