from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import messages
from bench.ack import Figures, complaints
from bench.load import Job, drive, split
from channels.base import AnyChannel
from channels.simulated import Peer
from channels.simulated.app import AppPeer
from channels.simulated.wechat import WeChatPeer
from gateway.testing import RunningGateway

HOW_MANY = 60


def peer(gateway: RunningGateway, name: str) -> Peer:
    settings = gateway.channel(name).settings
    if name == "wechat":
        return WeChatPeer(name, settings)
    return AppPeer(name, settings, key=(gateway.secrets / "app-key").read_text())


def figures(**changes: int) -> Figures:
    counts = {"acknowledged": 9, "kept": 9} | changes
    return Figures("edge app", 9, 1.0, 9.0, 1.0, 1.0, 1.0, 0.1, 900, 0.6, 0.6, **counts)


def test_a_lost_acknowledgement_is_noticed() -> None:
    assert messages.missing({"a", "b"}, {"a", "c"}) == {"b"}
    assert messages.missing({"a"}, {"a", "c"}) == set()


@pytest.mark.parametrize("changes", [{"missing": 1}, {"refused": 1}, {"acknowledged": 0}])
def test_the_run_fails_on_it(changes: dict[str, int]) -> None:
    assert complaints([figures(), figures(**changes)])
    assert not complaints([figures()])


@pytest.mark.parametrize("name", ["app", "wechat"])
async def test_the_gateway_takes_the_requests_and_keeps_what_it_acknowledges(
    gateway: RunningGateway, name: str, tmp_path: Path
) -> None:
    channel: AnyChannel = gateway.channel(name)
    requests = messages.build(peer(gateway, name), HOW_MANY)
    job = Job(gateway.node.http.port, os.getpid(), tmp_path, requests, warm_up=0, seconds=20, connections=4)
    report = await drive(job)
    acknowledged = messages.acknowledged(channel.kind, report.answers)
    kept = await gateway.envelopes()
    assert messages.refused(channel.kind, report.answers) == 0
    assert len(acknowledged) == HOW_MANY
    assert messages.missing(acknowledged, messages.kept(channel, kept)) == set()
    assert len(messages.missing(acknowledged, messages.kept(channel, kept[1:]))) == 1


async def test_requests_of_both_channels_are_equally_long(gateway: RunningGateway) -> None:
    (wechat,) = messages.build(peer(gateway, "wechat"), 1)
    (app,) = messages.build(peer(gateway, "app"), 1, len(wechat))
    assert abs(len(app) - len(wechat)) < 4


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([b"HTTP/1.1 202 Accepted\r\ncontent-le"], None),
        ([b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n", b"o"], None),
        ([b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n", b"ok"], (202, b"ok")),
    ],
)
def test_an_answer_counts_when_it_is_whole(pieces: Sequence[bytes], found: tuple[int, bytes] | None) -> None:
    assert split(b"".join(pieces)) == found
