"""Twilio's REST interface: messages to citizens, and the files of theirs.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource (201 and the message's ``sid``; an error
has a ``code`` of https://www.twilio.com/docs/api/errors) and …/api/media-resource.
"""

from __future__ import annotations

import base64
from typing import Protocol
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from channels.base import File
from channels.errors import Missing, NotSent, Uncertain, Undeliverable
from channels.rest import Told, call, fetch
from channels.sms_twilio_message import E164, UNSUBSCRIBED, WHATSAPP
from normalizer.reply import Outgoing, Sent

#: Characters of one message.
LONGEST = 1600
#: Where a long text may be parted, the best first.
_ENDS = ("\n", "。", "！", "？", ". ", "；", "，", " ")
#: Wrong keys an operator can mend while the reply waits, seconds.
MENDED_SECONDS = 600.0
#: Media URLs are Twilio's own, in each of its regions; they lead on to its store, with an address that is good for an hour.
TWILIO = (".twilio.com",)
STORES = (".twilio.com", ".twiliocdn.com", "s3-external-1.amazonaws.com")


class Settings(Protocol):
    """What is needed of the channel's settings."""

    @property
    def account_sid(self) -> str:
        """The account."""

    @property
    def auth_token(self) -> SecretStr:
        """Its token."""

    @property
    def number(self) -> str:
        """Our number."""

    @property
    def status_callback(self) -> str | None:
        """Where Twilio tells what became of a message."""

    @property
    def api_base(self) -> str:
        """Where its interface is."""


async def send(ours: Settings, outgoing: Outgoing, *, seconds: float) -> Sent:
    """The last piece's word; once a piece is out, what fails leaves the whole uncertain."""
    if not E164.fullmatch(outgoing.to.value):
        raise Undeliverable("not_a_number")
    sent: Sent | None = None
    for piece in pieces(outgoing.text):
        try:
            sent = await _send_one(ours, outgoing, piece, seconds)
        except (NotSent, Undeliverable) as error:
            if sent is None:
                raise
            raise Uncertain(f"partly_{error.reason}"[:60]) from None
    return sent or Sent()


def pieces(text: str, longest: int = LONGEST) -> list[str]:
    """The text in messages of ``longest`` characters at most, parted where a sentence ends if one does."""
    found = []
    while len(text) > longest:
        ends = (
            text.rfind(end, longest // 2, longest) + len(end) for end in _ENDS if end in text[longest // 2 : longest]
        )
        cut = next(ends, longest)
        found.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*found, text] if text else found


async def _send_one(ours: Settings, outgoing: Outgoing, text: str, seconds: float) -> Sent:
    account = outgoing.account or ours.number
    prefix = WHATSAPP if account.startswith(WHATSAPP) else ""
    form = {"To": prefix + outgoing.to.value, "From": account, "Body": text}
    if ours.status_callback is not None:
        form["StatusCallback"] = ours.status_callback
    url = f"{ours.api_base.rstrip('/')}/2010-04-01/Accounts/{quote(ours.account_sid, safe='')}/Messages.json"
    auth = (ours.account_sid, ours.auth_token.get_secret_value())
    told = await call("POST", url, form=form, auth=auth, seconds=seconds)
    if 200 <= told.status < 300:
        return _taken(told)
    raise _refusal(told)


def _taken(told: Told) -> Sent:
    sid = told.json().get("sid")
    if not isinstance(sid, str) or not sid:
        raise Uncertain("answer")
    return Sent(sid)


def _refusal(told: Told) -> NotSent | Undeliverable | Uncertain:
    """4xx: Twilio has not made the message. 5xx: how far it came, nobody can say."""
    if told.status == 429:
        return NotSent("throttled", told.retry_after())
    if told.status in {401, 403}:
        return NotSent("credentials", MENDED_SECONDS)
    if not 400 <= told.status < 500 or told.status == 408:
        return Uncertain(f"status_{told.status}")
    try:
        code = str(told.json().get("code"))
    except Uncertain:
        code = ""
    word = f"code_{code}" if code.isascii() and code.isdigit() else f"status_{told.status}"
    return Undeliverable(word, unreachable=code == UNSUBSCRIBED)


async def download(ours: Settings, reference: str) -> File:
    """GET with the account's key, which goes to Twilio itself and not on to the store that it leads to."""
    base, parts = urlsplit(ours.api_base), urlsplit(reference)
    own = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
    if not own and not (parts.scheme == "https" and (parts.hostname or "").endswith(TWILIO)):
        raise Missing("host")
    key = base64.b64encode(f"{ours.account_sid}:{ours.auth_token.get_secret_value()}".encode()).decode()
    _, file = await fetch(reference, STORES, headers={"authorization": f"Basic {key}"}, own=ours.api_base)
    return file
