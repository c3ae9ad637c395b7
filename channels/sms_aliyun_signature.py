"""How a call to Aliyun is signed: ACS3-HMAC-SHA256.

https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature, for calls without a body whose
parameters stand in the query (style RPC).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import SecretStr

ALGORITHM = "ACS3-HMAC-SHA256"
NO_BODY = hashlib.sha256(b"").hexdigest()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call."""

    key_id: str
    secret: SecretStr
    #: Scheme, host and port, and the host with its port as the header names it.
    base: str
    host: str
    action: str
    version: str
    parameters: Mapping[str, str]
    #: Signed too, where there is one.
    content_type: str = ""
    #: UTC, not more than 15 minutes off, and a word that no other call has.
    date: str = field(default_factory=_now)
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def query(self) -> str:
        """The parameters in the order of their names (RFC 3986 section 2.1: all but unreserved characters encoded)."""
        return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(self.parameters.items()))


def signed(asked: Asked) -> dict[str, str]:
    """The headers, ``Authorization`` among them."""
    headers = {"content-type": asked.content_type} if asked.content_type else {}
    headers |= {
        "host": asked.host,
        "x-acs-action": asked.action,
        "x-acs-content-sha256": NO_BODY,
        "x-acs-date": asked.date,
        "x-acs-signature-nonce": asked.nonce,
        "x-acs-version": asked.version,
    }
    names = ";".join(headers)  # they stand in order
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n{asked.query}\n{lines}\n{names}\n{NO_BODY}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(asked.secret.get_secret_value().encode(), to_sign.encode(), "sha256").hex()
    return headers | {
        "authorization": f"{ALGORITHM} Credential={asked.key_id},SignedHeaders={names},Signature={signature}"
    }


def _encoded(text: str) -> str:
    return quote(text, safe="~")
