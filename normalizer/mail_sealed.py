"""Mail that is encrypted or wrapped in a signature: told apart, and opened where no key is needed (S/MIME, PGP)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from normalizer.mail_parse import MailError, Part, parse

_TYPES = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_PGP = "application/pgp-encrypted"
#: Content types of CMS (RFC 5652 sections 5.1 and 6.1, RFC 5083), DER-encoded.
_OID = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"
_SIGNED_DATA, _ENVELOPED_DATA = _OID + b"\x07\x02", _OID + b"\x07\x03"
_AUTH_ENVELOPED_DATA = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"
#: Tags (X.690 section 8.1.2): SEQUENCE, an explicit [0], OCTET STRING whole and in pieces.
_SEQUENCE, _EXPLICIT, _OCTETS, _PIECES = 0x30, 0xA0, 0x04, 0x24
#: Pieces of one text, and levels of nesting, looked at.
_MOST_PIECES, _DEEPEST = 100_000, 8


class SealedMail(Enum):
    """What is in the way of reading; with the flag that says so, and the words an operator sees."""

    ENCRYPTED = "encrypted", "[加密邮件：无法读取，原件见附件]"
    SIGNED = "signed_unread", "[签名封装的邮件：无法读取，原件见附件]"

    @property
    def flag(self) -> str:
        """Among ``Mail.flags``."""
        return self.value[0]

    @property
    def sentence(self) -> str:
        """Among the mail's words."""
        return self.value[1]


def sealed(media_type: str, smime_type: str, name: str | None, content: bytes) -> SealedMail | None:
    """Whether a part is encrypted or wraps what it signs (RFC 8551 section 3.2); a signature beside a text is neither."""
    if media_type not in _TYPES and not (name or "").lower().endswith(".p7m"):
        return None
    head = content[:64]
    if _ENVELOPED_DATA in head or _AUTH_ENVELOPED_DATA in head or "enveloped" in smime_type.lower():
        return SealedMail.ENCRYPTED
    return SealedMail.SIGNED if _SIGNED_DATA in head or smime_type.lower() == "signed-data" else None


def signed_content(content: bytes) -> Part | None:
    """The mail inside SignedData (RFC 5652 section 5.1); its signature is not checked. None where there is none."""
    try:
        inside = b"".join(_signed(content))
        return parse(inside)[0] if inside else None
    except (IndexError, ValueError, MailError):
        return None


def _signed(content: bytes) -> Iterator[bytes]:
    """ContentInfo, SignedData, EncapsulatedContentInfo, [0], OCTET STRING."""
    at = _into(content, 0, _SEQUENCE)
    at = _into(content, _past(content, at), _EXPLICIT)  # past the type
    at = _into(content, at, _SEQUENCE)
    at = _past(content, _past(content, at))  # past version and digest algorithms
    at = _into(content, at, _SEQUENCE)
    at = _into(content, _past(content, at), _EXPLICIT)
    tag, start, end = _header(content, at)
    if tag == _OCTETS and end is not None:
        yield content[start:end]
    elif tag == _PIECES:
        yield from _pieces(content, start, end)


def _pieces(content: bytes, at: int, end: int | None) -> Iterator[bytes]:
    """A constructed OCTET STRING, as programs write that do not know its length beforehand (X.690 section 8.7.3)."""
    for _ in range(_MOST_PIECES):
        if at == end or (end is None and content[at : at + 2] == b"\0\0"):
            return
        tag, start, stop = _header(content, at)
        if tag != _OCTETS or stop is None:
            raise ValueError("pieces")
        yield content[start:stop]
        at = stop


def _header(content: bytes, at: int) -> tuple[int, int, int | None]:
    """Tag, where the value starts and where it ends; None: at an end-of-contents mark (X.690 section 8.1.3)."""
    tag, first = content[at], content[at + 1]
    if first == 0x80:
        return tag, at + 2, None
    if first < 0x80:
        start, length = at + 2, first
    else:
        start = at + 2 + (first & 0x7F)
        length = int.from_bytes(content[at + 2 : min(start, at + 10)], "big")
    if tag & 0x1F == 0x1F or start + length > len(content):
        raise ValueError("header")
    return tag, start, start + length


def _into(content: bytes, at: int, tag: int) -> int:
    """Where the value of the element at ``at`` starts; ValueError unless it has that tag."""
    found, start, _ = _header(content, at)
    if found != tag:
        raise ValueError("tag")
    return start


def _past(content: bytes, at: int, depth: int = 0) -> int:
    """Where the next element starts."""
    _, start, end = _header(content, at)
    if end is not None:
        return end
    if depth > _DEEPEST:
        raise ValueError("depth")
    while content[start : start + 2] != b"\0\0":
        start = _past(content, start, depth + 1)
    return start + 2
