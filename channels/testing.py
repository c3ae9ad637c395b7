"""The conformance suite: the hard tests every channel gets for free.

A plug-in's own tests call :func:`check_channel` with a :class:`Cases` table of theirs and the ``gateway`` fixture that
the package ships (pytest plug-in ``hotline_gateway``)::

    async def test_conformance(gateway):
        await check_channel("wechat", cases(gateway), gateway)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from channels.base import AnyChannel
from channels.simulated import Ack, Addresses, Delivery, Peer
from normalizer.model import AttachmentKind, Envelope, HotlineMatter

REDELIVERIES = 100


class Gateway(Addresses, Protocol):
    """The running gateway, as the suite needs it."""

    def channel(self, name: str) -> AnyChannel:
        """The configured channel of that name."""

    async def settle(self) -> None:
        """Return when nothing is pending any more; raise TimeoutError after 60 s."""

    async def books(self) -> dict[str, Any]:
        """What ``gateway reconcile --json`` prints."""

    async def matters(self) -> list[HotlineMatter]:
        """All matters, in order of filing."""

    async def envelopes(self) -> list[Envelope]:
        """All envelopes, in order of arrival."""

    async def refused(self, channel: str) -> dict[str, float]:
        """``hotline_refused_requests_total`` of the channel, by reason."""

    def store_down(self) -> AbstractAsyncContextManager[None]:
        """Within it, every write to the store fails."""


@dataclass(frozen=True)
class Expected:
    """What a readable delivery must become."""

    #: Final outcome of its message, or of the envelope when it yields none.
    outcome: str = "filed"
    text: str | None = None
    title: str | None = None
    attachments: tuple[AttachmentKind, ...] = ()
    #: Longitude and latitude.
    position: tuple[float, float] | None = None


@dataclass(frozen=True)
class Cases:
    """What a channel's tests hand to the suite."""

    peer: Peer
    #: Label → what the provider sends, and what must become of it.
    readable: Mapping[str, tuple[Delivery, Expected]]
    #: Label → a delivery that does not prove who sent it: refused, nothing kept, counted. Empty only where ``polled``.
    forged: Mapping[str, Delivery]
    #: Label → authentic, but cannot be read: kept and ``malformed`` - or refused, nothing kept, where ``strict``.
    odd: Mapping[str, Delivery]
    #: True for API channels, whose contract refuses odd bodies in one sentence.
    strict: bool = False
    #: We call the provider, and nobody calls us: what it gives is authentic.
    polled: bool = False
    #: Label → too large or otherwise over a limit of the entrance: refused, nothing kept.
    oversized: Mapping[str, Delivery] = field(default_factory=dict)
    #: Statuses that mean "refused for good" on this channel.
    refusals: tuple[int, ...] = (400, 401, 403, 404, 405, 413, 415, 422)
    #: Statuses that mean "try again".
    retries: tuple[int, ...] = (503,)


async def check_channel(kind: str, cases: Cases, gateway: Gateway) -> None:
    """Run the whole suite against the running gateway; raise AssertionError at the first broken promise."""
    assert cases.peer.kind == kind == gateway.channel(cases.peer.name).kind
    checks: tuple[Callable[[Cases, Gateway], Awaitable[None]], ...] = (
        _check_readable,
        _check_forged,
        _check_odd,
        _check_oversized,
        _check_redelivered,
        _check_same_id_other_body,
        _check_store_down,
        _check_parse_twice,
    )
    for check in checks:
        await check(cases, gateway)
        books = await _settled(gateway)
        assert books["balanced"], f"{check.__name__}: books do not balance: {books}"


async def _check_readable(cases: Cases, gateway: Gateway) -> None:
    for label, (delivery, expected) in cases.readable.items():
        before, known = await _settled(gateway), {m.matter_id for m in await gateway.matters()}
        ack = await delivery.send(gateway)
        assert ack.ok, f"{label}: not acknowledged: {ack}"
        after = await _settled(gateway)
        gained = _gained(before, after)
        assert gained == {expected.outcome: 1}, f"{label}: became {gained}, not one {expected.outcome}"
        if expected.outcome == "filed":
            (matter,) = [m for m in await gateway.matters() if m.matter_id not in known]
            _compare(label, matter, expected)


def _compare(label: str, matter: HotlineMatter, expected: Expected) -> None:
    if expected.text is not None:
        assert matter.content == expected.text, f"{label}: text {matter.content!r}"
    if expected.title is not None:
        assert matter.title == expected.title, f"{label}: title {matter.title!r}"
    kinds = tuple(a.kind for a in matter.attachments)
    assert kinds == expected.attachments, f"{label}: attachments {kinds}"
    if expected.position is not None:
        assert matter.place is not None, f"{label}: no place"
        assert (matter.place.longitude, matter.place.latitude) == expected.position, f"{label}: {matter.place}"


