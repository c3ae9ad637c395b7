"""Replies that ride on the acknowledgement of what they answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from normalizer.ids import derived
from normalizer.reply import Outgoing, ReplyState
from store.replies import end
from store.tables import MESSAGES, REPLIES

#: How long the same answer rides again on a redelivery: the provider repeats itself within three times 5 s (WeChat).
AGAIN = timedelta(seconds=20)
#: Reason of a reply that went out with an acknowledgement.
RODE = "rode"


def reply_id(message_id: UUID) -> UUID:
    """The id of the one reply that a message gets by itself: acknowledgement, or the answer to a query."""
    return derived(message_id, "reply")


def ride(connection: Connection, channel: str, envelope_id: UUID, now: datetime) -> Outgoing | None:
    """The reply to what an envelope held, if it may go out with the acknowledgement now; it counts as sent then.

    The provider's own retries get the same answer again: the first was cut off.
    """
    said = select(MESSAGES.c.id, MESSAGES.c.first_id).where(MESSAGES.c.envelope_id == envelope_id)
    message = connection.execute(said.order_by(MESSAGES.c.position).limit(1)).one_or_none()
    if message is None:
        return None
    wanted = select(REPLIES).where(REPLIES.c.id == reply_id(message.first_id or message.id))
    row = connection.execute(wanted.where(REPLIES.c.channel == channel).with_for_update()).one_or_none()
    if row is None:
        return None
    if row.state == ReplyState.QUEUED and row.attempts == 0:
        end(connection, row.id, ReplyState.SENT, RODE, now)
    elif not (row.state == ReplyState.SENT and row.reason == RODE and row.settled_at > now - AGAIN):
        return None
    return Outgoing.model_validate(row.content["outgoing"])
