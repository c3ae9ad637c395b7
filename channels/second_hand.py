"""What somebody else wrote down of a citizen: the call centre's operators, linked platforms.

It has a number there, which tells one from another, whatever Idempotency-Key it comes under.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from channels.api import ApiChannel, ApiSettings
from channels.bodies import Body, CallerBody, Where, Words
from normalizer.model import Contact, MatterKind, Message


class SecondHandBody(Body):
    """What every such body has."""

    caller: CallerBody = CallerBody()
    """The citizen."""
    content: Words = ""
    """What he said."""
    kind: MatterKind | None = None
    """What he asks."""
    place: Where | None = None
    """Where it is."""

    @property
    @abstractmethod
    def number(self) -> str:
        """Of what was written down, unique within the client."""

    @property
    @abstractmethod
    def heard_at(self) -> datetime | None:
        """When he said it."""

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The ways to reach him, the surest first; without any he is nobody else's than this number's."""
        return self.caller.contacts(otherwise=self.number)


S = TypeVar("S", bound=ApiSettings)
B = TypeVar("B", bound=SecondHandBody)


class SecondHand(ApiChannel[S, B]):
    """A path of the API for such a body."""

    #: Of its numbers.
    key_space: ClassVar[str]

    def whose(self, body: B) -> str:
        """His number, or that of what was written down."""
        return body.contacts[0].value

    def message(self, body: B, client: str, key: str) -> Message:
        """As it was written down; its number, not the key, tells one from another."""
        del key
        sender, *further = body.contacts
        told = {
            "key_space": self.key_space,
            "account": client,
            "sender": sender,
            "provider_id": body.number,
            "sent_at": body.heard_at,
            "text": body.content,
            "place": body.place.place() if body.place else None,
            "name": body.caller.name,
            "unit": body.caller.unit,
            "contacts": tuple(further),
            "party_type": body.caller.party_type,
            "matter_kind": body.kind,
        }
        return Message(**told | self.beside(body, client))

    @abstractmethod
    def beside(self, body: B, client: str) -> dict[str, Any]:
        """The fields of the message that only this kind knows."""
