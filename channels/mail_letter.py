"""The mail that we answer, as much of it as an answer needs, and the marks of ours by which he answers us.

A reply of ours has a token (``Outgoing.token``): unguessable, and known again by the store's key alone. It is the left
side of its Message-ID and the tag of its Reply-To (``mayor+token@``, RFC 5233), so that either leads back to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Self

from normalizer.clean import single_line

#: Message-IDs in References (RFC 5322 section 3.6.4): the first, which names the thread, and the nearest.
MOST_REFERENCES = 20
#: Characters of a Message-ID that we repeat, and of a subject.
LONGEST_ID, LONGEST_SUBJECT = 250, 120
#: Octets of a local part (RFC 5321 section 4.5.3.1.1).
LONGEST_LOCAL = 64

_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]+>")
_MARKS = re.compile(r"^(?:\s*(?:re|aw|sv|回复|回覆|答复|答覆)\s*(?:\[\d{1,3}\])?\s*[:：])+\s*", re.IGNORECASE)
#: A stranger must not be shown another's link under our name.
_LINK = re.compile(r"\S*(?:://|www\.)\S*", re.IGNORECASE)
#: A token is 48 characters of base32 in lower case: local parts may be folded on the way.
_TOKEN = r"[a-z2-7]{48}"  # noqa: S105 - what it looks like
_TAGGED = re.compile(rf"(?P<local>[^\s+@]{{1,64}})\+(?P<token>{_TOKEN})(?P<domain>@\S{{1,255}})", re.IGNORECASE)
_HEADERS = re.compile(
    rb"^(?:To|Cc|Delivered-To|X-Original-To|Envelope-To):(?:[^\n]|\n[ \t])*", re.IGNORECASE | re.MULTILINE
)
#: Bytes of headers that are looked at.
MOST_HEADERS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """What was written to us; kept as ``Message.answer_to``."""

    #: Its Message-ID; None where it has none that can be repeated.
    message_id: str | None = None
    #: What References of an answer say, ``message_id`` last.
    references: tuple[str, ...] = ()
    subject: str = ""
    #: Where he wants the answer; None: where he wrote from.
    reply_to: str | None = None

    @classmethod
    def of(cls, message_id: str | None, thread: Collection[str], subject: str | None, reply_to: str | None) -> Self:
        """From what a mail says; what cannot stand in a header of ours is left out."""
        known = message_id if message_id and _repeatable(message_id) else None
        chain = [one for one in (*thread, known) if one and _repeatable(one)]
        chain = list(dict.fromkeys(reversed(chain)))[::-1]
        if len(chain) > MOST_REFERENCES:
            chain = [chain[0], *chain[1 - MOST_REFERENCES :]]
        return cls(known, tuple(chain), (subject or "")[:LONGEST_SUBJECT], reply_to)

    def written(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What ``written`` wrote."""
        found = json.loads(text) if text else {}
        return cls(**found | {"references": tuple(found.get("references", ()))})

    def answer_subject(self, code: str | None) -> str:
        """``Re: …[code]``, one line: neither his control characters nor his links, and each mark once."""
        words = _LINK.sub("", _MARKS.sub("", single_line(self.subject))).strip()
        mark = f"[{code}]" if code and code not in words else ""
        return f"Re: {words}{mark}".strip()


def _repeatable(message_id: str) -> bool:
    return len(message_id) <= LONGEST_ID and _ID.fullmatch(message_id) is not None


def tagged(address: str, token: str) -> str | None:
    """Our address with the token as its tag; None where no room is left for it."""
    local, _, domain = address.rpartition("@")
    found = f"{local}+{token}"
    return f"{found}@{domain}" if token and len(found) <= LONGEST_LOCAL else None


def untagged(address: str) -> tuple[str, str]:
    """An address in lower case without its tag, and the token; empty where it has none."""
    found = _TAGGED.fullmatch(address)
    if found is None:
        return address.lower(), ""
    return (found["local"] + found["domain"]).lower(), found["token"].lower()


def message_id_of(token: str, address: str) -> str:
    """The Message-ID of the reply with this token."""
    return f"<{token}@{address.rpartition('@')[2]}>"


def tags_in(mail: bytes, recipients: str, ours: Collection[str]) -> tuple[str, ...]:
    """Message-IDs of the replies whose tagged addresses it is written to, by its headers or the envelope's recipients.

    Whether they are genuine, only the store can tell.
    """
    head = re.split(rb"\r?\n\r?\n", mail[:MOST_HEADERS], maxsplit=1)[0]
    written = b" ".join(_HEADERS.findall(head)).decode("latin-1")
    found = (untagged(one) for one in re.split(r"[\s<>,;\"]+", f"{recipients} {written}") if "+" in one)
    return tuple(dict.fromkeys(message_id_of(token, address) for address, token in found if token and address in ours))
