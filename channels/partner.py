"""Linked platforms (12315, 12333, 110, …): a matter transferred with its own number, by ``POST /v1/transfers``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AwareDatetime, Field, model_validator

from channels.api import UPLOADED, ApiSettings
from channels.bodies import Number, Uploads, Words, attachments
from channels.second_hand import SecondHand, SecondHandBody
from normalizer.model import AttachmentKind, EmergencyLine

_LINES: dict[str, EmergencyLine] = {line: line for line in get_args(EmergencyLine)}


class TransferBody(SecondHandBody):
    """The body of ``POST /v1/transfers``."""

    platform: Annotated[str, Field(strict=True, pattern=r"^[0-9a-z][0-9a-z_-]{1,31}$")]
    """Who transfers it: 12315, 12316, 12319, 12333, 114, 110, 119, 120, 122 …"""
    platform_number: Number
    """Its number there. The same number is the same matter."""
    content: Words = ""
    """What he said; content or attachments are required."""
    received_at: AwareDatetime | None = None
    """When the platform heard it, RFC 3339 with offset."""
    attachments: Uploads = ()
    """What he sent along."""

    @model_validator(mode="after")
    def _says_something(self) -> TransferBody:
        if not self.content.strip() and not self.attachments:
            raise ValueError("content or attachments is required")
        return self

    @property
    def number(self) -> str:
        """The same number is the same matter; each platform counts for itself."""
        return f"{self.platform}:{self.platform_number}"

    @property
    def heard_at(self) -> datetime | None:
        """When the platform heard it."""
        return self.received_at


class PartnerSettings(ApiSettings):
    """Settings of kind ``partner``."""

    kind: Literal["partner"] = "partner"
    """Which adapter."""


class Partner(SecondHand[PartnerSettings, TransferBody]):
    """``POST /v1/transfers``."""

    kind: ClassVar[str] = "partner"
    Settings = PartnerSettings
    summary: ClassVar[str] = "linked platforms (12315, 110, …): transferred matters by POST /v1/transfers, bearer key"
    path: ClassVar[str] = "/v1/transfers"
    scope: ClassVar[str] = "transfers:write"
    Body = TransferBody
    title: ClassVar[str] = "Transfer a matter"
    operation: ClassVar[str] = "post_transfer"
    key_space: ClassVar[str] = "transfers"
    fetches: ClassVar[frozenset[AttachmentKind]] = UPLOADED

    def beside(self, body: TransferBody, client: str) -> dict[str, Any]:
        """The platform and its number, which the core is told; what an emergency service transfers belongs to its line."""
        return {
            "attachments": attachments(body.attachments, client),
            "linked_platform": body.platform,
            "partner_number": body.platform_number,
            "emergency_line": _LINES.get(body.platform),
        }
