"""Twilio's webhook: who may speak, and what is understood."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.base import Request
from channels.errors import Malformed, Unauthenticated
from channels.simulated.sms_twilio import SmsTwilioPeer, TwilioDelivery, TwilioSigner
from channels.sms_twilio import FORM, JSON, SmsTwilio, SmsTwilioSettings
from channels.testing import Cases, Expected, Gateway, check_channel
from gateway.testing import Start
from normalizer.model import Assurance, AttachmentKind, Contact, ContactType, Kept, Message, Notice, Report
from tests.channels.carriers import Carrier

BASE = "https://hotline.example.gov.cn"
ACCOUNT = "AC" + "0" * 32
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)

# https://www.twilio.com/docs/usage/webhooks/webhooks-security, "Validate a request": token, URL, parameters, signature.
DOC_URL, DOC_QUERY = "https://mycompany.com/myapp.php", "foo=1&bar=2"
DOC_SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
DOC = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def settings(**more: Any) -> SmsTwilioSettings:
    given = {"account_sid": ACCOUNT, "auth_token": "12345", "number": "+18005551212", **more}
    return SmsTwilioSettings.model_validate(given)


def channel(**more: Any) -> SmsTwilio:
    return SmsTwilio("sms", settings(**more))


def peer(**more: Any) -> SmsTwilioPeer:
    return SmsTwilioPeer("sms", settings(**more))


def request(body: bytes, headers: Mapping[str, str], *, url: str = f"{BASE}/channels/sms", query: str = "") -> Request:
    pairs = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    return Request("POST", "/channels/sms", query, pairs, body, "192.0.2.1", url, NOW)


def sent(delivery: TwilioDelivery, base: str = BASE) -> Request:
    """What arrives at us when the delivery is called at ``base``."""
    path, _, query = delivery.target.partition("?")
    return request(delivery.body, delivery.sign(base + delivery.target), url=BASE + path, query=query)


def understood(request: Request) -> Any:
    sms = channel()
    return sms.parse(sms.envelope(request.body, request.received_at, request.query, sms.authenticate(request)))


def message(fields: Mapping[str, str]) -> Message:
    (found,) = understood(sent(peer().form(fields)))
    assert isinstance(found, Message)
    return found


TEXT = peer().message("小区停水😀", sender="900000001", message_id="17")


# -- Who may speak -----------------------------------------------------------------------------------------------------


def doc_request(fields: Mapping[str, str] = DOC, signature: str = DOC_SIGNATURE, url: str = DOC_URL) -> Request:
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
    return request(urlencode(fields).encode(), headers, url=url, query=DOC_QUERY)


def test_twilios_own_example_is_accepted() -> None:
    assert channel().authenticate(doc_request()).context == {"content_type": FORM}


def test_our_peer_signs_twilios_own_example_alike() -> None:
    headers = TwilioSigner("12345").form(tuple(DOC.items()))(f"{DOC_URL}?{DOC_QUERY}")
    assert headers["X-Twilio-Signature"] == DOC_SIGNATURE


def signed_for(base: str) -> str:
    sign = TwilioSigner("12345").form(tuple(DOC.items()))
    return sign(f"{base}/myapp.php?{DOC_QUERY}")["X-Twilio-Signature"]


@pytest.mark.parametrize(
    ("signed", "ours"),
    [
        pytest.param("https://mycompany.com", "https://mycompany.com:443", id="standard port named by us"),
        pytest.param("https://mycompany.com:443", "https://mycompany.com", id="standard port named by Twilio"),
        pytest.param("http://mycompany.com:80", "http://mycompany.com", id="port 80 named by Twilio"),
        pytest.param("https://mycompany.com", "https://mycompany.com:8443", id="port left out by Twilio"),
        pytest.param("https://mycompany.com:8443", "https://mycompany.com:8443", id="port kept by Twilio"),
    ],
)
def test_twilio_may_leave_out_the_port(signed: str, ours: str) -> None:
    assert channel().authenticate(doc_request(signature=signed_for(signed), url=f"{ours}/myapp.php"))


GOOD = doc_request()
FORGED = {
    "parameter added": doc_request({**DOC, "Body": "hi"}),
    "blank parameter added": doc_request({**DOC, "Body": ""}),
    "parameter removed": doc_request({k: v for k, v in DOC.items() if k != "Digits"}),
    "parameter changed": doc_request({**DOC, "Digits": "1235"}),
    "parameter renamed": doc_request({("digits" if k == "Digits" else k): v for k, v in DOC.items()}),
    "no body": replace(GOOD, body=b""),
    "http": doc_request(url="http://mycompany.com/myapp.php"),
    "other port": doc_request(
        signature=signed_for("https://mycompany.com:8444"), url="https://mycompany.com:8443/myapp.php"
    ),
    "port where we have none": doc_request(signature=signed_for("https://mycompany.com:8444")),
    "other host": doc_request(url="https://mycompany.com.example/myapp.php"),
    "other path": doc_request(url="https://mycompany.com/myapp.php/"),
    "query removed": replace(GOOD, query=""),
    "query added": replace(GOOD, query=DOC_QUERY + "&a=b"),
    "query reordered": replace(GOOD, query="bar=2&foo=1"),
    "no signature": replace(GOOD, headers=GOOD.headers[:1]),
    "signature twice": replace(GOOD, headers=(*GOOD.headers, GOOD.headers[1])),
    "signature empty": doc_request(signature=""),
    "signature prefix": doc_request(signature=DOC_SIGNATURE[:-1]),
    "signature suffix": doc_request(signature=DOC_SIGNATURE + "="),
    "signature case": doc_request(signature=DOC_SIGNATURE.swapcase()),
    "signature not ASCII": doc_request(signature="é" + DOC_SIGNATURE[1:]),
    "no content type": replace(GOOD, headers=GOOD.headers[1:]),
    "multipart": replace(GOOD, headers=((b"content-type", b"multipart/form-data"), GOOD.headers[1])),
    "JSON without hash": replace(GOOD, headers=((b"content-type", b"application/json"), GOOD.headers[1])),
    "not UTF-8": replace(GOOD, body=b"Body=\xff"),
    "too many fields": replace(GOOD, body=b"&".join(b"a%d=" % n for n in range(201))),
    "port that is none": doc_request(url="https://mycompany.com:99999/myapp.php"),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_forged_is_refused(forged: Request) -> None:
    with pytest.raises(Unauthenticated):
        channel().authenticate(forged)


@pytest.mark.parametrize(("fields", "accepted"), [(200, True), (201, False)])
def test_fields_are_bounded_whoever_signs(fields: int, accepted: bool) -> None:
    many = sent(peer().form({f"a{n}": "" for n in range(fields)}))
    if accepted:
        assert channel().authenticate(many)
        return
    with pytest.raises(Unauthenticated, match=r"^form$"):
        channel().authenticate(many)


@pytest.mark.parametrize("named", [b"text/plain", b"application/jsonp", b"", "é".encode()])
def test_another_content_type_is_refused_whoever_signs(named: bytes) -> None:
    good = sent(peer().json(TEXT))
    with pytest.raises(Unauthenticated, match=r"^content_type$"):
        channel().authenticate(replace(good, headers=((b"content-type", named), *good.headers[1:])))


def test_trailing_question_mark_is_another_url() -> None:
    delivery = peer().form(TEXT)
    with pytest.raises(Unauthenticated):
        channel().authenticate(sent(replace(delivery, target=delivery.target + "?")))


def test_another_account_is_refused() -> None:
    with pytest.raises(Unauthenticated, match=r"^account$"):
        channel().authenticate(sent(peer().form({**TEXT, "AccountSid": "AC" + "1" * 32})))


def test_account_named_twice_is_refused() -> None:
    pairs = (("AccountSid", ACCOUNT), ("AccountSid", "AC" + "1" * 32))
    delivery = TwilioDelivery("/channels/sms", urlencode(pairs).encode(), TwilioSigner("12345").form(pairs))
    with pytest.raises(Unauthenticated, match=r"^account$"):
        channel().authenticate(sent(delivery))


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda r: replace(r, body=r.body + b" "), id="body changed"),
        pytest.param(lambda r: replace(r, query=""), id="hash removed"),
        pytest.param(lambda r: replace(r, query=f"{r.query}&{r.query}"), id="hash twice"),
        pytest.param(lambda r: replace(r, body=b"x", query=_hash(b"x")), id="body and hash changed"),
        pytest.param(lambda r: replace(r, query=r.query.upper()), id="hash in upper case"),
        pytest.param(lambda r: replace(r, query="bodySHA256=%C3%A9"), id="hash not ASCII"),
        pytest.param(lambda r: replace(r, query="bodySHA256=\ud800"), id="hash no text at all"),
    ],
)
def test_forged_json_is_refused(tamper: Callable[[Request], Request]) -> None:
    good = sent(peer().json(TEXT))
    assert channel().authenticate(good).context == {"content_type": JSON}
    with pytest.raises(Unauthenticated):
        channel().authenticate(tamper(good))


def _hash(body: bytes) -> str:
    return f"bodySHA256={hashlib.sha256(body).hexdigest()}"


def test_json_of_another_account_is_refused() -> None:
    with pytest.raises(Unauthenticated, match=r"^account$"):
        channel().authenticate(sent(peer().json({**TEXT, "AccountSid": "AC" + "1" * 32})))


def test_one_signature_fits_two_bodies_and_is_bound_to_the_first() -> None:
    whole = sent(peer().form({"Body": "hiCallme"}))
    parted = replace(whole, body=urlencode({"Body": "hi", "Call": "me"}).encode())
    first, second = channel().authenticate(whole).binding, channel().authenticate(parted).binding
    assert first is not None and second is not None
    assert first.key == second.key and first.digest != second.digest


SHARED = {"shared_key": "s3cr3t", "shared_key_id": "webhooks_sharedkey_1"}


def shared(secret: str = "s3cr3t", header: str | None = None) -> Request:
    arrived = sent(
        replace(peer().form(TEXT), sign=TwilioSigner(secret, "webhooks_sharedkey_1").form(tuple(TEXT.items())))
    )
    if header is None:
        return arrived
    return replace(arrived, headers=(*arrived.headers[:2], (arrived.headers[2][0], header.encode())))


def test_a_shared_key_signs_with_sha256() -> None:
    assert channel(**SHARED).authenticate(shared())
    assert channel(shared_key="s3cr3t").authenticate(shared()), "without an id, any key id will do"


def test_the_auth_token_still_signs_beside_a_shared_key() -> None:
    assert channel(**SHARED).authenticate(sent(peer().form(TEXT)))


@pytest.mark.parametrize(
    ("configured", "arrived"),
    [
        pytest.param({}, shared(), id="no shared key configured"),
        pytest.param({}, shared("12345"), id="SHA-256 with the auth token, no shared key"),
        pytest.param(SHARED, shared("12345"), id="SHA-256 with the auth token"),
        pytest.param(SHARED, shared("other"), id="another secret"),
        pytest.param(SHARED, shared(header="key=webhooks_sharedkey_2,algorithm=HMAC_SHA256"), id="another key"),
        pytest.param(SHARED, shared(header="algorithm=HMAC_SHA256"), id="no key named"),
        pytest.param(SHARED, shared(header="key=webhooks_sharedkey_1,algorithm=HMAC_MD5"), id="unknown algorithm"),
        pytest.param(SHARED, shared(header="key=webhooks_sharedkey_1,algorithm="), id="algorithm left out"),
        pytest.param(SHARED, shared(header=""), id="header empty"),
        pytest.param(SHARED, shared(header="é"), id="header not ASCII"),
    ],
)
def test_the_header_cannot_choose_the_secret(configured: dict[str, str], arrived: Request) -> None:
    with pytest.raises(Unauthenticated):
        channel(**configured).authenticate(arrived)


@given(
    body=st.binary(max_size=200) | st.just(b"Body=" + b"%ED%A0%80" * 3),
    query=st.text(max_size=40),
    header=st.binary(max_size=60),
    content_type=st.sampled_from([FORM, JSON]),
    url=st.sampled_from([f"{BASE}/channels/sms", "http://[::1]:8080/channels/sms", "x"]),
)
def test_nothing_but_unauthenticated_comes_out(
    body: bytes, query: str, header: bytes, content_type: str, url: str
) -> None:
    names = (b"x-twilio-signature", b"x-twilio-webhooks-signature-settings")
    headers = ((b"content-type", content_type.encode()), *((name, header) for name in names))
    with pytest.raises(Unauthenticated):
        channel(**SHARED).authenticate(replace(request(body, {}, url=url, query=query), headers=headers))


# -- Against npm twilio, which shares no code with ours ----------------------------------------------------------------

ODDITIES = {
    "plain": [["Body", "hello"]],
    "CJK and emoji": [["Body", "路灯不亮😀👨‍👩‍👧"], ["From", "+8613800138000"]],
    "blank": [["Body", ""], ["MediaUrl0", ""]],
    "no parameters": [],
    "repeated": [["Tag", "b"], ["Tag", "a"], ["Tag", "b"], ["Body", "x"]],
    "space, plus, percent": [["Body", " a+b %41 & = \r\n\t"]],
    "control characters": [["Body", "\x00\x1f\x7f"]],
}
SIGN = """
const {getExpectedTwilioSignature: sign} = require('twilio/lib/webhooks/webhooks');
return input.map(([token, url, pairs]) => {
  const params = {};
  for (const [k, v] of pairs) (params[k] = params[k] || []).push(v);
  return sign(token, url, params);
});
"""
VALIDATE = """
const {validateRequest, validateRequestWithBody} = require('twilio');
return input.map(({token, signature, url, params, body}) => params === null
  ? validateRequestWithBody(token, signature, url, body)
  : validateRequest(token, signature, url, params));
