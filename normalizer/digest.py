"""A fingerprint of what was said: two deliveries of the same words, pictures and place have the same."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any

import orjson

from normalizer.clean import single_line
from normalizer.model import DIGEST_VERSION, Attachment, Message, Place


def digest(message: Message) -> bytes:
    """Return SHA-256 (FIPS 180-4) of the canonical form of the message's content; stored, so it may never change.

    Content is title, text, attachments, place and what an operator answered. The text is the whole of it, however it is
    parted: a better reading of what is quoted makes no other message of a mail. Cleaned, with white space folded: SMTP
    and IMAP end the same mail differently. The time counts only where the provider gives no id: there a word said twice
    is two messages.
    """
    return hashlib.sha256(_canonical(message)).digest()


def _canonical(message: Message) -> bytes:
    """One JSON array (RFC 8259), positions fixed, so that no two contents share a form."""
    form = [
        DIGEST_VERSION,
        single_line(message.title or ""),
        single_line(f"{message.text}\n{message.quoted}"),
        [_attachment(attachment) for attachment in message.attachments],
        _place(message.place),
        _time(message),
        *_told_by_operator(message),
    ]
    return orjson.dumps(form)


def _told_by_operator(message: Message) -> list[list[str]]:
    """What an operator answered; nothing where none did, so that other messages keep their form."""
    return [[message.disposition, single_line(message.answer)]] if message.answer is not None else []


def _attachment(attachment: Attachment) -> list[str | None]:
    """Its kind, and its content where known, else where it lies."""
    if attachment.sha256 is not None:
        return [attachment.kind, "sha256", attachment.sha256]
    return [attachment.kind, "reference", single_line(attachment.reference or "")]


def _place(place: Place | None) -> list[Any] | None:
    if place is None:
        return None
    return [single_line(place.text or ""), place.division_code, place.longitude, place.latitude, place.crs]


def _time(message: Message) -> str | None:
    """The instant in UTC, the same for every way to write its offset."""
    if message.provider_id is not None or message.sent_at is None:
        return None
    return message.sent_at.astimezone(UTC).isoformat(timespec="microseconds")
