"""A mailbox by IMAP: a folder of it is the queue, emptied into another one (RFC 9051, RFC 3501)."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from channels.base import Deliver, Probed, State, StateChange
from channels.imap_headers import admission
from channels.imap_line import Line, Lost
from channels.imap_list import listed, look
from channels.imap_login import OAuth2, Shut, Tokens, connect, log_in, tls_context
from channels.imap_queue import Memory, Queue
from channels.mail_letter import untagged
from channels.mailbox import MailChannel, MailSettings, PlainAddress
from channels.recount import Period, Told, Unanswered
from channels.settings import CertificatesFile, Secret, on_this_machine
from normalizer.model import Envelope

#: A connection that lasted so long and is lost is opened again at once: servers end them as they like, seconds.
LIVED_SECONDS = 60.0
#: Mails that may lie in the folder when it is used for the first time, unless ``since`` says how old they may be.
FIRST_MAILS = 200
#: Mails in trouble that are named.
SHOWN = 5


class ImapSettings(MailSettings):
    """Settings of a mailbox that we fetch from."""

    kind: Literal["imap"] = "imap"
    """Which adapter."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,255}$")]
    """The IMAP server."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """993 by TLS, 143 by STARTTLS."""
    tls: bool | Literal["starttls"] = True
    """TLS from the start, or ``starttls``; false only for a server on this machine."""
    ca_file: CertificatesFile | None = None
    """Certificates (PEM) of the authority that signed the server's, if it is none of the system's."""
    username: Annotated[str, Field(pattern=r"^[!-~]{1,320}$")]
    """Whose mailbox; usually its address."""
    oauth2: OAuth2 | None = None
    """Instead of ``password``: SASL XOAUTH2."""
    password: Secret | None = None
    """At 163, 126, yeah, QQ and their enterprise mail the authorisation code, not the password. This or ``oauth2``."""
    folder: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
    """The queue: every mail in it becomes ours."""
    done_folder: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
    """Where a mail goes once we have it; made if it is not there."""
    recipients: tuple[PlainAddress, ...] = ()
    """Our addresses; by default ``username``. The same as on the SMTP channel of the same mailbox, in the same order."""
    since: date | None = None
    """Mail that arrived on an earlier day stays where it is."""
    poll_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """How often it is looked at, also where the server tells of new mail by itself (IDLE)."""
    max_size: Annotated[int, Field(ge=1024, le=100 * 1024 * 1024)] = 25 * 1024 * 1024
    """Largest mail taken whole, bytes; of a larger one the first 1 MiB is, with the flag ``oversized``."""
    alarm_minutes: Annotated[int, Field(ge=1)] = 10
    """How long it may be without a successful look before that is an alarm."""

    @field_validator("password")
    @classmethod
    def _one_way_in(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "oauth2" in info.data and (value is None) == (info.data["oauth2"] is None):
            raise ValueError("set password or oauth2, one of them")
        if value is not None and not all(" " <= one <= "~" for one in value.get_secret_value()):
            raise ValueError("LOGIN can say only ASCII; give the mailbox another password")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.folder == self.done_folder:
            raise ValueError("done_folder is folder; name another one")
        if self.tls is False and not on_this_machine(self.host):
            raise ValueError("tls: false shows the password and citizens' mail to the network; use true or starttls")
        return self

    @field_validator("alarm_minutes")
    @classmethod
    def _after_a_few_looks(cls, value: int, info: ValidationInfo) -> int:
        if value * 60 < 2 * info.data.get("poll_seconds", 0):
            raise ValueError("it would be an alarm before the second look: at least twice poll_seconds")
        return value

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: object) -> object:
        if not isinstance(values, dict) or values.get("recipients"):
            return values
        username = str(values.get("username", ""))
        return values | {"recipients": (username,)} if "@" in username else values

    @field_validator("recipients")
    @classmethod
    def _has_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("username is no address; write the mailbox's own here")
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """Ours."""
        return self.recipients


class Imap(MailChannel[ImapSettings]):
    """One mailbox."""

    kind = "imap"
    Settings = ImapSettings
    summary = "Mailbox (IMAP, from any mail server)"

    def __init__(self, name: str, settings: ImapSettings) -> None:
        super().__init__(name, settings)
        #: What outlives a connection.
        self.memory = Memory()
        self._tokens = Tokens(settings.oauth2) if settings.oauth2 is not None else None

    @property
    def patience_seconds(self) -> float:
        """A server that is away for a while is no alarm."""
        return self.settings.alarm_minutes * 60.0

    def remarks(self) -> tuple[str, ...]:
        """Mails that cannot be taken; all others are."""
        troubles = sorted(self.memory.troubles.items(), key=lambda one: one[0].uid)
        shown = ", ".join(f"UID {place.uid} ({trouble.reason})" for place, trouble in troubles[:SHOWN])
        more = f" and {len(troubles) - SHOWN} more" if len(troubles) > SHOWN else ""
        return (f"mail that cannot be taken now and is tried again: {shown}{more}",) if troubles else ()

    async def run(self, deliver: Deliver, state: State) -> None:
        """Empty the folder until cancelled. Raise Lost, Shut or Unavailable."""
        while True:
            began = time.monotonic()
            try:
                await self._empty(deliver, state)
            except Lost:
                if time.monotonic() - began < LIVED_SECONDS:
                    raise
            await asyncio.sleep(random.uniform(0.5, 2))  # noqa: S311 - so that not all come back at once

    async def _empty(self, deliver: Deliver, state: State) -> None:
        async with self._session(state) as line:
            queue = Queue(self, line, deliver)
            await self._begin(await queue.choose(), state)
            await queue.run()

    async def _begin(self, exists: int, state: State) -> None:
        """Nobody's thousand old mails are filed by surprise. Raise Shut."""
        where = f"{self.settings.host} {self.settings.username} {self.settings.folder}"
        key = f"begun:{hashlib.sha256(where.encode()).hexdigest()[:16]}"
        if await state.get(key) is not None:
            return
        if exists > FIRST_MAILS and self.settings.since is None:
            raise Shut("many_mails_set_since", 0)
        await state.change(StateChange(key, None, datetime.now(UTC).isoformat()))

    @asynccontextmanager
    async def _session(self, state: State | None = None) -> AsyncIterator[Line]:
        """A connection that is logged in. Raise Lost or Shut."""
        settings, line = self.settings, Line(self.name)
        try:
            context = await asyncio.to_thread(tls_context, settings.ca_file) if settings.tls else None
            await connect(line, settings.host, settings.port, settings.tls, context)
            tokens = self._tokens if settings.password is None else None
            await log_in(line, settings.username, settings.password, tokens, state)
            yield line
        finally:
            line.close()

    def mail(self, raw: bytes, flags: tuple[str, ...], place: str) -> Envelope:
        """The envelope of a mail, as the server that put it into the mailbox knew it."""
        found = admission(raw, lambda one: untagged(one)[0] in self.settings.addresses, flags, place)
        return self.envelope(raw, datetime.now(UTC), admission=found)

    async def probe(self) -> Probed:
        """Log in and look; nothing is changed. Where it answers, by that server too."""
        settings, answering = self.settings, await super().probe()
        if answering.wrong is not None:
            return answering
        try:
            async with self._session() as line:
                waits, has_done = await look(line, settings)
        except (Lost, Shut) as error:
            return Probed(wrong=f"{settings.username} at {settings.host}:{settings.port}: {error.reason}")
        made = "" if has_done else " (which is made at the start)"
        return Probed(
            note=f"{waits} mails wait in {settings.folder}; each becomes ours and goes to {settings.done_folder}{made}"
        )

    async def recount(self, period: Period, kept: AsyncIterator[Envelope]) -> AsyncIterator[Told]:
        """What lies in both folders, by UID, and how many wait."""
        try:
            async with self._session() as line:
                async for told in listed(line, self, period):
                    yield told
        except (Lost, Shut) as error:
            raise Unanswered(error.reason) from None
