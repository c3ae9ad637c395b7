"""channels in the queue: by which channel came what waits"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Channels in the queue: by which channel came what waits"""
    op.add_column("work", sa.Column("channel", sa.String(), nullable=True))
    of_subject = "(SELECT channel FROM {0} WHERE {0}.id = work.subject)"
    found = ", ".join(of_subject.format(table) for table in ("envelopes", "messages"))
    op.execute(f"UPDATE work SET channel = COALESCE({found}, '')")  # noqa: S608 - ours, every word
    with op.batch_alter_table("work", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("channel", existing_type=sa.String(), nullable=False)
    fresh = sa.text("attempts = 0 AND NOT waits AND holder IS NULL")
    op.create_index(
        "work_channel", "work", ["stage", "channel", "sequence"], sqlite_where=fresh, postgresql_where=fresh
    )


def downgrade() -> None:
    """Undo it; nothing is lost by it: envelopes and messages still say it."""
    op.drop_index("work_channel", "work")
    op.drop_column("work", "channel")
