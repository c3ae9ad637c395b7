"""Tencent: whose calls are taken, what is understood, and writing back by template."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from channels.base import Request, State
from channels.errors import ChannelError, Malformed, NotSent, Unauthenticated, Uncertain, Undeliverable
from channels.simulated.sms_tencent import SmsTencentPeer
from channels.sms_tencent import SmsTencent, SmsTencentSettings
from channels.sms_tencent_signature import Asked, signed
from channels.testing import Cases, Expected, Gateway, check_channel
from gateway.testing import RunningGateway, Start
from normalizer.model import Assurance, Envelope, Kept, Message, Notice, Parsed, Report
from normalizer.reply import Sent
from tests.channels.carriers import CUT, HANG, KEY, KEY_ID, Carrier, outgoing, replies, tell
from tests.channels.scenes import COMMON, Stage, outcomes, play

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
SECRET = "f00d-f00d-f00d-f00d"
REQUIRED = {"path_secret": SECRET, "allowed_networks": ["127.0.0.0/8"]}
SENDING = {
    "secret_id": KEY_ID,
    "secret_key": KEY,
    "sdk_app_id": "1400006666",
    "sign_name": "某市",
    "template_id": "1110",
}
STATE: State = None  # type: ignore[assignment]  # Tencent needs none


def channel(**more: Any) -> SmsTencent:
    return SmsTencent("sms", SmsTencentSettings.model_validate({**REQUIRED, **more}))


CHANNEL = channel()
PEER = SmsTencentPeer("sms", CHANNEL.settings)
SAID = PEER.reply("小区停水😀", sender="900000001", at=NOW)


def envelope(value: Any) -> Envelope:
    return CHANNEL.envelope(PEER.push(value).body, NOW)


def understood(value: Any) -> Parsed:
    return CHANNEL.parse(envelope(value))


def message(**changes: Any) -> Message:
    found = understood({name: value for name, value in {**SAID, **changes}.items() if value is not ...})
    assert isinstance(found, tuple) and len(found) == 1
    return found[0]


# -- Who may speak -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lack", REQUIRED)
def test_nothing_else_proves_who_calls_so_both_are_required(lack: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        SmsTencentSettings.model_validate({name: one for name, one in REQUIRED.items() if name != lack})
    assert [fault["loc"] for fault in wrong.value.errors()] == [(lack,)]


@pytest.mark.parametrize("lack", SENDING)
def test_what_is_needed_to_write_back_is_needed_whole(lack: str) -> None:
    with pytest.raises(ValidationError, match="all five"):
        channel(**{name: value for name, value in SENDING.items() if name != lack})


async def test_only_from_the_providers_addresses() -> None:
    async def deliver(*_: Any) -> Kept:
        raise AssertionError("kept")

    request = Request("POST", f"/channels/sms/{SECRET}", "", (), PEER.push(SAID).body, "192.0.2.1", "", NOW)
    with pytest.raises(Unauthenticated, match="network"):
        await CHANNEL.receive(request, deliver)
    assert CHANNEL.authenticate(replace(request, peer="127.0.0.1")).apparent_sender == "+8610900000001"


def test_the_answer_that_stops_tencent_from_trying_again() -> None:
    answer = CHANNEL.acknowledge(Kept(envelope({}).id))
    assert (answer.status, json.loads(answer.body)) == (200, {"result": 0, "errmsg": "OK"})


# -- What is understood ------------------------------------------------------------------------------------------------


def test_all_of_a_message() -> None:
    found = message()
    assert (found.key_space, found.account, found.provider_id) == ("sms_tencent", "某市12345", None)
    assert (found.sender.value, found.sender.assurance) == ("+8610900000001", Assurance.SPOOFABLE)
    assert (found.text, found.sent_at, found.flags) == ("小区停水😀", NOW, ())


@pytest.mark.parametrize(
    ("country", "stated", "value"),
    [
        ("86", "13800138000", "+8613800138000"),
        ("+86", "13800138000", "+8613800138000"),
        ("0086", "13800138000", "+8613800138000"),
        (86, 13800138000, "+8613800138000"),
        ("", "13800138000", "+8613800138000"),
        ("86", "8613800138000", "+8613800138000"),
        ("86", "+8613800138000", "+8613800138000"),
        ("852", "91234567", "+85291234567"),
        ("1", "4155550123", "+14155550123"),
        ("7", "7012345678", "+77012345678"),
        ("44", "13800138000", "+4413800138000"),
    ],
)
def test_numbers(country: Any, stated: Any, value: str) -> None:
    found = message(nationcode=country, mobile=stated)
    assert (found.sender.value, found.flags) == (value, ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"time": ...}, {"sent_at": None, "flags": ("odd_time",)}, id="no time"),
        pytest.param({"time": str(SAID["time"])}, {}, id="time in quotes"),
        *(
            pytest.param({"time": odd}, {"sent_at": None, "flags": ("odd_time",)}, id=f"time {odd!r}")
            for odd in (None, 0, -1, 1.5, 10**20, "昨天", True, [], SAID["time"] + 90_000, SAID["time"] * 1000)
        ),
        pytest.param({"extend": "7"}, {"account": "7"}, id="our extension"),
        pytest.param({"extend": ..., "sign": ...}, {"account": "sms"}, id="neither extension nor signature"),
        pytest.param({"mobile": "138****8000"}, {"flags": ("sender_not_e164",)}, id="a masked number"),
        pytest.param({"text": ""}, {"text": ""}, id="no words"),
        pytest.param({"new": {"a": [1]}}, {}, id="further fields"),
    ],
)
def test_oddities_never_lose_the_words(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = message(**changes).model_dump()
    wanted = {"text": SAID["text"], "flags": (), "sent_at": NOW, "account": "某市12345"} | expected
    assert {name: found[name] for name in wanted} == wanted


def test_half_a_character_spoils_one_character() -> None:
    (found,) = understood(PEER.push(SAID).body.replace("😀".encode(), b"\\ud83d"))
    assert (found.text, found.flags) == ("小区停水\ufffd", ("odd_json",))


MALFORMED = {
    "no JSON": b"mobile=1",
    "cut off": PEER.push(SAID).body[:-20],
    "nothing": b"",
    "a text": "路灯",
    "no words": {"mobile": "13800138000"},
    "words of another shape": {**SAID, "text": ["路灯"]},
    "no number": {**SAID, "mobile": ""},
    "an endless number": {**SAID, "mobile": "1" * 400},
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
def test_unreadable(value: Any) -> None:
    with pytest.raises(Malformed):
        understood(value)


def test_reports() -> None:
    batch = [
        PEER.report("2019:1", to="1", at=NOW),
        PEER.report("2019:2", "MK:0024", to="2", at=NOW),
        PEER.report("", to="3", at=NOW),
        None,
    ]
    assert understood(batch) == Notice(
        reason="report",
        reports=(
            Report(provider_id="2019:1", state="delivered"),
            Report(provider_id="2019:2", state="failed", reason="mk_0024"),
        ),
    )


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just([1]) | st.just({})


@given(fields=st.dictionaries(st.sampled_from([*SAID]), VALUES) | VALUES, raw=st.none() | st.binary(max_size=60))
def test_nothing_but_malformed_comes_out(fields: Any, raw: bytes | None) -> None:
    value = {**SAID, **fields} if isinstance(fields, dict) else [fields]
    kept = CHANNEL.envelope(json.dumps(value).encode() if raw is None else raw, NOW)
    CHANNEL.apparent_sender(kept.body)
    try:
        first = CHANNEL.parse(kept)
    except Malformed:
        return
    assert CHANNEL.parse(kept) == first


# -- Writing back ------------------------------------------------------------------------------------------------------


def test_the_vendors_own_signature() -> None:
    """www.tencentcloud.com/document/product/1154/48911, which shows its own keys with stars in them."""
    asked = Asked(
        key_id="AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******",
        secret=SecretStr("Gu5t9xGARNpq86cd98joQYCN3*******"),
        base="https://cvm.tencentcloudapi.com",
        host="cvm.tencentcloudapi.com",
        service="cvm",
        action="DescribeInstances",
        version="2017-03-12",
        region="ap-guangzhou",
        timestamp=1551113065,
    )
    payload = b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
    assert signed(asked, payload)["authorization"] == (
        "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******/2019-02-25/cvm/tc3_request, "
        "SignedHeaders=content-type;host;x-tc-action, "
        "Signature=be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"
    )


@pytest.fixture
async def tencent() -> AsyncIterator[Carrier]:
    async with Carrier().running() as carrier:
        yield carrier


async def test_by_template(tencent: Carrier) -> None:
    ours = channel(**SENDING, api_base=tencent.url, template_parameters=["text", "code"])
    assert await ours.send(outgoing('已办结"😀\n'), STATE) == Sent("2019:0")
    assert tencent.taken == [
        {
            "PhoneNumberSet": ["+8610900000001"],
            "SmsSdkAppId": "1400006666",
            "SignName": "某市",
            "TemplateId": "1110",
            "TemplateParamSet": ['已办结"😀\n', "2603010000000017"],
            "SessionContext": "00000000-0000-0000-0000-000000000007",
            "Action": "SendSms",
        }
    ]


def of_one(code: str) -> Any:
    return 200, {"Response": {"SendStatusSet": [{"SerialNo": "", "Code": code, "Message": "…"}], "RequestId": "r"}}


def of_the_call(code: str, status: int = 200) -> Any:
    return status, {"Response": {"Error": {"Code": code, "Message": "…"}, "RequestId": "r"}}


REFUSALS = {
    "too often to him": (
        of_one("LimitExceeded.PhoneNumberThirtySecondLimit"),
        NotSent("limitexceeded_phonenumberthirtysecondlimit", 60),
    ),
    "too often at all": (of_the_call("RequestLimitExceeded"), NotSent("requestlimitexceeded", 60)),
    "429": ((429, b"", {"Retry-After": "7"}), NotSent("throttled", 7)),
    "no money": (
        of_one("FailedOperation.InsufficientBalanceInSmsPackage"),
        NotSent("failedoperation_insufficientbalanceinsmspackage", 600),
    ),
    "the key was deleted": (of_the_call("AuthFailure.SecretIdNotFound"), NotSent("authfailure_secretidnotfound", 600)),
    "he has opted out": (
        of_one("FailedOperation.PhoneNumberInBlacklist"),
        Undeliverable("failedoperation_phonenumberinblacklist", unreachable=True),
    ),
    "no such number": (
        of_one("InvalidParameterValue.IncorrectPhoneNumber"),
        Undeliverable("invalidparametervalue_incorrectphonenumber"),
    ),
    "a word that may not be said": (
        of_one("FailedOperation.ContainSensitiveWord"),
        Undeliverable("failedoperation_containsensitiveword"),
    ),
    "200, and Tencent failed": (of_the_call("InternalError"), Uncertain("internalerror")),
    "of one, too slow": (of_one("InternalError.Timeout"), Uncertain("internalerror_timeout")),
    "500": (of_the_call("InternalError", 500), Uncertain("status_500")),
    "502 and a page": ((502, b"<html>"), Uncertain("status_502")),
    "200 and a page": ((200, b"<html>"), Uncertain("not_json")),
    "200 and nothing said": ((200, {"Response": {"RequestId": "r"}}), Uncertain("answer")),
    "200 and nobody's status": ((200, {"Response": {"SendStatusSet": []}}), Uncertain("answer")),
    "200 and a status of another shape": ((200, {"Response": {"SendStatusSet": [{"Code": 0}]}}), Uncertain("answer")),
    "200 and a list": ((200, []), Uncertain("not_json")),
    "the line is cut": (CUT, Uncertain("cut")),
    "hangs": (HANG, Uncertain("timeout")),
}


@pytest.mark.parametrize(("answer", "error"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals(tencent: Carrier, monkeypatch: pytest.MonkeyPatch, answer: Any, error: ChannelError) -> None:
    monkeypatch.setattr(SmsTencent, "send_seconds", 0.3)
    tencent.script = [answer]
    with pytest.raises(type(error)) as raised:
        await channel(**SENDING, api_base=tencent.url).send(outgoing(), STATE)
    assert vars(raised.value) == vars(error)


async def test_another_key_is_refused(tencent: Carrier) -> None:
    ours = channel(**SENDING | {"secret_key": "another"}, api_base=tencent.url)
    with pytest.raises(NotSent, match="authfailure"):
        await ours.send(outgoing(), STATE)


@pytest.mark.parametrize(("more", "to", "why"), [({}, "+8610900000001", "no_template"), (SENDING, "1", "not_a_number")])
async def test_what_cannot_be_sent(tencent: Carrier, more: Any, to: str, why: str) -> None:
    with pytest.raises(Undeliverable, match=why):
        await channel(**more, api_base=tencent.url).send(outgoing(to=to), STATE)
    assert not tencent.taken


# -- The whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(start_gateway: Start, tencent: Carrier) -> AsyncIterator[RunningGateway]:
    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"sms": {"kind": "sms_tencent", **REQUIRED, **SENDING, "api_base": tencent.url}}

    async with start_gateway(change) as running:
        yield running


def cases(gateway: Gateway) -> Cases:
    """What the conformance suite needs."""
    peer = SmsTencentPeer("sms", gateway.channel("sms").settings)
    at = datetime.now(UTC)
    said = {n: peer.reply(f"第{n}号路灯不亮", sender=str(n), at=at) for n in range(1, 10)}
    return Cases(
        peer=peer,
        readable={
            "text": (peer.push(said[1]), Expected(text="第1号路灯不亮")),
            "no time": (peer.push(said[2] | {"time": None}), Expected(text="第2号路灯不亮")),
            "opt-out": (peer.push(said[3] | {"text": "TD"}), Expected("answered")),
            "report": (peer.push([peer.report("1", to="1", at=at)]), Expected("notice")),
        },
        forged={
            "another secret": peer.push(said[5], path_secret="d00f-d00f-d00f-d00f"),
            "no secret": peer.push(said[5], path_secret=""),
            "by GET": replace(peer.push(said[5]), method="GET"),
        },
        odd={"no words": peer.push({"mobile": "1"}), "cut off": peer.push(peer.push(said[6]).body[:-9])},
        oversized={"more than a megabyte": peer.push(said[7] | {"text": "a" * 1024 * 1024})},
    )


async def test_conformance(gateway: RunningGateway) -> None:
    await check_channel("sms_tencent", cases(gateway), gateway)


async def test_as_every_kind_is_treated(gateway: RunningGateway) -> None:
    await play(
        Stage(gateway, SmsTencentPeer("sms", gateway.channel("sms").settings), keeps_cut=True), COMMON, answered=False
    )


async def test_a_provider_that_misbehaves(gateway: RunningGateway) -> None:
    peer, at = SmsTencentPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    one, two = (peer.reply(f"第{n}件事", sender="1", at=at) for n in (1, 2))

    async def push(value: Any) -> None:
        assert (await peer.push(value).send(gateway)).ok

    await asyncio.gather(push(one), push(one))  # twice at once
    await push(two)  # in the same second: another message
    await push(one)  # once more, after it
    await push(peer.reply("第1件事", sender="1", at=at + timedelta(seconds=1)))  # the same words, a second later
    await push(peer.reply("昨天的事", sender="1", at=at - timedelta(hours=24)))  # a day late
    await push(peer.push(one).body[:-9])  # cut off
    assert await outcomes(gateway) == {"filed": 4, "redelivered": 2, "malformed": 1}


async def test_pieces_of_a_long_message_become_one_matter_by_the_settle_window(start_gateway: Start) -> None:
    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"sms": {"kind": "sms_tencent", **REQUIRED}}
        document["dedupe"] = {"settle_seconds": 60}

    async with start_gateway(change) as gateway:
        peer, at = SmsTencentPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
        for words in ("幸福家园南侧工地夜里十二点还在施", "工，噪音太大，孩子睡不着。"):
            assert (await peer.push(peer.reply(words, sender="1", at=at)).send(gateway)).ok
        assert (await peer.push(peer.reply("路灯不亮", sender="2", at=at)).send(gateway)).ok
        while (await gateway.node.store.pending()) > 0:
            await asyncio.sleep(0.01)
        found = {matter.content for matter in await gateway.matters()}
        assert found == {"幸福家园南侧工地夜里十二点还在施\n\n工，噪音太大，孩子睡不着。", "路灯不亮"}


async def test_a_report_and_a_blacklist(gateway: RunningGateway, tencent: Carrier) -> None:
    peer, at = SmsTencentPeer("sms", gateway.channel("sms").settings), datetime.now(UTC)
    assert (await peer.push(peer.reply("路灯不亮", sender="1", at=at)).send(gateway)).ok
    await gateway.settle()
    (matter,) = await gateway.matters()
    await tell(gateway, matter.matter_id, "已派单")
    await gateway.settle()
    assert (await peer.push([peer.report("2019:0", to="1", at=at)]).send(gateway)).ok
    tencent.script = [of_one("FailedOperation.PhoneNumberInBlacklist")]
    for text in ("已修好", "请评价"):
        await tell(gateway, matter.matter_id, text)
    await gateway.settle()
    refused = ("failed", "failedoperation_phonenumberinblacklist")
    assert [one[1:] for one in await replies(gateway)] == [("delivered", None), refused, refused]
    assert len(tencent.taken) == 1, "the third was not asked for"
