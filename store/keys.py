"""The key file: sealing keys (AES-256-GCM) and the matching key (HMAC-SHA256).

``var/keys.json`` is made at the first start, mode 0600, and must be backed up apart from the database: without it
nothing sealed can be read again. Sealing keys rotate - each sealed value names its key -, the matching key does not,
because everything matched by it would have to be matched anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store import disk
from store.errors import KeyFileError

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_BYTES = 4


class Keyring:
    """Seals and opens values, and makes matching marks."""

    def __init__(self, sealing: dict[int, bytes], active: int, matching: bytes) -> None:
        if active not in sealing or any(len(key) != KEY_BYTES for key in (*sealing.values(), matching)):
            raise KeyFileError("the key file is damaged: restore it from its backup")
        self._ciphers = {number: AESGCM(key) for number, key in sealing.items()}
        self._prefix = active.to_bytes(KEY_ID_BYTES, "big")
        self._cipher = self._ciphers[active]
        self._matching = hmac.new(matching, digestmod=hashlib.sha256)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Key id (4 bytes), nonce (12), ciphertext and tag (16); bound to ``place``, the table and column.

        Random 96-bit nonces are safe for 2^32 values under one key (NIST SP 800-38D section 8.3).
        """
        nonce = os.urandom(NONCE_BYTES)
        return self._prefix + nonce + self._cipher.encrypt(nonce, plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """The value sealed at the same place. Raise KeyFileError for an unknown key or a value moved or changed."""
        number = int.from_bytes(sealed[:KEY_ID_BYTES], "big")
        nonce, body = sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES], sealed[KEY_ID_BYTES + NONCE_BYTES :]
        try:
            return self._ciphers[number].decrypt(nonce, body, place)
        except KeyError:
            raise KeyFileError(f"sealing key {number} is not in the key file: restore it from its backup") from None
        except (InvalidTag, ValueError):
            raise KeyFileError(
                f"a value in {place.decode()} was changed, moved, or sealed by another key file"
            ) from None

    def mark(self, *parts: str | bytes) -> bytes:
        """A 32-byte mark by which equal parts are found again, without revealing them. Parts are length-prefixed."""
        raw = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]
        mac = self._matching.copy()
        mac.update(b"".join([piece for part in raw for piece in (len(part).to_bytes(8, "big"), part)]))
        return mac.digest()


def load_or_create(path: Path, *, fresh: bool) -> Keyring:
    """The keyring in ``path``; made when it is missing and the store is ``fresh`` (holds nothing sealed yet)."""
    if not path.exists():
        if not fresh:
            raise KeyFileError(f"{path} is missing but the store holds sealed values: restore it from its backup")
        _create(path)
    return load(path)


def load(path: Path) -> Keyring:
    """The keyring in ``path``. Raise KeyFileError when it is missing, readable by others, or damaged."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyFileError(f"{path} is readable by others (mode {mode:04o}): chmod 600 it")
        content = json.loads(path.read_text(encoding="utf-8"))
        sealing = {int(number): base64.b64decode(key, validate=True) for number, key in content["sealing"].items()}
        return Keyring(sealing, int(content["active"]), base64.b64decode(content["matching"], validate=True))
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise KeyFileError(f"{path} is damaged: restore it from its backup") from None


def _create(path: Path) -> None:
    """Write a new key file so that it is either there whole, mode 0600 and on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = [base64.b64encode(os.urandom(KEY_BYTES)).decode() for _ in range(2)]
    content = {"active": 1, "sealing": {"1": fresh[0]}, "matching": fresh[1]}
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    draft = Path(name)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was faster: its file counts
    finally:
        draft.unlink()
    disk.sync(path.parent)
