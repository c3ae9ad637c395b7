"""Codes: six digits by SMS to a number that somebody says is his, given back where he said so.

A code is kept as a mark only. The number of tries, of codes for a contact and of codes for a number is bounded, so that
guessing one (RFC 4226 appendix A.4) or pestering somebody else's telephone leads nowhere.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from normalizer.clean import clean
from normalizer.cues import code_given
from normalizer.model import Assurance, KeptMessage, Message, Proof
from store.keys import Keyring
from store.persons import contact_mark
from store.replies import queue_reply
from store.tables import CODES
from store.values import CODE_PLACE, Asking
from store.windows import first_since

#: How long a code counts, how long after it six digits are taken for one, and how often it may be given back wrongly.
COUNTS, EXPECTED, TRIES = timedelta(minutes=10), timedelta(hours=1), 5
#: Characters of a message that can be a code.
LONGEST = 100
#: How many codes a contact may have in a day, and how long a number has no second one.
A_DAY, DAY, AN_HOUR = 5, timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Given:
    """A code was given back by somebody who was sent one."""

    #: What he has shown by it; None: it is wrong, spent or too old.
    proof: Proof | None


def send_code(connection: Connection, keyring: Keyring, message: Message, asking: Asking, at: datetime) -> bool:
    """Queue a fresh code for the number; False when the contact or the number may have none now."""
    whose = contact_mark(keyring, message.sender, message.account)
    had, since = _had(connection, whose, at)
    if had >= A_DAY or not first_since(connection, keyring.mark("code", asking.number), "code", at, at + AN_HOUR):
        return False
    code = f"{secrets.randbelow(10**6):06}"
    row = {
        "contact_mark": whose,
        "phone": asking.number,
        "code_mark": _mark(keyring, whose, asking.number, code),
        "sent_at": at,
        "tries": 0,
        "had": had + 1,
        "had_since": since,
    }
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(CODES).values(row)
    newer = {name: statement.excluded[name] for name in row if name != "contact_mark"}
    connection.execute(statement.on_conflict_do_update(index_elements=["contact_mark"], set_=newer))
    ways = tuple(replace(way, text=way.text.replace(CODE_PLACE, code)) for way in asking.draft.ways)
    queue_reply(connection, keyring, replace(asking.draft, ways=ways), at)
    return True


def _had(connection: Connection, whose: bytes, at: datetime) -> tuple[int, datetime]:
    """How many codes the contact has had in the day that began with the first of them, and when it began."""
    row = connection.execute(select(CODES.c.had, CODES.c.had_since).where(CODES.c.contact_mark == whose)).one_or_none()
    return (row.had, row.had_since) if row is not None and at - row.had_since < DAY else (0, at)


def given_back(connection: Connection, keyring: Keyring, kept: KeptMessage) -> Given | None:
    """What a message of six digits shows; None when it is no code, or nobody was sent one lately. Counts the try."""
    message = kept.message
    digits = code_given(clean(message.text)) if len(message.text) <= LONGEST else None
    if digits is None or message.sender.assurance is not Assurance.VERIFIED:
        return None
    whose = contact_mark(keyring, message.sender, message.account)
    row = connection.execute(select(CODES).where(CODES.c.contact_mark == whose)).one_or_none()
    if row is None or kept.received_at - row.sent_at > EXPECTED:
        return None
    counts = row.tries < TRIES and kept.received_at - row.sent_at <= COUNTS
    right = hmac.compare_digest(row.code_mark, _mark(keyring, whose, row.phone, digits)) and counts
    tried = update(CODES).where(CODES.c.contact_mark == whose)
    connection.execute(tried.values(tries=TRIES if right else row.tries + 1))
    return Given(Proof(kind="phone", value=row.phone, evidence="code", at=kept.received_at) if right else None)


def _mark(keyring: Keyring, whose: bytes, number: str, code: str) -> bytes:
    return keyring.mark("code", whose, number, code)
