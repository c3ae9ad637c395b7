"""A name server for tests: real DNS over loopback, answering from a table by dnspython."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

Table = Mapping[tuple[str, str], list[str]]
"""Name and type → records in their text form; a TXT record without quotes."""


class _Server(asyncio.DatagramProtocol):
    def __init__(self, table: Table, asked: list[str], silent: bool) -> None:
        self._table, self._asked, self._silent = table, asked, silent
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self._asked.append(f"{kind} {name}")
        if self._silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if records := self._table.get((name, kind)):
            texts = [_quoted(one) for one in records] if kind == "TXT" else records
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, texts))
        elif not any(name == known for known, _ in self._table):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(max_size=65000), address)


def _quoted(text: str) -> str:
    """In strings of 255 octets (RFC 1035 section 3.3.14)."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


@asynccontextmanager
async def naming(table: Table, *, silent: bool = False) -> AsyncIterator[tuple[dns.resolver.Resolver, list[str]]]:
    """A resolver that asks it, and what was asked."""
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Server(table, asked, silent), local_addr=("127.0.0.1", 0)
    )
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    resolver.edns, resolver.payload = 0, 65000
    try:
        yield resolver, asked
    finally:
        transport.close()
