"""What lies in the kept mail becomes a file like any other; a broken one neither delays nor loses the words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.errors import Missing
from channels.simulated.smtp import SmtpPeer
from channels.smtp import Smtp, SmtpSettings
from gateway.carried import Carried
from gateway.offload import Offload, OwnFault
from gateway.testing import RunningGateway, Start
from normalizer.model import AttachmentKind, Message
from store.media import DueFile
from tests.test_scan import CORE, attached, files_of, with_scanner

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def mailbox(gateway: RunningGateway) -> SmtpPeer:
    return SmtpPeer("mailbox", gateway.channel("mailbox").settings)


async def test_they_are_held_and_given_out_as_they_came(start_gateway: Start) -> None:
    names = {"a_png": PNG, "b_txt": "路灯".encode("gbk"), "empty_bin": b"", "c_exe": b"MZ" + os.urandom(17_000_000)}
    async with start_gateway(with_scanner(None)) as gateway:
        assert (await attached(mailbox(gateway), 2, **names).send(gateway)).ok
        found = await files_of(gateway)
        (matter,) = await gateway.matters()
    assert [got.content for _, got in found] == list(names.values())
    assert [one.sha256 for one, _ in found] == [hashlib.sha256(content).hexdigest() for content in names.values()]
    assert [one.availability for one, _ in found] == ["held"] * 4
    assert [one.media_type for one, _ in found] == [
        "image/png",
        "application/octet-stream",
        "application/octet-stream",
        "application/x-msdownload",
    ]
    assert found[3][1].headers["content-disposition"] == "attachment"
    assert matter.content == "路灯坏了，见附件" and matter.revision == 5


HOSTILE = {
    'name="../../etc/cron.d/x"': "x",
    "name*=utf-8''%00..%2f..%2fa%0d%0ab.png": "a b.png",
    "name*=utf-8''photo%E2%80%AEgnp.exe": "photognp.exe",
    'name="NUL.txt"': "_NUL.txt",
}


async def test_no_name_leads_out_of_the_store(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway(with_scanner(None)) as gateway:
        peer = mailbox(gateway)
        body = b"--b\n\nwords\n" + b"".join(
            f"--b\nContent-Type: image/png; {name}\n\nx{number}\n".encode() for number, name in enumerate(HOSTILE)
        )
        head = peer.headers(sender="2", message_id="2", at=NOW) | {"Content-Type": "multipart/mixed; boundary=b"}
        before = {path for path in tmp_path.rglob("*") if "files" not in path.parts}
        assert (await peer.mail(head, body + b"--b--\n", sender="2").send(gateway)).ok
        found = await files_of(gateway)
        after = {path for path in tmp_path.rglob("*") if "files" not in path.parts}
    assert [one.file_name for one, _ in found] == list(HOSTILE.values())
    assert [got.content for _, got in found] == [f"x{number}".encode() for number in range(len(HOSTILE))]
    assert {path.name for path in after - before} <= {"gateway.db-wal", "gateway.db-shm", "gateway.db"}


@pytest.mark.parametrize("fault", ["one is gone", "crash"])
async def test_a_broken_part_is_shown_and_costs_nobody_anything(
    start_gateway: Start, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def carried(self: Offload, channel: Any, envelope: Any) -> Any:
        if fault == "crash":
            raise OwnFault("crash")
        return {r: f for r, f in channel.carried(envelope).items() if f.content != PNG}

    monkeypatch.setattr(Offload, "carried", carried)
    async with start_gateway(with_scanner(None)) as gateway:
        assert (await attached(mailbox(gateway), 2, a_png=PNG, b_txt=b"words").send(gateway)).ok
        if fault == "crash":
            async with asyncio.timeout(30):
                while not await gateway.matters():
                    await asyncio.sleep(0.01)
            (matter,) = await gateway.matters()
            assert [one.availability for one in matter.attachments] == ["referenced"] * 2
            assert matter.content == "路灯坏了，见附件"
            return
        (gone, none), (held, given) = await files_of(gateway)
        assert (gone.availability, none.status_code) == ("missing", 404)
        assert (held.availability, given.content) == ("held", b"words")


async def test_what_is_not_held_is_not_given_out(start_gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail tells the digest before we hold the file; another citizen's file of that digest is not his."""

    async def carried(*_: Any) -> Any:
        raise OwnFault("crash")

    async with start_gateway(with_scanner(None)) as gateway:
        assert (await attached(mailbox(gateway), 2, a_png=PNG).send(gateway)).ok
        await gateway.settle()
        monkeypatch.setattr(Offload, "carried", carried)
        assert (await attached(mailbox(gateway), 3, a_png=PNG).send(gateway)).ok
        async with asyncio.timeout(30):
            while len(matters := await gateway.matters()) < 2:
                await asyncio.sleep(0.01)
        one = matters[-1].attachments[0]
        async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as client:
            path = f"/v1/matters/{matters[-1].matter_id}/attachments/{one.id}"
            answer = await client.get(path, headers={"authorization": f"Bearer {CORE}"})
    assert (one.availability, answer.status_code) == ("referenced", 404)


