"""A gateway with nothing but a mailbox, and what a large mail does to those beside and behind it; part of bench/mail.py."""

from __future__ import annotations

import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.progress import track

from bench.contenders import free_port, started

OURS = "mayor@example.gov.cn"
#: Bytes of a large mail.
LARGE = 24 * 1024 * 1024
_GIVE_UP = 60.0


@dataclass(frozen=True, slots=True)
class Delays:
    """What one large mail does to the mails beside and behind it, seconds."""

    #: Acknowledgement of a small mail: alone, and the slowest while the large one came and was kept.
    ack_alone: float
    ack_beside: float
    #: From acknowledgement to the core: alone, and sent as soon as the large one was acknowledged.
    matter_alone: float
    matter_behind: float


@contextmanager
def mailbox(folder: Path, role: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The gateway with a mailbox only; ``role``: the edge alone, or all."""
    port = free_port()
    document = {
        "server": {"listen": "127.0.0.1:0", "public_url": "https://hotline.example"},
        "store": {"url": "sqlite:///gateway.db", "files": "files", "journal": "journal"},
        "keys": {"file": "keys.json"},
        "core": {"sink": "file", "path": "events.jsonl"},
        "dedupe": {"settle_seconds": 0, "linking": "off"},
        "channels": {
            "mailbox": {
                "kind": "smtp",
                "listen": f"127.0.0.1:{port}",
                "recipients": [OURS],
                "mails_per_minute": 10_000_000,  # the limit is not what is measured
            }
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    config = str(folder / "config.yaml")
    rest = {"edge": ["bench.edge", config], "whole": ["gateway.cli", "serve", "--config", config]}[role]
    with started([sys.executable, "-m", *rest], folder, port) as process:
        yield process, port


def letter(text: str, attached: int = 0) -> bytes:
    """A mail, with so many bytes of base64 attached."""
    head = f"From: citizen-{text}@example.net\r\nMessage-ID: <{text}@example.net>\r\nSubject: {text}\r\nMIME-Version: 1.0\r\n"
    if not attached:
        return f"{head}\r\n{text}\r\n".encode()
    line = b"QUJD" * 19 + b"\r\n"
    parts = (
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\nContent-Type: image/png\r\n"
    )
    body = b"Content-Transfer-Encoding: base64\r\n\r\n" + line * (attached // len(line)) + b"--b--\r\n"
    return f"{head}{parts}".encode() + body


class Citizen:
    """One session that stays open."""

    def __init__(self, port: int) -> None:
        self._line = smtplib.SMTP("127.0.0.1", port, local_hostname="citizen.example", timeout=_GIVE_UP)
        self._line.ehlo()

    def close(self) -> None:
        """End it."""
        self._line.close()

    def send(self, raw: bytes) -> float:
        """Seconds until it is acknowledged. Each mail is somebody else's: nobody waits for his own."""
        began = time.monotonic()
        self._line.mail(raw[6 : raw.index(b"\r\n")].decode(), ["BODY=8BITMIME"])
        self._line.rcpt(OURS)
        code, text = self._line.data(raw)
        if code != 250:
            raise RuntimeError(f"{code} {text!r}")
        return time.monotonic() - began


def delays(folder: Path, number: int, port: int) -> Delays:
    """One large mail, others beside and behind it."""
    with closing(Citizen(port)) as large, closing(Citizen(port)) as small:
        return _delays(folder, number, large, small)


def _delays(folder: Path, number: int, large: Citizen, small: Citizen) -> Delays:
    alone = max(small.send(letter(f"alone{number}x{turn}")) for turn in range(20))
    matter_alone = _filed(folder, f"alone{number}x19")
    took: list[float] = []
    sending = threading.Thread(target=lambda: took.append(large.send(letter(f"large{number}", LARGE))))
    sending.start()
    beside = [small.send(letter(f"beside{number}x0"))]
    while sending.is_alive():
        beside.append(small.send(letter(f"beside{number}x{len(beside)}")))
        time.sleep(0.005)
    if not took:
        raise RuntimeError("the large mail was not taken")
    beside.append(small.send(letter(f"behind{number}")))
    return Delays(alone, max(beside), matter_alone, _filed(folder, f"behind{number}"))


def _filed(folder: Path, text: str) -> float:
    """Seconds from now until the core has the matter of that subject."""
    began, wanted, events = time.monotonic(), f'"title":"{text}"'.encode(), folder / "events.jsonl"
    place, tail = 0, b""
    while time.monotonic() - began < _GIVE_UP:
        if events.exists():
            with events.open("rb") as file:
                file.seek(place)
                new = file.read()
            place, tail = place + len(new), (tail + new)[-len(new) - 1000 :]
            if wanted in tail.replace(b": ", b":"):
                return time.monotonic() - began
        time.sleep(0.005)
    raise RuntimeError(f"no matter came of {text}")


def large(folder: Path, number_of_mails: int) -> list[Delays]:
    """Several large mails, one after the other, on a whole gateway."""
    folder.mkdir()
    with mailbox(folder, "whole") as (_, port):
        with closing(Citizen(port)) as warm:
            warm.send(letter("warm"))
        _filed(folder, "warm")
        return [delays(folder, number, port) for number in track(range(number_of_mails), "large mails", transient=True)]
