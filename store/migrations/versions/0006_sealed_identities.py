"""sealed identities: since when a matter is one, and who opened it"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Sealed identities: since when a matter is one, and who opened it"""
    op.add_column("matters", sa.Column("sealed_at", TIME, nullable=True))
    op.add_column("matters", sa.Column("disclosed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "openings",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("matter_id", sa.Uuid(), sa.ForeignKey("matters.id"), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", TIME, nullable=True),
    )
    op.create_index("openings_matter", "openings", ["matter_id", "requested_at"])


def downgrade() -> None:
    """Who opened what is lost by it, and since when matters are sealed; that they are stands in their documents."""
    op.drop_table("openings")
    for column in ("disclosed", "sealed_at"):
        op.drop_column("matters", column)