# -- All of an envelope at once ----------------------------------------------------------------------------------------


class Box:
    def __init__(self, envelope: Any) -> None:
        self.envelope_of, self.asked = envelope, 0

    async def envelope(self, _file: DueFile) -> Any:
        self.asked += 1
        return self.envelope_of


def due(message: Any, reference: str) -> DueFile:
    return DueFile(message, message, "0", reference, NOW, 0)


async def test_a_mail_is_opened_once_for_all_its_files_and_again_after_a_fault() -> None:
    channel = Smtp("mailbox", SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": ["a@example.net"]}))
    parts = b"".join(b"--b\r\nContent-Type: image/png\r\n\r\nx%d\r\n" % n for n in range(5))
    raw = b"From: a@example.net\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    envelope = channel.envelope(raw, NOW)
    box = Box(envelope)
    async with Offload(["smtp"]) as offload:
        files = Carried(channel, box, offload)  # type: ignore[arg-type]  # all it asks of a box
        found = await asyncio.gather(*(files.find(due(envelope.id, f"part:{n}")) for n in range(1, 6)))
        assert [one.content for one in found] == [b"x%d" % n for n in range(5)] and box.asked == 1
        with pytest.raises(Missing):
            await files.find(due(envelope.id, "part:9"))
        assert box.asked == 1
        files.forget()
        box.envelope_of = None
        for asked in (2, 3):
            with pytest.raises(OwnFault):
                await files.find(due(envelope.id, "part:1"))
            assert box.asked == asked


@pytest.mark.parametrize(
    "raw", [b"", b"x", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" * 3000, b"\xff" * 5000]
)
def test_what_cannot_be_read_carries_nothing(raw: bytes) -> None:
    channel = Smtp("mailbox", SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": ["a@example.net"]}))
    assert channel.carried(channel.envelope(raw, NOW)) == {}


def test_every_attachment_that_is_read_is_carried() -> None:
    """One reading: the same parts under the same references, with the digest that the message tells."""
    channel = Smtp("mailbox", SmtpSettings.model_validate({"listen": "127.0.0.1:0", "recipients": ["a@example.net"]}))
    inner = base64.encodebytes(PNG)
    raw = (
        b"From: a@example.net\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n"
        b"--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Type: text/html\n\n<p>hi\n"
        b"--c\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + inner + b"--c--\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nx\n--b--\n"
    )
    envelope = channel.envelope(raw, NOW)
    context = {"mail_from": "a@example.net", "recipients": "a@example.net"}
    (message,) = channel.parse(replace(envelope, context=context))  # type: ignore[misc]
    assert isinstance(message, Message)
    carried = channel.carried(envelope)
    told = {one.reference: one.sha256 for one in message.attachments if one.kind is not AttachmentKind.LINK}
    assert told == {reference: hashlib.sha256(file.content).hexdigest() for reference, file in carried.items()}
    assert len(told) == 2
