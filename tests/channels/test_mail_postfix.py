"""Postfix between us and the citizens: it carries our answers, and brings back what answers them or what bounced."""

from __future__ import annotations

import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dkim
import pytest

from channels.simulated import MailDelivery
from gateway.testing import Start
from tests.brokers import Server
from tests.channels.mailroom import Got, MailServer, dkim_record, rsa_pem
from tests.channels.town import CITIZEN, OURS, Town
from tests.handing import until
from tests.ports import free_port
from tests.postfix import postfix

KEY = {"selector": "s1", "domain": "example.gov.cn", "private_key": rsa_pem()}


def key_of(_name: bytes, timeout: int = 0) -> bytes:
    """What DNS would say."""
    del timeout
    return dkim_record(rsa_pem()).encode()


@dataclass
class City:
    """The citizens' own server is ``town.server``."""

    town: Town
    postfix: Server

    def hands_in(self, letter: MailDelivery) -> None:
        """A citizen's mail, by way of Postfix."""
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=30) as session:
            session.sendmail(letter.mail_from, letter.recipients, letter.data)

    async def has(self, outcomes: dict[str, int]) -> bool:
        """Whether this, and nothing else, has come of everything so far."""
        books = await self.town.gateway.books()
        return {name: count for name, count in books["outcomes"].items() if count} == outcomes

    async def got(self, number: int) -> Got:
        """The citizens' so-manieth mail."""

        async def here() -> bool:
            return len(self.town.server.got) >= number

        await until(here, 30)
        return self.town.server.got[number - 1]


@asynccontextmanager
async def city(start_gateway: Start, protocol: str = "smtp") -> AsyncIterator[City]:
    port = free_port()
    async with MailServer().running() as server:
        ways = {"example.gov.cn": f"{protocol}:[127.0.0.1]:{port}", "example.net": f"smtp:[127.0.0.1]:{server.port}"}
        with postfix(ways) as mta:

            def change(document: dict[str, Any]) -> None:
                outgoing = {"host": "127.0.0.1", "port": mta.port, "tls": "none"}
                ours = {"listen": f"127.0.0.1:{port}", "protocol": protocol, "outgoing": outgoing, "dkim": KEY}
                document["channels"] = {"mailbox": document["channels"]["mailbox"] | ours}
                document["replies"] = {"acknowledge": True}

            async with start_gateway(change) as gateway:
                yield City(Town(gateway, server), mta)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_there_and_back_through_postfix(start_gateway: Start, protocol: str) -> None:
    async with city(start_gateway, protocol) as place:
        place.hands_in(place.town.mail("朝阳路的路灯不亮。"))
        ack = await place.got(1)
        assert ack.recipients == (CITIZEN,) and ack.mail["Auto-Submitted"] == "auto-replied" and ack.mail_from == ""
        assert dkim.verify(ack.raw, dnsfunc=key_of), "what Postfix adds breaks no signature"
        place.hands_in(place.town.mail("第三根灯杆。", to=ack.mail["Reply-To"]))
        await until(lambda: place.has({"filed": 1, "attached": 1}), 30)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_real_bounce_comes_back_to_its_reply(start_gateway: Start, protocol: str) -> None:
    async with city(start_gateway, protocol) as place:
        place.hands_in(place.town.mail("朝阳路的路灯不亮。"))
        await place.got(1)
        place.town.server.refuses[CITIZEN] = "550 5.1.1 <zhang@example.net>: user unknown"
        await place.town.gateway.settle()
        matter = await place.town.matter()
        word = await place.town.gateway.node.store.updates_of(matter.matter_id)
        assert word == []
        await place.town.tells("已派人维修。")

        async def bounced() -> bool:
            last = (await place.town.replies())[-1]
            return (str(last.state), last.reason) == ("failed", "no_such_mailbox")

        await until(bounced, 30)
        (update,) = await place.town.gateway.node.store.updates_of(matter.matter_id)
        assert update["reply_state"] == "failed"
        await until(lambda: place.has({"filed": 1, "notice": 1}), 30)


async def test_what_we_answer_by_ourselves_makes_no_bounce(start_gateway: Start) -> None:
    async with city(start_gateway) as place:
        place.town.server.refuses[CITIZEN] = "550 5.1.1 <zhang@example.net>: user unknown"
        place.hands_in(place.town.mail("朝阳路的路灯不亮。"))

        async def ended() -> bool:
            log = (place.postfix.folder / "log").read_text()
            return "status=bounced" in log and log.count(": removed") >= 2

        await until(ended, 30)
        await place.town.gateway.settle()
        assert await place.has({"filed": 1})
        assert OURS not in "".join(got.mail["To"] or "" for got in place.town.server.got)
