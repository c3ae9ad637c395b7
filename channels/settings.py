"""Settings that channels share, and the type of a secret.

A secret stands in config.yaml as itself or, better, as ``{file: var/secrets/name}``; it may also come from the
environment (``HOTLINE__CHANNELS__WECHAT__TOKEN``). An empty or placeholder secret is refused.
"""

from __future__ import annotations

import base64
import re
import ssl
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

PLACEHOLDERS = frozenset(
    {"change-me", "changeme", "default", "example", "password", "secret", "token", "todo", "xxx", "…", "...", "test"}
)


def _read_secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, dict):
        if set(value) != {"file"} or not isinstance(value["file"], str):
            raise ValueError("write the secret itself or {file: path}")
        value = _read_file(Path((info.context or {}).get("base", "."), value["file"]), value["file"])
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if not isinstance(value, str):
        raise ValueError("a secret is a string; put it in quotes")
    if not value.strip():
        raise ValueError("the secret is empty; set it")
    if value.strip().lower() in PLACEHOLDERS:
        raise ValueError("the secret is a placeholder; set your own")
    return SecretStr(value)


def _read_file(path: Path, shown: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(
            f"cannot read secret file {shown} ({error.strerror}); `gateway demo` makes test secrets, or write your own"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"secret file {shown} is not text in UTF-8") from None


Secret = Annotated[
    SecretStr,
    BeforeValidator(_read_secret),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {"file": {"type": "string"}},
                    "required": ["file"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A secret: a string, or ``{file: path}`` relative to config.yaml."""


def located(value: Path, info: ValidationInfo) -> Path:
    """A path of the configuration, relative to the file's folder."""
    return Path((info.context or {}).get("base", "."), value)


LocalPath = Annotated[Path, AfterValidator(located)]
"""A path, relative to config.yaml."""


def _of_certificates(value: Path) -> Path:
    try:
        ssl.create_default_context(cafile=value)
    except OSError:  # ssl.SSLError is one
        raise ValueError("not a file of certificates (PEM) that can be read") from None
    return value


CertificatesFile = Annotated[LocalPath, AfterValidator(_of_certificates)]
"""Certificates (PEM) of an authority."""


def on_this_machine(host: str) -> bool:
    """Whether what is sent there crosses no network."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


#: The secret in force, and while it is being changed the one before it.
Secrets = tuple[SecretStr, ...]


def in_force(present: SecretStr, previous: SecretStr | None) -> Secrets:
    """The secrets that count: both, as long as the previous one is configured."""
    return (present,) if previous is None else (present, previous)


def is_webhook_secret(value: str) -> bool:
    """As Standard Webhooks has it ("Signature scheme"): a shorter key could be guessed."""
    encoded = value.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return False
    return value.startswith("whsec_") and 24 <= len(key) <= 64


def _signing(secret: SecretStr) -> SecretStr:
    if not is_webhook_secret(secret.get_secret_value()):
        raise ValueError("must be whsec_ and base64 of 24 to 64 bytes; `gateway demo` makes one")
    return secret


SigningSecret = Annotated[Secret, AfterValidator(_signing)]
"""A Standard Webhooks secret."""


class Strict(BaseModel):
    """Base of all settings: immutable, unknown names refused, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True, validate_default=True
    )


class ChannelSettings(Strict):
    """What every channel takes."""

    kind: str
    """Which adapter."""


def _unguessable(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{8,200}", secret.get_secret_value()):
        raise ValueError("a path secret is 8 to 200 of A-Z a-z 0-9 . _ ~ -; better 32 random ones")
    return secret


PathSecret = Annotated[Secret, AfterValidator(_unguessable)]
"""An unguessable part of a path."""


class WebhookSettings(ChannelSettings):
    """What every webhook takes."""

    path_secret: PathSecret | None = None
    """An unguessable last part of the path, for providers whose signature does not cover the body."""
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses the provider calls from; empty: any."""


class ApiPathSettings(WebhookSettings):
    """What every kind takes whose path the contract fixes and whose callers have keys."""

    @model_validator(mode="after")
    def _has_its_own_path(self) -> ApiPathSettings:
        if self.path_secret is not None:
            raise ValueError("path_secret has no use here: the path is fixed and its callers have keys")
        return self


def _hashed(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", secret.get_secret_value()):
        raise ValueError("write sha256: and 64 hex digits; `gateway keys new-client` makes the line")
    return secret


class ApiKey(Strict):
    """A program that may call, and its key."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """Its name in receipts and logs."""
    key_hash: Annotated[Secret, AfterValidator(_hashed)]
    """``sha256:`` and the hex digest of its key; ``gateway keys new-client`` makes one."""
    previous_key_hash: Annotated[Secret, AfterValidator(_hashed)] | None = None
    """The key before, which still opens: remove it once the program has the new one."""
    requests_per_minute: Annotated[int, Field(ge=1, le=10_000_000)] = 6000
    """How often it may call each node; all of them at once or evenly."""


class Client(ApiKey):
    """A program that may call the API."""

    scopes: tuple[
        Literal[
            "messages:write",
            "messages:read",
            "registrations:write",
            "transfers:write",
            "updates:write",
            "attachments:read",
        ],
        ...,
    ]
    """What it may do."""


K = TypeVar("K", bound=ApiKey)


def _told_apart(programs: tuple[K, ...]) -> tuple[K, ...]:
    """Raise ValueError when two have the same id or key: who called would be a guess."""
    keys = [{one.key_hash, one.previous_key_hash or one.key_hash} for one in programs]
    if len({one.id for one in programs}) < len(programs):
        raise ValueError("two of them have the same id; give each its own")
    if len(set().union(*keys)) < sum(map(len, keys)):
        raise ValueError("two of them have the same key; make each its own by `gateway keys new-client`")
    return programs


Programs = Annotated[tuple[K, ...], Field(min_length=1), AfterValidator(_told_apart)]
"""Programs that may call, at least one."""
