"""Test secrets under var/secrets, made once: what the committed config.yaml refers to."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from channels.clients import key_hash


def _aes_key() -> str:
    """WeChat's EncodingAESKey: 43 characters, base64 of 32 bytes without the padding."""
    return base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def _signing_secret() -> str:
    """A Standard Webhooks secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    "core-secret": _signing_secret,
    "app-push-secret": _signing_secret,
    "wechat-token": lambda: secrets.token_hex(16),
    "wechat-aes-key": _aes_key,
    "wechat-app-secret": lambda: secrets.token_hex(16),
    "weibo-app-secret": lambda: secrets.token_hex(16),
    "weibo-access-token": lambda: secrets.token_hex(16),
    "weibo-path": lambda: secrets.token_urlsafe(24),
    "sms-auth-token": lambda: secrets.token_hex(16),
    "aliyun-path": lambda: secrets.token_urlsafe(24),
    "aliyun-secret": lambda: secrets.token_hex(16),
    "tencent-path": lambda: secrets.token_urlsafe(24),
    "tencent-secret": lambda: secrets.token_hex(16),
    "imap-password": lambda: secrets.token_urlsafe(16),
    "telegram-bot-token": lambda: f"{secrets.randbelow(10**9):010d}:{secrets.token_urlsafe(26)}",
    "telegram-secret-token": lambda: secrets.token_urlsafe(24),
    "app-key": lambda: secrets.token_urlsafe(32),
    "core-key": lambda: secrets.token_urlsafe(32),
    "telephone-key": lambda: secrets.token_urlsafe(32),
    "partner-key": lambda: secrets.token_urlsafe(32),
    "open311-key": lambda: secrets.token_urlsafe(32),
}


#: Keys of API clients: config.yaml refers to their hashes.
_KEYS = ("app-key", "core-key", "telephone-key", "partner-key", "open311-key")


def make_secrets(directory: Path) -> None:
    """Write the files that are missing, each mode 0600; those that are there stay."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, make in _MAKERS.items():
        _write(directory / name, make)
    for name in _KEYS:
        key = (directory / name).read_text(encoding="ascii")
        _write(directory / f"{name}-hash", partial(key_hash, key))


def _write(path: Path, make: Callable[[], str]) -> None:
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(make())
