"""What a mailbox is to us, however its mail arrives: the same mail by two roads is one message."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from channels.base import Channel, File, Probed, State
from channels.errors import Malformed, NotSent, Undeliverable
from channels.mail_letter import Letter, tags_in, untagged
from channels.mail_lookup import Names
from channels.mail_send import compose, session, submit
from channels.mail_settings import Dkim, Submission, below
from channels.mail_trust import Trust, trust
from channels.settings import ChannelSettings
from normalizer.mail import Mail, Mailbox, MailError, carried, read
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Envelope, Message, Notice, Parsed, Report
from normalizer.reply import Outgoing, Sent

#: One address without anything a relay would act on: quoted or second @, %, !, and source routes (RFC 5321 section
#: 4.1.1.3 and appendix C).
PLAIN_ADDRESS = r"[^\s\"\\()<>@,:;%!]{1,64}@[^\s\"\\()<>@,:;%!]{1,255}"
_ADDRESS = re.compile(PLAIN_ADDRESS)


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("write a plain address: name@domain")
    return value.lower()


PlainAddress = Annotated[str, AfterValidator(_address)]
"""An address of ours, in lower case."""


class MailSettings(ChannelSettings):
    """What every mailbox takes, however its mail arrives."""

    outgoing: Submission | None = None
    """By which server we answer; absent: the mailbox is only read."""
    dkim: Dkim | None = None
    """Signs our answers; absent: the server in ``outgoing`` does, or nobody."""
    reply_tags: bool = True
    """Whether mail to ``name+tag@`` reaches ``name@`` (plus addressing): then answers find their matter by it."""

    trusted_authserv_ids: tuple[Annotated[str, Field(pattern=r"^[\x21-\x7e]+$")], ...] = ()
    """Our own mail servers, as they name themselves first in Authentication-Results (RFC 8601); those are believed."""
    check_here: bool = False
    """Ask DNS ourselves for SPF, DKIM and DMARC, up to 3 s for a mail, where no mail server in front does."""

    @model_validator(mode="after")
    def _signs_for_itself(self) -> Self:
        if self.dkim and not all(below(one.rpartition("@")[2], self.dkim.domain) for one in self.addresses):
            raise ValueError("dkim.domain is not that of every address here; receivers would not believe the signature")
        return self

    @property
    @abstractmethod
    def addresses(self) -> tuple[str, ...]:
        """Ours: all mean the same office."""


M = TypeVar("M", bound=MailSettings)


class MailChannel(Channel[M]):
    """A mailbox, or several that mean the same office. Subclasses say how its mail arrives (``run``).

    ``Envelope.context`` holds ``mail_from`` (empty: the null sender) and ``recipients``, parted by blanks.
    """

    fetches = frozenset(AttachmentKind) - {AttachmentKind.LINK}
    carries: ClassVar[bool] = True

    @cached_property
    def _names(self) -> Names:
        return Names()

    async def looked_up(self, mail: bytes, context: Mapping[str, str]) -> dict[str, str]:
        """What DNS says of a mail that is just coming, for its envelope's context; nothing unless ``check_here``."""
        return await self._names.looked_up(mail, context) if self.settings.check_here else {}

    async def close(self) -> None:
        """Ask DNS no more."""
        if self.settings.check_here:
            self._names.close()

    @property
    def reaches(self) -> frozenset[ContactType]:  # type: ignore[override]  # read only, and it depends on the settings
        """Mail addresses, once there is a server to write by."""
        return frozenset({ContactType.MAIL}) if self.settings.outgoing else frozenset()

    def takes(self, address: str) -> bool:
        """Whether it is an address of ours, or one with the tag of a reply of ours."""
        plain, token = untagged(address)
        tagged = bool(token) and self.settings.reply_tags and self.genuine(token)
        return plain in self.settings.addresses and (plain == address.lower() or tagged)

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """Write to a citizen; the Message-ID is what reports name it by."""
        del state
        if self.settings.outgoing is None:
            raise Undeliverable("unsupported")
        ours, server = self.settings.addresses, self.settings.outgoing
        post = compose(outgoing, ours, server.from_name, datetime.now(UTC), tags=self.settings.reply_tags)
        return await submit(post, server, self.settings.dkim, self._domain)

    @property
    def _domain(self) -> str:
        """What we call ourselves to other servers."""
        return self.settings.addresses[0].rpartition("@")[2]

    async def probe(self) -> Probed:
        """Log in where our answers go; nothing is sent."""
        server = self.settings.outgoing
        if server is None:
            return Probed()
        try:
            async with session(server, self._domain):
                return Probed()
        except NotSent as error:
            return Probed(wrong=f"outgoing {server.host}:{server.port}: {error.reason}")

    def carried(self, envelope: Envelope) -> Mapping[str, File]:
        """The attachments, found as ``parse`` found them."""
        try:
            return {reference: File(content) for reference, content in carried(envelope.body).items()}
        except MailError:
            return {}

    def parse(self, envelope: Envelope) -> Parsed:
        """Read the mail; automatic mail is a notice."""
        try:
            mail = read(envelope.body)
        except MailError as error:
            raise Malformed(error.reason) from None
        mail_from = envelope.context.get("mail_from", "")
        reason = self._no_person(mail, mail_from)
        if reason is not None:
            return Notice(reason=reason, reports=mail.reports or self._bounced(envelope, reason))
        return (self._message(envelope, mail, mail.sender or _envelope_sender(mail_from)),)

    def _no_person(self, mail: Mail, mail_from: str) -> str | None:
        """Why no person speaks, in one word; our own mail that came back before anything else."""
        ours = self.settings.addresses
        local, _, domain = (mail.message_id or "").strip("<>").rpartition("@")
        written = untagged(f"{ours[0].partition('@')[0]}+{local}@{domain}")[1] == local.lower() != ""
        if set(mail.loops) & set(ours) or (written and any(one.endswith(f"@{domain.lower()}") for one in ours)):
            return "loop"
        return mail.automatic or (None if mail_from else "null_sender")

    def _bounced(self, envelope: Envelope, reason: str) -> tuple[Report, ...]:
        """What a bounce that does not say of what came back to: the return path of each answer is its own."""
        recipients = envelope.context.get("recipients", "")
        tags = tags_in(envelope.body, recipients, self.settings.addresses) if reason == "bounce" else ()
        return tuple(Report(provider_id=one, state="failed", reason="bounced") for one in tags)

    def _message(self, envelope: Envelope, mail: Mail, sender: Mailbox) -> Message:
        ours, recipients = self.settings.addresses, envelope.context.get("recipients", "")
        thread = tuple(dict.fromkeys((*mail.thread, *tags_in(envelope.body, recipients, ours))))
        believed = trust(
            envelope.body, sender.address, self.settings.trusted_authserv_ids, envelope.context, envelope.received_at
        )
        late = mail.date is not None and mail.date > envelope.received_at + timedelta(days=1)
        return Message(
            key_space="mail",
            account=self._account(envelope),
            sender=Contact(type=ContactType.MAIL, value=sender.address, assurance=believed.assurance),
            provider_id=mail.message_id,
            sent_at=None if late else mail.date,
            text=mail.text,
            quoted=mail.quoted,
            title=mail.subject,
            attachments=mail.attachments,
            name=sender.name,
            thread=thread,
            answerable=mail.answerable and untagged(sender.address)[0] not in ours,
            reply_to=None if mail.reply_to == sender.address else mail.reply_to,
            answer_to=Letter.of(
                mail.message_id, mail.thread, mail.subject, _safe_reply_to(mail, believed, ours)
            ).written(),
            flags=(*mail.flags, *believed.flags, *(("odd_time",) if late else ())),
        )

    def _account(self, envelope: Envelope) -> str:
        named = [untagged(one)[0] for one in envelope.context.get("recipients", "").split()]
        ours = (address for address in self.settings.addresses if address in named)
        return next(ours, self.settings.addresses[0])


def _safe_reply_to(mail: Mail, believed: Trust, ours: Sequence[str]) -> str | None:
    """Where he asks for the core's word, if it is surely he who asks."""
    sure = believed.assurance is Assurance.VERIFIED and untagged(mail.reply_to or ours[0])[0] not in ours
    return mail.reply_to if sure else None


def _envelope_sender(mail_from: str) -> Mailbox:
    """Who the envelope says, where the mail itself names nobody."""
    local, at, domain = mail_from.rpartition("@")
    if not (local and at and domain) or len(mail_from) > 320:
        raise Malformed("no_sender")
    return Mailbox(None, f"{local}@{domain.lower()}")
