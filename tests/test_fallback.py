"""The core's word when the citizen's own channel cannot take it: the city's other ways, to him and to nobody else."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from channels.simulated import Peer
from channels.simulated.app import AppPeer
from gateway.demo.citizens import peers
from gateway.demo.providers import StandInProviders
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, Contact, ContactType, HotlineMatter
from store.doors import recipient, shut
from store.people import Word
from store.persons import contact_mark
from store.tables import CONTACTS
from tests.channels.carriers import replies, tell
from tests.channels.chats import FakeWeChat

CHATS = ("wechat", "weibo", "telegram", "app")
SMS = ("sms", "sms_aliyun", "sms_tencent")
SIGNED = {"sign_name": "济南12345", "template_parameters": ["text"]}
TEMPLATE = {"template_id": "tpl", "template_fields": {"keyword1": "code", "keyword2": "text"}}
HIS = "13900000001"


class City:
    """A gateway that writes back on every channel; providers note who was told."""

    def __init__(self, gateway: RunningGateway, heard: list[tuple[str, str, str]]) -> None:
        self.gateway, self.heard = gateway, heard
        self.peers: dict[str, Peer] = peers(gateway.node.channels, gateway.secrets, gateway.public_url)
        self._numbers = itertools.count(1)

    async def writes(self, channel: str, sender: str, at: datetime | None = None) -> HotlineMatter:
        """A citizen brings something new."""
        number = str(next(self._numbers))
        said = self.peers[channel].say(
            f"第{number}盏路灯不亮", sender=sender, message_id=number, at=at or datetime.now(UTC)
        )
        assert (await said.send(self.gateway)).ok
        await self.gateway.settle()
        return (await self.gateway.matters())[-1]

    async def owns(self, matter: HotlineMatter, contact: Contact) -> None:
        """This, too, is a contact of the matter's citizen, as surely as it says."""
        row = {
            "mark": contact_mark(self.gateway.node.store._keyring, contact, ""),
            "caller_id": matter.caller_id,
            "type": contact.type,
            "assurance": contact.assurance,
            "value": contact.value,
            "decided_by": "operator",
            "reason": "asked on the telephone",
            "at": datetime.now(UTC),
        }
        await self.gateway.node.store._database.write(lambda c: c.execute(insert(CONTACTS), row))

    async def joins(self, kept: HotlineMatter, gone: HotlineMatter) -> None:
        """Somebody has made sure that both are the same citizen's."""
        word = Word("Li Hua", "asked both", datetime.now(UTC))
        await self.gateway.node.store.people().join(kept.tracking_code, gone.tracking_code, word)

    async def blocks(self, matter: HotlineMatter) -> None:
        """He does not want to hear from us where he wrote."""
        channel, sender = matter.channel, matter.party.contacts[0]
        whose = recipient(self.gateway.node.store._keyring, channel.name, channel.account, sender)
        await self.gateway.node.store._database.write(lambda c: shut(c, whose, "blocked", datetime.now(UTC)))

    async def told(self, matter: HotlineMatter) -> list[tuple[str, str, str]]:
        """Who hears what of an update; channel kind, address and words."""
        self.heard.clear()
        await tell(self.gateway, matter.matter_id, "已经修好")
        await self.gateway.settle()
        return list(self.heard)

    async def last_reply(self) -> tuple[str, str | None]:
        _, state, reason = (await replies(self.gateway))[-1]
        return state, reason


@asynccontextmanager
async def opened(start_gateway: Start, *fallback: str, **more: dict[str, Any]) -> AsyncIterator[City]:
    heard: list[tuple[str, str, str]] = []
    providers = StandInProviders(lambda *told: heard.append(told))
    await providers.start()

    def change(document: dict[str, Any]) -> None:
        channels = document["channels"]
        for name in ("wechat", "weibo", "sms", "telegram", "sms_aliyun", "sms_tencent"):
            channels[name]["api_base"] = providers.url
        key = {"access_key_id": "id", "access_key_secret": "a-secret-of-aliyun", "template_code": "SMS_1"}
        channels["sms_aliyun"] |= SIGNED | key
        key = {"secret_id": "id", "secret_key": "a-secret-of-tencent", "sdk_app_id": "14", "template_id": "1"}
        channels["sms_tencent"] |= SIGNED | key
        channels["app"]["clients"][0]["push"] = {
            "url": f"{providers.url}/app",
            "secret": {"file": "secrets/core-secret"},
        }
        for name, settings in more.items():
            channels[name] |= settings
        document["replies"] = {"acknowledge": False, "fallback": list(fallback)}

    try:
        async with start_gateway(change) as gateway:
            yield City(gateway, heard)
    finally:
        await providers.close()


# -- Every pair of ways ------------------------------------------------------------------------------------------------


def phone(assurance: Assurance) -> Contact:
    return Contact(type=ContactType.PHONE, value=f"+86{HIS}", assurance=assurance)


@pytest.mark.parametrize("other", CHATS)
async def test_on_a_chat_channel_he_is_told_under_the_name_he_has_there(start_gateway: Start, other: str) -> None:
    async with opened(start_gateway, other) as city:
        await city.writes(other, "900000099")
        for number, own in enumerate(name for name in (*CHATS, *SMS) if name != other):
            sender = str(900_000_010 + number)
            there = await city.writes(other, sender)
            await city.joins(there, await city.writes(own, sender))
            matter = await city.writes(own, sender)
            await city.blocks(matter)
            ((kind, to, words),) = await city.told(matter)
            assert (kind, to) == (city.gateway.channel(other).kind, there.party.contacts[0].value), own
            assert "已经修好" in words and await city.last_reply() == ("sent", None)


