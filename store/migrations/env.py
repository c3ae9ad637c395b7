"""Alembic's entry: migrate on the connection the store hands over, in its transaction."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from store.tables import METADATA


def render(kind: str, item: Any, _autogenerate_context: Any) -> str | Literal[False]:
    """Write the plain type into a migration, so that old migrations do not depend on today's types."""
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    plain = type(item.impl_instance).__name__
    return "sa.DateTime(timezone=True)" if plain == "DateTime" else f"sa.{plain}()"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite too, since we say BEGIN ourselves
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
