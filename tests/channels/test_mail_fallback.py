"""Mail as the city's other way: to an address that is surely his, and what he answers there comes to his matter."""

from __future__ import annotations

from gateway.testing import Start
from normalizer.model import Assurance, Contact, ContactType
from tests.channels.mailroom import MailServer
from tests.channels.town import CITIZEN, OURS, Town
from tests.test_fallback import opened


def mailbox(assurance: Assurance) -> Contact:
    return Contact(type=ContactType.MAIL, value=CITIZEN, assurance=assurance)


async def test_who_cannot_be_told_on_his_chat_is_told_by_mail_and_answers_there(start_gateway: Start) -> None:
    async with (
        MailServer().running() as server,
        opened(start_gateway, "mailbox", mailbox={"outgoing": server.settings}) as city,
    ):
        matter = await city.writes("telegram", "900000001")
        await city.owns(matter, mailbox(Assurance.VERIFIED))
        await city.blocks(matter)
        assert await city.told(matter) == []
        (got,) = server.got
        assert got.recipients == (CITIZEN,) and "已经修好" in got.text and await city.last_reply() == ("sent", None)
        assert got.header("Subject") == f"12345: 办理进展 [{matter.tracking_code}]" and got.mail["In-Reply-To"] is None
        assert got.header("From").endswith(f"<{OURS}>")
        place = Town(city.gateway, server)
        assert await place.writes("还有一根。", in_reply_to=got.mail["Message-ID"]) == "attached"
        after = next(one for one in await city.gateway.matters() if one.matter_id == matter.matter_id)
        assert "还有一根。" in after.content and len(server.got) == 1


async def test_to_an_address_that_may_be_anothers_goes_no_word_of_the_matter(start_gateway: Start) -> None:
    async with (
        MailServer().running() as server,
        opened(start_gateway, "mailbox", mailbox={"outgoing": server.settings}) as city,
    ):
        matter = await city.writes("telegram", "900000001")
        await city.owns(matter, mailbox(Assurance.ASSERTED))
        await city.blocks(matter)
        await city.told(matter)
        assert server.got == [] and await city.last_reply() == ("failed", "blocked")
