"""The parts of a mail, gone through once: what is words, and what is an attachment."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

from normalizer.charset import decode, western
from normalizer.clean import single_line
from normalizer.html import html_text
from normalizer.mail_calendar import invitation
from normalizer.mail_parse import MAX_DEPTH, MailError, Part, mended
from normalizer.mail_sealed import SealedMail, sealed, signed_content
from normalizer.mail_tnef import is_tnef, unwrap
from normalizer.model import Attachment, AttachmentKind

#: Parts of all levels, those of a winmail.dat included; what follows is skipped.
MAX_PARTS = 500
#: Characters of HTML read.
MAX_HTML = 4 * 1024 * 1024
#: Characters of an attached text that stands in where a mail has no words of its own.
MAX_SPARE = 64 * 1024
#: Attached mails that stand in, likewise.
MAX_MAILS = 3

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_META = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_KINDS = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.VOICE, "video": AttachmentKind.VIDEO}
_CHINESE, _ENOUGH = re.compile("[\u4e00-\u9fff]"), 4
#: HTML by its first words, whatever its type says.
_PAGE = re.compile(r"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
#: RFC 3676 section 4.4: the signature's delimiter is never flowed.
_DELIMITER = "-- "


@dataclass(frozen=True, slots=True)
class Words:
    """One text of a mail."""

    text: str
    html: bool = False
    #: The same in HTML, with its quotations marked, where the mail has both.
    twin: str = ""


class Parts:
    """Goes through the parts once; what attachments hold is put into ``contents``, if given."""

    def __init__(self, contents: dict[str, bytes] | None = None) -> None:
        self._contents = contents
        self._parts = 0
        #: ``reference`` is ``part:N``, the N-th part, containers counted, a container before what it holds; what lies in
        #: a winmail.dat is ``part:N/I``.
        self.attachments: list[Attachment] = []
        #: Oddities, in the order noticed.
        self.flags: dict[str, None] = {}
        #: What we say ourselves about the mail: invitations in it, why there is nothing to read.
        self.said: list[str] = []
        #: Texts that stand in where the mail has no words: from a winmail.dat, from an attached file.
        self.spare: list[Words] = []
        #: Mails attached to this mail, raw.
        self.mails: list[bytes] = []

    def note(self, flag: str, seen: bool = True) -> None:
        """Remember an oddity."""
        if seen:
            self.flags[flag] = None

    def texts(self, part: Part, depth: int = 0) -> list[Words]:
        """The words of a part and what it holds; attachments are noted on the way. Raise MailError on deep nesting."""
        if depth > MAX_DEPTH:
            raise MailError("nesting")
        self._parts += 1
        if self._parts > MAX_PARTS:
            self.note("mail_cut")
            return []
        if part.get_content_maintype() == "multipart":
            return self._multipart(part, depth)
        name, disposition = part.file_name(), part.get_content_disposition()
        readable = part.get_content_type() in ("text/plain", "text/html")
        if readable and disposition != "attachment" and (name is None or (disposition is None and depth == 0)):
            return [self._text(part)]
        return self._attached(part, name, depth, readable=readable)

    def _multipart(self, part: Part, depth: int) -> list[Words]:
        children: Any = part.get_payload()
        if not part.is_multipart():
            self.note("broken_mime")
            children = mended(part.content())
        subtype = part.get_content_subtype()
        self.note("signed", subtype == "signed")  # RFC 1847
        if subtype == "encrypted":
            self._sealed(SealedMail.ENCRYPTED)
        texts = [text for child in children for text in self.texts(child, depth + 1)]
        return _best(texts) if subtype == "alternative" else texts

    def _text(self, part: Part) -> Words:
        words, html = self._decoded(part, part.content())
        if html or _PAGE.match(words):
            self.note("mail_cut", len(words) > MAX_HTML)
            return Words(html_text(words[:MAX_HTML]), html=True)
        if "-----BEGIN PGP MESSAGE-----" in words:  # RFC 4880 section 6.2
            self._sealed(SealedMail.ENCRYPTED)
        flowed = part.parameter("format").lower() == "flowed"
        return Words(unflowed(words, part.parameter("delsp").lower() == "yes") if flowed else words)

    def _decoded(self, part: Part, data: bytes) -> tuple[str, bool]:
        charset, html = part.parameter("charset"), part.get_content_subtype() == "html"
        if html and western(charset) and (meta := _META.search(data[:4096])):
            charset = meta[1].decode()
        words, guessed = decode(data, charset or None)
        self.note("charset_guessed", guessed)
        return words, html

    def _attached(self, part: Part, name: str | None, depth: int, *, readable: bool) -> list[Words]:
        """Note an attachment; the words are those of what was signed and wrapped (S/MIME)."""
        data, number = part.content(), self._parts - 1
        self._attach(data, part.declared, name, f"part:{number}")
        if readable and len(data) <= MAX_SPARE:
            words, html = self._decoded(part, data)
            self.spare.append(Words(html_text(words) if html else words, html))
        elif part.declared in ("message/rfc822", "message/global") and len(self.mails) < MAX_MAILS:
            self.mails.append(data)
        elif part.declared == "text/calendar":
            self.said += [one for one in invitation(self._decoded(part, data)[0]) if one not in self.said]
        elif is_tnef(part.declared, name):
            self._unwrap(data, number)
        elif (seal := sealed(part.declared, part.parameter("smime-type"), name, data)) is not None:
            return self._opened(seal, data, depth)
        return []

    def _opened(self, seal: SealedMail, data: bytes, depth: int) -> list[Words]:
        inside = signed_content(data) if seal is SealedMail.SIGNED else None
        if inside is None:
            self._sealed(seal)
            return []
        self.note("signed")
        return self.texts(inside, depth + 1)

    def _sealed(self, seal: SealedMail) -> None:
        """Say why there is nothing to read."""
        self.note(seal.flag)
        if seal.sentence and seal.sentence not in self.said:
            self.said.append(seal.sentence)

    def _unwrap(self, data: bytes, number: int) -> None:
        """What Outlook wrapped: its words stand in, its files are attachments of their own."""
        found = unwrap(data)
        self.note("winmail_unread", found is None)
        if found is None:
            return
        self.spare += [Words(found.text)] if found.text else []
        self.spare += [Words(html_text(found.html[:MAX_HTML]), html=True)] if found.html and not found.text else []
        for index, file in enumerate(found.files[: MAX_PARTS - self._parts]):
            name = single_line(file.name)[:255].strip() or None
            self._attach(file.content, file.media_type, name, f"part:{number}/{index}")

    def _attach(self, data: bytes, declared: str, name: str | None, reference: str) -> None:
        if self._contents is not None:
            self._contents[reference] = data
        self.attachments.append(
            Attachment(
                id=str(len(self.attachments)),
                kind=_KINDS.get(declared.partition("/")[0], AttachmentKind.FILE),
                media_type=declared if _MEDIA_TYPE.fullmatch(declared) else None,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                file_name=name,
                reference=reference,
            )
        )


def _best(texts: list[Words]) -> list[Words]:
    """Of alternatives the plain ones, unless they hold none of the words; the HTML goes along: it knows what is quoted."""
    plain, rich = ([text for text in texts if text.html == html] for html in (False, True))
    if not any(text.text.strip() for text in plain):
        return texts
    if _without_its_chinese(plain, rich):
        return rich
    return [replace(plain[0], twin=rich[0].text), *plain[1:]] if len(rich) == 1 else plain


def _without_its_chinese(plain: list[Words], rich: list[Words]) -> bool:
    """Programs that know no Chinese write ``????`` beside the HTML, or that an HTML reader is needed."""
    said = "".join(text.text for text in plain)
    return not _CHINESE.search(said) and sum(len(_CHINESE.findall(text.text)) for text in rich) >= _ENOUGH


def unflowed(text: str, delete_space: bool) -> str:
    """Lines that were broken to fit are one again (RFC 3676 section 4); quoted lines stay as they are."""
    pieces: list[str] = []
    flowing = False
    for line in text.replace("\r\n", "\n").split("\n"):
        fixed = line.startswith(">") or line == _DELIMITER
        flows = line.endswith(" ") and not fixed
        stuffed = line.removeprefix(" ")
        pieces += "" if flowing and not fixed else "\n", stuffed[:-1] if flows and delete_space else stuffed
        flowing = flows
    return "".join(pieces)[1:]
