"""Doors: who does not want to hear from us, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from normalizer.model import Contact, ContactType
from store.keys import Keyring
from store.tables import UNREACHABLE

#: How far a provider's clock may be behind ours: what he sends right after the provider refused our reply opens the door.
CLOCKS = timedelta(minutes=1)


def recipient(keyring: Keyring, channel: str, account: str, to: Contact) -> bytes:
    """Whose windows these are, and who can close the door. A telephone is the same whichever number of ours it wrote to."""
    scope = "" if to.type is ContactType.PHONE else account
    return keyring.mark("recipient", channel, scope, to.type, to.value)


def reopen(connection: Connection, whose: bytes, since: datetime) -> None:
    """He writes to us again, and not before the door was shut: he may be written to."""
    connection.execute(delete(UNREACHABLE).where(UNREACHABLE.c.recipient == whose, UNREACHABLE.c.since <= since))


def shut(connection: Connection, whose: bytes, reason: str, since: datetime) -> None:
    """He does not want to hear from us there; the last time that he said so counts."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(UNREACHABLE).values(recipient=whose, since=since, reason=reason)
    later = {name: statement.excluded[name] for name in ("since", "reason")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["recipient"], set_=later, where=UNREACHABLE.c.since < statement.excluded.since
        )
    )
