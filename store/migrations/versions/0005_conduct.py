"""conduct: holds, flags, and how often the same words came"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Conduct: holds, flags, and how often the same words came"""
    op.add_column("messages", sa.Column("words_mark", sa.LargeBinary(), nullable=True))
    op.create_table(
        "holds",
        sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id"), primary_key=True),
        _column("lane", sa.LargeBinary()),
        _column("at", TIME),
        sa.Column("until", TIME, nullable=True),
        _column("flags", sa.LargeBinary()),
        sa.Column("over_at", TIME, nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
    )
    waiting = sa.text("over_at IS NULL")
    op.create_index("holds_waiting", "holds", ["lane"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "flags",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id"), nullable=False),
        sa.Column("caller_id", sa.Uuid(), nullable=True),
        sa.Column("matter_id", sa.Uuid(), nullable=True),
        _column("kind", sa.String()),
        _column("score", sa.Float()),
        _column("evidence", sa.LargeBinary()),
        _column("at", TIME),
        _column("expires_at", TIME),
        sa.Column("appealed_at", TIME, nullable=True),
        sa.Column("cleared_at", TIME, nullable=True),
    )
    op.create_index("flags_caller", "flags", ["caller_id", "sequence"])
    op.create_index("flags_matter", "flags", ["matter_id"])


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def downgrade() -> None:
    """Undo it; what is held goes on once more from its lane, and what was noticed is forgotten."""
    op.drop_table("flags")
    op.drop_table("holds")
    with op.batch_alter_table("messages") as batch:
        batch.drop_column("words_mark")
