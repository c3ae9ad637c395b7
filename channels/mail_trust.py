"""Whether the From of a mail can be believed: what our own mail server found out, or what is in DNS. Pure.

DMARC (RFC 7489), or a DKIM signature (RFC 6376) of the sender's own domain, proves that the domain sent the mail; and the
domain's provider lets nobody write under another's address. That is ``verified``; all else is ``spoofable``, as before.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import getaddresses
from types import SimpleNamespace

import dkim

from channels.mail_settings import below
from normalizer.model import Assurance

#: Bytes of headers that are looked at, and signatures.
MOST_HEADERS, MOST_SIGNATURES = 128 * 1024, 5
#: What the records and findings of ``channels/mail_lookup.py`` are called in ``Envelope.context``.
RECORDS, SPF = "dns", "spf"

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|[^"\\();]+|[();]', re.DOTALL)
_METHOD = re.compile(r"\s*([A-Za-z0-9-]+)(?:\s*/\s*\d+)?\s*=\s*([A-Za-z]+)")
_PROPERTY = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<![\w.-])([a-z]+)\s*\.\s*([a-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]+)', re.IGNORECASE
)
#: A key on trial proves nothing (RFC 6376 section 3.6.1).
_TESTING = re.compile(r"(?:^|;)\s*t\s*=[^;]*\by\b")
_TAG = re.compile(r"(?:^|;)\s*([a-z]+)\s*=\s*([^;]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trust:
    """How sure we are of who wrote, and why."""

    assurance: Assurance = Assurance.SPOOFABLE
    #: ``dmarc_pass``, ``dkim_pass`` (of his own domain), ``dmarc_fail``.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One finding of a mail server (RFC 8601 section 2.2)."""

    method: str
    verdict: str
    #: ``header.from`` and the like, values in lower case.
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a DKIM-Signature says of itself: its place among them, its domain, where its key is."""

    index: int
    domain: str
    name: str


def trust(mail: bytes, address: str, ids: Collection[str], context: Mapping[str, str], at: datetime) -> Trust:
    """``address``: as the mail was read; ``ids``: our mail servers' (authserv-id); ``at``: when it came."""
    fields = header_fields(mail)
    domain = from_domain(fields)
    if domain is None or domain != address.lower().rpartition("@")[2]:
        return Trust()
    found = [*_by_server(fields, domain, ids), *_by_records(mail, fields, domain, context, at)]
    good = tuple(dict.fromkeys(flag for flag in found if flag != "dmarc_fail"))
    return Trust(Assurance.VERIFIED, good) if good else Trust(flags=tuple(dict.fromkeys(found)))


def header_fields(mail: bytes) -> list[tuple[str, str]]:
    """Names in lower case and unfolded values, from the top."""
    head = re.split(rb"\r?\n\r?\n", mail[:MOST_HEADERS], maxsplit=1)[0]
    lines = re.split(r"\r?\n(?![ \t])", head.decode("utf-8", "replace"))
    parted = (line.partition(":") for line in lines)
    return [(name.strip().lower(), re.sub(r"[\r\n]+", "", value)) for name, colon, value in parted if colon]


def from_domain(fields: Collection[tuple[str, str]]) -> str | None:
    """Of the one address in the one From, in lower case; with several, what is shown to whom nobody can say."""
    found = [value for name, value in fields if name == "from"]
    addresses = [address for _, address in getaddresses(found) if address]
    if len(found) != 1 or len(addresses) != 1:
        return None
    domain = addresses[0].lower().rpartition("@")[2].rstrip(".")
    return domain if "." in domain else None


# -- What our own mail server found ------------------------------------------------------------------------------------


def _by_server(fields: Collection[tuple[str, str]], domain: str, ids: Collection[str]) -> Iterator[str]:
    for result in server_results(fields, ids):
        named = result.properties.get("header.from", "")
        if result.method == "dmarc" and named.rpartition("@")[2] == domain and result.verdict in ("pass", "fail"):
            yield f"dmarc_{result.verdict}"
        signer = result.properties.get("header.d") or result.properties.get("header.i", "").rpartition("@")[2]
        if result.method == "dkim" and result.verdict == "pass" and _speaks_for(signer, domain):
            yield "dkim_pass"


