"""Writing back by Twilio, and fetching what came with an MMS: against a server that checks the key and misbehaves."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.base import State
from channels.errors import ChannelError, Missing, NotSent, Unavailable, Uncertain, Undeliverable
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.sms_twilio import SmsTwilio, SmsTwilioSettings
from channels.sms_twilio_api import LONGEST, pieces
from gateway.testing import RunningGateway, Start
from normalizer.model import AttachmentKind
from normalizer.reply import Sent
from tests.channels.carriers import ACCOUNT, CUT, HANG, TOKEN, Carrier, outgoing, replies, tell

STATE: State = None  # type: ignore[assignment]  # Twilio needs none
OURS = "+15005550006"
ERROR = {"code": 21211, "message": "…", "more_info": "…", "status": 400}


def channel(base: str, **more: Any) -> SmsTwilio:
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "number": OURS, "api_base": base, **more}
    return SmsTwilio("sms", SmsTwilioSettings.model_validate(given))


@pytest.fixture
async def twilio() -> AsyncIterator[Carrier]:
    async with Carrier().running() as carrier:
        yield carrier


# -- Sending -----------------------------------------------------------------------------------------------------------


async def test_one_message(twilio: Carrier) -> None:
    callback = "https://hotline.example/channels/sms"
    sent = await channel(twilio.url, status_callback=callback).send(outgoing("已办结😀"), STATE)
    assert sent == Sent("SM" + "0" * 32)
    assert twilio.taken == [{"To": "+8610900000001", "From": OURS, "Body": "已办结😀", "StatusCallback": callback}]


@pytest.mark.parametrize(
    ("account", "to", "sender"),
    [
        ("whatsapp:+15005550006", "whatsapp:+8610900000001", "whatsapp:+15005550006"),
        ("+18005551212", "+8610900000001", "+18005551212"),
        ("", "+8610900000001", OURS),
    ],
)
async def test_he_is_answered_by_the_number_he_wrote_to(twilio: Carrier, account: str, to: str, sender: str) -> None:
    await channel(twilio.url).send(outgoing(account=account), STATE)
    assert [(one["To"], one["From"]) for one in twilio.taken] == [(to, sender)]


REFUSALS = {
    "throttled": ((429, {"code": 20429}, {"Retry-After": "7"}), NotSent("throttled", 7)),
    "throttled, no word how long": ((429, b""), NotSent("throttled")),
    "the token was changed": ((401, {"code": 20003}), NotSent("credentials", 600)),
    "the account is suspended": ((403, {"code": 20005}), NotSent("credentials", 600)),
    "he said STOP": ((400, {**ERROR, "code": 21610}), Undeliverable("code_21610", unreachable=True)),
    "no such number": ((400, ERROR), Undeliverable("code_21211")),
    "a landline": ((400, {**ERROR, "code": 21614}), Undeliverable("code_21614")),
    "no permission for the country": ((400, {**ERROR, "code": 21408}), Undeliverable("code_21408")),
    "an error without a code": ((400, {"message": "…"}), Undeliverable("status_400")),
    "a code that is none": ((400, {"code": "<b>1</b>"}), Undeliverable("status_400")),
    "a page": ((404, b"<html>"), Undeliverable("status_404")),
    "Twilio failed": ((500, {"code": 20500}), Uncertain("status_500")),
    "Twilio is away": ((503, {"code": 20503}), Uncertain("status_503")),
    "a gateway in between failed": ((502, b"<html>"), Uncertain("status_502")),
    "too slow": ((408, b""), Uncertain("status_408")),
    "led elsewhere": ((307, b"", {"Location": "http://127.0.0.1:1/"}), Uncertain("status_307")),
    "201 without a sid": ((201, {"status": "queued"}), Uncertain("answer")),
    "201 with a page": ((201, b"<html>"), Uncertain("not_json")),
    "200 with an error inside": ((200, {**ERROR, "status": 400}), Uncertain("answer")),
    "the line is cut": (CUT, Uncertain("cut")),
    "hangs": (HANG, Uncertain("timeout")),
}


@pytest.mark.parametrize(("answer", "error"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals(twilio: Carrier, monkeypatch: pytest.MonkeyPatch, answer: Any, error: ChannelError) -> None:
    monkeypatch.setattr(SmsTwilio, "send_seconds", 0.3)
    twilio.script = [answer]
    with pytest.raises(type(error)) as raised:
        await channel(twilio.url).send(outgoing(), STATE)
    assert vars(raised.value) == vars(error)


async def test_nobody_there() -> None:
    with pytest.raises(NotSent, match="connect"):
        await channel("http://127.0.0.1:1").send(outgoing(), STATE)


@pytest.mark.parametrize("to", ["12345", "CITY-INFO", "unknown-0f", "+0", "+8610900000001\n"])
async def test_what_is_no_number_is_not_written_to(twilio: Carrier, to: str) -> None:
    with pytest.raises(Undeliverable, match="not_a_number"):
        await channel(twilio.url).send(outgoing(to=to), STATE)
    assert not twilio.taken


LONG = "".join(f"第{n}条，已经处理完毕。" for n in range(300))


@pytest.mark.parametrize("text", ["", "短", "a" * 1600, "a" * 1601, LONG, "word " * 900, "行\n" * 900, "😀" * 2000])
def test_pieces_hold_all_the_words(text: str) -> None:
    found = pieces(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(0 < len(piece) <= LONGEST for piece in found)


def test_a_piece_ends_where_a_sentence_does() -> None:
    assert [piece[-1] for piece in pieces(LONG)] == ["。"] * 3


async def test_a_long_answer_goes_in_pieces_and_the_last_ones_word_counts(twilio: Carrier) -> None:
    assert await channel(twilio.url).send(outgoing(LONG), STATE) == Sent(f"SM{2:032x}")
    assert "".join(one["Body"] for one in twilio.taken) == LONG


@pytest.mark.parametrize("second", [(429, b""), (400, ERROR)])
async def test_once_a_piece_is_out_nothing_is_sent_again(twilio: Carrier, second: Any) -> None:
    twilio.script = [(201, {"sid": "SM" + "0" * 32, "status": "queued", "error_code": None}), second]
    with pytest.raises(Uncertain, match="partly_"):
        await channel(twilio.url).send(outgoing(LONG), STATE)
    assert len(twilio.taken) == 1


# -- Files -------------------------------------------------------------------------------------------------------------


async def test_a_picture_is_fetched_with_our_key_and_the_store_does_not_get_it(twilio: Carrier) -> None:
    async with Carrier().running() as store:
        twilio.files["/media/0"] = 307, b"", {"Location": f"{store.url}/signed"}
        twilio.files["/media/1"] = 200, b"GIF89a", {"Content-Type": "image/gif"}
        with pytest.raises(Missing, match="host"):  # only Twilio's own stores, and by https
            await channel(twilio.url).download(f"{twilio.url}/media/0", STATE)
        file = await channel(twilio.url).download(f"{twilio.url}/media/1", STATE)
        assert (file.content, file.media_type) == (b"GIF89a", "image/gif")
        key = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        assert twilio.fetched == [("/media/0", key), ("/media/1", key)]
        assert not store.fetched


@pytest.mark.parametrize(
    "reference",
    [
        "http://api.twilio.com/media/0",
        "https://api.twilio.com.example/media/0",
        "https://twilio.com/media/0",
        "https://mms.twiliocdn.com/0",
        "https://s3-external-1.amazonaws.com/0",
        "https://api.twilio.com:8443/media/0",
        "https://user@api.twilio.com/media/0",
        "https://169.254.169.254/latest",
        "ftp://api.twilio.com/0",
        "",
    ],
)
async def test_our_key_goes_to_twilio_only(reference: str) -> None:
    with pytest.raises(Missing, match="host"):
        await channel("https://api.twilio.com").download(reference, STATE)


@pytest.mark.parametrize(
    ("answer", "error"), [((404, b"", {}), Missing), ((401, b"", {}), Unavailable), ((500, b"", {}), Unavailable)]
)
async def test_files_that_do_not_come(twilio: Carrier, answer: Any, error: type[ChannelError]) -> None:
    twilio.files["/media/0"] = answer
    with pytest.raises(error):
        await channel(twilio.url).download(f"{twilio.url}/media/0", STATE)


# -- The whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(start_gateway: Start, twilio: Carrier) -> AsyncIterator[RunningGateway]:
    def change(document: dict[str, Any]) -> None:
        document["channels"] = {"sms": document["channels"]["sms"] | {"api_base": twilio.url, "account_sid": ACCOUNT}}
        document["channels"]["sms"]["auth_token"] = TOKEN
        document["replies"] = {"acknowledge": True}

    async with start_gateway(change) as running:
        yield running


def twilios(gateway: RunningGateway) -> SmsTwilioPeer:
    return SmsTwilioPeer("sms", gateway.channel("sms").settings, public_url=gateway.public_url)


async def test_a_picture_message_is_answered_and_twilio_tells_that_it_arrived(
    gateway: RunningGateway, twilio: Carrier
) -> None:
    twilio.files["/media/0"] = 200, b"\x89PNG\r\n\x1a\n" + bytes(100), {"Content-Type": "image/png"}
    peer = twilios(gateway)
    fields = peer.message("路灯不亮", sender="1", message_id="1")
    picture = {"NumMedia": "1", "MediaUrl0": f"{twilio.url}/media/0", "MediaContentType0": "image/jpeg"}
    assert (await peer.form(fields | picture).send(gateway)).ok
    await gateway.settle()
    (matter,) = await gateway.matters()
    (attachment,) = matter.attachments
    assert (attachment.kind, attachment.availability) == (AttachmentKind.IMAGE, "held")
    assert attachment.media_type == "image/png", "the content decides"
    (reply,) = twilio.taken
    assert (reply["To"], reply["From"]) == (fields["From"], fields["To"]) and matter.tracking_code in reply["Body"]
    assert await replies(gateway) == [("acknowledgement", "sent", None)]

    told = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered", "AccountSid": ACCOUNT}
    assert (await peer.form(told | {"From": reply["From"], "To": reply["To"]}).send(gateway)).ok
    await gateway.settle()
    assert await replies(gateway) == [("acknowledgement", "delivered", None)]


async def test_stop_and_start(gateway: RunningGateway, twilio: Carrier) -> None:
    """Twilio's own words shut and open the door; what it refuses by 21610 shuts it too."""
    peer = twilios(gateway)

    async def write(body: str, number: int, **more: str) -> None:
        fields = peer.message(body, sender="1", message_id=str(number))
        assert (await peer.form(fields | more).send(gateway)).ok
        await gateway.settle()

    await write("路灯不亮", 1)
    (matter,) = await gateway.matters()
    await write("别再发了", 2, OptOutType="STOP")
    assert await tell(gateway, matter.matter_id, "已派单") == "queued"
    await gateway.settle()
    await write("START", 3, OptOutType="START")
    await tell(gateway, matter.matter_id, "已修好")
    await gateway.settle()
    twilio.script = [(400, {**ERROR, "code": 21610})]
    await tell(gateway, matter.matter_id, "请评价")
    await tell(gateway, matter.matter_id, "再次请评价")
    await gateway.settle()
    assert [state[1:] for state in await replies(gateway)] == [
        ("sent", None),
        ("failed", "opted_out"),
        ("sent", None),
        ("failed", "code_21610"),
        ("failed", "code_21610"),
    ]
    assert len(twilio.taken) == 2, "the fourth was refused, the fifth never asked for"
