"""A channel's newest envelopes, for those that may ask how their requests stand."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from normalizer.model import Envelope
from store.envelopes import read_envelope
from store.tables import ENVELOPES


def recent(connection: Connection, channel: str, since: datetime, until: datetime, limit: int) -> list[Envelope]:
    """Received from ``since`` to ``until``, the newest first."""
    wanted = select(ENVELOPES).where(ENVELOPES.c.channel == channel, ENVELOPES.c.received_at.between(since, until))
    rows = connection.execute(wanted.order_by(ENVELOPES.c.id.desc()).limit(limit))
    return [read_envelope(row) for row in rows]
