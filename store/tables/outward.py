"""What goes back to citizens, and the files they sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.sealed import SealedJson
from store.tables.base import partial


class ReplyRow(SQLModel, table=True):
    """What goes back to a citizen: on the first way that works, at most once in effect."""

    __tablename__ = "replies"
    __table_args__ = (
        partial("replies_due", "channel", "not_before", where="state = 'queued'"),
        partial("replies_order", "recipient", "id", where="state = 'queued'"),
        partial("replies_sending", "channel", where="state = 'sending'"),
        partial("replies_named", "provider_mark", where="provider_mark IS NOT NULL"),
        Index("replies_matter", "matter_id"),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    matter_id: UUID | None = Field(default=None, foreign_key="matters.id")
    update_id: UUID | None = Field(default=None, foreign_key="updates.id")
    kind: str
    #: Mark of channel, account and contact: whose windows these are, and whose replies go one after the other.
    recipient: bytes
    state: str
    created_at: datetime
    #: The Outgoing, and the ways left if this one fails.
    content: Any = Field(sa_column=Column(SealedJson("replies.content"), nullable=False))
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    #: The node that sends it.
    holder: UUID | None = None
    #: Mark of the provider's id of it, by which its reports name it.
    provider_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    reason: str | None = None
    settled_at: datetime | None = None


class WindowRow(SQLModel, table=True):
    """For how long and how often a provider lets us write to a citizen, by the step of his that opened it.

    Named ``answered``: until when an address is not answered by ourselves again, by mail.
    """

    __tablename__ = "windows"

    #: Mark of channel, account and contact; of the contact alone for ``answered``.
    recipient: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    #: As ``Channel.reply_limits`` names it, or ``answered``.
    name: str = Field(primary_key=True)
    expires_at: datetime
    #: Replies left; None: any number.
    remaining: int | None


class UnreachableRow(SQLModel, table=True):
    """A citizen who does not want to hear from us on a channel: he blocked us, unsubscribed, or said 退订."""

    __tablename__ = "unreachable"

    #: Mark of channel, account and contact.
    recipient: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    since: datetime
    reason: str


class MediaRow(SQLModel, table=True):
    """A picture, recording or file that is to be fetched, after the words that came with it are safe."""

    __tablename__ = "media"
    __table_args__ = (
        partial("media_due", "channel", "not_before", where="state = 'queued'"),
        Index("media_message", "message_id"),
    )

    id: UUID = Field(primary_key=True)
    channel: str
    message_id: UUID = Field(foreign_key="messages.id")
    #: Where the provider has it, and what it is called in the message.
    content: Any = Field(sa_column=Column(SealedJson("media.content"), nullable=False))
    #: ``queued``, ``fetched`` or ``missing``.
    state: str
    created_at: datetime
    attempts: int
    not_before: datetime
    #: When that was said; see ``work``.
    put_off_at: datetime
    #: Of the content, hex.
    sha256: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None


class FileRow(SQLModel, table=True):
    """A file that we hold, by its content; the bytes lie sealed in ``store.files``."""

    __tablename__ = "files"

    sha256: str = Field(primary_key=True)
    #: Bytes.
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    #: By the content, not by its name.
    media_type: str
    stored_at: datetime


class UploadRow(SQLModel, table=True):
    """A file that an API client uploaded, to be named in its messages."""

    __tablename__ = "uploads"

    #: As answered to the client.
    id: str = Field(primary_key=True)
    channel: str
    client: str
    sha256: str = Field(foreign_key="files.sha256")
    stored_at: datetime
    #: As the citizen named it.
    file_name: Any = Field(sa_column=Column(SealedJson("uploads.file_name"), nullable=False))
