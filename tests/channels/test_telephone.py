from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest

from channels.base import Request
from channels.clients import key_hash
from channels.errors import Unacceptable
from channels.simulated import HttpDelivery
from channels.simulated.app import AppPeer
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.simulated.telephone import TelephonePeer, number
from channels.telephone import CALL_BACK, Telephone
from channels.testing import Cases, Expected, check_channel
from gateway.testing import PUBLIC_URL, RunningGateway, Start
from normalizer.model import Assurance, AttachmentKind, ContactType, HotlineMatter, MatterKind, Message
from normalizer.normalize import normalize

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = "t" * 43
CLIENT = {"id": "cti", "key_hash": key_hash(KEY), "scopes": ["registrations:write", "messages:read"]}
CALL = {"source": "telephone", "source_id": "C1", "content": "路灯不亮"}
NUMBER, OTHER = "+8613800138000", "+8653112345678"


def channel() -> Telephone:
    return Telephone("desk", Telephone.Settings.model_validate({"clients": [CLIENT]}))


def request(body: object) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = ((b"authorization", f"Bearer {KEY}".encode()), (b"idempotency-key", b"k"))
    return Request("POST", "/v1/registrations", "", headers, raw, "127.0.0.1", "https://h/v1/registrations", AT)


def read(body: object) -> Message:
    desk, asked = channel(), request(body)
    (message,) = desk.parse(desk.envelope(asked.body, AT, admission=desk.authenticate(asked)))
    return message


@pytest.fixture
async def gateway(start_gateway: Start) -> AsyncIterator[RunningGateway]:
    def with_desk(document: dict) -> None:
        document["channels"]["telephone"] = {"kind": "telephone", "clients": [CLIENT]}

    async with start_gateway(with_desk) as running:
        yield running


def peer(gateway: RunningGateway) -> TelephonePeer:
    return TelephonePeer("telephone", gateway.channel("telephone").settings, key=KEY)


async def registered(gateway: RunningGateway, *deliveries: HttpDelivery) -> list[HotlineMatter]:
    for delivery in deliveries:
        ack = await delivery.send(gateway)
        assert ack.ok, ack
        await gateway.settle()
    return await gateway.matters()


# -- what an operator writes down --------------------------------------------------------------------------------------


def test_everything_the_contract_names_is_read() -> None:
    message = read(
        CALL
        | {
            "operator": "1021",
            "caller": {
                "name": "王某",
                "unit": "某厂",
                "contact_number": NUMBER,
                "number_shown": OTHER,
                "party_type": "organisation",
            },
            "call_time": "2026-03-01T16:00:00+08:00",
            "kind": "complaint",
            "place": {"text": "文化路"},
            "confidential": True,
            "disposition": "answered_on_the_spot",
            "answer": "已告知维修时间",
            "recording": "R-77",
        }
    )
    assert (message.name, message.unit, message.contacts[0].value, message.sent_at, message.text) == (
        "王某",
        "某厂",
        OTHER,
        AT,
        "路灯不亮",
    ), "the five that the regulations name"
    assert (message.sender.value, message.sender.assurance) == (NUMBER, Assurance.ASSERTED)
    assert message.contacts[0].assurance is Assurance.SPOOFABLE
    assert (message.source, message.operator, message.provider_id) == ("telephone", "1021", "telephone:C1")
    assert (message.disposition, message.answer) == ("answered_on_the_spot", "已告知维修时间")
    assert (message.matter_kind, message.confidential, message.party_type) == ("complaint", True, "organisation")
    assert [(one.kind, one.file_name) for one in message.attachments] == [(AttachmentKind.VOICE, "R-77")]
    assert message.place is not None and message.place.text == "文化路"


@pytest.mark.parametrize(
    ("caller", "sender"),
    [
        ({"contact_number": NUMBER, "number_shown": OTHER}, (ContactType.PHONE, NUMBER, Assurance.ASSERTED)),
        ({"contact_number": NUMBER, "number_shown": NUMBER}, (ContactType.PHONE, NUMBER, Assurance.ASSERTED)),
        ({"number_shown": OTHER}, (ContactType.PHONE, OTHER, Assurance.SPOOFABLE)),
        ({}, (ContactType.APP, "telephone:C1", Assurance.ASSERTED)),
    ],
    ids=["both", "the same twice", "shown only", "withheld"],
)
def test_who_called_is_the_number_he_states_else_the_one_shown_else_the_call(caller: dict, sender: tuple) -> None:
    message = read(CALL | {"caller": caller})
    assert (message.sender.type, message.sender.value, message.sender.assurance) == sender
    assert len(message.contacts) == (1 if len(set(caller.values())) == 2 else 0)


@pytest.mark.parametrize("source", ["telephone", "letter", "fax", "visit"])
def test_every_source_is_taken_and_parts_the_numbers_of_one_from_those_of_another(source: str) -> None:
    message = read(CALL | {"source": source})
    assert (message.source, message.provider_id) == (source, f"{source}:C1")


