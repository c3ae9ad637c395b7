"""Citizens of an invented city, and what they write. Every name, number and place is made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from channels.base import AnyChannel
from channels.simulated import Delivery, Peer
from channels.simulated.app import AppPeer
from channels.simulated.imap import ImapPeer
from channels.simulated.open311 import Open311Peer
from channels.simulated.partner import PartnerPeer
from channels.simulated.sms_aliyun import SmsAliyunPeer
from channels.simulated.sms_tencent import SmsTencentPeer
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.simulated.smtp import SmtpPeer
from channels.simulated.telegram import TelegramPeer
from channels.simulated.telephone import TelephonePeer
from channels.simulated.wechat import WeChatPeer
from channels.simulated.weibo import WeiboPeer

WORDS: Mapping[str, tuple[str, ...]] = {
    "wechat": (
        "{}小区3号楼2单元电梯停运三天了，家里有八十岁老人下不了楼，请尽快维修。",
        "您好，想咨询一下新生儿医保怎么办理，需要带哪些材料？",
        "{}路与解放街交叉口的红绿灯坏了，早高峰非常堵。",
    ),
    "weibo": (
        "{}公园北门的路灯连续一周不亮，晚上散步很不安全。",
        "建议在{}火车站东广场增设共享单车停放点。",
    ),
    "sms": (
        "{}家园南侧工地夜里十二点还在施工，噪音太大，孩子睡不着。",
        "自来水发黄两天了，地址{}巷18号，请回电13800138000。",
    ),
    "mailbox": (
        "{}小区门口菜市场占道经营已有半年，消防车进不来。\n\n希望有关部门尽快处理。\n\n居民敬上",
        "{}路的环卫工人冒雪清扫道路，特此表扬。\n\n市民敬上",
    ),
    "imap": ("{}广场公交站的时刻表三个月没有更新，等车没有准点。",),
    "telegram": (
        "The bus stop at Science Avenue has no shelter. Could the city please add one?",
        "{}路地铁2号线施工围挡占了盲道，视障人士无法通行。",
    ),
    "sms_aliyun": ("{}路公交站台玻璃碎了，容易扎到人。",),
    "sms_tencent": ("{}里二区垃圾桶满了三天没人清运。",),
    "app": (
        "我要投诉{}健身房突然关门，办的年卡不给退费。",
        "{}加油站附近有刺鼻气味，担心是泄漏。",
        "请问公租房今年的申请条件有变化吗？",
    ),
    "telephone": (
        "来电反映：{}路路口早高峰无人疏导，孩子过马路危险。",
        "来电咨询养老认证在哪里办理，要求回电。",
    ),
    "partner": ("消费者反映网购空调一个月不发货，商家拒绝退款。",),
    "open311": ("{}街人行道有一块井盖松动，行人绊倒。",),
}


#: First and second characters of names.
_NAMES = ("景安和瑞嘉泰云清文华东兴永福盛康宁锦", "泉亭溪园阳苑湖岭川桥坪塘台沙峰")

_PEERS: Mapping[str, Callable[..., Peer]] = {
    "wechat": WeChatPeer,
    "weibo": WeiboPeer,
    "sms_twilio": SmsTwilioPeer,
    "sms_aliyun": SmsAliyunPeer,
    "sms_tencent": SmsTencentPeer,
    "smtp": SmtpPeer,
    "imap": ImapPeer,
    "telegram": TelegramPeer,
    "app": AppPeer,
    "telephone": TelephonePeer,
    "partner": PartnerPeer,
    "open311": Open311Peer,
}
#: Those that hold a client's key.
_CLIENTS = frozenset({"app", "telephone", "partner", "open311"})


def peers(channels: Mapping[str, AnyChannel], secrets: Path, public_url: str) -> dict[str, Peer]:
    """The other end of each channel that the demo knows."""
    found: dict[str, Peer] = {}
    for name, channel in channels.items():
        if channel.kind not in _PEERS:
            continue
        more = {"key": _key(secrets, channel.kind)} if channel.kind in _CLIENTS else {}
        if channel.kind == "sms_twilio":
            more = {"public_url": public_url}
        found[name] = _PEERS[channel.kind](name, channel.settings, **more)
    return found


def _key(secrets: Path, client: str) -> str:
    return (secrets / f"{client}-key").read_text(encoding="ascii")


def invented(number: int) -> str:
    """A name for a place; another for another number, so that a demo that is run again tells of other places."""
    first, second = _NAMES
    return first[number % len(first)] + second[number // len(first) % len(second)]


def letters(peers: Mapping[str, Peer], at: datetime) -> Iterator[tuple[str, Delivery]]:
    """What everybody writes now, by channel; ids come from the clock, so that each run brings new messages."""
    number = int(at.timestamp() * 1000)
    for name, peer in peers.items():
        for words in WORDS.get(name, ()):
            number += 1
            yield (
                name,
                peer.say(words.format(invented(number)), sender=str(number % 10**8), message_id=str(number), at=at),
            )
