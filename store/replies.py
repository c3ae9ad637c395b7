"""Replies: queued once, sent at most once in effect, on the first way that works.

A reply is ``sending`` from before it is handed to the provider until its word is written down. Found so by another node,
or by this one after a crash, nobody knows whether it went out: it is ``unknown``, and stays so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Select, and_, bindparam, exists, func, or_, select, text, update

from normalizer.model import Contact, ContactType, Envelope, Notice, Report
from normalizer.reply import Limit, Outgoing, ReplyKind, ReplyState, Sent, stepped_at
from store.bulk import insert_or_ignore
from store.doors import CLOCKS, recipient, reopen, shut
from store.errors import Superseded
from store.keys import Keyring
from store.nodes import leads
from store.queue import record
from store.tables import LEADS, REPLIES, TRANSITIONS, UNREACHABLE
from store.tokens import reply_named, token_of
from store.values import Draft, DueReply, Way
from store.windows import give_back, use_window

QUEUED, SENDING = text("state = 'queued'"), text("state = 'sending'")
#: Reason of a reply that had no way from the start.
NO_WAY = "no_way"


@dataclass(frozen=True, slots=True)
class Post:
    """A node on behalf of a channel: it may send while it leads."""

    keyring: Keyring
    channel: str
    node_id: UUID

    def check(self, connection: Connection) -> None:
        """Raise Superseded when another node leads, or may."""
        if not leads(connection, self.node_id, lead_name(self.channel)):
            raise Superseded(f"replies of {self.channel}")


def lead_name(channel: str) -> str:
    """The name of the lead over what a channel sends."""
    return f"replies:{channel}"


# -- Queueing ----------------------------------------------------------------------------------------------------------


def queue_reply(connection: Connection, keyring: Keyring, draft: Draft, at: datetime, wait: float = 0) -> ReplyState:
    """Queue a reply, unless it is there already: a core that repeats itself tells a citizen nothing twice."""
    first, *left = draft.ways or (None,)
    state = ReplyState.QUEUED if first else ReplyState.FAILED
    row = {
        "id": draft.id,
        "matter_id": draft.matter_id,
        "update_id": draft.update_id,
        "kind": draft.kind,
        "state": state,
        "created_at": at,
        "attempts": 0,
        "not_before": at + timedelta(seconds=wait),
        "put_off_at": at,
        "reason": None if first else NO_WAY,
        "settled_at": None if first else at,
        **(_place(keyring, draft, first, left) if first else _nowhere()),
    }
    if connection.execute(insert_or_ignore(connection, REPLIES), row).rowcount != 1:
        found = select(REPLIES.c.state).where(REPLIES.c.id == draft.id)
        return ReplyState(connection.execute(found).scalar_one())
    return state


def _nowhere() -> dict[str, Any]:
    return {"channel": "", "recipient": b"", "content": None}


def _place(keyring: Keyring, draft: Draft, way: Way, left: Iterable[Way]) -> dict[str, Any]:
    outgoing = Outgoing(
        id=draft.id,
        kind=draft.kind,
        account=way.account,
        to=way.to,
        text=way.text,
        language="en" if draft.language == "en" else "zh",
        tracking_code=draft.tracking_code,
        matter_id=draft.matter_id,
        answers=way.answers,
        label=draft.label,
    )
    return {
        "channel": way.channel,
        "recipient": recipient(keyring, way.channel, way.account, way.to),
        "content": {"outgoing": outgoing.model_dump(mode="json"), "ways": [_way(other) for other in left]},
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "channel": way.channel,
        "account": way.account,
        "to": way.to.model_dump(mode="json"),
        "text": way.text,
        "answers": way.answers,
    }


# -- Sending -----------------------------------------------------------------------------------------------------------


def take(
    connection: Connection,
    post: Post,
    limits: Mapping[str, Limit],
    now: datetime,
    most: int,
    under_way: Collection[UUID],
) -> list[DueReply]:
    """Replies to send now, the oldest first, one per recipient; each is ``sending`` and has its place in a window.

    What is ``sending`` and not ``under_way`` here was begun by a node that has gone.
    """
    post.check(connection)
    _disown(connection, post, now, under_way)
    at = {"channel": post.channel, "now": now, "late": now + timedelta(seconds=10), "places": most}
    taken = []
    for row in connection.execute(_due(), at).all():
        found = _begin(connection, post, row, limits, now)
        if found is not None:
            taken.append(found)
    return taken


@cache
def _due() -> Select[Any]:
    """On a ``channel``, ``now``, so many ``places``; put off later than ``late`` means that a clock was put back since."""
    earlier = REPLIES.alias("earlier")
    first = ~exists().where(
        earlier.c.recipient == REPLIES.c.recipient,
        earlier.c.channel == REPLIES.c.channel,
        or_(
            and_(text("earlier.state = 'queued'"), earlier.c.id < REPLIES.c.id),
            text("earlier.state = 'sending'"),
        ),
    )
    put_back = and_(REPLIES.c.attempts > 0, REPLIES.c.put_off_at > bindparam("late"))
    time = or_(REPLIES.c.not_before <= bindparam("now"), put_back)
    due = select(REPLIES).where(REPLIES.c.channel == bindparam("channel"), QUEUED, time, first)
    return due.order_by(REPLIES.c.id).limit(bindparam("places", type_=Integer))


def _disown(connection: Connection, post: Post, now: datetime, under_way: Collection[UUID]) -> None:
    """What somebody began and did not end: perhaps sent."""
    lost = select(REPLIES.c.id).where(REPLIES.c.channel == post.channel, SENDING, REPLIES.c.id.not_in(under_way))
    for reply_id in connection.execute(lost).scalars().all():
        end(connection, reply_id, ReplyState.UNKNOWN, "interrupted", now)


def _begin(connection: Connection, post: Post, row: Any, limits: Mapping[str, Limit], now: datetime) -> DueReply | None:
    """Mark it ``sending``; None when the citizen does not want to hear from us there and the next way is to be tried."""
    gone = select(UNREACHABLE.c.reason).where(UNREACHABLE.c.recipient == row.recipient)
    reason = connection.execute(gone).scalar()
    if reason is not None and row.kind != ReplyKind.WARNING:
        _divert(connection, post.keyring, row, reason, now)
        return None
    started = {"state": ReplyState.SENDING, "holder": post.node_id}
    begun = update(REPLIES).where(REPLIES.c.id == row.id, REPLIES.c.channel == row.channel, QUEUED)
    if connection.execute(begun.values(started)).rowcount != 1:
        return None  # it has just gone out with an acknowledgement
    place = use_window(connection, row.recipient, now) if limits else None
    outgoing = Outgoing.model_validate(row.content["outgoing"])
    known = {"window": place and place.name, "token": token_of(post.keyring, row.id)}
    return DueReply(outgoing.model_copy(update=known), row.attempts, place)


def sent(connection: Connection, post: Post, due: DueReply, word: Sent, at: datetime) -> None:
    """The provider has it. Its report may have been faster than this."""
    row = _mine(connection, post, due)
    state = ReplyState.DELIVERED if word.delivered else ReplyState.SENT
    mark = _named(post.keyring, post.channel, word.provider_id) if word.provider_id else None
    if mark is not None:
        _alone(connection, post.channel)
    end(connection, row.id, state, None, at, provider_mark=mark)
    if mark is not None and (told := _told_early(connection, mark)) is not None:
        _settle(connection, post.keyring, _of_mark(connection, mark), *told, at)


def put_off(connection: Connection, post: Post, due: DueReply, reason: str, at: datetime, until: datetime) -> None:
    """It surely did not go out, and is tried again; its place in the window is free."""
    row = _mine(connection, post, due)
    give_back(connection, row.recipient, due.place)
    again = {"state": ReplyState.QUEUED, "holder": None, "attempts": row.attempts + 1, "reason": reason}
    connection.execute(update(REPLIES).where(REPLIES.c.id == row.id).values(**again, not_before=until, put_off_at=at))


def refused(connection: Connection, post: Post, due: DueReply, reason: str, at: datetime, *, unreachable: bool) -> None:
    """It surely did not go out and will not this way: the next way is tried."""
    row = _mine(connection, post, due)
    give_back(connection, row.recipient, due.place)
    if unreachable:
        shut(connection, row.recipient, reason, at - CLOCKS)
    _divert(connection, post.keyring, row, reason, at)


def uncertain(connection: Connection, post: Post, due: DueReply, reason: str, at: datetime) -> None:
    """It may have gone out: nobody sends it again."""
    row = _mine(connection, post, due)
    end(connection, row.id, ReplyState.UNKNOWN, reason, at)


def _mine(connection: Connection, post: Post, due: DueReply) -> Any:
    post.check(connection)
    mine = select(REPLIES).where(REPLIES.c.id == due.outgoing.id, SENDING, REPLIES.c.holder == post.node_id)
    row = connection.execute(mine.with_for_update()).one_or_none()
    if row is None:
        raise Superseded(f"reply {due.outgoing.id}")
    return row


def _divert(connection: Connection, keyring: Keyring, row: Any, reason: str, at: datetime) -> None:
    """Queue it for its next way, or end it as ``failed`` when there is none."""
    record(connection, row.id, "diverted", f"{row.channel}: {reason}", at)
    if not row.content["ways"]:
        end(connection, row.id, ReplyState.FAILED, reason, at)
        return
    following, *left = row.content["ways"]
    way = Way(**following | {"to": Contact.model_validate(following["to"])})
    old = Outgoing.model_validate(row.content["outgoing"])
    draft = Draft(row.id, old.kind, (), old.language, old.tracking_code, old.matter_id, row.update_id, old.label)
    ways = [Way(**other | {"to": Contact.model_validate(other["to"])}) for other in left]
    again = {"state": ReplyState.QUEUED, "holder": None, "attempts": 0, "not_before": at, "put_off_at": at}
    moved = update(REPLIES).where(REPLIES.c.id == row.id)
    connection.execute(moved.values(**again, reason=reason, **_place(keyring, draft, way, ways)))


def end(
    connection: Connection,
    reply_id: UUID,
    state: ReplyState,
    reason: str | None,
    at: datetime,
    provider_mark: bytes | None = None,
) -> None:
    """Write down what became of it."""
    ended = {"state": state, "reason": reason, "settled_at": at, "holder": None, "provider_mark": provider_mark}
    connection.execute(update(REPLIES).where(REPLIES.c.id == reply_id).values(ended))
    record(connection, reply_id, f"reply_{state}", reason, at)


def _named(keyring: Keyring, channel: str, provider_id: str) -> bytes:
    """A token of ours means the same whichever mailbox it comes back by."""
    ours = reply_named(keyring, provider_id)
    return keyring.mark("reply", channel, provider_id) if ours is None else keyring.mark("reply", "", ours.bytes)


# -- What the citizen or the provider does about it --------------------------------------------------------------------


def heed(connection: Connection, keyring: Keyring, envelope: Envelope, notice: Notice, at: datetime) -> None:
    """What a delivery without words says about replies: reports, a window, an open or a closed door."""
    for report in sorted(notice.reports, key=lambda report: report.provider_id):
        _reported(connection, keyring, envelope.channel, report, at)
    if notice.sender is None or notice.account is None or notice.reachable is None:
        return
    whose = recipient(keyring, envelope.channel, notice.account, notice.sender)
    since = stepped_at(notice.sent_at, envelope.received_at)
    if notice.reachable:
        reopen(connection, whose, since)
    else:
        shut(connection, whose, notice.reason, since)


def _reported(connection: Connection, keyring: Keyring, channel: str, report: Report, at: datetime) -> None:
    """What it tells of a reply that is not known yet is kept: its sender may be about to write the provider's id."""
    mark, ours = _named(keyring, channel, report.provider_id), reply_named(keyring, report.provider_id)
    if (row := _of_mark(connection, mark) or _of_token(connection, ours)) is None:
        _alone(connection, channel)
        if (row := _of_mark(connection, mark) or _of_token(connection, ours)) is None:
            record(connection, _early(mark), f"report_{report.state}", report.reason, at)
            return
    _settle(connection, keyring, row, report.state, report.reason, at)


