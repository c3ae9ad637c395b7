"""What the citizens send: every request whole, as bytes, with an id of its own, built before any clock starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from bench.load import Answer
from channels.base import AnyChannel
from channels.simulated import HttpDelivery, Peer
from normalizer.model import Envelope

TEXT = "历下区泺源大街东口的路灯坏了三天,晚上过马路看不清,请尽快派人来修,谢谢。"
#: Message ids count from here, so that all are equally long.
FIRST = 23_000_000_000_000_000
SENDERS = 5_000


def build(peer: Peer, how_many: int, size: int | None = None, *, first: int = 0) -> list[bytes]:
    """Requests as ``peer`` sends them, counted from ``first``; with ``size`` as near to it, in bytes, as the text allows."""
    at = datetime.now(UTC)
    text = TEXT if size is None else _filling(peer, size, at)
    return [_request(peer, text, number, at) for number in range(first, first + how_many)]


def _request(peer: Peer, text: str, number: int, at: datetime) -> bytes:
    sender = str(10**9 + number % SENDERS)
    delivery: Any = peer.say(text, sender=sender, message_id=message_id(number), at=at)
    return wire(delivery)


def _filling(peer: Peer, size: int, at: datetime) -> str:
    spare = size - len(_request(peer, "", 0, at))
    return (TEXT * (spare // len(TEXT.encode()) + 1)).encode()[:spare].decode(errors="ignore")


def wire(delivery: HttpDelivery) -> bytes:
    """The request as it goes over the socket, connection kept."""
    headers = {"host": "127.0.0.1", **delivery.headers, "content-length": str(len(delivery.body))}
    lines = [f"{delivery.method} {delivery.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + delivery.body


def message_id(number: int) -> str:
    """The id in the request of that number."""
    return str(FIRST + number)


def refused(kind: str, answers: Iterable[Answer]) -> int:
    """How many answers are no acknowledgement."""
    return sum(_acknowledgement(kind, answer) is None for answer in answers)


def acknowledged(kind: str, answers: Iterable[Answer]) -> set[str]:
    """What the gateway says it has: receipts of the app, MsgIds of WeChat."""
    return {name for answer in answers if (name := _acknowledgement(kind, answer)) is not None}


def _acknowledgement(kind: str, answer: Answer) -> str | None:
    if kind == "app":
        return str(orjson.loads(answer.body)["receipt"]) if answer.status == 202 else None
    return message_id(answer.number) if (answer.status, answer.body) == (200, b"success") else None


def kept(channel: AnyChannel, envelopes: Sequence[Envelope]) -> set[str]:
    """The same names, of what the store holds: envelope ids, and the MsgIds inside the kept ciphertext."""
    if channel.kind == "app":
        return {str(envelope.id) for envelope in envelopes}
    return {str(message.provider_id) for envelope in envelopes for message in _messages(channel, envelope)}


def _messages(channel: AnyChannel, envelope: Envelope) -> Sequence[Any]:
    found = channel.parse(envelope)
    assert isinstance(found, tuple)
    return found


def missing(acknowledged: Collection[str], kept: Collection[str]) -> set[str]:
    """What was acknowledged and is not there: must be empty."""
    return set(acknowledged) - set(kept)