@pytest.mark.parametrize("other", SMS)
async def test_by_sms_he_is_told_at_the_number_that_is_surely_his(start_gateway: Start, other: str) -> None:
    async with opened(start_gateway, other) as city:
        for own in CHATS:
            matter = await city.writes(own, "900000001")
            if own == CHATS[0]:
                await city.owns(matter, phone(Assurance.VERIFIED))
                first = matter
            else:
                await city.joins(first, matter)
                matter = await city.writes(own, "900000001")
            await city.blocks(matter)
            ((kind, to, words),) = await city.told(matter)
            assert (kind, to[-11:]) == (city.gateway.channel(other).kind, HIS), own
            assert "已经修好" in words and await city.last_reply() == ("sent", None)


@pytest.mark.parametrize("own", CHATS)
async def test_nobody_else_and_nothing_less_sure_is_told(start_gateway: Start, own: str) -> None:
    """His number is only stated, or anybody can claim it, or it is another's: nobody is told, and an operator sees it."""
    others = [name for name in (*CHATS, *SMS) if name != own]
    async with opened(start_gateway, *others) as city:
        for name in others:
            another = await city.writes(name, "900000001")
        await city.owns(another, phone(Assurance.VERIFIED))
        for number, assurance in enumerate((Assurance.ASSERTED, Assurance.SPOOFABLE)):
            matter = await city.writes(own, str(900_000_002 + number))
            await city.owns(matter, phone(assurance).model_copy(update={"value": f"+861380000000{number}"}))
            await city.blocks(matter)
            assert await city.told(matter) == []
            assert await city.last_reply() == ("failed", "blocked")


async def test_an_sms_in_which_anybody_can_claim_a_number_is_no_other_way(start_gateway: Start) -> None:
    async with opened(start_gateway, "sms_aliyun") as city:
        by_sms = await city.writes("sms_aliyun", "900000001")
        await city.joins(by_sms, await city.writes("wechat", "900000001"))
        matter = await city.writes("wechat", "900000001")
        await city.blocks(matter)
        assert await city.told(matter) == []


@pytest.mark.parametrize(("verified_at", "told"), [("2026-03-01T08:00:00+08:00", 1), (None, 0)])
async def test_a_number_that_the_app_has_verified(start_gateway: Start, verified_at: str | None, told: int) -> None:
    async with opened(start_gateway, "sms") as city:
        user = {"id": "u-1", "phone": f"+86{HIS}"} | ({"phone_verified_at": verified_at} if verified_at else {})
        app = city.peers["app"]
        assert isinstance(app, AppPeer)
        assert (await app.post({"user": user, "text": "路灯不亮"}, key="k").send(city.gateway)).ok
        await city.gateway.settle()
        (matter,) = await city.gateway.matters()
        await city.blocks(matter)
        assert [to[-11:] for _, to, words in await city.told(matter) if "已经修好" in words] == [HIS] * told
        assert len(city.heard) == told


async def test_a_caller_is_told_at_the_number_he_gave_only_that_there_is_news(start_gateway: Start) -> None:
    async with opened(start_gateway, "sms") as city:
        matter = await city.writes("telephone", "900000001")
        ((kind, _, words),) = await city.told(matter)
        assert kind == "sms_twilio" and matter.tracking_code in words and "已经修好" not in words


# -- WeChat: window, template, SMS -------------------------------------------------------------------------------------

WECHAT_SAYS: dict[str, tuple[dict[str, Any], int, list[int], list[str], bool]] = {
    "the window is open": (TEMPLATE, 0, [], ["custom/send"], False),
    "closed, says WeChat": (TEMPLATE, 0, [45015], ["custom/send", "template/send"], False),
    "used up, says WeChat": (TEMPLATE, 0, [45047], ["custom/send", "template/send"], False),
    "closed, as we know": (TEMPLATE, 49, [], ["template/send"], False),
    "closed, no template": ({}, 49, [], [], True),
    "closed, says WeChat, no template": ({}, 0, [45015], ["custom/send"], True),
    "closed, and the template is refused": (TEMPLATE, 49, [40037], ["template/send"], True),
    "he does not follow us any more": (TEMPLATE, 0, [43004], ["custom/send"], True),
}


@pytest.mark.parametrize(("settings", "hours", "script", "calls", "by_sms"), WECHAT_SAYS.values(), ids=WECHAT_SAYS)
async def test_out_of_wechats_window_a_template_and_then_an_sms(
    start_gateway: Start, settings: dict[str, Any], hours: int, script: list[int], calls: list[str], by_sms: bool
) -> None:
    wechat = FakeWeChat("wx0123456789abcdef", "")
    async with wechat.running(), opened(start_gateway, "sms", wechat=settings | {"api_base": wechat.url}) as city:
        wechat._secret = (city.gateway.secrets / "wechat-app-secret").read_text()
        matter = await city.writes("wechat", "900000001", at=datetime.now(UTC) - timedelta(hours=hours))
        await city.owns(matter, phone(Assurance.VERIFIED))
        wechat.script = list(script)
        told = await city.told(matter)
        assert wechat.calls == calls and len(wechat.given) == (not by_sms)
        assert [(kind, to[-11:]) for kind, to, _ in told] == ([("sms_twilio", HIS)] if by_sms else [])
        assert all("已经修好" in words for _, _, words in told) and (await city.last_reply())[0] == "sent"