ODD = {
    "not json": b"{",
    "no source": {"source_id": "1", "content": "x"},
    "another source": CALL | {"source": "telegram"},
    "no source_id": {"source": "letter", "content": "x"},
    "source_id is a number": CALL | {"source_id": 5},
    "nothing said": CALL | {"content": "  "},
    "answered without an answer": CALL | {"disposition": "answered_on_the_spot"},
    "an answer and still to handle": CALL | {"answer": "已答复"},
    "missed without a number": {"source": "telephone", "source_id": "1", "missed": True},
    "a missed letter": {"source": "letter", "source_id": "1", "missed": True, "caller": {"contact_number": NUMBER}},
    "missed and answered": CALL
    | {"missed": True, "caller": {"contact_number": NUMBER}, "disposition": "answered_on_the_spot", "answer": "x"},
    "number not E.164": CALL | {"caller": {"contact_number": "0531-12345678"}},
    "unknown field": CALL | {"note": "x"},
    "NUL in content": CALL | {"content": "a\0b"},
    "naive time": CALL | {"call_time": "2026-03-01T08:00:00"},
    "missed as text": CALL | {"missed": "true"},
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_a_body_that_breaks_the_contract_is_refused_in_a_sentence(body: object) -> None:
    with pytest.raises(Unacceptable) as caught:
        channel().authenticate(request(body))
    assert caught.value.status in {400, 422}
    assert caught.value.detail.endswith(".")


# -- through the real entrance -----------------------------------------------------------------------------------------


async def test_conformance(gateway: RunningGateway) -> None:
    desk = peer(gateway)
    missed = {"source": "telephone", "source_id": "M1", "missed": True, "caller": {"number_shown": OTHER}}
    place = {"longitude": 117.02, "latitude": 36.66, "crs": "GCJ-02"}
    await check_channel(
        "telephone",
        Cases(
            peer=desk,
            readable={
                "call": (desk.say("路灯不亮", sender="1", message_id="1", at=AT), Expected(text="路灯不亮")),
                "missed": (desk.post(missed, key="m1"), Expected(text="", title=CALL_BACK)),
                "visit": (
                    desk.post(CALL | {"source": "visit", "source_id": "V1", "place": place}, key="v1"),
                    Expected(position=(117.02, 36.66)),
                ),
            },
            forged={
                "no key": HttpDelivery("/v1/registrations", json.dumps(CALL).encode(), {"idempotency-key": "f"}),
                "another key": desk.post(CALL, key="f2", authorization="Bearer " + "x" * 43),
                "no idempotency key": desk.post(CALL, key=None),
            },
            odd={label: desk.post(odd, key=f"odd-{n}") for n, (label, odd) in enumerate(ODD.items())},
            strict=True,
            oversized={"200 KiB": desk.post(CALL | {"content": "x" * 200_000}, key="big")},
        ),
        gateway,
    )


async def test_a_call_registered_twice_under_other_keys_is_one_and_another_wording_is_kept_and_flagged(
    gateway: RunningGateway,
) -> None:
    desk, answered = peer(gateway), {"disposition": "answered_on_the_spot", "answer": "已告知"}
    matters = await registered(gateway, desk.post(CALL, key="a"), desk.post(CALL, key="b"))
    assert len(matters) == 1
    matters = await registered(
        gateway, desk.post(CALL | {"content": "路灯和井盖"}, key="c"), desk.post(CALL | answered, key="d")
    )
    assert [(matter.content, matter.answer) for matter in matters] == [
        ("路灯不亮", None),
        ("路灯和井盖", None),
        ("路灯不亮", "已告知"),
    ]
    books = await gateway.books()
    assert books["outcomes"]["redelivered"] == 1 and books["balanced"]
    flags = [(await gateway.node.store.message(matter.messages[0].message_id)).flags for matter in matters]
    assert flags == [(), ("id_reused",), ("id_reused",)]


async def test_what_was_answered_and_what_was_missed_reach_the_core(gateway: RunningGateway) -> None:
    desk = peer(gateway)
    answered = {"source_id": "A", "disposition": "answered_on_the_spot", "answer": "社保局周一至周五上班"}
    missed = {"source": "telephone", "source_id": "M", "missed": True, "caller": {"number_shown": OTHER}}
    first, second = await registered(gateway, desk.post(CALL | answered, key="a"), desk.post(missed, key="m"))
    assert (first.disposition, first.answer, first.source) == (
        "answered_on_the_spot",
        "社保局周一至周五上班",
        "telephone",
    )
    assert (second.title, second.kind, second.call_back_owed) == (CALL_BACK, MatterKind.HELP, True)
    assert second.party.contact_phone == OTHER
    told = {event["subject"]: event["data"] for event in gateway.core.events.values()}
    assert told[str(first.matter_id)]["answer"] == first.answer
    assert told[str(second.matter_id)]["call_back_owed"] is True


@pytest.mark.parametrize(
    ("body", "withheld"),
    [
        ({"content": "我要投诉你们话务员，态度恶劣"}, ("1021",)),
        ({"content": "投诉接线员，工号3021，一直打断我"}, ("1021", "3021")),
        ({"content": "昨天的电话处理得不好", "about_hotline_staff": True}, ("1021",)),
        ({"content": "投诉物业，话务员让我找物业"}, ()),
        ({"content": "感谢话务员小王"}, ()),
        ({"content": "投诉快递员工号1001"}, ()),
    ],
    ids=["in words", "with a staff number", "stated", "told by one", "praise", "another's number"],
)
def test_a_complaint_about_the_hotlines_own_people_is_kept_from_them(body: dict, withheld: tuple[str, ...]) -> None:
    fields = normalize(read(CALL | {"operator": "1021"} | body), uuid4())
    assert (fields.about_hotline_staff, fields.withheld_from) == (bool(withheld), withheld)
    rules = [why.rule for why in fields.evidence if why.field == "about_hotline_staff"]
    assert rules == ([("staff.stated" if "about_hotline_staff" in body else "staff.in_text")] if withheld else [])


async def test_the_core_is_told_from_whom_a_complaint_is_kept_and_a_later_one_adds_to_it(
    gateway: RunningGateway,
) -> None:
    desk, sms = peer(gateway), SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=PUBLIC_URL)
    (caller,) = parse_qs(sms.say("x", sender="7", message_id="0", at=AT).body.decode())["From"]
    complaint = {"operator": "1021", "caller": {"number_shown": caller}, "content": "投诉接线员"}
    await registered(gateway, desk.post(CALL | complaint, key="1"))
    (matter,) = await registered(gateway, sms.say("补充：工号3021", sender="7", message_id="1", at=AT))
    assert (matter.about_hotline_staff, matter.withheld_from) == (True, ("1021", "3021"))
    (filed, *_) = [event["data"] for event in gateway.core.events.values()]
    assert (filed["about_hotline_staff"], filed["withheld_from"]) == (True, ["1021"])


