"""The call centre: what an operator wrote down of a call, a letter, a fax or a visit, by ``POST /v1/registrations``.

The regulations name what is to be written down: name, unit, contact number, time and content (Jinan article 17).
Nothing of it but a source with its number is demanded here: a matter is not lost for want of a name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, model_validator

from channels.api import ApiSettings
from channels.bodies import Line, Number, Truth, Words
from channels.second_hand import SecondHand, SecondHandBody
from normalizer.model import Attachment, AttachmentKind, Disposition, MatterKind, RegistrationSource

#: What a call-back is called where nothing else is known of the call.
CALL_BACK = "漏接来电，请回拨"


class RegistrationBody(SecondHandBody):
    """The body of ``POST /v1/registrations``."""

    source: RegistrationSource
    """How the citizen came."""
    source_id: Number
    """Its number there: the call id, the number in the register. The same number is the same call."""
    operator: Number | None = None
    """Id of the operator who wrote it down."""
    call_time: AwareDatetime | None = None
    """When he called, wrote or came, RFC 3339 with offset."""
    content: Words = ""
    """What he said; required unless the call was missed."""
    confidential: Truth = False
    """He asks to stay unnamed."""
    disposition: Disposition = "to_handle"
    """``answered_on_the_spot`` goes with ``answer``."""
    answer: Words | None = None
    """What the operator answered."""
    recording: Line | None = None
    """The recording's number in the call centre."""
    missed: Truth = False
    """Nobody took the call: a call-back is owed (漏接回拨)."""
    about_hotline_staff: Truth = False
    """A complaint about the hotline's own people; it is kept from those it concerns."""

    @model_validator(mode="after")
    def _whole(self) -> RegistrationBody:
        if not self.missed and not self.content.strip():
            raise ValueError("content is required unless missed")
        if self.missed and (self.source != "telephone" or not (self.caller.contact_number or self.caller.number_shown)):
            raise ValueError("missed is for a telephone call with a number to call back")
        answered = self.disposition == "answered_on_the_spot"
        if answered != bool((self.answer or "").strip()) or (answered and self.missed):
            raise ValueError("answered_on_the_spot and answer go together, and not with missed")
        return self

    @property
    def number(self) -> str:
        """The same number is the same call; each source counts for itself."""
        return f"{self.source}:{self.source_id}"

    @property
    def heard_at(self) -> datetime | None:
        """When he called, wrote or came."""
        return self.call_time


class TelephoneSettings(ApiSettings):
    """Settings of kind ``telephone``."""

    kind: Literal["telephone"] = "telephone"
    """Which adapter."""


class Telephone(SecondHand[TelephoneSettings, RegistrationBody]):
    """``POST /v1/registrations``."""

    kind: ClassVar[str] = "telephone"
    Settings = TelephoneSettings
    summary: ClassVar[str] = "the call centre: calls, letters, faxes and visits by POST /v1/registrations, bearer key"
    path: ClassVar[str] = "/v1/registrations"
    scope: ClassVar[str] = "registrations:write"
    Body = RegistrationBody
    title: ClassVar[str] = "Hand over what an operator wrote down"
    operation: ClassVar[str] = "post_registration"
    key_space: ClassVar[str] = "registrations"

    def beside(self, body: RegistrationBody, client: str) -> dict[str, Any]:
        """What the operator did about it; a missed call asks for help by itself."""
        del client
        return {
            "title": CALL_BACK if body.missed else None,
            "attachments": _recording(body),
            "matter_kind": body.kind or (MatterKind.HELP if body.missed else None),
            "confidential": body.confidential,
            "source": body.source,
            "operator": body.operator,
            "disposition": body.disposition,
            "answer": body.answer,
            "call_back_owed": body.missed,
            "about_hotline_staff": body.about_hotline_staff,
        }


def _recording(body: RegistrationBody) -> tuple[Attachment, ...]:
    """Named only: it stays in the call centre, which finds it by its number."""
    if body.recording is None:
        return ()
    return (Attachment(id="0", kind=AttachmentKind.VOICE, file_name=body.recording, reference=body.recording),)
