"""Writing to a citizen by mail: one reply as RFC 5322 has it, signed (RFC 6376), handed to a submission server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from base64 import encodebytes
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr

import aiosmtplib
import dkim

from channels.errors import NotSent, Uncertain, Undeliverable
from channels.mail_letter import Letter, message_id_of, tagged, untagged
from channels.mail_settings import Dkim, Submission
from normalizer.reply import Outgoing, ReplyKind, Sent

#: What we answer by ourselves; all else is a person's word that the core brings.
AUTOMATIC = frozenset({ReplyKind.ACKNOWLEDGEMENT, ReplyKind.STATUS, ReplyKind.BINDING})
#: How long the server may take over a command, and over the whole mail once it has it, seconds. The reply as a whole has
#: 60 s (gateway/replies.py); RFC 5321 section 4.5.3.2.6 would wait ten minutes.
COMMAND_SECONDS, TAKING_SECONDS = 10.0, 25.0
#: What an operator can mend while the reply waits, seconds.
MENDED_SECONDS = 600.0

#: What no command and no header can be misread in; quoted local parts are not written to.
_ADDRESS = re.compile(r"[^\s\"\\()<>@,:;\x00-\x1f\x7f]{1,64}@[^\s\"\\()<>@,:;\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, slots=True)
class Post:
    """A mail as it goes out."""

    #: Return path (RFC 5321 section 4.4); empty: none, so that no bounce answers an answering machine.
    sender: str
    recipient: str
    message_id: str
    #: With CR LF, unsigned.
    content: bytes


# -- Writing it --------------------------------------------------------------------------------------------------------


def compose(outgoing: Outgoing, ours: Sequence[str], from_name: str, at: datetime, *, tags: bool) -> Post:
    """The mail that carries a reply. Raise Undeliverable when it would go to ourselves or to no address."""
    account = outgoing.account if outgoing.account in ours else ours[0]
    letter, automatic = Letter.read(outgoing.answers), outgoing.kind in AUTOMATIC
    # What is answered by itself goes where the mail came from and nowhere else: it is no means to write to others.
    recipient = outgoing.to.value if automatic else letter.reply_to or outgoing.to.value
    if not _ADDRESS.fullmatch(recipient):
        raise Undeliverable("address")
    if untagged(recipient)[0] in ours:
        raise Undeliverable("own_address")
    back = tagged(account, outgoing.token) if tags else None
    message_id = message_id_of(outgoing.token, account)
    headers = [
        ("From", formataddr((from_name, account))),
        ("To", recipient),
        ("Reply-To", back or ""),
        ("Subject", _words(_subject(outgoing, letter, from_name), "Subject")),
        ("Date", format_datetime(at)),
        ("Message-ID", message_id),
        ("In-Reply-To", letter.message_id or ""),
        ("References", "\r\n ".join(letter.references)),
        ("Auto-Submitted", "auto-replied" if automatic else "auto-generated"),  # RFC 3834 section 5.1
        ("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN"),  # Exchange: [MS-OXCMAIL] section 2.2.3.2.14
        ("X-Loop", account),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "base64"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers if value)
    body = encodebytes("\r\n".join((*outgoing.text.splitlines(), "")).encode())
    content = head.encode() + b"\r\n" + body.replace(b"\n", b"\r\n")
    return Post("" if automatic else back or account, recipient, message_id, content)


def _subject(outgoing: Outgoing, letter: Letter, from_name: str) -> str:
    if letter.subject or letter.message_id:
        return letter.answer_subject(outgoing.tracking_code)
    about = outgoing.label if outgoing.language == "zh" else outgoing.kind.replace("_", " ")
    return f"{from_name}: {about} [{outgoing.tracking_code or ''}]".removesuffix(" []")


def _words(text: str, name: str) -> str:
    """In encoded-words where it is not ASCII (RFC 2047), folded."""
    return Header(text, header_name=name, maxlinelen=76).encode(linesep="\r\n")


def signed(content: bytes, key: Dkim | None) -> bytes:
    """The mail with a DKIM-Signature before it; as it is without a key."""
    if key is None:
        return content
    signature: bytes = dkim.sign(
        content,
        key.selector.encode(),
        key.domain.encode(),
        key.private_key.get_secret_value().encode(),
        canonicalize=(b"relaxed", b"relaxed"),
        linesep=b"\r\n",
    )
    return signature + content


# -- Handing it over ---------------------------------------------------------------------------------------------------


async def submit(post: Post, server: Submission, key: Dkim | None, helo: str) -> Sent:
    """Give it to the server. Raise NotSent, Undeliverable or Uncertain."""
    content = await asyncio.to_thread(signed, post.content, key)
    async with session(server, helo) as client:
        await _addressed(client, post)
        await _given(client, content)
    return Sent(post.message_id)


@contextlib.asynccontextmanager
async def session(server: Submission, helo: str) -> AsyncIterator[aiosmtplib.SMTP]:
    """A session in which we are let in. Raise NotSent."""
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls == "implicit",
        start_tls=server.tls == "starttls",
        tls_context=ssl.create_default_context(cafile=server.ca_file),
        local_hostname=helo,
        timeout=COMMAND_SECONDS,
    )
    try:
        await _let_in(client, server)
        yield client
    finally:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=1.0)
        client.close()


async def _let_in(client: aiosmtplib.SMTP, server: Submission) -> None:
    try:
        await client.connect()
        if server.username is not None and server.password is not None:
            await client.login(server.username, server.password.get_secret_value())
    except aiosmtplib.SMTPAuthenticationError:
        raise NotSent("credentials", MENDED_SECONDS) from None
    except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPTimeoutError, OSError) as error:
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            raise NotSent("certificate", MENDED_SECONDS) from None
        raise NotSent("connect") from None
    except aiosmtplib.SMTPException:  # no STARTTLS, or no way to log in
        raise NotSent("unsupported", MENDED_SECONDS) from None


async def _addressed(client: aiosmtplib.SMTP, post: Post) -> None:
    """MAIL and RCPT: nothing has gone out yet."""
    plain = post.recipient.isascii() and post.sender.isascii()
    options, encoding = ([], "ascii") if plain else (["SMTPUTF8", "BODY=8BITMIME"], "utf-8")
    try:
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        if not plain and not client.supports_extension("smtputf8"):  # RFC 6531
            raise Undeliverable("smtputf8")
        await client.mail(post.sender, options=options, encoding=encoding)
        await client.rcpt(post.recipient, encoding=encoding)
    except aiosmtplib.SMTPResponseException as error:
        raise _refusal(error.code) from None
    except (aiosmtplib.SMTPException, OSError):
        raise NotSent("cut") from None


async def _given(client: aiosmtplib.SMTP, content: bytes) -> None:
    """DATA; once the mail itself is on its way, only an answer tells what became of it."""
    begun = _watched(client)
    try:
        await client.data(content, timeout=TAKING_SECONDS)
    except aiosmtplib.SMTPResponseException as error:
        if begun and not 400 <= error.code < 600:
            raise Uncertain("answer") from None
        raise _refusal(error.code) from None
    except TimeoutError:
        raise Uncertain("timeout") if begun else NotSent("timeout") from None
    except (aiosmtplib.SMTPException, OSError):
        raise Uncertain("cut") if begun else NotSent("cut") from None


def _watched(client: aiosmtplib.SMTP) -> list[bool]:
    """Filled once something beyond the command DATA is written; aiosmtplib itself does not tell."""
    begun: list[bool] = []
    protocol = client.protocol
    if protocol is None:
        return begun
    write = protocol.write

    def noted(data: bytes) -> None:
        begun.extend([True] if data != b"DATA\r\n" else [])
        write(data)

    protocol.write = noted  # type: ignore[method-assign]  # on this one connection
    return begun


def _refusal(code: int) -> NotSent | Undeliverable:
    """5xx: never (RFC 5321 section 4.2.1); anything else: later."""
    return Undeliverable(f"status_{code}") if 500 <= code < 600 else NotSent(f"status_{abs(code)}")
