"""What the present code and rules make of an envelope, against what was made of it. Pure: runs in the worker processes.

Two comparisons. The messages: what ``parse`` gives now, field by field against what it gave then. The matters: the first
message composed and the others amended to it, by the present rules, against the document as it stands. Which messages
belong to which matter is not judged again. Only names of fields and ids come out, never what a citizen wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from channels.base import AnyChannel
from channels.errors import Malformed
from gateway.rules import reading
from normalizer.fields import Fields, Rules
from normalizer.matter import Said, amend, compose
from normalizer.model import (
    Act,
    Attachment,
    Conduct,
    Envelope,
    HotlineMatter,
    KeptMessage,
    Message,
    Notice,
    Outcome,
    Parsed,
    Party,
    Urgency,
)
from store.dossiers import Dossier, MatterFile, Piece

#: Fields of a matter that rules do not read from its messages: ids, times, links, the caller's history and what is
#: judged by it, the way back. ``evidence`` only explains the others; the words of ``messages`` are those of ``content``.
NOT_READ = frozenset(
    {
        "evaluation",
        "matter_id",
        "tracking_code",
        "schema_version",
        "revision",
        "status",
        "sent_at",
        "received_at",
        "channel",
    }
    | {"messages", "caller_id", "same_matter_of", "incident_id", "incident", "follows", "contacts_30d", "matters_30d"}
    | {"times_this_matter", "unanswered_prior", "last_contact_at", "reply_route", "due", "evidence"}
    | {"sealed_at", "previously_disclosed"}
)
#: All others, so that a field added to the matter is compared unless somebody decides otherwise.
READ = tuple(name for name in HotlineMatter.model_fields if name not in NOT_READ)
#: The messages of an envelope, and what the rules read in each.
Readings = Sequence[tuple[Message, Fields]]
Read = Callable[[Envelope], tuple[str, Readings]]
#: Flags that may follow from what somebody did, not from his words.
DONE = frozenset({"flood", "harassment", "repeat_without_reason"})
UNREADABLE = frozenset({Outcome.MALFORMED, Outcome.FAILED})


@dataclass(frozen=True, slots=True)
class MatterChange:
    """A matter that would come out differently."""

    matter_id: UUID
    #: Names of its fields; ``messages`` alone when a message of it could not be read any more.
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would change about one envelope; names of fields only, never what a citizen wrote."""

    envelope_id: UUID
    channel: str
    was: tuple[str, ...]
    would_be: str
    changes: tuple[str, ...] = ()
    matters: tuple[MatterChange, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the envelope itself would come out differently; ``matters`` tells of what was made of it."""
        return bool(self.changes) or (self.would_be in UNREADABLE) != bool(UNREADABLE & set(self.was))


def unread(dossier: Dossier) -> Preview:
    """What is told of an envelope on which our own code fails."""
    return Preview(dossier.envelope.id, dossier.envelope.channel, dossier.outcomes, Outcome.FAILED)


def difference(dossier: Dossier, channels: Mapping[str, AnyChannel], rules: Rules | None) -> Preview:
    """Read the envelope, and those that its matters are made of, by the present code and rules."""
    envelope = dossier.envelope
    read = partial(_read, channels, rules)
    would_be, after = read(envelope)
    before = tuple(Message.model_validate(piece.content) for piece in dossier.pieces)
    return Preview(
        envelope_id=envelope.id,
        channel=envelope.channel,
        was=dossier.outcomes,
        would_be=would_be,
        changes=_message_changes(before, [message for message, _ in after]),
        matters=tuple(_matter_changes(dossier.matters, {envelope.id: after}, read, rules)),
    )


def _read(channels: Mapping[str, AnyChannel], rules: Rules | None, envelope: Envelope) -> tuple[str, Readings]:
    try:
        parsed: Parsed = channels[envelope.channel].parse(envelope)
        messages = () if isinstance(parsed, Notice) else parsed
        # Our ids of the messages stand in the evidence only, which is not compared: the envelope's does as well.
        readings = [(message, reading(message, envelope.id, rules, envelope.received_at)) for message in messages]
    except Malformed:
        return Outcome.MALFORMED, ()
    except Exception:  # noqa: BLE001 - any fault of ours; its words could quote the citizen
        return Outcome.FAILED, ()
    if not readings:
        return Outcome.NOTICE, ()
    return f"{len(readings)} message{'s' if len(readings) != 1 else ''}", readings


def _message_changes(before: Sequence[Message], after: Sequence[Message]) -> tuple[str, ...]:
    """Names of the fields that differ, message by message."""
    if len(before) != len(after):
        return (f"messages: {len(before)} → {len(after)}",)
    return tuple(
        f"{index}.{name}"
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        for name in Message.model_fields
        if getattr(old, name) != getattr(new, name)
    )


def _matter_changes(
    files: Sequence[MatterFile], known: dict[UUID, Readings], read: Read, rules: Rules | None
) -> list[MatterChange]:
    changes = []
    for file in files:
        for envelope_id in file.envelopes.keys() - known.keys():
            known[envelope_id] = read(file.envelopes[envelope_id])[1]
        before = HotlineMatter.model_validate(file.document)
        after = _composed(before, file.pieces, known, rules)
        fields = ("messages",) if after is None else field_changes(before, after)
        if fields:
            changes.append(MatterChange(file.id, fields))
    return changes


def _composed(
    before: HotlineMatter, pieces: Sequence[Piece], read: Mapping[UUID, Readings], rules: Rules | None
) -> HotlineMatter | None:
    """The matter that its messages give now; None when one of them does not come out of its envelope any more."""
    if len(pieces) != len(before.messages):
        return None
    matter: HotlineMatter | None = None
    for piece, told in zip(pieces, before.messages, strict=True):
        reading = _present(piece, read.get(piece.envelope_id), rules)
        if reading is None:
            return None
        kept, fields = _kept(piece, reading[0]), reading[1]
        said = Said(told.act, told.answers)
        matter = _first(before, kept, fields) if matter is None else amend(matter, kept, fields, said)
    chased = any(told.act is Act.CHASES for told in before.messages)
    if matter is not None and chased and matter.urgency is Urgency.ROUTINE:
        return matter.model_copy(update={"urgency": before.urgency})  # raised by the chase, and by no words
    return matter


def _first(before: HotlineMatter, kept: KeptMessage, fields: Fields) -> HotlineMatter:
    return compose(
        kept,
        fields,
        matter_id=before.matter_id,
        tracking_code=before.tracking_code,
        caller_id=before.caller_id,
    )


def _kept(piece: Piece, message: Message) -> KeptMessage:
    return KeptMessage(
        id=piece.id,
        envelope_id=piece.envelope_id,
        channel=piece.channel,
        kind=piece.kind,
        received_at=piece.received_at,
        message=message,
    )


def _present(piece: Piece, read: Readings | None, rules: Rules | None) -> tuple[Message, Fields] | None:
    """The message as it is read now; as it was kept where its envelope is too large to be read along, or was a part."""
    if read is None or piece.content.get("part") is not None:
        message = Message.model_validate(piece.content)
        return message, reading(message, piece.id, rules, piece.received_at)
    return read[piece.position] if piece.position < len(read) else None


def field_changes(before: HotlineMatter, after: HotlineMatter) -> tuple[str, ...]:
    """Names of the fields read from messages that differ; dotted inside ``party``."""
    found: list[str] = []
    for name in READ:
        old, new = getattr(before, name), getattr(after, name)
        if name == "party":
            found += [f"party.{part}" for part in Party.model_fields if getattr(old, part) != getattr(new, part)]
        elif name == "attachments":
            found += [name] if _declared(old) != _declared(new) else []
        elif name == "conduct":
            found += ["conduct.flags"] if _said(old) != _said(new) else []
        elif old != new:
            found.append(name)
    return tuple(found)


def _said(conduct: Conduct) -> set[str]:
    """Signs that the words gave; those of what he did come from his past."""
    return {str(flag.kind) for flag in conduct.flags} - DONE


def _declared(attachments: Sequence[Attachment]) -> list[tuple[object, ...]]:
    """What the message says of them; size, digest, type and scan come from fetching them."""
    return [(attachment.id, attachment.kind, attachment.file_name) for attachment in attachments]