async def test_a_complaint_about_who_took_the_call_is_kept_from_him_also_when_it_comes_after_it(
    gateway: RunningGateway,
) -> None:
    desk, sms = peer(gateway), SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=PUBLIC_URL)
    (caller,) = parse_qs(sms.say("x", sender="7", message_id="0", at=AT).body.decode())["From"]
    (plain,) = await registered(
        gateway, desk.post(CALL | {"operator": "1021", "caller": {"number_shown": caller}}, key="1")
    )
    assert (plain.about_hotline_staff, plain.withheld_from) == (False, ())
    (matter,) = await registered(gateway, sms.say("补充：我要投诉接线员，态度恶劣", sender="7", message_id="1", at=AT))
    assert (matter.about_hotline_staff, matter.withheld_from) == (True, ("1021",))


async def test_a_call_and_the_message_after_it_meet_in_one_matter(gateway: RunningGateway) -> None:
    desk, sms = peer(gateway), SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=PUBLIC_URL)
    (number_of_8,) = parse_qs(sms.say("x", sender="8", message_id="0", at=AT).body.decode())["From"]
    caller = {"caller": {"contact_number": number_of_8}}
    await registered(gateway, desk.post(CALL | caller | {"source_id": "C0"}, key="0"))
    await registered(gateway, desk.post(CALL | caller | {"content": "井盖松动"}, key="1"))
    said = [("8", "楼道里有人养鸡"), ("8", "补充：编号是A12"), ("9", "水管爆裂"), ("9", "补充：在北门")]
    numbered = enumerate(said, 1)
    await registered(gateway, *(sms.say(text, sender=who, message_id=str(n), at=AT) for n, (who, text) in numbered))
    matters = await gateway.matters()
    assert [matter.content for matter in matters] == [
        "路灯不亮",
        "井盖松动\n\n补充：编号是A12",
        "楼道里有人养鸡",
        "水管爆裂",
        "补充：在北门",
    ]
    call = matters[1]
    assert [message.channel for message in call.messages] == ["telephone", "sms"]
    assert (call.contacts_30d, call.matters_30d, call.times_this_matter) == (2, 2, 2)
    assert (await gateway.books())["balanced"]


async def test_the_desk_follows_its_own_receipt_and_no_other_client_does(gateway: RunningGateway) -> None:
    desk = peer(gateway)
    ack = await desk.say("电梯停运", sender="5", message_id="5", at=AT).send(gateway)
    await gateway.settle()
    (matter,) = await gateway.matters()
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())

    async def get(path: str, key: str) -> tuple[int, Any]:
        answer = await HttpDelivery(path, b"", {"authorization": f"Bearer {key}"}, "GET").send(gateway)
        return answer.status, json.loads(answer.body)

    receipt = f"/v1/receipts/{json.loads(ack.body)['receipt']}"
    status, shown = await get(receipt, KEY)
    assert (status, shown["state"], shown["matter_id"]) == (200, "filed", str(matter.matter_id))
    assert (await get(receipt, app.key))[0] == 404
    status, shown = await get(f"/v1/matters/{matter.matter_id}", KEY)
    assert (status, shown["content"], shown["party"]["contact_phone"]) == (200, "电梯停运", number("5"))
    assert (await get(f"/v1/matters/{matter.matter_id}", app.key))[0] == 404
