"""The whole gateway and a citizen who stays unnamed: whichever way she comes, nothing that goes out leads to her."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from rich.console import Console
from typer.testing import CliRunner

from channels.simulated import Delivery, MailDelivery
from gateway.cli_identity import identity
from gateway.commands import identity_open, links
from gateway.commands.callers import show_caller
from gateway.commands.handoff import list_parked
from gateway.config import Config
from gateway.demo.citizens import peers
from gateway.logs import set_up_logging
from gateway.testing import PUBLIC_URL, RunningGateway, Start
from normalizer.model import HotlineMatter
from store.errors import IdentitySealed
from tests.masking import ADDRESS, MAIL, NAME, PHONE, SECRETS, UNIT, WORDS, seen
from tests.test_door import only

AT = datetime.now(UTC)
NUMBER = f"+86{PHONE}"
PLACE = {"text": f"东湖区{ADDRESS}", "longitude": 117.0213377, "latitude": 36.6613377, "crs": "GCJ-02"}


@pytest.fixture
def logs_as_served() -> Iterator[None]:
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging("DEBUG")
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**before)


def _letter(peer: Any) -> MailDelivery:
    """A mail with her name in every header that has one, a signature and an older letter below."""
    mail = EmailMessage()
    mail["From"], mail["To"] = f"{NAME} <{MAIL}>", peer.settings.recipients[0]
    mail["Sender"] = mail["Reply-To"] = f"{NAME} <{MAIL}>"
    mail["Subject"], mail["Message-ID"], mail["Organization"] = f"{NAME}实名举报", f"<77.{MAIL}>", UNIT
    mail["X-Originating-User"] = NAME
    older = f"\n\n-----原始邮件-----\n发件人: {NAME} <{MAIL}>\n\n{NAME}，{UNIT}"
    mail.set_content(f"{WORDS}\n\n-- \n{NAME}\n{UNIT}\n{PHONE}\n{MAIL}{older}")
    mail.add_attachment(b"GIF89a", "image", "gif", filename=f"{NAME}的证据.gif")
    return MailDelivery(peer.name, MAIL, tuple(peer.settings.recipients[:1]), mail.as_bytes(policy=SMTP))


def _telegram(peer: Any) -> Any:
    told = peer.message(sender="7700000077", message_id="77", at=AT, text=WORDS)
    named = {"first_name": NAME, "last_name": UNIT, "username": "ouyang"}
    for who in ("from", "chat"):
        told["message"][who] |= named
    return peer.update(told)


def _caller() -> dict[str, Any]:
    return {"name": NAME, "unit": UNIT, "contact_number": NUMBER}


def _registration(peer: Any) -> Any:
    caller = _caller() | {"number_shown": NUMBER}
    body = {"source": "telephone", "source_id": "C77", "operator": "1021", "caller": caller, "content": WORDS}
    return peer.post(body | {"call_time": AT.isoformat(), "place": PLACE, "confidential": True}, key="call-77")


def _transfer(peer: Any) -> Any:
    body = {"platform": "12315", "platform_number": "77-1", "caller": _caller(), "content": WORDS, "place": PLACE}
    return peer.post(body | {"received_at": AT.isoformat()}, key="transfer-77")


def _in_app(peer: Any, **more: Any) -> Any:
    user = {"id": "ouyang-77", "name": NAME, "phone": NUMBER, "unit": UNIT}
    body = {"user": user, "text": WORDS, "title": f"{NAME}的举报", "place": PLACE} | more
    return peer.post(body, key=f"app-77-{len(more)}")


WAYS: dict[str, Callable[[Any], Delivery]] = {
    "wechat": lambda peer: peer.say(WORDS, sender="7700000077", message_id="77", at=AT),
    "sms": lambda peer: peer.say(WORDS, sender=PHONE, message_id="77", at=AT),
    "mailbox": _letter,
    "telegram": _telegram,
    "app": _in_app,
    "telephone": _registration,
    "partner": _transfer,
}
LEADING = (*SECRETS, "7700000077", "ouyang-77", "117.0213377", "36.6613377", "77号")


def _told(gateway: RunningGateway) -> list[dict[str, Any]]:
    return list(gateway.core.events.values())


async def test_nothing_that_goes_out_leads_to_her(
    start_gateway: Start, tmp_path: Path, logs_as_served: None, capfd: pytest.CaptureFixture[str]
) -> None:
    def on(document: dict[str, Any]) -> None:
        only(*WAYS)(document)
        document["core"]["copies"] = {"archive": {"sink": "file", "path": "copy.jsonl"}}

    async with start_gateway(on) as gateway:
        found = peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)
        for name, write in WAYS.items():
            assert (await write(found[name]).send(gateway)).ok, name
        await gateway.settle()
        matters, metrics = await gateway.matters(), gateway.node.metrics.exposition()
        core = await _read_by_another(gateway, matters)
        await _list(gateway.node.config, matters)
    assert len(matters) == len(WAYS) and all(matter.confidential for matter in matters)
    whole = b"".join(matter.model_dump_json().encode() for matter in matters)
    assert set(seen(whole, LEADING)) == set(LEADING), "the test would see it"
    for event in _told(gateway):
        assert seen(orjson.dumps(event), LEADING) == [], event["data"]["channel"]["kind"]
        assert event["data"]["content"].startswith("我要举报东湖饭店使用过期食材。")
        assert event["data"]["reply_route"]["channel"] == event["data"]["channel"]["name"]
    callers = {str(matter.caller_id) for matter in matters}
    assert not callers & {event["data"]["caller_id"] for event in _told(gateway)}
    outputs = {
        "copy": (tmp_path / "copy.jsonl").read_bytes(),
        "metrics": metrics,
        "api": core,
    }
    printed = capfd.readouterr()
    outputs["printed"] = (printed.out + printed.err).encode()
    assert len(outputs["copy"].splitlines()) >= len(WAYS) and outputs["printed"]
    assert {name: seen(data, LEADING) for name, data in outputs.items() if seen(data, LEADING)} == {}


async def _read_by_another(gateway: RunningGateway, matters: list[HotlineMatter]) -> bytes:
    """What a client gets that may ask for any of them."""
    read = b""
    for matter in matters:
        told = await gateway.node.store.matter(matter.matter_id, matter.channel.name, matter.channel.account)
        if matter.channel.kind != "app" and told is not None:
            read += told.model_dump_json().encode()
    return read


async def _list(config: Config, matters: list[HotlineMatter]) -> None:
    """What operators list at the command line; it is printed."""
    out = Console(soft_wrap=True)
    for as_json in (True, False):
        await list_parked(config, out, as_json=as_json)
        for matter in matters[:2]:
            assert await links.show(config, matter.tracking_code, out, out, as_json=as_json) == 0
            with pytest.raises(IdentitySealed, match="stays unnamed"):
                await show_caller(config, matter.tracking_code, out, as_json=as_json)


async def test_a_later_wish_seals_what_went_before_and_tells_the_core(start_gateway: Start) -> None:
    async with start_gateway(only("app")) as gateway:
        peer = peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)["app"]
        words = WORDS.replace("请为我保密！", "").replace("举报", "投诉")
        await _in_app(peer, text=words, title=f"{NAME}的投诉").send(gateway)
        await gateway.settle()
        (first,) = _told(gateway)
        assert NAME in first["data"]["content"] and first["data"]["previously_disclosed"] is False
        matter_id = first["data"]["matter_id"]
        await _in_app(peer, text="请为我保密", title="补充", in_reply_to=matter_id).send(gateway)
        await gateway.settle()
        *_, last = _told(gateway)
        assert last["data"]["matter_id"] == matter_id and last["data"]["revision"] == 2
        assert (last["data"]["confidential"], last["data"]["previously_disclosed"]) == (True, True)
        assert last["data"]["sealed_at"] is not None and seen(orjson.dumps(last), LEADING) == []
        headers = {"authorization": f"Bearer {(gateway.secrets / 'app-key').read_text()}"}
        async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
            own = (await client.get(f"{gateway.http_url}/v1/matters/{matter_id}")).json()
        assert own["party"]["name"] == NAME, "she sees her own matter whole"


async def test_two_persons_open_it_at_the_command_line(
    start_gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_gateway(only("app")) as gateway:
        peer = peers(gateway.node.channels, gateway.secrets, PUBLIC_URL)["app"]
        await _in_app(peer).send(gateway)
        await gateway.settle()
        (matter,) = await gateway.matters()
        config: Config = gateway.node.config
        out = Console(soft_wrap=True)
        asked = (config, matter.tracking_code, "Li Hua", "案号7", out)
        assert await identity_open.request_identity(*asked, as_json=True) == 0
        request = json.loads(capsys.readouterr().out)["request"]
        with pytest.raises(IdentitySealed, match="another person must approve"):
            await identity_open.approve_identity(config, request, "li hua", out, as_json=False)
    assert await identity_open.approve_identity(config, request, "Wang Fang", out, as_json=False) == 0
    shown = capsys.readouterr().out
    assert NAME in shown and NUMBER in shown and "approved by Wang Fang" in shown
    with pytest.raises(IdentitySealed, match="opens once"):
        await identity_open.approve_identity(config, request, "Zhao Min", out, as_json=True)


@pytest.mark.parametrize(
    "words",
    [("request", "7", "--by", " ", "--reason", "x"), ("request", "7", "--by", "Li", "--reason", ""),
     ("approve", "00000000-0000-0000-0000-000000000000", "--by", "")],
)  # fmt: skip
def test_nobody_opens_without_name_and_reason(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(identity, words).exit_code == 2