async def _check_forged(cases: Cases, gateway: Gateway) -> None:
    assert cases.forged or cases.polled, "a channel without forged cases is not tested"
    await _check_refused(cases.forged, cases, gateway)


async def _check_oversized(cases: Cases, gateway: Gateway) -> None:
    await _check_refused(cases.oversized, cases, gateway)


async def _check_odd(cases: Cases, gateway: Gateway) -> None:
    assert cases.odd, "a channel without odd cases is not tested"
    if cases.strict:
        await _check_refused(cases.odd, cases, gateway)
        return
    for label, delivery in cases.odd.items():
        before = await _settled(gateway)
        ack = await delivery.send(gateway)
        assert ack.ok, f"{label}: an authentic delivery must be acknowledged: {ack}"
        gained = _gained(before, await _settled(gateway))
        assert gained == {"malformed": 1}, f"{label}: became {gained}, not malformed"


async def _check_refused(deliveries: Mapping[str, Delivery], cases: Cases, gateway: Gateway) -> None:
    for label, delivery in deliveries.items():
        before, counted = await gateway.books(), await gateway.refused(cases.peer.name)
        ack = await delivery.send(gateway)
        assert not ack.ok, f"{label}: accepted: {ack}"
        assert ack.status in cases.refusals, f"{label}: status {ack.status}"
        after = await gateway.books()
        assert after["envelopes"] == before["envelopes"], f"{label}: something was kept"
        now = await gateway.refused(cases.peer.name)
        assert sum(now.values()) > sum(counted.values()), f"{label}: not counted in hotline_refused_requests_total"
        sent = getattr(delivery, "body", b"") or getattr(delivery, "data", b"")
        assert len(sent) < 8 or sent not in ack.body, f"{label}: the answer echoes the request"


async def _check_redelivered(cases: Cases, gateway: Gateway) -> None:
    before = await _settled(gateway)
    delivery = cases.peer.say("小区北门路灯不亮已有一周", sender="900000001", message_id="900000001", at=_now())
    acks: list[Ack] = await asyncio.gather(*(delivery.send(gateway) for _ in range(REDELIVERIES)))
    assert all(ack.ok for ack in acks), f"not acknowledged: {[a for a in acks if not a.ok][:3]}"
    gained = _gained(before, await _settled(gateway))
    assert gained == {"filed": 1, "redelivered": REDELIVERIES - 1}, f"{REDELIVERIES} at once became {gained}"


async def _check_same_id_other_body(cases: Cases, gateway: Gateway) -> None:
    before, at = await _settled(gateway), _now()
    for text in ("井盖破损", "井盖破损，已有人摔伤"):
        delivery = cases.peer.say(text, sender="900000002", message_id="900000002", at=at)
        ack = await delivery.send(gateway)
        if cases.strict and text != "井盖破损":
            assert ack.status == 422, f"a reused key with another body must be refused: {ack}"
        else:
            assert ack.ok, f"not acknowledged: {ack}"
    gained = _gained(before, await _settled(gateway))
    assert gained == ({"filed": 1} if cases.strict else {"filed": 2}), f"same id, two bodies became {gained}"


async def _check_store_down(cases: Cases, gateway: Gateway) -> None:
    before = await _settled(gateway)
    delivery = cases.peer.say("电梯停运三天", sender="900000003", message_id="900000003", at=_now())
    async with gateway.store_down():
        ack = await delivery.send(gateway)
        assert not ack.ok and ack.status in cases.retries, f"store down: {ack}"
    assert (await gateway.books())["envelopes"] == before["envelopes"]
    ack = await delivery.send(gateway)
    assert ack.ok, f"after the store came back: {ack}"
    gained = _gained(before, await _settled(gateway))
    assert gained == {"filed": 1}, f"the retry became {gained}"


async def _check_parse_twice(cases: Cases, gateway: Gateway) -> None:
    channel = gateway.channel(cases.peer.name)
    for envelope in await gateway.envelopes():
        if envelope.channel == channel.name:
            assert _read(channel, envelope) == _read(channel, envelope), "parse is not pure"


def _read(channel: AnyChannel, envelope: Envelope) -> object:
    try:
        return channel.parse(envelope)
    except Exception as error:
        return type(error), error.args


async def _settled(gateway: Gateway) -> dict[str, Any]:
    await gateway.settle()
    return await gateway.books()


def _gained(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    difference = {name: n - before["outcomes"].get(name, 0) for name, n in after["outcomes"].items()}
    return {name: n for name, n in difference.items() if n}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
