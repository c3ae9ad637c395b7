"""Signed queries, WeChat's and Weibo's way: SHA-1 over sorted strings, joined without a delimiter.

Vendor pages: WeChat, Basic_Information/Access_Overview; Weibo, 消息推送服务. Of a push in plaintext the signature covers
neither the body nor a message id, so it counts for five minutes and for one body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha1, sha256
from hmac import compare_digest

from pydantic import SecretStr

from channels.base import Admission, Answer, Request
from channels.errors import Unauthenticated
from channels.settings import Secrets
from normalizer.model import Binding

#: How far the timestamp may be from our clock where the signature does not cover the body.
WINDOW = timedelta(minutes=5)

# Parts joined without a delimiter need strict formats.
NONCE = re.compile(r"[0-9A-Za-z_]{1,32}")
SHA1 = re.compile(r"[0-9a-f]{40}")
ECHOSTR = re.compile(r"[0-9A-Za-z_+/=-]{1,256}")


def read_query(request: Request, **formats: re.Pattern[str]) -> tuple[str, ...]:
    """The parameters named, in that order; raise Unauthenticated unless each is there once and well formed."""
    return tuple(_well_formed(request.parameter(name), pattern) for name, pattern in formats.items())


def _well_formed(value: str | None, pattern: re.Pattern[str]) -> str:
    if value is None:
        raise Unauthenticated("missing")
    if not pattern.fullmatch(value):
        raise Unauthenticated("format")
    return value


def sign(secret: SecretStr, *parts: str) -> str:
    """The SHA-1 of the secret and the parts, sorted and joined, in hex."""
    joined = "".join(sorted((secret.get_secret_value(), *parts)))
    # Weak, and the vendors' choice; the argument lets it run where FIPS mode forbids SHA-1.
    return sha1(joined.encode(), usedforsecurity=False).hexdigest()


def prove(signature: str, secrets: Secrets, *parts: str) -> SecretStr:
    """The secret that ``signature`` was made with. Raise Unauthenticated when it was made with none of them."""
    # Each is compared, whatever the others said: the time tells nothing.
    proven = [secret for secret in secrets if compare_digest(sign(secret, *parts), signature)]
    if not proven:
        raise Unauthenticated("signature")
    return proven[0]


def is_stale(timestamp: str, request: Request) -> bool:
    """Whether it is outside the window; the first ten digits are seconds, three more milliseconds."""
    return abs(request.received_at.timestamp() - int(timestamp[:10])) > WINDOW.total_seconds()


def _prove_query(request: Request, secrets: Secrets, timestamp_format: re.Pattern[str]) -> str:
    timestamp, nonce, signature = read_query(request, timestamp=timestamp_format, nonce=NONCE, signature=SHA1)
    prove(signature, secrets, timestamp, nonce)
    if is_stale(timestamp, request):
        raise Unauthenticated("stale")
    return signature


def answer_challenge(request: Request, secrets: Secrets, timestamp: re.Pattern[str]) -> Answer:
    """Echo ``echostr`` to whoever signed the query within the window; the signature does not cover echostr."""
    _prove_query(request, secrets, timestamp)
    (echostr,) = read_query(request, echostr=ECHOSTR)
    return Answer(body=echostr.encode())


def admit_bound(
    request: Request,
    secrets: Secrets,
    timestamp: re.Pattern[str],
    context: Mapping[str, str],
    apparent_sender: str,
) -> Admission:
    """Admit a body that the signature does not cover: within the window, and bound to this signature for ever.

    The signature alone is the key. With timestamp and nonce in it one signature would have several keys, since nothing
    parts them: 1397022061823 and 57155157 sign like 1397022061 and 82357155157.
    """
    signature = _prove_query(request, secrets, timestamp)
    binding = Binding(signature, sha256(request.body).digest())
    return Admission(context, binding=binding, apparent_sender=apparent_sender)
