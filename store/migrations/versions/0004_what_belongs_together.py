"""what belongs together: persons, links, incidents, fingerprints"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("fingerprints", "incidents", "links", "identities", "codes", "joins", "proofs", "things")


def upgrade() -> None:
    """What belongs together: persons, links, incidents, fingerprints"""
    op.add_column("callers", sa.Column("person_id", sa.Uuid(), nullable=True))
    op.create_index("ix_callers_person_id", "callers", ["person_id"])
    op.add_column("transitions", sa.Column("words", sa.LargeBinary(), nullable=True))
    _add_persons()
    _add_links()
    op.create_table(
        "fingerprints",
        sa.Column("number", SEQUENCE, primary_key=True, autoincrement=True),
        _column("message_id", sa.Uuid(), unique=True),
        _column("caller_id", sa.Uuid()),
        _column("received_at", TIME),
        _column("version", sa.Integer()),
        _column("prints", sa.LargeBinary()),
        sqlite_autoincrement=True,
    )
    op.create_index("fingerprints_caller", "fingerprints", ["caller_id", "received_at"])


def _add_persons() -> None:
    op.create_table(
        "things",
        sa.Column("mark", sa.LargeBinary(), primary_key=True),
        _column("kind", sa.String()),
        _column("value", sa.LargeBinary()),
        sa.Column("shared_at", TIME, nullable=True),
    )
    op.create_table(
        "proofs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _column("contact_mark", sa.LargeBinary()),
        sa.Column("caller_id", sa.Uuid(), sa.ForeignKey("callers.id"), nullable=False),
        _column("scope", sa.String()),
        sa.Column("thing_mark", sa.LargeBinary(), sa.ForeignKey("things.mark"), nullable=False),
        _column("evidence", sa.String()),
        _column("decided_by", sa.String()),
        _column("shown_at", TIME),
        _column("at", TIME),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
    )
    op.create_index("proofs_contact", "proofs", ["contact_mark"])
    op.create_index("proofs_thing", "proofs", ["thing_mark"])
    op.create_index("ix_proofs_caller_id", "proofs", ["caller_id"])
    op.create_table(
        "joins",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("one_id", sa.Uuid(), sa.ForeignKey("callers.id"), nullable=False),
        sa.Column("other_id", sa.Uuid(), sa.ForeignKey("callers.id"), nullable=False),
        _column("evidence", sa.String()),
        sa.Column("thing_mark", sa.LargeBinary(), nullable=True),
        _column("decided_by", sa.String()),
        _column("reason", sa.LargeBinary()),
        _column("at", TIME),
        sa.Column("undone_at", TIME, nullable=True),
        sa.Column("undone_by", sa.String(), nullable=True),
        sa.Column("undone_reason", sa.LargeBinary(), nullable=True),
    )
    for name, column in (("joins_one", "one_id"), ("joins_other", "other_id"), ("joins_thing", "thing_mark")):
        op.create_index(name, "joins", [column])
    _add_askings()


def _add_askings() -> None:
    op.create_table(
        "codes",
        sa.Column("contact_mark", sa.LargeBinary(), primary_key=True),
        _column("phone", sa.LargeBinary()),
        _column("code_mark", sa.LargeBinary()),
        _column("sent_at", TIME),
        _column("tries", sa.Integer()),
        _column("had", sa.Integer()),
        _column("had_since", TIME),
    )
    op.create_table(
        "identities",
        sa.Column("contact_mark", sa.LargeBinary(), primary_key=True),
        _column("id", sa.Uuid(), unique=True),
        sa.Column("caller_id", sa.Uuid(), sa.ForeignKey("callers.id"), nullable=False),
        _column("channel", sa.String()),
        _column("content", sa.LargeBinary()),
        _column("state", sa.String()),
        _column("attempts", sa.Integer()),
        _column("not_before", TIME),
        _column("put_off_at", TIME),
        sa.Column("reason", sa.String(), nullable=True),
    )
    queued = sa.text("state = 'queued'")
    op.create_index(
        "identities_due", "identities", ["channel", "not_before"], sqlite_where=queued, postgresql_where=queued
    )


def _add_links() -> None:
    op.create_table(
        "links",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        _column("kind", sa.String()),
        _column("subject", sa.Uuid()),
        _column("object", sa.Uuid()),
        _column("level", sa.String()),
        _column("score", sa.Float()),
        _column("decided_by", sa.String()),
        _column("why", sa.LargeBinary()),
        _column("at", TIME),
    )
    op.create_index("links_subject", "links", ["subject", "sequence"])
    op.create_index("links_object", "links", ["object", "sequence"])
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _column("created_at", TIME),
        sa.Column("first_id", sa.Uuid(), sa.ForeignKey("matters.id"), nullable=False),
        _column("first_seen_at", TIME),
        _column("last_seen_at", TIME),
        _column("citizens", sa.Integer()),
        _column("told", sa.Integer()),
    )
    op.create_index("incidents_seen", "incidents", ["last_seen_at"])


def _column(name: str, kind: Any, *, unique: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, unique=unique)


def downgrade() -> None:
    """Undo it; which callers are one person, and which matters belong together, is forgotten."""
    for name in TABLES:
        op.drop_table(name)
    op.drop_index("ix_callers_person_id", "callers")
    with op.batch_alter_table("callers") as batch:
        batch.drop_column("person_id")
    with op.batch_alter_table("transitions") as batch:
        batch.drop_column("words")
