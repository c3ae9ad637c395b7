"""Bringing the schema up to date (Alembic), and refusing to run on another one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select

from store.bulk import insert_or_ignore
from store.errors import KeyFileError, SchemaMismatch
from store.keys import Keyring
from store.tables import CHANNEL_STATE

MIGRATIONS = Path(__file__).parent / "migrations"
#: Ours among the advisory locks of a PostgreSQL database; any number that stays the same.
UPGRADE_LOCK = 12345


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; there is no alembic.ini, because there is nothing to choose."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    return settings


def is_empty(connection: Connection) -> bool:
    """Whether nothing of ours is in the database yet."""
    return "envelopes" not in inspect(connection).get_table_names()


def upgrade(connection: Connection) -> None:
    """Run what is missing, in the connection's transaction; nodes that start together wait for the first.

    Raise SchemaMismatch for a database that is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
    if is_older(connection):
        command.upgrade(config(connection), "head")


def tie_keys(connection: Connection, keyring: Keyring, *, owner: bool) -> None:
    """Tie the store to its key file, the first one that opens it; raise KeyFileError for any other.

    With another key file nothing sealed could be read, and no redelivery recognised.
    """
    mark = keyring.mark("store")
    row = {"channel": "", "key": "keys", "mark": mark, "value": "the key file that this store belongs to"}
    if owner:
        connection.execute(insert_or_ignore(connection, CHANNEL_STATE), row)
    tied = select(CHANNEL_STATE.c.mark).where(CHANNEL_STATE.c.channel == "", CHANNEL_STATE.c.key == "keys")
    if connection.execute(tied).scalar() != mark:
        raise KeyFileError("this key file does not belong to this store: restore the one that was made with it")


def is_older(connection: Connection) -> bool:
    """Whether migrations are missing. Raise SchemaMismatch when the database is newer than this program."""
    present = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config())
    if present == scripts.get_current_head():
        return False
    if present is None or present in {script.revision for script in scripts.walk_revisions()}:
        return True
    raise SchemaMismatch("the store is newer than this program: install the version that made it")


def check(connection: Connection) -> None:
    """Raise SchemaMismatch unless the database is at this program's revision."""
    if is_older(connection):
        raise SchemaMismatch("the store is older than this program: stop all nodes and run `gateway migrate`")
