"""nodes that hold work, sinks that take events"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING, FREE = "state = 'waiting'", "NOT waits AND holder IS NULL"


def upgrade() -> None:
    """Nodes that hold work, sinks that take events"""
    op.create_table(
        "nodes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "leads",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("node_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    _upgrade_work()
    _upgrade_events()


def _upgrade_work() -> None:
    with op.batch_alter_table("work") as batch:
        batch.drop_index("work_due")
        batch.drop_index("work_lane")
        batch.add_column(sa.Column("arrival", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("put_off_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("holder", sa.Uuid(), nullable=True))
        batch.add_column(sa.Column("apparent", sa.LargeBinary(), nullable=True))
    earlier = "SELECT 1 FROM work earlier WHERE earlier.lane = work.lane AND earlier.sequence < work.sequence"
    op.execute("UPDATE work SET put_off_at = not_before, waits = EXISTS (" + earlier + ")")  # noqa: S608 - ours
    op.execute("UPDATE work SET arrival = sequence WHERE lane IS NOT NULL")
    with op.batch_alter_table("work", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("waits", existing_type=sa.Boolean(), server_default=None)
        batch.alter_column("put_off_at", existing_type=sa.DateTime(timezone=True), nullable=False)
    _index("work_fresh", "work", ["stage", "sequence"], f"attempts = 0 AND {FREE}")
    _index("work_again", "work", ["stage", "not_before"], f"attempts > 0 AND {FREE}")
    _index("work_put_off", "work", ["stage", "put_off_at"], f"attempts > 0 AND {FREE}")
    _index("work_reading", "work", ["apparent"], "holder IS NOT NULL AND apparent IS NOT NULL")
    _index("work_suspect", "work", ["apparent"], "attempts > 0 AND apparent IS NOT NULL")
    _index("work_held", "work", ["holder"], "holder IS NOT NULL")
    _index("work_lane", "work", ["lane", "arrival", "sequence"], "lane IS NOT NULL")


def _upgrade_events() -> None:
    """A new table, because the primary key grows: SQLite cannot alter one."""
    earlier = (
        "SELECT 1 FROM events earlier WHERE earlier.matter_id = events.matter_id"
        " AND earlier.sequence < events.sequence AND earlier.state <> 'delivered'"
    )
    op.create_table(
        "events_next",
        *_event_columns(),
        sa.Column("sink", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("put_off_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", "sink"),
    )
    _move_events(", sink, rank, waits, put_off_at", f", 'core', 2, EXISTS ({earlier}), created_at")
    _index("events_order", "events", ["matter_id", "sink", "sequence"], None, unique=True)
    _index("events_due", "events", ["sink", "waits", "rank", "not_before"], WAITING)
    _index("events_put_off", "events", ["sink", "put_off_at"], f"{WAITING} AND NOT waits")
    _index("events_parked", "events", ["sink", "matter_id"], "state = 'parked'")


def _event_columns() -> list[sa.Column[Any]]:
    """What both forms of the table have."""
    time = sa.DateTime(timezone=True)
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("matter_id", sa.Uuid(), sa.ForeignKey("matters.id"), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", time, nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("settled_at", time, nullable=True),
    ]


def _move_events(added: str = "", values: str = "", which: str = "true") -> None:
    names = ", ".join(column.name for column in _event_columns())
    op.execute(f"INSERT INTO events_next ({names}{added}) SELECT {names}{values} FROM events WHERE {which}")  # noqa: S608 - ours, every word
    op.drop_table("events")
    op.rename_table("events_next", "events")


def _index(name: str, table: str, columns: list[str], where: str | None, *, unique: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Undo it; copies for other sinks than the core are forgotten."""
    op.create_table("events_next", *_event_columns(), sa.PrimaryKeyConstraint("id"))
    _move_events(which="sink = 'core'")
    _index("events_order", "events", ["matter_id", "sequence"], None, unique=True)
    _index("events_due", "events", ["not_before"], WAITING)
    names = ("work_lane", "work_held", "work_suspect", "work_reading", "work_put_off", "work_again", "work_fresh")
    for name in names:
        op.drop_index(name, "work")
    with op.batch_alter_table("work") as batch:
        for column in ("apparent", "holder", "put_off_at", "waits", "arrival"):
            batch.drop_column(column)
    op.create_index("work_due", "work", ["stage", "not_before", "sequence"])
    op.create_index("work_lane", "work", ["lane", "sequence"])
    op.drop_table("leads")
    op.drop_table("nodes")
