"""Independent mailers against the mailbox: swaks, and Postfix' smtp-source and its whole self, by LMTP."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from channels.simulated.smtp import SmtpPeer
from tests.channels.smtp_line import NOW, OURS, Running, peer, running
from tests.channels.test_smtp_tls import certified
from tests.conftest import missing
from tests.handing import until
from tests.postfix import postfix


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

#: A server in front marks what it checked, and takes away marks that strangers forged (RFC 8601 section 5).
_CHECKS = """\
/^Authentication-Results: mx.example.gov.cn/ IGNORE
/^From:/ PREPEND Authentication-Results: mx.example.gov.cn; spf=pass smtp.mailfrom=example.net
"""
#: What was not taken comes again within two seconds.
_IN_FRONT = """
smtpd_peername_lookup = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
lmtp_tls_security_level = {tls}
"""


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
        host, port = mailbox.listening("mailbox")
        ways = {"example.gov.cn": f"lmtp:inet:[{host}]:{port}"}
        with postfix(ways, settings=_IN_FRONT.format(tls=tls), header_checks=_CHECKS) as mta:
            letter = SmtpPeer("mailbox", peer().settings).say("路灯不亮", sender="1", message_id="1", at=NOW)
            forged = b"Authentication-Results: mx.example.gov.cn; dkim=pass header.d=example.gov.cn\r\n"
            (tmp_path / "mail").write_bytes(forged + letter.data)
            code, said = await run(
                *(program("swaks"), "--server", f"127.0.0.1:{mta.port}", "--from", "citizen1@example.net"),
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
