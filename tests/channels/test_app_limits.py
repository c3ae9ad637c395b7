"""Keys and pace of API clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from channels.app import App
from channels.base import Request
from channels.clients import key_hash
from channels.errors import TooMany, Unauthenticated
from channels.pace import Pace
from channels.settings import Client
from channels.simulated.app import AppPeer
from channels.simulated.wechat import WeChatPeer
from gateway.testing import RunningGateway, Start

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
OLD, NEW = "o" * 43, "n" * 43


def client(name: str = "city-app", per_minute: int = 60, **more: str) -> Client:
    given = {"id": name, "key_hash": key_hash(NEW), "scopes": ["messages:write"], "requests_per_minute": per_minute}
    return Client.model_validate(given | more)


def request(key: str) -> Request:
    headers = ((b"authorization", f"Bearer {key}".encode()), (b"idempotency-key", b"k"))
    body = b'{"user":{"id":"u1"},"text":"x"}'
    return Request("POST", "/v1/messages", "", headers, body, "127.0.0.1", "https://h/v1/messages", AT)


# -- pace --------------------------------------------------------------------------------------------------------------


def test_a_minutes_worth_goes_at_once_and_then_evenly() -> None:
    now = [100.0]
    pace, mine = Pace(lambda: now[0]), client(per_minute=60)
    for _ in range(60):
        pace.keep(mine)
    with pytest.raises(TooMany) as caught:
        pace.keep(mine)
    assert caught.value.after_seconds == pytest.approx(1)
    pace.keep(client("other"))
    now[0] += 0.4
    with pytest.raises(TooMany) as caught:
        pace.keep(mine)
    assert caught.value.after_seconds == pytest.approx(0.6)
    now[0] += 0.6
    pace.keep(mine)
    with pytest.raises(TooMany):
        pace.keep(mine)
    now[0] += 3600
    for _ in range(60):
        pace.keep(mine)
    with pytest.raises(TooMany):
        pace.keep(mine)


@pytest.mark.parametrize("per_minute", [1, 7, 600, 6000, 10_000_000])
def test_exactly_as_many_as_may_whatever_the_number(per_minute: int) -> None:
    pace, mine, most = Pace(lambda: 12345.678), client(per_minute=per_minute), min(per_minute, 10_000)
    for _ in range(most):
        pace.keep(mine)
    if most == per_minute:
        with pytest.raises(TooMany):
            pace.keep(mine)


async def test_who_calls_too_often_is_told_when_to_try_again_and_providers_never_are(start_gateway: Start) -> None:
    def slow(document: dict) -> None:
        document["channels"]["app"]["clients"][0]["requests_per_minute"] = 3
        document["channels"]["app"]["clients"].append(
            {"id": "other", "key_hash": key_hash(OLD), "scopes": ["messages:write"]}
        )

    async with start_gateway(slow) as gateway, httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as http:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        said = [app.say("路灯", sender="1", message_id=str(number), at=AT) for number in range(4)]
        assert [(await one.send(gateway)).status for one in said] == [202, 202, 202, 429]
        refused = await http.post(said[3].target, content=said[3].body, headers=dict(said[3].headers))
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        reading = await http.get("/v1/matters/" + "0" * 32, headers={"authorization": f"Bearer {app.key}"})
        assert (reading.status_code, "retry-after" in reading.headers) == (429, True)
        other = AppPeer("app", gateway.channel("app").settings, key=OLD)
        assert (await other.say("井盖", sender="2", message_id="9", at=AT).send(gateway)).status == 202
        wechat = WeChatPeer("wechat", gateway.channel("wechat").settings)
        for number in range(8):
            assert (await wechat.say("水管", sender="3", message_id=str(number), at=datetime.now(UTC)).send(gateway)).ok
        await gateway.settle()
        assert (await gateway.refused("app"))["too_many"] == 2
        books = await gateway.books()
        assert (books["envelopes"], books["balanced"]) == (12, True)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [OLD, NEW])
def test_two_keys_of_a_client_live_while_one_is_changed(key: str) -> None:
    changing = {"id": "city-app", "key_hash": key_hash(NEW), "previous_key_hash": key_hash(OLD)}
    app = App("app", App.Settings.model_validate({"clients": [changing | {"scopes": ["messages:write"]}]}))
    assert app.authenticate(request(key)).context["client"] == "city-app"


def test_a_key_that_was_taken_away_opens_nothing() -> None:
    app = App("app", App.Settings.model_validate({"clients": [json.loads(client().model_dump_json()) | KEYS]}))
    with pytest.raises(Unauthenticated):
        app.authenticate(request(OLD))


KEYS = {"key_hash": key_hash(NEW), "previous_key_hash": None}


async def test_the_old_key_reads_what_the_new_one_wrote(start_gateway: Start) -> None:
    def changing(document: dict) -> None:
        document["channels"]["app"]["clients"][0]["previous_key_hash"] = key_hash(OLD)

    async with start_gateway(changing) as gateway:
        await _reads_with(gateway, OLD)


async def _reads_with(gateway: RunningGateway, key: str) -> None:
    app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
    ack = await app.say("路灯", sender="1", message_id="1", at=AT).send(gateway)
    await gateway.settle()
    async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False) as http:
        answer = await http.get(
            f"/v1/receipts/{json.loads(ack.body)['receipt']}", headers={"authorization": f"Bearer {key}"}
        )
    assert (answer.status_code, answer.json()["state"]) == (200, "filed")
