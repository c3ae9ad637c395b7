from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from channels import recount
from channels.recount import Numbered, Reply, Unanswered, ask, numbered
from tests.rest import Answer, Rest, document

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
SETTLED = NOW - timedelta(minutes=1)


def came(*numbers: int, at: datetime = SETTLED) -> list[tuple[int, datetime]]:
    return [(number, at) for number in numbers]


@pytest.mark.parametrize(
    ("deliveries", "seen", "missing"),
    [
        pytest.param([], 0, (), id="nothing came"),
        pytest.param(came(5, 6, 7), 3, (), id="all came"),
        pytest.param(came(7, 5, 6, 5), 3, (), id="out of order, one twice"),
        pytest.param(came(5, 8), 2, (6, 7), id="two are missing"),
        pytest.param(came(5, 7, 9), 3, (6, 8), id="at two places"),
        pytest.param(came(1, 1002), 2, tuple(range(2, 1002)), id="the largest gap"),
        pytest.param(came(1, 1003), 2, (), id="a new start above"),
        pytest.param(came(800_000, 800_002, 3, 5), 4, (4, 800_001), id="a new start below"),
        pytest.param([*came(5), *came(7, at=NOW)], 2, (), id="overtaken just now"),
        pytest.param([*came(5), *came(7, at=NOW), *came(9)], 3, (6, 8), id="below one that has settled"),
        pytest.param([*came(5, 8), *came(6, at=NOW)], 3, (7,), id="the late one is not missing"),
        pytest.param([*came(5), *came(7, at=NOW), *came(90_000)], 3, (), id="another start settles nothing"),
    ],
)
def test_numbers_that_are_missing(deliveries: list[tuple[int, datetime]], seen: int, missing: tuple[int, ...]) -> None:
    assert numbered(deliveries, SETTLED) == Numbered(seen, missing)


# -- asking over HTTP --------------------------------------------------------------------------------------------------


def wait(reply: Reply) -> float:
    return float(reply.headers["retry-after"])


async def asked(rest: Rest) -> object:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await ask(client, f"{rest.url}/x", wait)


def right(_target: str, _headers: dict[str, str]) -> Answer:
    return document({"right": True})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {}, b"<html>"), "garbage"),
        ((200, {}, b""), "garbage"),
        (document({}, 401), "status_401"),
        (document({}, 503), "status_503"),
        ((302, {"Location": "/x"}, b""), "status_302"),
        ((200, {"Content-Length": "9"}, b"{"), "network"),
        ((200, {}, b" " * 101), "too_large"),
        (None, "timeout"),
    ],
)
async def test_what_is_no_answer(answer: Answer | None, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "SECONDS", 0.5 if answer is None else 20)
    monkeypatch.setattr(recount, "MOST_BYTES", 100)
    async with Rest(right, [answer]).running() as rest:
        with pytest.raises(Unanswered, match=f"^{reason}$"):
            await asked(rest)
        assert len(rest.asked) == 1, "it is not asked again"


async def test_nobody_answers() -> None:
    async with Rest(right).running() as rest:
        pass
    with pytest.raises(Unanswered, match=r"^network$"):
        await asked(rest)


async def test_429_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def record(seconds: float) -> None:
        slept.append(seconds)

    busy = document({}, 429, **{"Retry-After": "7"})
    async with Rest(right, [busy, busy]).running() as rest:
        monkeypatch.setattr(recount.asyncio, "sleep", record)
        assert await asked(rest) == {"right": True}
        rest.script = [busy] * 3
        with pytest.raises(Unanswered, match=r"^status_429$"):
            await asked(rest)
        assert (slept, len(rest.asked)) == ([7.0] * 4, 6)


async def test_429_is_not_waited_for_longer_than_a_person_waits() -> None:
    async with Rest(right, [document({}, 429, **{"Retry-After": "3600"})]).running() as rest:
        async with asyncio.timeout(10):
            with pytest.raises(Unanswered, match=r"^status_429$"):
                await asked(rest)
        assert json.dumps(rest.asked) == '["/x"]'
