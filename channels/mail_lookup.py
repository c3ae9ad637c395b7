"""What DNS says when a mail comes, for channels/mail_trust.py: keys of its signatures, policies, and SPF (RFC 7208).

Everything within a few seconds, or nothing: the mail server that waits for its 250 is not to wait for others' DNS.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.resolver
import spf
import structlog

from channels.mail_settings import below
from channels.mail_trust import RECORDS, SPF, from_domain, header_fields, signatures

log = structlog.get_logger(__name__)

#: How long all questions about one mail may take, seconds; and mails asked about at a time.
ALL_SECONDS, AT_ONCE = 3.0, 8
#: Names above the sender's at which a policy is looked for.
MOST_PARENTS = 3
#: Characters of a record that are kept; an RSA key of 4096 bits has 800.
LONGEST_RECORD = 4096


class Names:
    """DNS, asked from threads of its own."""

    def __init__(self, resolver: dns.resolver.Resolver | None = None) -> None:
        self._resolver = resolver
        self._threads = ThreadPoolExecutor(AT_ONCE, "mail-dns")

    def close(self) -> None:
        """Without waiting for answers."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def looked_up(self, mail: bytes, context: Mapping[str, str]) -> dict[str, str]:
        """What is to be kept in the envelope's context beside ``context`` (``mail_from``, ``peer``, ``helo``)."""
        until = time.monotonic() + ALL_SECONDS
        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, mail, context, until)
        try:
            async with asyncio.timeout(ALL_SECONDS):
                return await asked
        except Exception as error:  # noqa: BLE001 - whatever it was: then nothing is proven, and the mail is kept
            log.warning("mail_not_looked_up", error=type(error).__name__)
            return {}

    def _ask(self, mail: bytes, context: Mapping[str, str], until: float) -> dict[str, str]:
        self._resolver = self._resolver or _system()
        questions, fields = _Questions(self._resolver, until), header_fields(mail)
        domain = from_domain(fields)
        if domain is None:
            return {}
        keys = [one.name for one in signatures(fields) if _related(one.domain, domain)]
        policies = [f"_dmarc.{one}" for one in _upwards(domain)]
        records = {name: text for name in (*keys, *policies) if (text := questions.text(name))}
        return {RECORDS: json.dumps(records), SPF: _spf(questions, domain, context)} if records else {}


def _system() -> dns.resolver.Resolver:
    """The machine's own, with a memory."""
    found = dns.resolver.Resolver()
    found.cache = dns.resolver.LRUCache(10_000)
    return found


def _related(one: str, other: str) -> bool:
    return below(one, other) or below(other, one)


def _upwards(domain: str) -> Collection[str]:
    """The domain and what lies above it, as far as names have a dot."""
    parts = domain.split(".")
    return [".".join(parts[index:]) for index in range(min(MOST_PARENTS + 1, len(parts) - 1))]


class _Questions:
    """Asks as long as there is time."""

    def __init__(self, resolver: dns.resolver.Resolver, until: float) -> None:
        self._resolver, self._until = resolver, until

    def ask(self, name: str, kind: str) -> list[Any]:
        """The records; none where there are none. Raise dns.exception.DNSException when nobody tells in time."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise dns.exception.Timeout
        try:
            return list(self._resolver.resolve(name, kind, lifetime=left))
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return []

    def text(self, name: str) -> str | None:
        """The one TXT record of a key or policy; None for none or several (RFC 7489 section 6.6.3), or on a fault."""
        try:
            found = [b"".join(record.strings) for record in self.ask(name, "TXT")]
        except (dns.exception.DNSException, UnicodeError, OSError):
            return None
        if name.startswith("_dmarc."):
            found = [text for text in found if text.startswith(b"v=DMARC1")]
        return found[0].decode("ascii", "replace")[:LONGEST_RECORD] if len(found) == 1 else None


def _spf(questions: _Questions, domain: str, context: Mapping[str, str]) -> str:
    """Only of a sender in the domain of From, and of a peer outside: from inside our own mail server speaks."""
    sender, peer = context.get("mail_from", ""), context.get("peer", "")
    try:
        outside = ip_address(peer).is_global
    except ValueError:
        return "none"
    if not outside or not _related(sender.lower().rpartition("@")[2], domain):
        return "none"
    try:
        return str(_Query(questions, peer, sender, context.get("helo", "")).check()[0])
    except Exception:  # noqa: BLE001 - pyspf raises what it likes on what strangers publish: then nothing is proven
        return "none"


class _Query(spf.query):  # type: ignore[misc]  # ships no types
    """SPF by our own resolver and within our own time."""

    def __init__(self, questions: _Questions, peer: str, sender: str, helo: str) -> None:
        self._questions = questions
        super().__init__(peer, sender, helo)

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """As pyspf wants its answers; TempError when nobody tells."""
        del cnames
        try:
            found = [_plain(record, qtype) for record in self._questions.ask(str(name), qtype)]
        except dns.exception.DNSException as error:
            raise spf.TempError(f"DNS {type(error).__name__}") from None
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("too many names that lead nowhere")
        return found


def _plain(record: Any, kind: str) -> Any:
    match kind:
        case "A" | "AAAA":
            return record.address
        case "MX":
            return record.preference, record.exchange.to_text(omit_final_dot=True)
        case "PTR":
            return record.target.to_text(omit_final_dot=True)
        case _:
            return record.strings
