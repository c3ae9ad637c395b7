"""What a gateway makes of those who write again: a repeat joined, a chase, a growing incident, a wrong join undone.

One after the other, as it happens in life. Every name and place is invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from channels.simulated import Ack, Peer
from gateway.clock import now
from gateway.demo.citizens import invented
from gateway.linking import Asked, decide
from gateway.node import Node
from gateway.rules import CityRules
from normalizer.model import Outcome


@dataclass(frozen=True, slots=True)
class Scene:
    """One message of a story; ``{}`` stands for its place."""

    channel: str
    #: Who writes, within the story.
    who: int
    words: str


@dataclass(frozen=True, slots=True)
class Story:
    """Messages that have to do with each other."""

    title: str
    scenes: tuple[Scene, ...]
    #: What the operator says who splits the last message off; None: nobody does.
    undone: str | None = None


STORIES = (
    Story(
        "danger goes to the core before all else, and its citizen hears at once which number to call",
        (Scene("wechat", 1, "{}小区3号楼着火了，浓烟很大，楼上有人被困，快来人！"),),
    ),
    Story(
        "whoever reports leaves under an alias, without name or number",
        (Scene("app", 1, "我要举报{}饭店使用过期食材。我叫李小明，电话13800000000，请为我保密。"),),
    ),
    Story(
        "the same citizen tells more, then asks again: one matter, and it becomes urgent",
        (
            Scene("app", 1, "{}花园5号楼前的路灯坏了半个月，晚上老人出门看不清路，请派人来修。"),
            Scene("app", 1, "{}花园5号楼前的路灯还没有修，昨天晚上我母亲在台阶上摔断了手腕，住进了中心医院。"),
            Scene("app", 1, "我上次反映的{}花园5号楼路灯的事，怎么还没有人处理？"),
        ),
    ),
    Story(
        "neighbours on three channels, one cause: each has a matter and an answer of his own",
        (
            Scene("wechat", 1, "{}路的搅拌站每天夜里生产，粉尘飘得到处都是，小区的窗户都不敢开，请环保部门查处。"),
            Scene("sms", 2, "{}路搅拌站粉尘污染太严重，孩子一直咳嗽，夜里还在生产，请环保部门管一管。"),
            Scene("telegram", 3, "请查处{}路搅拌站：夜里生产，粉尘飘进小区，窗户不敢开，老人咳嗽。"),
        ),
    ),
    Story(
        "two things that look like one are parted again by an operator, who says why",
        (
            Scene("app", 1, "{}新村南门的井盖松动，车子压过去声音很大，请维修。"),
            Scene("app", 1, "{}新村南门的井盖又松动了，这次是北侧自来水的井，旁边的路面也塌了一块。"),
        ),
        undone="another well: it belongs to the waterworks",
    ),
)


class Teller:
    """Sends the stories, each message after the one before has its outcome."""

    def __init__(self, node: Node, peers: Mapping[str, Peer], at: datetime) -> None:
        self._node, self._peers = node, peers
        self._number = int(at.timestamp() * 1000) + 500_000

    async def tell(self, story: Story) -> list[tuple[str, Ack]]:
        """The channels and their acknowledgements, in order; channels that are not configured are left out."""
        self._number += 100
        first, found = self._number, list[tuple[str, Ack]]()
        for scene in story.scenes:
            if scene.channel not in self._peers:
                continue
            self._number += 1
            delivery = self._peers[scene.channel].say(
                scene.words.format(invented(first // 100)),
                sender=str((first + scene.who) % 10**8),
                message_id=str(self._number),
                at=now(),
            )
            found.append((scene.channel, await delivery.send(self._node)))
            await self._node.settled()
        return found

    async def undo(self, ack: Ack, why: str) -> str | None:
        """Part a message of the app from the matter it was added to; what was done. None: it was added to none."""
        store = self._node.store
        receipt = await store.receipt(UUID(orjson.loads(ack.body)["receipt"]))
        if receipt is None or receipt.matter_id is None or receipt.state not in {Outcome.ATTACHED, Outcome.CHASED}:
            return None
        matter = await store.matter(receipt.matter_id)
        if matter is None:
            return None
        asked = _parting(matter.tracking_code, matter.messages[-1].message_id, why)
        done = await decide(store, asked, now(), CityRules.of(self._node.config.city))
        self._node.ring_handoffs()
        await self._node.settled()
        return done


def _parting(code: str, message: UUID, reason: str) -> Asked:
    return Asked(act="split", matter=code, messages=(message,), by="operator 7", reason=reason)
