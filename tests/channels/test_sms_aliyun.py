"""Aliyun: whose batches are taken, what is understood, and writing back by template."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from channels.base import Request, State
from channels.errors import ChannelError, Malformed, NotSent, Unauthenticated, Uncertain, Undeliverable
from channels.simulated.sms_aliyun import DEST_CODE, SmsAliyunPeer, number
from channels.sms import e164
from channels.sms_aliyun import SmsAliyun, SmsAliyunSettings
from channels.sms_aliyun_signature import Asked, signed
from channels.testing import Cases, Expected, Gateway, check_channel
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, Envelope, Kept, Message, Notice, Parsed, Report
from normalizer.reply import Sent
from store.values import Way
from tests.channels.carriers import CUT, HANG, KEY, KEY_ID, Carrier, outgoing, replies, tell
from tests.channels.scenes import COMMON, Stage, outcomes, play

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
SECRET = "f00d-f00d-f00d-f00d"
REQUIRED = {"path_secret": SECRET, "allowed_networks": ["127.0.0.0/8"]}
SENDING = {"access_key_id": KEY_ID, "access_key_secret": KEY, "sign_name": "某市12345", "template_code": "SMS_1"}
STATE: State = None  # type: ignore[assignment]  # Aliyun needs none


def channel(**more: Any) -> SmsAliyun:
    return SmsAliyun("sms", SmsAliyunSettings.model_validate({**REQUIRED, **more}))


CHANNEL = channel()
PEER = SmsAliyunPeer("sms", CHANNEL.settings)
SAID = PEER.element("小区停水😀", sender="900000001", message_id="17", at=NOW)


def envelope(batch: Any) -> Envelope:
    return CHANNEL.envelope(PEER.push(batch).body, NOW)


def understood(batch: Any) -> Parsed:
    return CHANNEL.parse(envelope(batch))


def message(**changes: Any) -> Message:
    element = {name: value for name, value in {**SAID, **changes}.items() if value is not ...}
    found = understood([element])
    assert isinstance(found, tuple) and len(found) == 1
    return found[0]


# -- Who may speak -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lack", ["path_secret", "allowed_networks"])
@pytest.mark.parametrize("value", [None, ""])
def test_nothing_else_proves_who_calls_so_both_are_required(lack: str, value: Any) -> None:
    given = {name: one for name, one in REQUIRED.items() if name != lack} | (
        {} if value is None else {lack: [] if lack == "allowed_networks" else value}
    )
    with pytest.raises(ValidationError) as wrong:
        SmsAliyunSettings.model_validate(given)
    assert [fault["loc"] for fault in wrong.value.errors()] == [(lack,)]


@pytest.mark.parametrize("lack", SENDING)
def test_what_is_needed_to_write_back_is_needed_whole(lack: str) -> None:
    with pytest.raises(ValidationError, match="all four"):
        channel(**{name: value for name, value in SENDING.items() if name != lack})


async def test_only_from_the_providers_addresses() -> None:
    async def deliver(*_: Any) -> Kept:
        raise AssertionError("kept")

    body = PEER.push([SAID]).body
    request = Request("POST", f"/channels/sms/{SECRET}", "", (), body, "192.0.2.1", "", NOW)
    with pytest.raises(Unauthenticated, match="network"):
        await CHANNEL.receive(request, deliver)
    assert CHANNEL.authenticate(replace(request, peer="127.0.0.1")).apparent_sender == e164(SAID["phone_number"])


def test_the_answer_that_stops_aliyun_from_trying_again() -> None:
    answer = CHANNEL.acknowledge(Kept(envelope([]).id))
    assert (answer.status, json.loads(answer.body)) == (200, {"code": 0, "msg": "OK"})


@pytest.mark.parametrize(
    ("batch", "whose"),
    [
        ([SAID, SAID | {"content": "x"}], "+8610900000001"),
        ([SAID, SAID | {"phone_number": "13800138000"}], ""),
        ([SAID, None], ""),
        ([], ""),
        ({}, ""),
        (b"[", ""),
    ],
)
def test_whose_a_batch_seems_to_be(batch: Any, whose: str) -> None:
    assert CHANNEL.apparent_sender(PEER.push(batch).body) == whose


# -- What is understood ------------------------------------------------------------------------------------------------


def test_all_of_a_message() -> None:
    found = message()
    assert (found.key_space, found.account, found.provider_id) == ("sms_aliyun", DEST_CODE, "17")
    assert (found.sender.value, found.sender.assurance) == ("+8610900000001", Assurance.SPOOFABLE)
    assert (found.text, found.sent_at, found.flags, found.part) == ("小区停水😀", NOW, (), None)


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ("13800138000", "+8613800138000"),
        ("+8613800138000", "+8613800138000"),
        ("008613800138000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("138 0013-8000", "+8613800138000"),
        (13800138000, "+8613800138000"),
        ("0085291234567", "+85291234567"),
    ],
)
def test_one_number_has_one_form(stated: Any, value: str) -> None:
    found = message(phone_number=stated)
    assert (found.sender.value, found.flags) == (value, ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"sequence_id": 1234567890}, {"provider_id": "1234567890"}, id="a number, as in older pages"),
        pytest.param({"sequence_id": ...}, {"provider_id": None}, id="no sequence_id"),
        *(
            pytest.param({"sequence_id": odd}, {"provider_id": None}, id=f"sequence_id {odd!r}")
            for odd in ("", " ", 0, "0", "000", None, [], True)
        ),
        pytest.param({"dest_code": ...}, {"account": "sms"}, id="no dest_code"),
        pytest.param({"dest_code": None}, {"account": "sms"}, id="dest_code null"),
        pytest.param({"sign_name": "某市", "new": {"a": 1}}, {}, id="further fields"),
        pytest.param({"phone_number": "138****8000"}, {"flags": ("sender_not_e164",)}, id="a masked number"),
        pytest.param({"phone_number": "10086"}, {"flags": ("sender_not_e164",)}, id="a short code"),
        pytest.param({"send_time": "20261122160000"}, {"sent_at": NOW}, id="the time as in an older page"),
        pytest.param({"send_time": ...}, {"sent_at": None}, id="no time"),
        *(
            pytest.param({"send_time": odd}, {"sent_at": None, "flags": ("odd_time",)}, id=f"time {odd!r}")
            for odd in ("2026-11-22T08:00:00Z", "1999-01-01 00:00:00", "2026-11-24 16:00:01", "昨天", 1795334400)
        ),
        pytest.param({"content": ""}, {"text": ""}, id="no words"),
        pytest.param({"content": None}, {"text": "", "flags": ("odd_content",)}, id="content null"),
        pytest.param({"content": 0}, {"text": "0", "flags": ("odd_content",)}, id="content a number"),
        pytest.param({"content": ["a"]}, {"text": '["a"]', "flags": ("odd_content",)}, id="content an array"),
    ],
)
def test_oddities_never_lose_the_words(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = message(**changes).model_dump()
    wanted = {"text": SAID["content"], "flags": (), "sent_at": NOW, "provider_id": "17", "account": DEST_CODE}
    assert {name: found[name] for name in wanted} == wanted | (
        {"sent_at": None} if changes.get("send_time") is ... else {}
    ) | expected


HALF = '"content": "路灯\\ud83d"'
ODD_ELEMENTS = {
    "null": (None, "null"),
    "a number": (5, "5"),
    "an array": (["路灯不亮"], '["路灯不亮"]'),
    "empty": ({}, "{}"),
    "no number": ({"content": "路灯不亮", "sequence_id": "4"}, "路灯不亮"),
    "an endless number": ({"phone_number": "1" * 400, "content": "路灯不亮"}, "路灯不亮"),
    "number null": ({"phone_number": None, "content": "路灯不亮"}, "路灯不亮"),
}


@pytest.mark.parametrize(("element", "text"), ODD_ELEMENTS.values(), ids=ODD_ELEMENTS)
def test_one_odd_element_loses_neither_itself_nor_its_neighbours(element: Any, text: str) -> None:
    before, odd, after = understood([SAID, element, SAID | {"sequence_id": "18"}])
    assert (before.provider_id, after.provider_id) == ("17", "18")
    assert (odd.text, odd.flags) == (text, ("sender_unknown",))
    assert odd.sender.value.startswith("unknown-")
    assert understood([SAID, element, SAID | {"sequence_id": "18"}]) == (before, odd, after), (
        "delivered again: the same"
    )


def test_two_odd_elements_are_two_peoples() -> None:
    _, one, two = understood([SAID, {"content": "路灯不亮"}, {"content": "电梯停运"}])
    assert one.sender != two.sender


def test_half_a_character_spoils_one_character() -> None:
    body = PEER.push([SAID, SAID]).body.replace('"content": "小区停水😀"'.encode(), HALF.encode(), 1)
    one, two = understood(body)
    assert (one.text, two.text) == ("路灯\ufffd", SAID["content"])
    assert one.flags == two.flags == ("odd_json",)


def test_a_byte_that_is_no_utf8_spoils_one_character() -> None:
    (found,) = understood(PEER.push([SAID]).body.replace("停".encode(), b"\xcd"))
    assert (found.text, found.flags) == ("小区\ufffd水😀", ("odd_json",))


def test_a_line_break_that_nobody_escaped() -> None:
    (found,) = understood(PEER.push([SAID]).body.replace("停".encode(), b"\n"))
    assert found.text == "小区\n水😀"


MALFORMED: Mapping[str, Any] = {
    "no JSON": b"phone_number=1",
    "cut off": PEER.push([SAID]).body[:-20],
    "nothing": b"",
    "an object": SAID,
    "a text": "路灯",
    "nothing readable": [None, 5, {}, []],
    "too many": [0] * 10_001,
    "deep": b"[" * 100_000,
    "a number without end": b"[" + b"1" * 5000 + b"]",
}


@pytest.mark.parametrize("batch", MALFORMED.values(), ids=MALFORMED)
def test_unreadable_as_a_whole(batch: Any) -> None:
    with pytest.raises(Malformed):
        understood(batch)


def test_nothing_to_report() -> None:
    assert understood([]) == Notice(reason="report")


def test_reports() -> None:
    batch = [
        PEER.report("9001^0", to="1", at=NOW),
        PEER.report("9002^0", "MK:0024", to="2", at=NOW),
        PEER.report("", to="3", at=NOW),
        PEER.report("9003^0", to="4", at=NOW) | {"success": "true"},
        PEER.report("9004^0", "", to="5", at=NOW) | {"biz_id": 9004},
    ]
    assert understood(batch) == Notice(
        reason="report",
        reports=(
            Report(provider_id="9001^0", state="delivered"),
            Report(provider_id="9002^0", state="failed", reason="mk_0024"),
            Report(provider_id="9003^0", state="delivered"),
            Report(provider_id="9004", state="failed", reason="undelivered"),
        ),
    )


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just([1]) | st.just({})
ELEMENTS = VALUES | st.dictionaries(st.sampled_from([*SAID, "success", "biz_id", "err_code"]), VALUES)


@given(batch=st.lists(ELEMENTS, max_size=4) | ELEMENTS, raw=st.none() | st.binary(max_size=60))
def test_nothing_but_malformed_comes_out(batch: Any, raw: bytes | None) -> None:
    body = json.dumps(batch).encode() if raw is None else raw
    kept = CHANNEL.envelope(body, NOW)
    CHANNEL.apparent_sender(body)
    try:
        first = CHANNEL.parse(kept)
    except Malformed:
        return
    assert CHANNEL.parse(kept) == first
    if isinstance(first, tuple) and raw is None:
        assert len(first) == len(batch) - sum(
            isinstance(one, dict) and "content" not in one and ("success" in one or "biz_id" in one) for one in batch
        )


# -- Writing back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "nonce", "signature"),
    [
        (
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
        (
            "2023-10-26T09:01:01Z",
            "d410180a5abf7fe235dd9b74aca91fc0",
            "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
        ),
    ],
)
def test_the_vendors_own_signatures(date: str, nonce: str, signature: str) -> None:
    """help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature and …/roa-style-request-body-signature-mechanism."""
    parameters = {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    asked = Asked(
        key_id="YourAccessKeyId",
        secret=SecretStr("YourAccessKeySecret"),
        base="https://ecs.cn-shanghai.aliyuncs.com",
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        parameters=parameters,
        date=date,
        nonce=nonce,
    )
    assert signed(asked)["authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        f"x-acs-signature-nonce;x-acs-version,Signature={signature}"
    )


@pytest.fixture
async def aliyun() -> AsyncIterator[Carrier]:
    async with Carrier().running() as carrier:
        yield carrier


async def test_by_template(aliyun: Carrier) -> None:
    ours = channel(**SENDING, api_base=aliyun.url)
    text = "办结: a+b %20 ~*'()!/?&=😀\n二"
    assert await ours.send(outgoing(text), STATE) == Sent("9" + "0" * 17 + "^0")
    (taken,) = aliyun.taken
    assert json.loads(taken.pop("TemplateParam")) == {"code": "2603010000000017", "text": text}
    assert taken == {
        "PhoneNumbers": "10900000001",
        "SignName": "某市12345",
        "TemplateCode": "SMS_1",
        "OutId": "00000000-0000-0000-0000-000000000007",
        "Action": "SendSms",
        "Version": "2017-05-25",
    }


async def test_a_template_that_takes_only_the_code(aliyun: Carrier) -> None:
    ours = channel(**SENDING, api_base=aliyun.url, template_parameters=["code"])
    await ours.send(outgoing(to="+85291234567", tracking_code=None), STATE)
    assert (aliyun.taken[0]["TemplateParam"], aliyun.taken[0]["PhoneNumbers"]) == ('{"code":"-"}', "85291234567")


def refusal(code: str, status: int = 200) -> Any:
    return status, {"Code": code, "Message": "…", "RequestId": "r"}


REFUSALS = {
    "too often": (refusal("isv.BUSINESS_LIMIT_CONTROL"), NotSent("isv_business_limit_control", 60)),
    "throttled": (refusal("Throttling.User", 400), NotSent("throttling_user", 60)),
    "429": ((429, b"", {"Retry-After": "7"}), NotSent("throttled", 7)),
    "no money": (refusal("isv.AMOUNT_NOT_ENOUGH"), NotSent("isv_amount_not_enough", 600)),
    "no right": (refusal("isp.RAM_PERMISSION_DENY"), NotSent("isp_ram_permission_deny", 600)),
    "the key was deleted": (refusal("InvalidAccessKeyId.NotFound", 404), NotSent("invalidaccesskeyid_notfound", 600)),
    "no such number": (refusal("isv.MOBILE_NUMBER_ILLEGAL"), Undeliverable("isv_mobile_number_illegal")),
    "a word that may not be said": (
        refusal("isv.BLACK_KEY_CONTROL_LIMIT"),
        Undeliverable("isv_black_key_control_limit"),
    ),
    "another template": (refusal("isv.SMS_TEMPLATE_ILLEGAL"), Undeliverable("isv_sms_template_illegal")),
    "200, and Aliyun failed": (refusal("isp.SYSTEM_ERROR"), Uncertain("isp_system_error")),
    "500": (refusal("InternalError", 500), Uncertain("status_500")),
    "503 and a page": ((503, b"<html>"), Uncertain("status_503")),
    "200 and a page": ((200, b"<html>"), Uncertain("not_json")),
    "200 without a code": ((200, {"RequestId": "r"}), Uncertain("answer")),
    "200 and half the answer": ((200, b'{"Code":"O'), Uncertain("not_json")),
    "the line is cut": (CUT, Uncertain("cut")),
    "hangs": (HANG, Uncertain("timeout")),
}


@pytest.mark.parametrize(("answer", "error"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals(aliyun: Carrier, monkeypatch: pytest.MonkeyPatch, answer: Any, error: ChannelError) -> None:
    monkeypatch.setattr(SmsAliyun, "send_seconds", 0.3)
    aliyun.script = [answer]
    with pytest.raises(type(error)) as raised:
        await channel(**SENDING, api_base=aliyun.url).send(outgoing(), STATE)
    assert vars(raised.value) == vars(error)


async def test_another_key_is_refused(aliyun: Carrier) -> None:
    ours = channel(**SENDING | {"access_key_secret": "another"}, api_base=aliyun.url)
    with pytest.raises(NotSent, match="signaturedoesnotmatch"):
        await ours.send(outgoing(), STATE)


@pytest.mark.parametrize(
    ("more", "to", "reason"),
    [
        ({}, "+8610900000001", "no_template"),
        (SENDING, "unknown-0f", "not_a_number"),
        (SENDING, "10086", "not_a_number"),
    ],
)
async def test_what_cannot_be_sent(aliyun: Carrier, more: Any, to: str, reason: str) -> None:
    with pytest.raises(Undeliverable, match=reason):
        await channel(**more, api_base=aliyun.url).send(outgoing(to=to), STATE)
    assert not aliyun.taken


# -- The whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(start_gateway: Start, aliyun: Carrier) -> AsyncIterator[RunningGateway]:
    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"sms": {"kind": "sms_aliyun", **REQUIRED, **SENDING, "api_base": aliyun.url}}

    async with start_gateway(change) as running:
        yield running


def cases(gateway: Gateway) -> Cases:
    """What the conformance suite needs."""
    peer = SmsAliyunPeer("sms", gateway.channel("sms").settings)
    at = datetime.now(UTC)
    said = {n: peer.element(f"第{n}号路灯不亮", sender=str(n), message_id=str(n), at=at) for n in range(1, 10)}
    return Cases(
        peer=peer,
        readable={
            "text": (peer.push([said[1]]), Expected(text="第1号路灯不亮")),
            "numbers as such": (peer.push([said[2] | {"sequence_id": 2}]), Expected(text="第2号路灯不亮")),
            "no id": (peer.push([said[3] | {"sequence_id": None}]), Expected(text="第3号路灯不亮")),
            "opt-out": (peer.push([said[4] | {"content": "TD"}]), Expected("answered")),
            "report": (peer.push([peer.report("1^0", to="1", at=at)]), Expected("notice")),
        },
        forged={
            "another secret": peer.push([said[5]], path_secret="d00f-d00f-d00f-d00f"),
            "half the secret": peer.push([said[5]], path_secret=SECRET[:9]),
            "no secret": peer.push([said[5]], path_secret=""),
            "by GET": replace(peer.push([said[5]]), method="GET"),
        },
        odd={"an object": peer.push(said[6]), "cut off": peer.push(peer.push([said[6]]).body[:-9])},
        oversized={"more than a megabyte": peer.push([said[7] | {"content": "a" * 1024 * 1024}])},
    )


async def test_conformance(gateway: RunningGateway) -> None:
    await check_channel("sms_aliyun", cases(gateway), gateway)


async def test_as_every_kind_is_treated(gateway: RunningGateway) -> None:
    await play(
        Stage(gateway, SmsAliyunPeer("sms", gateway.channel("sms").settings), keeps_cut=True), COMMON, answered=False
    )


async def test_five_hundred_at_once_are_acknowledged_well_inside_700_ms(gateway: RunningGateway) -> None:
    peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    words = "幸福家园南侧工地夜里十二点还在施工，噪音太大，孩子睡不着，请尽快处理。"
    batch = [peer.element(f"{words}{n}", sender=str(n // 4), message_id=str(n + 1), at=at) for n in range(500)]
    started = time.perf_counter()
    ack = await peer.push(batch).send(gateway)
    taken = time.perf_counter() - started
    assert ack.ok and taken < 0.7, f"{taken:.3f} s"
    (kept,) = await gateway.envelopes()
    assert len(gateway.channel("sms").parse(kept)) == 500


async def test_a_provider_that_misbehaves(gateway: RunningGateway) -> None:
    """Aliyun tries again after 1, 5 and 10 minutes, merges batches, delays and reorders them."""
    peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    one, two, three = (peer.element(f"第{n}件事", sender="1", message_id=str(n), at=at) for n in (1, 2, 3))

    async def push(batch: Any) -> None:
        assert (await peer.push(batch).send(gateway)).ok

    await asyncio.gather(push([one]), push([one]))  # twice at once
    await push([two, one])  # again, in another batch and order
    await push([three | {"send_time": "2026-01-01 00:00:00"}])  # months late
    await push(
        [three | {"send_time": "2026-01-01 00:00:00"}, three | {"send_time": "2026-01-01 00:00:00"}]
    )  # twice in one
    await push(peer.push([one, two]).body[:-40])  # cut off
    await push([one | {"sequence_id": None}, two | {"sequence_id": None}])  # from before they had ids: other messages
    assert await outcomes(gateway) == {"filed": 5, "redelivered": 4, "malformed": 1}
    await push([one | {"sequence_id": None}])
    for _ in range(2):  # an element that is nobody's: a person sees it, once
        await push([one, {"content": "电梯停运", "sequence_id": "9"}])
    assert await outcomes(gateway) == {"filed": 6, "redelivered": 8, "malformed": 1}
    assert "电梯停运" in {matter.content for matter in await gateway.matters()}


async def test_an_update_goes_by_template_and_the_report_tells_what_became_of_it(
    gateway: RunningGateway, aliyun: Carrier
) -> None:
    peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    assert (await peer.say("路灯不亮", sender="1", message_id="1", at=at).send(gateway)).ok
    await gateway.settle()
    (matter,) = await gateway.matters()
    for text in ("已派单", "已修好"):
        await tell(gateway, matter.matter_id, text)
    await gateway.settle()
    assert [one["PhoneNumbers"] for one in aliyun.taken] == [number("1")] * 2
    reports = [peer.report(f"9{n:017d}^0", code, to="1", at=at) for n, code in enumerate(["DELIVERED", "UNDELIV"])]
    assert (await peer.push(reports).send(gateway)).ok
    await gateway.settle()
    assert await replies(gateway) == [("progress", "delivered", None), ("progress", "failed", "undeliv")]


# -- 退订 --------------------------------------------------------------------------------------------------------------


async def test_opting_out(gateway: RunningGateway, aliyun: Carrier) -> None:
    """退订 is answered by silence, holds for every number of ours, and until he writes again."""
    peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    numbers = iter(range(1, 100))

    async def write(text: str, dest_code: str = DEST_CODE) -> dict[str, Any]:
        element = peer.element(text, sender="1", message_id=str(next(numbers)), at=at) | {"dest_code": dest_code}
        await push(element)
        return element

    async def push(element: dict[str, Any]) -> None:
        assert (await peer.push([element]).send(gateway)).ok
        await gateway.settle()

    complaint = await write("退订报纸没人管")
    (matter,) = await gateway.matters()
    assert matter.content == "退订报纸没人管"

    async def told(text: str) -> tuple[str, str | None]:
        await tell(gateway, matter.matter_id, text)
        await gateway.settle()
        return (await replies(gateway))[-1][1:]

    await write("ＴＤ", dest_code="9999")  # he wrote to another of our numbers
    assert await outcomes(gateway) == {"filed": 1, "answered": 1}
    assert await replies(gateway) == [], "nothing is confirmed"
    assert await told("已派单") == ("failed", "opted_out")
    await push(complaint)  # delivered once more: he has said nothing new
    assert await told("已修好") == ("failed", "opted_out")
    assert aliyun.taken == []
    await write("还有路灯不亮")
    assert await told("请评价") == ("sent", None)
    stop = await write("退订")
    await write("T")
    await push(stop)
    assert await told("请您评价") == ("failed", "opted_out")
    assert len(aliyun.taken) == 1


async def test_what_he_says_last_counts_also_within_one_batch(gateway: RunningGateway, aliyun: Carrier) -> None:
    peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    said = [peer.element(text, sender="1", message_id=str(n + 1), at=at) for n, text in enumerate(("TD", "井盖破损"))]
    assert (await peer.push(said).send(gateway)).ok
    await gateway.settle()
    (matter,) = await gateway.matters()
    await tell(gateway, matter.matter_id, "已派单")
    await gateway.settle()
    assert [one[1:] for one in await replies(gateway)] == [("sent", None)]


async def test_who_opted_out_is_told_on_the_next_way(start_gateway: Start, aliyun: Carrier) -> None:
    """TD to one of our numbers counts as well where the reply does not know which number he wrote to."""

    def change(document: dict[str, Any]) -> None:
        tencent = {"secret_id": KEY_ID, "secret_key": KEY, "sdk_app_id": "1", "sign_name": "某市", "template_id": "2"}
        document["channels"] = {
            "sms": {"kind": "sms_aliyun", **REQUIRED, **SENDING, "api_base": aliyun.url},
            "other": {"kind": "sms_tencent", **REQUIRED, **tencent, "api_base": aliyun.url},
        }

    async with start_gateway(change) as gateway:
        peer, at = SmsAliyunPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
        for n, text in enumerate(("路灯不亮", "TD"), start=1):
            assert (await peer.say(text, sender="1", message_id=str(n), at=at).send(gateway)).ok
        await gateway.settle()
        (matter,) = await gateway.matters()
        ways = tuple(Way(channel, "", matter.party.contacts[0], "已修好") for channel in ("sms", "other"))
        await tell(gateway, matter.matter_id, "已修好", ways)
        await gateway.settle()
        assert [one["Action"] for one in aliyun.taken] == ["SendSms"] and "PhoneNumberSet" in aliyun.taken[0]
        assert (await replies(gateway))[-1][1] == "sent"
