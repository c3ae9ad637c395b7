from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from channels.recount import Listed, Period, Unanswered
from channels.sms_twilio import SmsTwilio, SmsTwilioSettings
from normalizer.model import Assurance, Contact, ContactType, Envelope
from tests.rest import Answer, Rest, TwilioMessages, document

ACCOUNT, TOKEN, NUMBER = "AC0123456789abcdef0123456789abcdef", "0123456789abcdef", "+15005550006"
NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
PERIOD = Period(NOW - timedelta(days=1), NOW - timedelta(minutes=1))


def sid(number: int, kind: str = "SM") -> str:
    return f"{kind}{number:032x}"


def channel(url: str, number: str = NUMBER) -> SmsTwilio:
    given = {"kind": "sms_twilio", "account_sid": ACCOUNT, "auth_token": TOKEN, "number": number, "api_base": url}
    return SmsTwilio("sms", SmsTwilioSettings.model_validate(given))


async def nothing() -> AsyncIterator[Envelope]:
    for envelope in ():
        yield envelope


async def collect(one: SmsTwilio, into: list[str]) -> None:
    async for listed in one.recount(PERIOD, nothing()):
        into.append(listed.name)  # noqa: PERF401 - what came before an error counts


async def told(one: SmsTwilio) -> list[Any]:
    return [listed async for listed in one.recount(PERIOD, nothing())]


@pytest.fixture
def twilio() -> TwilioMessages:
    return TwilioMessages(ACCOUNT, TOKEN)


async def test_what_came_in_is_listed_as_the_webhook_would_be_read(twilio: TwilioMessages) -> None:
    twilio.add(sid(1), "+999000000000001", NOW - timedelta(hours=2))
    twilio.add(sid(2, "MM"), "whatsapp:+999000000000002", NOW, f"whatsapp:{NUMBER}")
    async with Rest(twilio).running() as rest:
        sms, whatsapp = await told(channel(rest.url))
    sender = Contact(type=ContactType.PHONE, value="+999000000000001", assurance=Assurance.SPOOFABLE)
    assert sms == Listed(sid(1), "sms_twilio", NUMBER, sender, sid(1), NOW - timedelta(hours=2))
    assert (whatsapp.account, whatsapp.sender.value, whatsapp.at) == (f"whatsapp:{NUMBER}", "+999000000000002", NOW)
    assert "+999" not in whatsapp.name


async def test_what_we_sent_and_what_is_older_is_left_out(twilio: TwilioMessages) -> None:
    twilio.add(sid(1), "+9990001", NOW - timedelta(days=1, seconds=1))
    twilio.add(sid(2), "+9990001", NOW, direction="outbound-reply")
    twilio.add(sid(3), "+9990001", None)
    twilio.add(sid(4), "+9990001", NOW - timedelta(days=1))
    async with Rest(twilio).running() as rest:
        assert [(one.name, one.at is None) for one in await told(channel(rest.url))] == [
            (sid(4), False),
            (sid(3), True),
        ]


async def test_it_is_asked_for_our_number_since_the_time(twilio: TwilioMessages) -> None:
    async with Rest(twilio).running() as rest:
        await told(channel(rest.url + "/"))
        await told(channel(rest.url, "12345"))
    queries = [parse_qs(urlsplit(target).query) for target in rest.asked]
    assert [query["To"] for query in queries] == [[NUMBER], [f"whatsapp:{NUMBER}"], ["12345"]]
    assert {(*query["DateSent>"], *query["PageSize"]) for query in queries} == {("2026-02-28T08:30:00Z", "1000")}


async def test_all_pages_are_read_and_what_moves_to_the_next_counts_once(twilio: TwilioMessages) -> None:
    twilio.page = 10
    for number in range(25):
        twilio.add(sid(number), "+9990001", NOW)

    def moving(target: str, headers: dict[str, str]) -> Answer:
        answer = twilio(target, headers)
        twilio.add(sid(len(twilio.messages)), "+9990001", NOW)  # pushes one over each edge of a page
        return answer

    async with Rest(moving).running() as rest:
        found = [one.name for one in await told(channel(rest.url, "+15005550006"))]
    assert set(found) >= {sid(number) for number in range(25)}
    assert len(found) == len(set(found)) and len(rest.asked) >= 4


