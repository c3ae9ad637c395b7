"""Dividing a matter in two: each half is composed anew from its messages, by the present rules. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from uuid import UUID

from gateway.filing import Fresh
from gateway.rules import reading
from normalizer.fields import Rules
from normalizer.matter import Said, amend, compose
from normalizer.model import Attachment, HotlineMatter, KeptMessage
from store.regroup import Halves

#: What a matter knows otherwise than from its messages, and keeps when some of them leave.
KEPT = (
    "revision",
    "status",
    "reply_route",
    "same_matter_of",
    "follows",
    "incident_id",
    "incident",
    "contacts_30d",
    "matters_30d",
    "unanswered_prior",
    "last_contact_at",
    "urgency",
    "evaluation",
)
#: What fetching a file has shown.
FETCHED = ("media_type", "size", "sha256", "scan", "scan_reason", "availability")


def divide(
    fresh: Fresh, rules: Rules | None, before: HotlineMatter, told: Sequence[KeptMessage], leaving: Collection[UUID]
) -> Halves:
    """What stays, and the new matter of the messages that leave; ``told`` are all its messages, in order."""
    stay = [one for one in told if one.id not in leaving]
    leave = [one for one in told if one.id in leaving]
    stays = _composed(before, stay, Fresh(before.matter_id, before.tracking_code), rules)
    kept = {name: getattr(before, name) for name in KEPT}
    leaves = _composed(before, leave, fresh, rules)
    way = {"reply_route": before.reply_route, "matters_30d": before.matters_30d + 1}
    return Halves(stays.model_copy(update=kept), leaves.model_copy(update=way))


def _composed(
    before: HotlineMatter, messages: Sequence[KeptMessage], fresh: Fresh, rules: Rules | None
) -> HotlineMatter:
    said = {one.message_id: one for one in before.messages}
    matter: HotlineMatter | None = None
    for one in messages:
        fields = reading(one.message, one.id, rules, one.received_at)
        if matter is None:
            matter = compose(
                one,
                fields,
                matter_id=fresh.matter_id,
                tracking_code=fresh.tracking_code,
                caller_id=before.caller_id,
            )
        else:
            told = said[one.id]
            matter = amend(matter, one, fields, Said(told.act, told.answers, reason=told.reason))
    if matter is None:
        raise ValueError("a matter without a message")
    return matter.model_copy(update={"revision": 1, "attachments": _fetched(before, matter)})


def _fetched(before: HotlineMatter, matter: HotlineMatter) -> tuple[Attachment, ...]:
    """The attachments, with what fetching them has shown; those of a message stand in the same order in both."""
    known = {key: list(found) for key, found in groupby(before.attachments, lambda one: one.message_id)}
    found = []
    for one in matter.attachments:
        of_message = known.get(one.message_id, [])
        shown = of_message.pop(0) if of_message else one
        found.append(one.model_copy(update={name: getattr(shown, name) for name in FETCHED}))
    return tuple(found)
