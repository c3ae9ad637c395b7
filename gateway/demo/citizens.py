"""Citizens of an invented city, and what they write. Every name, number and place is made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from channels.base import AnyChannel
from channels.simulated import Delivery, Peer
from channels.simulated.app import AppPeer
from channels.simulated.sms_twilio import SmsTwilioPeer
from channels.simulated.smtp import SmtpPeer
from channels.simulated.telegram import TelegramPeer
from channels.simulated.wechat import WeChatPeer
from channels.simulated.weibo import WeiboPeer

WORDS: Mapping[str, tuple[str, ...]] = {
    "wechat": (
        "朝阳小区3号楼2单元电梯停运三天了，家里有八十岁老人下不了楼，请尽快维修。",
        "您好，想咨询一下新生儿医保怎么办理，需要带哪些材料？",
        "文化路与解放街交叉口的红绿灯坏了，早高峰非常堵。",
    ),
    "weibo": (
        "滨河公园北门的路灯连续一周不亮，晚上散步很不安全。",
        "建议在火车站东广场增设共享单车停放点。",
    ),
    "sms": (
        "幸福家园南侧工地夜里十二点还在施工，噪音太大，孩子睡不着。",
        "自来水发黄两天了，地址东风巷18号，请回电13800138000。",
    ),
    "mailbox": (
        "小区门口菜市场占道经营已有半年，消防车进不来。\n\n希望有关部门尽快处理。\n\n居民敬上",
        "环卫工人冒雪清扫道路，特此表扬。\n\n市民敬上",
    ),
    "telegram": (
        "The bus stop at Science Avenue has no shelter. Could the city please add one?",
        "地铁2号线施工围挡占了盲道，视障人士无法通行。",
    ),
    "app": (
        "我要投诉某某健身房突然关门，办的年卡不给退费。",
        "城东加油站附近有刺鼻气味，担心是泄漏。",
        "请问公租房今年的申请条件有变化吗？",
    ),
}


def peers(channels: Mapping[str, AnyChannel], secrets: Path, public_url: str) -> dict[str, Peer]:
    """The other end of each channel that the demo knows."""
    app_key = (secrets / "app-key").read_text(encoding="ascii")
    found: dict[str, Peer] = {}
    for name, channel in channels.items():
        match channel.kind:
            case "wechat":
                found[name] = WeChatPeer(name, channel.settings)
            case "weibo":
                found[name] = WeiboPeer(name, channel.settings)
            case "sms_twilio":
                found[name] = SmsTwilioPeer(name, channel.settings, public_url=public_url)
            case "smtp":
                found[name] = SmtpPeer(name, channel.settings)
            case "telegram":
                found[name] = TelegramPeer(name, channel.settings)
            case "app":
                found[name] = AppPeer(name, channel.settings, key=app_key)
            case _:
                continue
    return found


def letters(peers: Mapping[str, Peer], at: datetime) -> Iterator[tuple[str, Delivery]]:
    """What everybody writes now, by channel; ids come from the clock, so that each run brings new messages."""
    number = int(at.timestamp() * 1000)
    for name, peer in peers.items():
        for words in WORDS.get(name, ()):
            number += 1
            yield name, peer.say(words, sender=str(number % 10**8), message_id=str(number), at=at)
