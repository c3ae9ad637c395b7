"""Letting ourselves into a mailbox: TLS, password or OAuth2, and who we are."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field, SecretStr

from channels.base import State, StateChange
from channels.errors import ChannelError, NotSent, Uncertain
from channels.imap_line import Client, Line, Lost, Refused
from channels.rest import Told, call
from channels.settings import Secret, Strict, on_this_machine

#: Seconds before its end at which an access token is not used any more.
MARGIN_SECONDS = 60
#: How long nothing is tried after we were not let in, seconds: providers lock mailboxes that are knocked at.
SHUT_SECONDS = 600.0
#: "Not now" in the words of RFC 5530 and of servers older than it; anything else means us.
_NOT_NOW = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]|too many|temporar", re.IGNORECASE)
#: What we say of ourselves (RFC 2971). NetEase refuses SELECT with "Unsafe Login" until a client has said something.
WHO_WE_ARE = {"name": "hotline-gateway", "version": "1", "vendor": "hotline-gateway"}


class Shut(ChannelError):
    """We are not let in, and a person has to mend it; ``after_seconds``: how long not to knock again."""

    def __init__(self, reason: str, after_seconds: float = SHUT_SECONDS) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


def _token_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and on_this_machine(parts.hostname or "")):
        raise ValueError("write https://…: a refresh token and a secret are sent there")
    return value


class OAuth2(Strict):
    """How access tokens are had (RFC 6749 section 6)."""

    token_url: Annotated[str, AfterValidator(_token_url)]
    """The provider's token endpoint."""
    client_id: Annotated[str, Field(min_length=1)]
    """Of the application registered with the provider."""
    client_secret: Secret | None = None
    """Goes with it, unless it is a public client."""
    refresh_token: Secret
    """From the consent of the mailbox's owner. Where the provider gives a new one each time, we remember it."""
    scope: str | None = None
    """Only where the provider asks for it."""


class Tokens:
    """Access tokens, remembered while they are good."""

    def __init__(self, settings: OAuth2) -> None:
        self._settings = settings
        self._token, self._until = "", 0.0

    async def token(self, state: State | None) -> str:
        """A good one. Raise Shut, or Lost when the endpoint cannot be reached."""
        if time.monotonic() >= self._until:
            self._token, self._until = await self._ask(state)
        return self._token

    def forget(self) -> None:
        """The mailbox did not take it."""
        self._until = 0.0

    async def _ask(self, state: State | None) -> tuple[str, float]:
        configured = self._settings.refresh_token.get_secret_value()
        # A new consent starts anew: the key names the configured token.
        key = f"refresh:{hashlib.sha256(configured.encode()).hexdigest()[:16]}"
        rolled = await state.get(key) if state is not None else None
        told = await self._post(rolled or configured)
        try:
            found = orjson.loads(told.body)
            token, seconds = str(found["access_token"]), float(found.get("expires_in", 300))
            refreshed = found.get("refresh_token")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Lost("oauth2_garbage") from None
        if state is not None and isinstance(refreshed, str) and refreshed not in {rolled, configured}:
            await state.change(StateChange(key, rolled, refreshed))
        return token, time.monotonic() + max(0.0, seconds - MARGIN_SECONDS)

    async def _post(self, refresh_token: str) -> Told:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self._settings.client_id}
        if self._settings.client_secret is not None:
            form["client_secret"] = self._settings.client_secret.get_secret_value()
        if self._settings.scope is not None:
            form["scope"] = self._settings.scope
        try:
            told = await call("POST", self._settings.token_url, form=form)
        except (NotSent, Uncertain):
            raise Lost("oauth2_unreachable") from None
        if told.status in {400, 401, 403}:  # RFC 6749 section 5.2: invalid_grant, invalid_client …
            raise Shut("oauth2_refused")
        if told.status != 200:
            raise Lost(f"oauth2_status_{told.status}")
        return told


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates and names are verified; TLS 1.2 at least."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def connect(
    line: Line, host: str, port: int, tls: bool | Literal["starttls"], context: ssl.SSLContext | None
) -> None:
    """Open the connection, encrypted unless ``tls`` is False. Raise Lost or Shut."""
    try:
        await line.open(host, port, context if tls is True else None)
        if tls == "starttls":
            await line.step(lambda client: client.starttls(context))
    except Refused:
        # Not offered, or already let in (PREAUTH): somebody between us may have taken it away (RFC 8314 section 3).
        raise Shut("no_starttls", 0) from None
    except Lost as error:
        if error.reason == "certificate":
            raise Shut(error.reason, 0) from None
        raise


async def log_in(
    line: Line, username: str, password: SecretStr | None, tokens: Tokens | None, state: State | None
) -> None:
    """By password or token; then say who we are. Raise Lost or Shut."""
    token = await tokens.token(state) if tokens is not None else ""
    answers = [f"user={username}\1auth=Bearer {token}\1\1".encode()]

    def in_words(client: Client) -> None:
        if password is not None:
            client.login(username, password.get_secret_value())
        else:
            # The second challenge tells an error and wants an empty answer before the NO (Google's XOAUTH2).
            client.authenticate("XOAUTH2", lambda _: answers.pop() if answers else b"")

    try:
        await line.step(in_words)
    except Refused as error:
        if tokens is not None:
            tokens.forget()
        if _NOT_NOW.search(error.told):
            raise Lost("not_now") from None
        raise Shut("login_refused") from None
    await line.step(_introduce)


def _introduce(client: Client) -> None:
    if client.has_capability("ID"):
        try:
            client.id_(WHO_WE_ARE)
        except client.AbortError:
            raise
        except client.Error:
            return  # what it says of itself is not needed
