"""Threads: the matter about which a mail answers, by the Message-IDs that it names (RFC 5322 section 3.6.4).

A Message-ID of ours cannot be made up (store/tokens.py) and is known only to whom we wrote and to whom he showed it.
Message-IDs of citizens are no secret: they lead only to a matter of the same contact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from normalizer.model import Contact, Message
from store.keys import Keyring
from store.messages import provider_mark
from store.tables import MATTERS, MESSAGES, REPLIES
from store.tokens import reply_named


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a mail belongs by what it answers."""

    matter_id: UUID
    #: Whether it answers what was written to this address or by it; else its sender has it from somebody else.
    own: bool


def thread_of(connection: Connection, keyring: Keyring, message: Message, callers: Collection[UUID]) -> Thread | None:
    """The nearest that leads anywhere; what leads to his own comes before what was shown to him."""
    found = list(_leads(connection, keyring, message, callers)) if message.thread else []
    return next((thread for thread in found if thread.own), found[0] if found else None)


def _leads(connection: Connection, keyring: Keyring, message: Message, callers: Collection[UUID]) -> Iterator[Thread]:
    for named in reversed(message.thread):
        reply_id = reply_named(keyring, named)
        thread = (
            _of_reply(connection, reply_id, message.sender)
            if reply_id is not None
            else _of_his(connection, keyring, message, named, callers)
        )
        if thread is not None:
            yield thread


def _of_reply(connection: Connection, reply_id: UUID, sender: Contact) -> Thread | None:
    wanted = select(REPLIES.c.matter_id, REPLIES.c.content).where(REPLIES.c.id == reply_id)
    row = connection.execute(wanted.where(REPLIES.c.matter_id.is_not(None))).one_or_none()
    if row is None:
        return None
    to = Contact.model_validate((row.content or {})["outgoing"]["to"])
    return Thread(row.matter_id, own=(to.type, to.value.lower()) == (sender.type, sender.value.lower()))


def _of_his(
    connection: Connection, keyring: Keyring, message: Message, named: str, callers: Collection[UUID]
) -> Thread | None:
    """An earlier mail of the very same person: whoever only claims to be him is another.

    Where that mail was added to somebody else's matter, so is this one, and no more.
    """
    address = (message.key_space, message.account, message.sender.type, message.sender.value)
    his = (MESSAGES.c.provider_mark == provider_mark(keyring, address, named), MESSAGES.c.caller_id.in_(callers))
    wanted = select(MATTERS.c.id, MATTERS.c.caller_id).join(MESSAGES, MESSAGES.c.matter_id == MATTERS.c.id)
    row = connection.execute(wanted.where(*his).order_by(MESSAGES.c.received_at.desc()).limit(1)).one_or_none()
    return Thread(row.id, own=row.caller_id in callers) if row else None
