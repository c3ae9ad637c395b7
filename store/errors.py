"""What can go wrong in the store.

StoreError
├── StoreUnavailable   the database cannot commit now: down, locked too long, disk full; retryable
├── BindingReused      the binding's key already stands for another body
├── StateChanged       a compare-and-set found another value
├── Superseded         the work was done by somebody else meanwhile; nothing was written
├── NobodySuch         no caller, matter or join of that name
├── IdentitySealed     the matter's citizen stays unnamed, or this is not the way to open that
├── SchemaMismatch     the database is older or newer than this program
├── NoStore            there is nothing to read yet
├── StoreLocked        another process owns this SQLite file
├── BackupRefused      a backup cannot be made there, or cannot be used
└── KeyFileError       the key file is missing beside a filled store, another store's, readable by others, or damaged
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all; the message tells an operator what to do."""

    #: Whether the same call may succeed later.
    retryable = False


class StoreUnavailable(StoreError):
    """The database cannot commit now."""

    retryable = True


class BindingReused(StoreError):
    """The binding's key already stands for another body."""


class StateChanged(StoreError):
    """A compare-and-set found another value."""


class Superseded(StoreError):
    """Somebody else did this work meanwhile."""


class NobodySuch(StoreError):
    """No caller, matter or join of that name."""


class IdentitySealed(StoreError):
    """The matter's citizen stays unnamed, or this is not the way to open that."""


class SchemaMismatch(StoreError):
    """The database is older or newer than this program."""


class NoStore(StoreError):
    """There is nothing to read yet."""


class StoreLocked(StoreError):
    """Another process owns this SQLite file."""


class BackupRefused(StoreError):
    """A backup cannot be made there, or cannot be used."""


class KeyFileError(StoreError):
    """The key file cannot be used."""
