from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from channels.base import Request
from channels.clients import key_hash
from channels.errors import Unacceptable
from channels.partner import Partner
from channels.simulated import HttpDelivery
from channels.simulated.partner import PartnerPeer
from channels.testing import Cases, Expected, check_channel
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, AttachmentKind, ContactType, Message

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = "p" * 43
CLIENT = {"id": "market", "key_hash": key_hash(KEY), "scopes": ["transfers:write", "messages:read"]}
TRANSFER = {"platform": "12315", "platform_number": "2026-7", "content": "健身房不退费"}
NUMBER = "+8613800138000"


def channel() -> Partner:
    return Partner("linked", Partner.Settings.model_validate({"clients": [CLIENT]}))


def request(body: object) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = ((b"authorization", f"Bearer {KEY}".encode()), (b"idempotency-key", b"k"))
    return Request("POST", "/v1/transfers", "", headers, raw, "127.0.0.1", "https://h/v1/transfers", AT)


def read(body: object) -> Message:
    linked, asked = channel(), request(body)
    (message,) = linked.parse(linked.envelope(asked.body, AT, admission=linked.authenticate(asked)))
    return message


@pytest.fixture
async def gateway(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    def with_partner(document: dict) -> None:
        document["channels"]["partner"] = {"kind": "partner", "clients": [CLIENT]}

    async with start_gateway(with_partner) as running:
        yield running


def test_everything_the_contract_names_is_read() -> None:
    message = read(
        TRANSFER
        | {
            "caller": {"name": "王某", "contact_number": NUMBER, "unit": "某厂", "party_type": "legal_person"},
            "kind": "complaint",
            "received_at": "2026-03-01T16:00:00+08:00",
            "place": {"text": "文化路"},
            "attachments": [{"attachment_id": "u1", "media_type": "image/png"}],
        }
    )
    assert (message.linked_platform, message.partner_number, message.provider_id) == ("12315", "2026-7", "12315:2026-7")
    assert (message.sender.value, message.sender.assurance) == (NUMBER, Assurance.ASSERTED)
    assert (message.name, message.unit, message.sent_at, message.text) == ("王某", "某厂", AT, "健身房不退费")
    assert (message.matter_kind, message.party_type, message.emergency_line) == ("complaint", "legal_person", None)
    assert [(one.kind, one.reference) for one in message.attachments] == [(AttachmentKind.IMAGE, "upload:market/u1")]


@pytest.mark.parametrize(
    ("platform", "line"),
    [("110", "110"), ("119", "119"), ("120", "120"), ("122", "122"), ("114", None), ("12319", None), ("letters", None)],
)
def test_what_an_emergency_line_transfers_belongs_to_it(platform: str, line: str | None) -> None:
    message = read(TRANSFER | {"platform": platform})
    assert (message.linked_platform, message.emergency_line) == (platform, line)


def test_without_a_number_the_citizen_is_known_by_the_platforms_own() -> None:
    sender = read(TRANSFER).sender
    assert (sender.type, sender.value, sender.assurance) == (ContactType.APP, "12315:2026-7", Assurance.ASSERTED)


ODD = {
    "not json": b"{",
    "no platform": {"platform_number": "1", "content": "x"},
    "platform with a space": TRANSFER | {"platform": "12 315"},
    "no number": {"platform": "12315", "content": "x"},
    "number is a number": TRANSFER | {"platform_number": 7},
    "nothing said": TRANSFER | {"content": ""},
    "unknown field": TRANSFER | {"x": "y"},
    "one upload twice": TRANSFER | {"attachments": [{"attachment_id": "u1"}, {"attachment_id": "u1"}]},
    "upload with a path": TRANSFER | {"attachments": [{"attachment_id": "../u1"}]},
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_a_body_that_breaks_the_contract_is_refused_in_a_sentence(body: object) -> None:
    with pytest.raises(Unacceptable) as caught:
        channel().authenticate(request(body))
    assert caught.value.status in {400, 422}
    assert caught.value.detail.endswith(".")


async def test_conformance(gateway: RunningGateway) -> None:
    linked = PartnerPeer("partner", gateway.channel("partner").settings, key=KEY)
    picture = {"platform": "12319", "platform_number": "9", "attachments": [{"attachment_id": "u9"}]}
    await check_channel(
        "partner",
        Cases(
            peer=linked,
            readable={
                "transfer": (linked.say("井盖破损", sender="1", message_id="1", at=AT), Expected(text="井盖破损")),
                "picture only": (
                    linked.post(picture, key="9"),
                    Expected(text="", attachments=(AttachmentKind.FILE,)),
                ),
            },
            forged={
                "no key": HttpDelivery("/v1/transfers", json.dumps(TRANSFER).encode(), {"idempotency-key": "f"}),
                "another key": linked.post(TRANSFER, key="f2", authorization="Bearer " + "x" * 43),
                "no idempotency key": linked.post(TRANSFER, key=None),
            },
            odd={label: linked.post(odd, key=f"odd-{n}") for n, (label, odd) in enumerate(ODD.items())},
            strict=True,
            oversized={"200 KiB": linked.post(TRANSFER | {"content": "x" * 200_000}, key="big")},
        ),
        gateway,
    )


async def test_the_core_knows_the_platform_and_its_number_and_a_number_stands_for_one_matter(
    gateway: RunningGateway,
) -> None:
    linked = PartnerPeer("partner", gateway.channel("partner").settings, key=KEY)
    for key, more in {"a": {}, "b": {}, "c": {"platform": "110"}}.items():
        assert (await linked.post(TRANSFER | more, key=key).send(gateway)).status == 202
        await gateway.settle()
    market, police = await gateway.matters()
    assert (market.linked_platform, market.partner_number, market.emergency_line) == ("12315", "2026-7", None)
    assert (police.linked_platform, police.partner_number, police.emergency_line) == ("110", "2026-7", "110")
    told = [event["data"]["partner_number"] for event in gateway.core.events.values()]
    assert told == ["2026-7", "2026-7"]
    books = await gateway.books()
    assert books["outcomes"]["redelivered"] == 1 and books["balanced"]