def server_results(fields: Collection[tuple[str, str]], ids: Collection[str]) -> Iterator[Result]:
    """Of each of our servers the topmost Authentication-Results only: what it wrote lies above what came with the mail."""
    wanted = {one.lower() for one in ids}
    for name, value in fields:
        if name != "authentication-results" or not wanted:
            continue
        first, *clauses = _clauses(value)
        server = first.strip().split()[0].strip('"').lower() if first.strip() else ""
        if server in wanted:
            wanted.discard(server)
            yield from (found for clause in clauses if (found := _result(clause)) is not None)


def _clauses(value: str) -> list[str]:
    """Parted at semicolons; comments (RFC 5322 section 3.2.2) are dropped, quoted strings are one piece."""
    found, depth = [""], 0
    for piece in _PIECE.findall(value):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif piece == ";":
            found.append("")
        else:
            found[-1] += piece
    return found


def _result(clause: str) -> Result | None:
    found = _METHOD.match(clause)
    if found is None:
        return None
    properties: dict[str, str] = {}
    for kind, name, value in _PROPERTY.findall(clause[found.end() :]):
        if kind:  # else a quoted string of something else, a reason
            properties.setdefault(f"{kind}.{name}".lower(), value.strip('"').lower())
    return Result(found[1].lower(), found[2].lower(), properties)


def _speaks_for(signer: str, domain: str) -> bool:
    """A domain signs for itself and what lies below it: whoever holds it holds those. Not for what lies above."""
    return "." in signer and below(domain, signer.rstrip("."))


# -- What was in DNS when it came --------------------------------------------------------------------------------------


def signatures(fields: Collection[tuple[str, str]]) -> list[Signature]:
    """The first few, as they say of themselves."""
    values = [value for name, value in fields if name == "dkim-signature"][:MOST_SIGNATURES]
    found = []
    for index, value in enumerate(values):
        tags = {name.lower(): re.sub(r"\s+", "", text).lower() for name, text in _TAG.findall(value)}
        if tags.get("d") and tags.get("s") and "l" not in tags:  # whoever signs a part only, signs what others add
            found.append(Signature(index, tags["d"], f"{tags['s']}._domainkey.{tags['d']}"))
    return found


def _by_records(
    mail: bytes, fields: Collection[tuple[str, str]], domain: str, context: Mapping[str, str], at: datetime
) -> Iterator[str]:
    records: dict[str, str] = json.loads(context.get(RECORDS) or "{}")
    if not records:
        return
    held = [one.domain for one in signatures(fields) if one.name in records and _holds(mail, one, records, at)]
    if any(_speaks_for(signer, domain) for signer in held):
        yield "dkim_pass"
    sender = context.get("mail_from", "") if context.get(SPF) == "pass" else ""
    verdict = _dmarc(domain, held, sender, records)
    if verdict in ("pass", "fail"):
        yield f"dmarc_{verdict}"


def _holds(mail: bytes, signature: Signature, records: Mapping[str, str], at: datetime) -> bool:
    def look_up(name: bytes, timeout: int = 0) -> bytes | None:
        del timeout
        found = records.get(name.decode("ascii", "replace").rstrip(".").lower(), "")
        return found.encode() if found and not _TESTING.search(found) else None

    try:
        with _clock(at):
            return bool(dkim.DKIM(mail).verify(signature.index, dnsfunc=look_up))
    except Exception:  # noqa: BLE001 - dkimpy raises what it likes on what strangers write: then nothing is proven
        return False


@contextmanager
def _clock(at: datetime) -> Iterator[None]:
    """Dkimpy asks the clock whether a signature has expired; a kept mail must be read the same way next year."""
    dkim.time = SimpleNamespace(time=at.timestamp)
    try:
        yield
    finally:
        dkim.time = time


def _dmarc(domain: str, signers: Collection[str], sender: str, records: Mapping[str, str]) -> str:
    """By authheaders: ``pass``, ``fail``, or ``none`` where the domain has no policy."""
    from authheaders import dmarc_per_from  # noqa: PLC0415 - 0.16 s of imports that only check_here needs
    from authres import DKIMAuthenticationResult, SPFAuthenticationResult  # noqa: PLC0415 - likewise

    spf = SPFAuthenticationResult(result="pass", smtp_mailfrom=sender) if sender else None
    signed = [DKIMAuthenticationResult(result="pass", header_d=signer) for signer in signers]
    try:
        verdicts = [dmarc_per_from(domain, spf, one, records.get)[0] for one in signed or [None]]
    except Exception:  # noqa: BLE001 - a policy that cannot be read is none
        return "none"
    return "pass" if "pass" in verdicts else str(verdicts[0])
