"""What the bodies of the API channels have in common; the limits stand in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    CoordinateSystem,
    PartyType,
    Place,
)


class Body(BaseModel):
    """Strict: unknown fields and other types than declared are refused, so that a client's slip is seen at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    return value


Line = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_no_nul)]
Words = Annotated[str, Field(strict=True, max_length=20_000), AfterValidator(_no_nul)]
Number = Annotated[str, Field(strict=True, pattern=r"^[!-~]{1,100}$")]
Telephone = Annotated[str, Field(strict=True, pattern=r"^\+[1-9]\d{5,14}$")]
Truth = Annotated[bool, Field(strict=True)]


class Where(Body):
    """Where the matter is."""

    text: Annotated[str, Field(strict=True, max_length=1000), AfterValidator(_no_nul)] | None = None
    """In words."""
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    """Degrees east."""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Degrees north."""
    crs: CoordinateSystem | None = None
    """Of longitude and latitude."""

    @model_validator(mode="after")
    def _whole(self) -> Where:
        if len({self.longitude is None, self.latitude is None, self.crs is None}) > 1:
            raise ValueError("longitude, latitude and crs go together")
        return self

    def place(self) -> Place:
        """As a message has it."""
        return Place(**self.model_dump())


class Upload(Body):
    """An attachment uploaded before, as ``POST /v1/attachments`` answered it."""

    attachment_id: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")]
    """Its id."""
    media_type: Annotated[str, Field(strict=True, pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)] | None = None
    """IANA media type."""
    size: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Bytes."""
    sha256: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the content, hex."""
    file_name: Annotated[str, Field(strict=True, max_length=255), AfterValidator(_no_nul)] | None = None
    """As the citizen named it."""


def _each_once(uploads: tuple[Upload, ...]) -> tuple[Upload, ...]:
    if len({upload.attachment_id for upload in uploads}) < len(uploads):
        raise ValueError("names an attachment_id twice")
    return uploads


Uploads = Annotated[tuple[Upload, ...], Field(max_length=20), AfterValidator(_each_once)]


class CallerBody(Body):
    """The citizen, as somebody else wrote him down."""

    name: Line | None = None
    """As he states it."""
    unit: Line | None = None
    """His company or organisation."""
    contact_number: Telephone | None = None
    """Where he wants to be called, E.164, for example +8613800138000."""
    number_shown: Telephone | None = None
    """What the telephone showed, E.164; it can be forged. None: withheld."""
    party_type: PartyType = PartyType.UNKNOWN
    """For whom he speaks."""

    def contacts(self, otherwise: str) -> tuple[Contact, ...]:
        """The ways to reach him, the surest first; without any number he is known by ``otherwise`` alone."""
        given = ((self.contact_number, Assurance.ASSERTED), (self.number_shown, Assurance.SPOOFABLE))
        numbers = {value: assurance for value, assurance in reversed(given) if value is not None}
        found = [Contact(type=ContactType.PHONE, value=value, assurance=sure) for value, sure in numbers.items()]
        return tuple(reversed(found)) or (Contact(type=ContactType.APP, value=otherwise, assurance=Assurance.ASSERTED),)


_FAMILIES = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.VOICE, "video": AttachmentKind.VIDEO}


def attachments(uploads: Iterable[Upload], client: str) -> tuple[Attachment, ...]:
    """The uploads as a message has them; an id means something only together with its client.

    The SHA-256 is not taken over: what a client states must not name a file that we hold for somebody else.
    """
    return tuple(
        Attachment(
            id=upload.attachment_id,
            kind=_FAMILIES.get((upload.media_type or "").partition("/")[0], AttachmentKind.FILE),
            media_type=upload.media_type,
            size=upload.size,
            file_name=upload.file_name,
            reference=f"upload:{client}/{upload.attachment_id}",
        )
        for upload in uploads
    )
