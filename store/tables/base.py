"""What the tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, Table, text
from sqlmodel import SQLModel

#: SQLite counts row ids only in a column declared INTEGER.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over some rows; the condition is text because a planner uses it only where it can prove it."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def table(row: type[SQLModel]) -> Table:
    """The Core table of a row class, for statements that must be fast."""
    found: Table = row.__table__  # type: ignore[attr-defined]  # SQLModel declares it at run time
    return found
