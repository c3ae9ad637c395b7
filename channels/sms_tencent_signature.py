"""How a call to Tencent Cloud is signed: TC3-HMAC-SHA256.

https://www.tencentcloud.com/document/product/1154/48911 (签名方法 v3), for POST with a JSON body.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

ALGORITHM = "TC3-HMAC-SHA256"
CONTENT_TYPE = "application/json; charset=utf-8"
SIGNED = "content-type;host;x-tc-action"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call."""

    key_id: str
    secret: SecretStr
    #: Scheme, host and port, and the host with its port as the header names it.
    base: str
    host: str
    service: str
    action: str
    version: str
    region: str
    #: Seconds since 1970, not more than five minutes off.
    timestamp: int


def signed(asked: Asked, body: bytes) -> dict[str, str]:
    """The headers, ``Authorization`` among them."""
    lines = f"content-type:{CONTENT_TYPE}\nhost:{asked.host}\nx-tc-action:{asked.action.lower()}\n"
    canonical = "\n".join(("POST", "/", "", lines, SIGNED, hashlib.sha256(body).hexdigest()))
    date = datetime.fromtimestamp(asked.timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{asked.service}/tc3_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{asked.timestamp}\n{scope}\n{hashed}"
    key = f"TC3{asked.secret.get_secret_value()}".encode()
    for step in (date, asked.service, "tc3_request"):
        key = _mac(key, step)
    credential = f"Credential={asked.key_id}/{scope}, SignedHeaders={SIGNED}, Signature={_mac(key, to_sign).hex()}"
    return {
        "authorization": f"{ALGORITHM} {credential}",
        "content-type": CONTENT_TYPE,
        "host": asked.host,
        "x-tc-action": asked.action,
        "x-tc-timestamp": str(asked.timestamp),
        "x-tc-version": asked.version,
        "x-tc-region": asked.region,
    }


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
