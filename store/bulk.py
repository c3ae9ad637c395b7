"""Inserting many rows at once, on the one path where it matters: a delivery is acknowledged after it.

SQLAlchemy compiles the statement and gives each column's bind processor, as always; only its per-row bookkeeping of
``executemany`` is left out, which costs more than the database itself (bench/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError

Processor = Callable[[Any], Any]


def insert_or_ignore(connection: Connection, into: Any) -> Any:
    """INSERT … ON CONFLICT DO NOTHING, which both dialects spell alike but SQLAlchemy does not."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(into).on_conflict_do_nothing()


def insert_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, ignore: bool = False) -> int:
    """INSERT the rows, all with the same columns, in this order; ``ignore``: ON CONFLICT DO NOTHING.

    The number of rows inserted; -1 where the driver does not count (asyncpg).
    """
    sql, columns = _compiled(connection.dialect, table, tuple(rows[0]), ignore)
    try:
        values = [tuple([process(row[name]) for name, process in columns]) for row in rows]
    except (ValueError, TypeError) as error:  # as SQLAlchemy itself would say it
        raise StatementError("a value cannot be written", sql, None, error, hide_parameters=True) from error
    return connection.exec_driver_sql(sql, values).rowcount


def _compiled(
    dialect: Dialect, table: Table, names: tuple[str, ...], ignore: bool
) -> tuple[str, list[tuple[str, Processor]]]:
    """The statement and, in its order of parameters, each column's name and bind processor; kept on the dialect."""
    known = dialect.__dict__.setdefault("hotline_inserts", {})
    key = (table.name, names, ignore)
    if key not in known:
        statement = (sqlite if dialect.name == "sqlite" else postgresql).insert(table).values(dict.fromkeys(names))
        compiled = (statement.on_conflict_do_nothing() if ignore else statement).compile(dialect=dialect)
        order = compiled.positiontup or []
        known[key] = str(compiled), [(name, _processor(table, name, dialect)) for name in order]
    found: tuple[str, list[tuple[str, Processor]]] = known[key]
    return found


def _processor(table: Table, name: str, dialect: Dialect) -> Processor:
    found = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    return found or (lambda value: value)
