"""Linked platforms (12315, 12333, 110, …): a matter transferred with its own number, by ``POST /v1/transfers``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AwareDatetime, Field, model_validator

from channels.api import UPLOADED, ApiChannel, ApiSettings
from channels.bodies import Body, CallerBody, Number, Uploads, Where, Words, attachments
from normalizer.model import AttachmentKind, Contact, EmergencyLine, MatterKind, Message

_LINES: dict[str, EmergencyLine] = {line: line for line in get_args(EmergencyLine)}


class TransferBody(Body):
    """The body of ``POST /v1/transfers``."""

    platform: Annotated[str, Field(strict=True, pattern=r"^[0-9a-z][0-9a-z_-]{1,31}$")]
    """Who transfers it: 12315, 12316, 12319, 12333, 114, 110, 119, 120, 122 …"""
    platform_number: Number
    """Its number there. The same number is the same matter."""
    caller: CallerBody = CallerBody()
    """The citizen."""
    content: Words = ""
    """What he said; content or attachments are required."""
    kind: MatterKind | None = None
    """What he asks."""
    received_at: AwareDatetime | None = None
    """When the platform heard it, RFC 3339 with offset."""
    place: Where | None = None
    """Where it is."""
    attachments: Uploads = ()
    """What he sent along."""

    @model_validator(mode="after")
    def _says_something(self) -> TransferBody:
        if not self.content.strip() and not self.attachments:
            raise ValueError("content or attachments is required")
        return self


class PartnerSettings(ApiSettings):
    """Settings of kind ``partner``."""

    kind: Literal["partner"] = "partner"
    """Which adapter."""


class Partner(ApiChannel[PartnerSettings, TransferBody]):
    """``POST /v1/transfers``."""

    kind: ClassVar[str] = "partner"
    Settings = PartnerSettings
    summary: ClassVar[str] = "linked platforms (12315, 110, …): transferred matters by POST /v1/transfers, bearer key"
    path: ClassVar[str] = "/v1/transfers"
    scope: ClassVar[str] = "transfers:write"
    Body = TransferBody
    title: ClassVar[str] = "Transfer a matter"
    operation: ClassVar[str] = "post_transfer"
    fetches: ClassVar[frozenset[AttachmentKind]] = UPLOADED

    def whose(self, body: TransferBody) -> str:
        """His number, or the platform's own."""
        return _contacts(body)[0].value

    def message(self, body: TransferBody, client: str, key: str) -> Message:
        """As the platform tells it; its number, not the key, tells one transfer from another."""
        del key
        sender, *further = _contacts(body)
        return Message(
            key_space="transfers",
            account=client,
            sender=sender,
            provider_id=_number(body),
            sent_at=body.received_at,
            text=body.content,
            attachments=attachments(body.attachments, client),
            place=body.place.place() if body.place else None,
            name=body.caller.name,
            unit=body.caller.unit,
            contacts=tuple(further),
            party_type=body.caller.party_type,
            matter_kind=body.kind,
            linked_platform=body.platform,
            partner_number=body.platform_number,
            emergency_line=_LINES.get(body.platform),
        )


def _number(body: TransferBody) -> str:
    return f"{body.platform}:{body.platform_number}"


def _contacts(body: TransferBody) -> tuple[Contact, ...]:
    return body.caller.contacts(otherwise=_number(body))
