"""How well a folder of raw mails is read: each in a worker process that may hang or crash without harming the rest."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from channels.errors import Malformed
from gateway.offload import SECONDS, Offload, OwnFault
from normalizer.mail import Mail, MailError, read

#: What one mail may take besides SECONDS, and the share of a Chinese mail's characters that may be replaced (CONTRACT.md).
MEGABYTES, REPLACED = 512.0, 0.02
#: Seconds of a processor after which a worker is ended: more than in operation, so that it is seen how slow a mail is.
LIMIT = 2 * SECONDS
#: Oddities of the mail itself; the others say what is in it.
DEFECTS = {
    *("charset_guessed", "mail_cut", "headers_cut", "broken_mime", "odd_time", "winmail_unread", "signed_unread"),
}
#: Of a Chinese mail's characters so many are Chinese.
_CHINESE = 0.1


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one file."""

    file: str
    #: Why nothing was read, in one word; None when it was.
    lost: str | None = None
    #: Whether that was our fault: an exception, a hang, a crash.
    own_fault: bool = False
    #: Of a processor for the read alone, and the most its process has held.
    seconds: float = 0.0
    megabytes: float = 0.0
    #: In subject and words: all, U+FFFD, and whether they are Chinese.
    characters: int = 0
    replaced: int = 0
    chinese: bool = False
    #: Each field of ``normalizer.mail.Mail``.
    understood: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Score:
    """The sum over a folder; the first eight as CONTRACT.md names them."""

    files: int = 0
    read: int = 0
    #: Of which nothing was read, whoever's fault it was.
    lost: int = 0
    exceptions: int = 0
    #: Mails with an oddity of their own.
    defects: int = 0
    replacement_characters: int = 0
    slowest_seconds: float = 0.0
    peak_megabytes: float = 0.0
    chinese: int = 0
    chinese_characters: int = 0
    chinese_replacement_characters: int = 0
    #: Files lost, with the reason, and the slowest file.
    lost_files: dict[str, str] = field(default_factory=dict)
    slowest_file: str = ""

    def add(self, one: Reading) -> None:
        """Count one file."""
        self.files += 1
        self.read += one.lost is None
        self.lost += one.lost is not None
        self.exceptions += one.own_fault
        self.defects += bool(DEFECTS & set(one.understood.get("flags", ())))
        self.replacement_characters += one.replaced
        self.peak_megabytes = max(self.peak_megabytes, one.megabytes)
        if one.seconds >= self.slowest_seconds:
            self.slowest_seconds, self.slowest_file = one.seconds, one.file
        if one.chinese:
            self.chinese += 1
            self.chinese_characters += one.characters
            self.chinese_replacement_characters += one.replaced
        if one.lost is not None:
            self.lost_files[one.file] = one.lost

    def complaints(self) -> list[str]:
        """A sentence for each promise that is not kept."""
        replaced = self.chinese_replacement_characters / max(1, self.chinese_characters)
        found = {
            "there is no file to read": not self.files,
            f"{self.lost} of {self.files} mails were lost": self.lost,
            f"{self.exceptions} mails ended in an exception of ours": self.exceptions,
            f"{replaced:.1%} of the characters of Chinese mail were replaced; {REPLACED:.0%} may be": replaced
            > REPLACED,
            f"{self.slowest_file} took {self.slowest_seconds:.1f} s": self.slowest_seconds > SECONDS,
            f"{self.peak_megabytes:.0f} MB were held at once": self.peak_megabytes > MEGABYTES,
        }
        return [sentence for sentence, true in found.items() if true]

    def written(self) -> dict[str, Any]:
        """For programs; numbers as a reader wants them."""
        return asdict(self) | {
            "slowest_seconds": round(self.slowest_seconds, 3),
            "peak_megabytes": round(self.peak_megabytes, 1),
        }


def files_below(folder: Path, only: str = "*") -> list[Path]:
    """Every file whose name matches, in order."""
    return sorted(path for path in folder.rglob(only) if path.is_file())


async def measure(folder: Path, files: Sequence[Path], progress: Callable[[], None]) -> AsyncIterator[Reading]:
    """Read each of ``files`` below ``folder``, as many at once as there are processes; in the order given."""
    async with Offload(["smtp"], seconds=LIMIT) as offload:
        for start in range(0, len(files), offload.processes):
            some = files[start : start + offload.processes]
            for one in await asyncio.gather(*(_reading(offload, folder, path) for path in some)):
                progress()
                yield one


async def _reading(offload: Offload, folder: Path, path: Path) -> Reading:
    name = str(path.relative_to(folder))
    try:
        return await offload.called(_measured, name, str(path))
    except Malformed as error:
        return Reading(name, lost=error.reason)
    except OwnFault as error:
        return Reading(name, lost=str(error), own_fault=True)


def _measured(name: str, path: str) -> Reading:
    """In the worker: read one file."""
    raw = Path(path).read_bytes()
    began = time.process_time()
    try:
        mail = read(raw)
    except MailError as error:
        raise Malformed(error.reason) from None
    seconds = time.process_time() - began
    words = "\n".join(filter(None, (mail.subject, mail.text, mail.quoted)))
    return Reading(
        file=name,
        seconds=seconds,
        megabytes=_peak_megabytes(),
        characters=len(words),
        replaced=words.count("\ufffd"),
        chinese=_is_mail(mail) and _chinese(words) > len(words) * _CHINESE,
        understood=_understood(mail),
    )


def _is_mail(mail: Mail) -> bool:
    """Whether there is any header; a folder may hold pictures, which say nothing about charsets."""
    return any((mail.subject, mail.sender, mail.date, mail.message_id))


#: CJK Unified Ideographs (Unicode Blocks.txt).
_HAN = range(0x4E00, 0xA000)


def _chinese(words: str) -> int:
    return sum(character in _HAN for character in map(ord, words))


def _understood(mail: Mail) -> dict[str, Any]:
    plain = asdict(mail)
    return plain | {
        "date": mail.date and mail.date.isoformat(),
        "attachments": [one.model_dump(mode="json", exclude_none=True) for one in mail.attachments],
        "reports": [one.model_dump(mode="json") for one in mail.reports],
    }


def _peak_megabytes() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes elsewhere