"""
Node = Callable[[str, Any], Any]


def test_what_npm_twilio_signs_is_accepted(node: Node) -> None:
    url = f"{BASE}/channels/sms"
    signatures = node(SIGN, [["12345", f"{url}?a=%E4%BD%A0'", pairs] for pairs in ODDITIES.values()])
    for (label, pairs), signature in zip(ODDITIES.items(), signatures, strict=True):
        headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
        good = request(urlencode([(k, v) for k, v in pairs]).encode(), headers, url=url, query="a=%E4%BD%A0'")
        assert channel().authenticate(good), label
        with pytest.raises(Unauthenticated):
            channel().authenticate(replace(good, body=good.body + b"&x=y"))


def test_the_json_that_npm_twilio_signs_is_accepted(node: Node) -> None:
    bodies = ['{"Body":"路灯不亮😀"}', "{}", "", "[1,", '{"Body":"\\ud800"}']
    url = f"{BASE}/channels/sms"
    signatures = node(SIGN, [["12345", f"{url}?{_hash(body.encode())}", []] for body in bodies])
    for body, signature in zip(bodies, signatures, strict=True):
        headers = {"Content-Type": JSON, "X-Twilio-Signature": signature}
        assert channel().authenticate(request(body.encode(), headers, url=url, query=_hash(body.encode()))), body


def test_npm_twilio_accepts_what_our_peer_signs(node: Node) -> None:
    def case(delivery: TwilioDelivery, params: Any, *, spoil: bool = False) -> dict[str, Any]:
        url = BASE + delivery.target
        signature = delivery.sign(url + "x" * spoil)["X-Twilio-Signature"]
        return {"token": "12345", "signature": signature, "url": url, "params": params, "body": delivery.body.decode()}

    form, as_json = peer(path_secret="unguessable").form(TEXT), peer().json(TEXT)
    asked = [case(form, TEXT), case(as_json, None), case(form, TEXT, spoil=True), case(as_json, None, spoil=True)]
    assert node(VALIDATE, asked) == [True, True, False, False]


# -- What is understood ------------------------------------------------------------------------------------------------


def test_a_text_message() -> None:
    found = message(TEXT)
    assert (found.key_space, found.account, found.provider_id) == ("sms_twilio", "+18005551212", "SM" + "0" * 30 + "11")
    assert (found.sender.value, found.sender.assurance) == ("+999000900000001", Assurance.SPOOFABLE)
    assert (found.text, found.sent_at, found.attachments, found.flags) == ("小区停水😀", None, (), ())


def test_json_says_the_same() -> None:
    assert understood(sent(peer().json({**TEXT, "NumMedia": 0, "SomethingNew": {"a": [None]}}))) == (message(TEXT),)


def test_pictures() -> None:
    found = message(
        {
            **TEXT,
            "NumMedia": "5",
            **{f"MediaUrl{n}": f"https://api.twilio.com/media/{n}" for n in range(4)},
            **dict(
                zip(
                    [f"MediaContentType{n}" for n in range(4)],
                    ["image/jpeg", "Audio/AMR", "video/mp4", ""],
                    strict=True,
                )
            ),
        }
    )
    kinds = [a.kind for a in found.attachments]
    assert kinds == [AttachmentKind.IMAGE, AttachmentKind.VOICE, AttachmentKind.VIDEO, AttachmentKind.FILE]
    assert [a.reference for a in found.attachments] == [f"https://api.twilio.com/media/{n}" for n in range(4)]
    assert found.flags == ("media_missing",), "five were announced"


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        pytest.param(
            {"NumMedia": "1", "MediaUrl0": "https://a.example/" + "a" * 4096}, ("media_missing",), id="long URL"
        ),
        pytest.param({"NumMedia": "many"}, ("media_missing",), id="NumMedia no number"),
        pytest.param({"From": "12345"}, ("sender_not_e164",), id="short code"),
        pytest.param({"From": "CITY-INFO"}, ("sender_not_e164",), id="a name as sender"),
        pytest.param({"Latitude": "91", "Longitude": "1"}, ("place_unreadable",), id="beyond the pole"),
        pytest.param({"Latitude": "nan", "Longitude": "1"}, ("place_unreadable",), id="NaN"),
        pytest.param({"Latitude": "1"}, ("place_unreadable",), id="half a position"),
        pytest.param({"Latitude": "", "Longitude": "x", "Label": "广场"}, ("place_unreadable",), id="a label only"),
        pytest.param({"Body": ""}, (), id="no words"),
        pytest.param({"OptOutType": "LATER"}, (), id="an opt-out type unknown to us"),
    ],
)
def test_oddities_never_lose_the_words(fields: dict[str, str], flags: tuple[str, ...]) -> None:
    found = message({**TEXT, **fields})
    assert found.flags == flags
    assert found.text == fields.get("Body", TEXT["Body"])


def test_whatsapp() -> None:
    found = message(
        {
            **TEXT,
            "From": "whatsapp:+8613800138000",
            "To": "whatsapp:+18005551212",
            "ProfileName": "张三",
            "Latitude": "36.651",
            "Longitude": "117.12",
            "Label": "泉城广场",
            "Address": "泺源大街",
        }
    )
    assert (found.sender.value, found.account, found.name) == ("+8613800138000", "whatsapp:+18005551212", "张三")
    assert found.place is not None and found.flags == ()
    assert (found.place.text, found.place.longitude, found.place.latitude) == ("泉城广场 泺源大街", 117.12, 36.651)
    assert found.place.crs == "WGS-84"


HIS = Contact(type=ContactType.PHONE, value="+999000900000001", assurance=Assurance.SPOOFABLE)
OURS = "+18005551212"


def status(word: str, **more: str) -> dict[str, str]:
    """A status callback: we are From, he is To."""
    ids = {"SmsSid": "SM1", "MessageSid": "SM1", "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01"}
    return ids | {"SmsStatus": word, "MessageStatus": word, "From": OURS, "To": HIS.value} | more


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param(
            {**TEXT, "OptOutType": "STOP", "Body": "取消推送"},
            {"reason": "opted_out", "account": OURS, "sender": HIS, "reachable": False},
            id="a word for STOP that only Twilio knows",
        ),
        pytest.param(
            {**TEXT, "OptOutType": "START", "Body": "START"},
            {"reason": "opted_in", "account": OURS, "sender": HIS, "reachable": True},
            id="START",
        ),
        pytest.param({**TEXT, "OptOutType": "HELP", "Body": "HELP"}, {"reason": "help"}, id="HELP"),
        *(
            pytest.param(status(word), {"reason": "status"}, id=word)
            for word in ("accepted", "queued", "sending", "sent", "something new", "")
        ),
        pytest.param(status("delivered", MessageSid=""), {"reason": "status"}, id="delivered, but what"),
    ],
)
def test_notices(fields: dict[str, str], told: dict[str, Any]) -> None:
    assert understood(sent(peer().form(fields))) == Notice(**told)


@pytest.mark.parametrize(
    ("fields", "state", "reason"),
    [
        (status("delivered"), "delivered", None),
        (status("read"), "delivered", None),
        (status("undelivered", ErrorCode="30003"), "failed", "code_30003"),
        (status("failed", ErrorCode="<30003>"), "failed", "failed"),
        (status("canceled"), "failed", "canceled"),
    ],
)
def test_what_became_of_ours(fields: dict[str, str], state: Any, reason: str | None) -> None:
    reports = (Report(provider_id="SM1", state=state, reason=reason),)
    assert understood(sent(peer().form(fields))) == Notice(reason="status", reports=reports)


def test_he_had_said_stop_before_we_wrote() -> None:
    reports = (Report(provider_id="SM1", state="failed", reason="code_21610"),)
    told = Notice(reason="opted_out", account=OURS, sender=HIS, reachable=False, reports=reports)
    assert understood(sent(peer().form(status("failed", ErrorCode="21610")))) == told


@pytest.mark.parametrize("word", ["STOP", "stop", " Stop. ", "退订", "ＴＤ"])
def test_a_stop_that_we_know_is_his_message(word: str) -> None:
    assert message({**TEXT, "OptOutType": "STOP", "Body": word}).text == word


MALFORMED = {
    "nothing": peer().form({}),
    "no sid": peer().form({**TEXT, "MessageSid": ""}),
    "no sender": peer().form({**TEXT, "From": ""}),
    "only a prefix as sender": peer().form({**TEXT, "From": "whatsapp:"}),
    "no recipient": peer().form({k: v for k, v in TEXT.items() if k != "To"}),
    "endless sender": peer().form({**TEXT, "From": "+" + "1" * 400}),
    "JSON array": peer().json([TEXT]),
    "JSON text": peer().json("Body"),
    "JSON body is a list": peer().json({**TEXT, "Body": ["a", "b"]}),
    "JSON body is true": peer().json({**TEXT, "Body": True}),
    "JSON with NaN": peer().json({**TEXT, "Body": float("nan")}),
}


@pytest.mark.parametrize("delivery", MALFORMED.values(), ids=MALFORMED)
def test_authentic_but_unreadable(delivery: TwilioDelivery) -> None:
    with pytest.raises(Malformed):
        understood(sent(delivery))


def test_a_field_named_twice_is_unreadable() -> None:
    pairs = (*TEXT.items(), ("Body", "another"))
    delivery = TwilioDelivery("/channels/sms", urlencode(pairs).encode(), TwilioSigner("12345").form(pairs))
    with pytest.raises(Malformed):
        understood(sent(delivery))


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just([1]) | st.just({})


@given(
    fields=st.dictionaries(
        st.sampled_from([*TEXT, "MediaUrl0", "Latitude", "Longitude", "OptOutType", "MessageStatus"]), VALUES
    ),
    content_type=st.sampled_from([FORM, JSON]),
    raw=st.none() | st.binary(max_size=60),
)
def test_nothing_but_malformed_comes_out(fields: dict[str, Any], content_type: str, raw: bytes | None) -> None:
    sms = channel()
    body = json.dumps({**TEXT, **fields}) if content_type == JSON else urlencode({**TEXT, **fields})
    envelope = replace(sms.envelope(body.encode() if raw is None else raw, NOW), context={"content_type": content_type})
    try:
        first = sms.parse(envelope)
    except Malformed:
        return
    assert sms.parse(envelope) == first


# -- The rest ----------------------------------------------------------------------------------------------------------


def test_acknowledged_with_empty_twiml() -> None:
    answer = channel().acknowledge(Kept(channel().envelope(b"", NOW).id))
    assert (answer.status, answer.media_type) == (200, "text/xml")
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


@pytest.mark.parametrize(
    "lack", [{"auth_token": ""}, {"auth_token": "changeme"}, {"number": "05"}, {"account_sid": ""}]
)
def test_settings_that_are_refused(lack: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**lack)


@dataclass
class Socket:
    """Where the gateway would listen."""

    http_url: str

    def listening(self, channel: str) -> tuple[str, int]:
        raise NotImplementedError


@pytest.mark.parametrize("public_url", [None, BASE], ids=["the socket's own", "configured"])
async def test_the_peer_signs_for_the_public_url(public_url: str | None) -> None:
    arrived: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    speaker = SmsTwilioPeer("sms", settings(path_secret="unguessable"), public_url=public_url)
    delivery = speaker.form(TEXT)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        to = Socket(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert (await delivery.send(to)).ok
    signature = delivery.sign(f"{public_url or to.http_url}/channels/sms/unguessable")["X-Twilio-Signature"]
    head = arrived[0].decode()
    assert head.startswith("POST /channels/sms/unguessable ") and f": {signature}\r\n" in head


def test_the_peer_repeats_itself() -> None:
    first, second = (peer().say("路灯", sender="1", message_id="2", at=NOW) for _ in range(2))
    assert isinstance(first, TwilioDelivery) and isinstance(second, TwilioDelivery)
    assert (first.body, first.sign("u")) == (second.body, second.sign("u"))


def cases(gateway: Gateway, media: str) -> Cases:
    """What the conformance suite needs."""
    sms = SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=gateway.public_url)
    other = replace_token(sms.settings)
    fields = {n: sms.message(f"第{n}号路灯不亮", sender=str(n), message_id=str(n)) for n in range(1, 10)}
    picture = {"NumMedia": "1", "MediaUrl0": media, "MediaContentType0": "image/png"}
    place = {"Latitude": "36.65", "Longitude": "117.12"}
    form = sms.form(fields[4])
    return Cases(
        peer=sms,
        readable={
            "text": (sms.form(fields[1]), Expected(text=fields[1]["Body"])),
            "JSON": (sms.json(fields[2]), Expected(text=fields[2]["Body"])),
            "picture": (sms.form({**fields[3], **picture}), Expected(attachments=(AttachmentKind.IMAGE,))),
            "place": (sms.form({**fields[5], **place}), Expected(position=(117.12, 36.65))),
            "opt-out": (sms.form({**fields[6], "OptOutType": "STOP"}), Expected("notice")),
        },
        forged={
            "another token": SmsTwilioPeer("sms", other, public_url=gateway.public_url).form(fields[4]),
            "another body": replace(form, body=form.body + b"&Body2=x"),
            "another address": replace(form, public_url="https://elsewhere.example"),
            "another account": sms.form({**fields[4], "AccountSid": "AC" + "1" * 32}),
            "JSON, another body": replace(sms.json(fields[4]), body=b"{}"),
        },
        odd={"no sender": sms.form({**fields[7], "From": ""}), "JSON array": sms.json([1])},
        oversized={"body of 128 KiB": sms.form({**fields[8], "Body": "a" * 131072})},
    )


def replace_token(known: SmsTwilioSettings) -> SmsTwilioSettings:
    return known.model_copy(update={"auth_token": settings(auth_token="another token").auth_token})


async def test_conformance(start_gateway: Start) -> None:
    async with Carrier().running() as twilio:
        twilio.files["/media/0"] = 200, b"\x89PNG\r\n\x1a\n", {}
        async with start_gateway(lambda document: document["channels"]["sms"].update(api_base=twilio.url)) as gateway:
            await check_channel("sms_twilio", cases(gateway, f"{twilio.url}/media/0"), gateway)
