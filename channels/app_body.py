"""The body of ``POST /v1/messages``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, model_validator

from channels.bodies import Body, Line, Telephone, Truth, Uploads, Where, Words
from normalizer.model import MatterKind, PartyType


class User(Body):
    """The citizen, as the app knows him."""

    id: Annotated[Line, Field(max_length=128)]
    """The app's own id of him, stable."""
    name: Line | None = None
    """As he states it."""
    phone: Telephone | None = None
    """E.164, for example +8613800138000."""
    phone_verified_at: AwareDatetime | None = None
    """When the app confirmed the number by a code: who confirms it elsewhere too is the same person."""
    wechat_unionid: Annotated[str, Field(strict=True, pattern="^[0-9A-Za-z_-]{16,64}$")] | None = None
    """Of the WeChat user who logged in to the account, as WeChat told the app; never as a device states it."""
    party_type: PartyType = PartyType.UNKNOWN
    """For whom he speaks."""
    unit: Line | None = None
    """His company or organisation."""


class Device(Body):
    """What the app ran on."""

    platform: Line
    """For example ios, android, harmony."""
    version: Line
    """Of the app."""


class MessageBody(Body):
    """The body of ``POST /v1/messages``."""

    user: User
    """Who writes."""
    text: Words = ""
    """What he writes; text or attachments are required."""
    attachments: Uploads = ()
    """What he sends along."""
    title: Line | None = None
    """A subject of his own."""
    kind: MatterKind | None = None
    """What he chose."""
    sent_at: AwareDatetime | None = None
    """His device's clock, RFC 3339 with offset."""
    place: Where | None = None
    """Where it is."""
    confidential: Truth = False
    """He asks to stay unnamed."""
    in_reply_to: Annotated[str, Field(strict=True, pattern=r"^[0-9a-fA-F-]{32,36}$")] | None = None
    """A matter_id he adds to, or an update_id that he answers."""
    device: Device | None = None
    """What he uses."""

    @model_validator(mode="after")
    def _says_something(self) -> MessageBody:
        if not self.text.strip() and not self.attachments:
            raise ValueError("text or attachments is required")
        return self
