"""A mail, read: pure, bounded in time and memory whatever comes in, and never at a loss for one bad part.

mail_parse.py makes a tree of the bytes, mail_parts.py goes through its parts, mail_quotes.py takes off what he quotes, and
mail_machine.py tells machines from people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime

from normalizer import mail_machine, mail_quotes
from normalizer.charset import decode_words
from normalizer.clean import clean, single_line
from normalizer.html import QUOTE, QUOTE_ON, UNQUOTE
from normalizer.mail_parse import MailError, Part, parse
from normalizer.mail_parts import Parts, Words
from normalizer.model import Attachment, Report

__all__ = ["Mail", "MailError", "Mailbox", "carried", "read"]

#: References kept, the nearest.
MAX_THREAD = 100
#: Mails within mails that are looked into where the outer ones have no words.
MAX_FORWARDED = 3
#: Dates outside are no one's clock.
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_ADDRESS = re.compile(r"(?<![^\s<>()\[\],;:\"@])[^\s<>()\[\],;:\"@]{1,250}@[^\s<>(),;:\"@]{1,250}(?![^\s<>(),;:\"@])")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,998}>")
_MARKS = re.compile(f"[{QUOTE}{UNQUOTE}{QUOTE_ON}]")
#: So many characters are looked at before a whole part: nearly always words stand there.
_GLANCE = 1000


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name and an address (RFC 5322 section 3.4)."""

    name: str | None
    #: addr-spec, domain in lower case.
    address: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says."""

    #: Message-ID, whole; None when missing or empty.
    message_id: str | None
    #: The Date header, aware; None when missing or unreadable.
    date: datetime | None
    subject: str | None
    #: The first mailbox of From; anyone can write it.
    sender: Mailbox | None
    #: The address of Reply-To.
    reply_to: str | None
    #: References and In-Reply-To, nearest last.
    thread: tuple[str, ...]
    #: What he wrote; invitations and why there is nothing to read stand below it in square brackets.
    text: str
    #: ``reference`` is ``part:N``: the N-th part, containers counted, a container before what it holds; ``part:N/I`` is the
    #: I-th file in the winmail.dat that this part is.
    attachments: tuple[Attachment, ...]
    #: Why no person wrote it: ``delivery_report``, ``bounce``, ``read_receipt``, ``abuse_report``, ``auto_submitted``,
    #: ``auto_reply``, ``bulk`` or ``list``; None for a person's mail.
    automatic: str | None
    #: Oddities: ``charset_guessed``, ``mail_cut``, ``headers_cut``, ``broken_mime``, ``odd_time``, ``encrypted``, ``signed``,
    #: ``signed_unread``, ``winmail_unread``, ``forwarded_mail``, ``words_attached``, ``answers_in_quotation``,
    #: ``only_quotation``.
    flags: tuple[str, ...]
    #: What stood below ``text``: quoted history, forwarded mail, signature, disclaimer. With it the text is whole.
    quoted: str = ""
    #: What became of mail of ours; ``provider_id`` is the Message-ID it had, angle brackets included.
    reports: tuple[Report, ...] = ()
    #: Whether a machine may answer, as far as the mail itself tells (RFC 3834 section 2).
    answerable: bool = True
    #: Addresses in X-Loop, in lower case: who put it there has had this mail before.
    loops: tuple[str, ...] = ()


def read(raw: bytes) -> Mail:
    """Read one raw mail (RFC 5322). Raise MailError when a limit leaves nothing to read."""
    return _read(raw, Parts(), 0)


def carried(raw: bytes) -> dict[str, bytes]:
    """What the attachments of a mail hold, by their ``reference``. Raise MailError as ``read`` does."""
    contents: dict[str, bytes] = {}
    _read(raw, Parts(contents), 0)
    return contents


def _read(raw: bytes, parts: Parts, level: int) -> Mail:
    top, cut = parse(raw)
    parts.note("mail_cut", cut)
    try:
        texts = parts.texts(top)
    except RecursionError:
        raise MailError("nesting") from None
    thread, sender, reply_to = _thread(top), _mailbox(top, "from"), _mailbox(top, "reply-to")
    subject = top.words("subject") or None
    letter = _letter(texts, parts, level, reply=mail_quotes.is_reply(subject, thread))
    date = _date(top, parts)
    parts.note("headers_cut", top.cut)
    parts.note("charset_guessed", top.guessed)
    parts.note(letter.flag or "", letter.flag is not None)
    flags = tuple(parts.flags)
    address = sender.address if sender else None
    automatic = mail_machine.automatic(top, address, subject, letter.own, flags)
    return Mail(
        message_id=single_line(top.header("message-id"))[:998] or None,
        date=date,
        subject=subject,
        sender=sender,
        reply_to=reply_to.address if reply_to else None,
        thread=thread,
        text=clean("\n\n".join(filter(None, (letter.own, *parts.said)))),
        attachments=tuple(parts.attachments),
        automatic=automatic,
        flags=flags,
        quoted=clean(letter.quoted),
        reports=mail_machine.reports(top, automatic, thread),
        answerable=mail_machine.answerable(top, address, automatic),
        loops=mail_machine.loops(top),
    )


def _letter(texts: list[Words], parts: Parts, level: int, *, reply: bool) -> mail_quotes.Letter:
    """His words: those of the mail, else of what stands in for it, else of the mail that he merely passes on."""
    if not _has_words(texts) and _has_words(parts.spare):
        parts.note("words_attached")
        texts = parts.spare[:1]
    if not _has_words(texts) and parts.mails and level < MAX_FORWARDED:
        forwarded = [_forwarded(raw, level + 1) for raw in parts.mails]
        parts.note("forwarded_mail", any(forwarded))
        return mail_quotes.Letter("\n\n".join(filter(None, forwarded)))
    twin = texts[0].twin if texts else ""
    return mail_quotes.part("\n\n".join(text.text.strip("\n") for text in texts), twin, reply=reply)


def _has_words(texts: list[Words]) -> bool:
    return any(_is_seen(text.text[:_GLANCE]) or _is_seen(text.text) for text in texts)


def _is_seen(text: str) -> bool:
    return bool(clean(_MARKS.sub("", text)).strip())


def _forwarded(raw: bytes, level: int) -> str:
    """Subject and words of a mail that lies in a mail."""
    try:
        inner = _read(raw, Parts(), level)
    except MailError:
        return ""
    return "\n\n".join(filter(None, (inner.subject, inner.text, inner.quoted)))


def _date(top: Part, parts: Parts) -> datetime | None:
    written = top.header("date")
    try:
        found = parsedate_to_datetime(written) if written else None
        # "-0000" gives no zone: the time is UTC (RFC 5322 section 3.3).
        found = found and (found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        found = None
    known = found is not None and EARLIEST <= found < LATEST
    parts.note("odd_time", bool(written) and not known)
    return found if known else None


def _mailbox(top: Part, name: str) -> Mailbox | None:
    """The first mailbox of a header; where the syntax is broken, the first thing that looks like an address."""
    try:
        shown, address = parseaddr(top.header(name))
    except RecursionError:
        raise MailError("nesting") from None
    if not _ADDRESS.fullmatch(address):
        found = _ADDRESS.search(top.words(name))
        shown, address = "", found[0] if found else ""
    local, _, domain = address.rpartition("@")
    if not local or len(address) > 320:
        return None
    return Mailbox(single_line(decode_words(shown)[0]) or None, f"{single_line(local)}@{single_line(domain).lower()}")


def _thread(top: Part) -> tuple[str, ...]:
    """References, then In-Reply-To (RFC 5322 section 3.6.4); each once, at its last place."""
    ids = _MESSAGE_ID.findall(f"{top.header('references')} {top.header('in-reply-to')}")
    return tuple(reversed(list(dict.fromkeys(single_line(one) for one in reversed(ids)))[:MAX_THREAD]))
