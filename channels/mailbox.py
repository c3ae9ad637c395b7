"""What a mailbox is to us, however its mail arrives: the same mail by two roads is one message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator

from channels.base import Channel, File
from channels.errors import Malformed
from channels.settings import ChannelSettings
from normalizer.mail import Mail, Mailbox, MailError, carried, read
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Envelope, Message, Notice, Parsed

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

    @property
    def addresses(self) -> tuple[str, ...]:
        """Ours: all mean the same office."""
        raise NotImplementedError


M = TypeVar("M", bound=MailSettings)


class MailChannel(Channel[M]):
    """A mailbox, or several that mean the same office. Subclasses say how its mail arrives (``run``).

    ``Envelope.context`` holds ``mail_from`` (empty: the null sender) and ``recipients``, parted by blanks.
    """

    fetches = frozenset(AttachmentKind) - {AttachmentKind.LINK}
    carries: ClassVar[bool] = True

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
        if mail.automatic or not mail_from:
            return Notice(reason=mail.automatic or "null_sender")
        return (self._message(envelope, mail, mail.sender or _envelope_sender(mail_from)),)

    def _message(self, envelope: Envelope, mail: Mail, sender: Mailbox) -> Message:
        late = mail.date is not None and mail.date > envelope.received_at + timedelta(days=1)
        return Message(
            key_space="mail",
            account=self._account(envelope),
            sender=Contact(type=ContactType.MAIL, value=sender.address, assurance=Assurance.SPOOFABLE),
            provider_id=mail.message_id,
            sent_at=None if late else mail.date,
            text=mail.text,
            title=mail.subject,
            attachments=mail.attachments,
            name=sender.name,
            thread=mail.thread,
            reply_to=None if mail.reply_to == sender.address else mail.reply_to,
            flags=(*mail.flags, "odd_time") if late else mail.flags,
        )

    def _account(self, envelope: Envelope) -> str:
        named = envelope.context.get("recipients", "").split()
        ours = (address for address in self.settings.addresses if address in named)
        return next(ours, self.settings.addresses[0])


def _envelope_sender(mail_from: str) -> Mailbox:
    """Who the envelope says, where the mail itself names nobody."""
    local, at, domain = mail_from.rpartition("@")
    if not (local and at and domain) or len(mail_from) > 320:
        raise Malformed("no_sender")
    return Mailbox(None, f"{local}@{domain.lower()}")