def page(*numbers: int, **more: Any) -> dict[str, Any]:
    item = {"from": "+9990001", "to": NUMBER, "direction": "inbound", "date_sent": None}
    return {"messages": [item | {"sid": sid(number)} for number in numbers], "next_page_uri": None} | more


NEXT = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page="
FAULTS: dict[str, tuple[list[Answer], str, list[str]]] = {
    "a wrong token": ([document({}, 401)], "status_401", []),
    "an error on the second page": (
        [document(page(1, next_page_uri=f"{NEXT}1")), document({}, 500)],
        "status_500",
        [sid(1)],
    ),
    "a page instead": ([(200, {}, b"<html>")], "garbage", []),
    "a list instead": ([document([])], "garbage", []),
    "no messages": ([document({"messages": None})], "garbage", []),
    "a message that is none": ([document({"messages": ["x"]})], "garbage", []),
    "a message without an id": ([document(page() | {"messages": [{"from": "+9990001"}]})], "garbage", []),
    "an odd id": ([document({"messages": [{"sid": "<b>"}]})], "garbage", []),
    "a message without a sender": ([document({"messages": [{"sid": sid(1), "direction": "inbound"}]})], "garbage", []),
    "a next page that is none": ([document(page(1, next_page_uri=5))], "garbage", []),
    "the same page again": ([document(page(1, next_page_uri=f"{NEXT}1"))] * 2, "repeats", [sid(1)]),
    "the same messages for ever": (
        [document(page(1, next_page_uri=f"{NEXT}{number}")) for number in range(1, 9)],
        "repeats",
        [sid(1)],
    ),
    "empty pages that lead in a circle": ([document(page(next_page_uri=f"{NEXT}1"))] * 2, "repeats", []),
}


@pytest.mark.parametrize(("script", "reason", "listed"), FAULTS.values(), ids=FAULTS)
async def test_what_it_does_wrong(twilio: TwilioMessages, script: list[Answer], reason: str, listed: list[str]) -> None:
    found: list[str] = []
    async with Rest(twilio, list(script)).running() as rest:
        with pytest.raises(Unanswered, match=f"^{reason}$"):
            await collect(channel(rest.url), found)
    assert found == listed, "what was told before counts"


async def test_another_host_is_never_asked(twilio: TwilioMessages) -> None:
    async with Rest(twilio).running() as other, Rest(twilio).running() as rest:
        for uri in (f"{other.url}{NEXT}1", f"//{other.url.removeprefix('http://')}{NEXT}1", "@127.0.0.1/x"):
            rest.script = [document(page(1, next_page_uri=uri))]
            with pytest.raises(Unanswered, match=r"^garbage$"):
                await told(channel(rest.url))
        assert other.asked == []


class Redirected(TwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
    """Twilio's own HTTP client, calling the stand-in."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *rest: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._url), *rest, **more)


async def test_twilios_own_client_reads_the_stand_in_alike(twilio: TwilioMessages) -> None:
    """Holds the stand-in to the real interface: pages, names, dates."""
    twilio.page = 4
    for number in range(10):
        twilio.add(sid(number), f"+99900{number}", NOW - timedelta(minutes=number))

    async with Rest(twilio).running() as rest:
        client = Client(ACCOUNT, TOKEN, http_client=Redirected(rest.url))
        read: Callable[[], list[Any]] = lambda: client.messages.list(to=NUMBER, date_sent_after=PERIOD.since)  # noqa: E731 - for the thread
        theirs = await asyncio.to_thread(read)
        their_query = parse_qs(urlsplit(rest.asked[0]).query)
        ours = [one for one in await told(channel(rest.url)) if one.account == NUMBER]
    assert [(one.sid, one.from_, one.date_sent) for one in theirs] == [(o.name, o.sender.value, o.at) for o in ours]
    assert len(ours) == 10 and their_query["DateSent>"] == ["2026-02-28T08:30:00Z"]
    assert json.dumps(their_query["To"]) == json.dumps([NUMBER])
