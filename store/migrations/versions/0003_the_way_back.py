"""the way back: updates, replies and their windows; files"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
KINDS: dict[str, Any] = {"asked": sa.Uuid(), "asks": sa.String()}
MATTER = ("answered_at", "closed_at", "withdrawn_at", "evaluated_at", "asked", "asked_at", "asks")


def upgrade() -> None:
    """The way back: updates, replies and their windows; files"""
    op.add_column("messages", sa.Column("part_mark", sa.LargeBinary(), nullable=True))
    _index("messages_part", "messages", ["part_mark"], "part_mark IS NOT NULL")
    op.add_column("events", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    _index_events(["sink", "rank", "not_before", "id"], "state = 'waiting' AND NOT waits")
    for name in MATTER:
        op.add_column("matters", sa.Column(name, KINDS.get(name, TIME), nullable=True))
    _add_replies()
    _add_files()


def _index_events(columns: list[str], where: str) -> None:
    """With the id in it, nothing is sorted where many are due at once; without what waits, nobody walks through that."""
    op.drop_index("events_due", "events")
    _index("events_due", "events", columns, where)


def _add_replies() -> None:
    op.create_table(
        "updates",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("matter_id", sa.Uuid(), sa.ForeignKey("matters.id"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    _index("updates_matter", "updates", ["matter_id", "received_at"])
    op.create_table(
        "replies",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("matter_id", sa.Uuid(), sa.ForeignKey("matters.id"), nullable=True),
        sa.Column("update_id", sa.Uuid(), sa.ForeignKey("updates.id"), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        *_queued(),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("provider_mark", sa.LargeBinary(), nullable=True),
    )
    _index("replies_due", "replies", ["channel", "not_before"], "state = 'queued'")
    _index("replies_order", "replies", ["recipient", "id"], "state = 'queued'")
    _index("replies_sending", "replies", ["channel"], "state = 'sending'")
    _index("replies_named", "replies", ["provider_mark"], "provider_mark IS NOT NULL")
    _index("replies_matter", "replies", ["matter_id"])
    op.create_table(
        "windows",
        sa.Column("recipient", sa.LargeBinary(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=True),
    )
    op.create_table(
        "unreachable",
        sa.Column("recipient", sa.LargeBinary(), primary_key=True),
        sa.Column("since", TIME, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
    )


def _add_files() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id"), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        *_queued(),
        sa.Column("sha256", sa.String(), nullable=True),
    )
    _index("media_due", "media", ["channel", "not_before"], "state = 'queued'")
    _index("media_message", "media", ["message_id"])
    op.create_table(
        "files",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("stored_at", TIME, nullable=False),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), sa.ForeignKey("files.sha256"), nullable=False),
        sa.Column("stored_at", TIME, nullable=False),
        sa.Column("file_name", sa.LargeBinary(), nullable=False),
    )


def _queued() -> list[sa.Column[Any]]:
    """What replies and media have in common."""
    return [
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("put_off_at", TIME, nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("settled_at", TIME, nullable=True),
    ]


def _index(name: str, table: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """Undo it; what was told to citizens is forgotten."""
    for name in ("uploads", "files", "media", "unreachable", "windows", "replies", "updates"):
        op.drop_table(name)
    with op.batch_alter_table("matters") as batch:
        for name in MATTER:
            batch.drop_column(name)
    _index_events(["sink", "waits", "rank", "not_before"], "state = 'waiting'")
    with op.batch_alter_table("events") as batch:
        batch.drop_column("version")
    op.drop_index("messages_part", "messages")
    with op.batch_alter_table("messages") as batch:
        batch.drop_column("part_mark")