def _settle(connection: Connection, keyring: Keyring, row: Any, state: str, reason: str | None, at: datetime) -> None:
    """``delivered`` follows on sent and unknown; ``failed`` also, and the next way is tried: the citizen has not got it."""
    if row.state not in {ReplyState.SENT, ReplyState.UNKNOWN}:
        return
    if state == "delivered":
        end(connection, row.id, ReplyState.DELIVERED, None, at, provider_mark=row.provider_mark)
    else:
        _divert(connection, keyring, row, reason or "undelivered", at)


def _of_mark(connection: Connection, mark: bytes) -> Any:
    """The reply of a provider's id: the last, should it give one twice."""
    named = select(REPLIES).where(REPLIES.c.provider_mark == mark).order_by(REPLIES.c.id.desc())
    return connection.execute(named.limit(1).with_for_update()).one_or_none()


def _of_token(connection: Connection, reply_id: UUID | None) -> Any:
    """The mail of which nobody knew whether it went out: its token is known before the provider has named it."""
    lost = (REPLIES.c.id == reply_id, REPLIES.c.state == str(ReplyState.UNKNOWN))
    row = connection.execute(select(REPLIES).where(*lost).with_for_update()).one_or_none()
    return row if row is not None and row.content["outgoing"]["to"]["type"] == ContactType.MAIL else None


def _alone(connection: Connection, channel: str) -> None:
    """A report and the word that it is about are not written at once, each without seeing the other."""
    connection.execute(select(LEADS.c.name).where(LEADS.c.name == lead_name(channel)).with_for_update())


def _early(mark: bytes) -> UUID:
    """The subject under which a report is kept that came before its reply was known."""
    return UUID(bytes=mark[:16])


def _told_early(connection: Connection, mark: bytes) -> tuple[str, str | None] | None:
    told = select(TRANSITIONS.c.step, TRANSITIONS.c.reason).where(TRANSITIONS.c.subject == _early(mark))
    row = connection.execute(told.order_by(TRANSITIONS.c.sequence.desc()).limit(1)).one_or_none()
    return (row.step.removeprefix("report_"), row.reason) if row else None


def under_way(connection: Connection, soon: datetime) -> int:
    """Replies that are being sent, that nobody has tried yet, or that are tried again before ``soon``; on all channels."""
    fresh = and_(QUEUED, or_(REPLIES.c.attempts == 0, REPLIES.c.not_before <= soon))
    return connection.execute(select(func.count()).select_from(REPLIES).where(or_(fresh, SENDING))).scalar_one()
