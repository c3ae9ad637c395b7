"""What is his and what is not: nothing disappears, no time is lost, and an identity outlives the rules.

What each mail program writes stands in tests/data/mail/quote-*.eml.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.digest import digest
from normalizer.html import QUOTE, QUOTE_ON, UNQUOTE, html_text
from normalizer.mail import read
from normalizer.mail_quotes import is_reply, part
from normalizer.mail_signature import is_device_line
from normalizer.model import Assurance, Contact, ContactType, Message

SUBJECTS = {
    **dict.fromkeys(
        ("Re: x", "RE：x", "回复：x", "答复: x", "转发：x", "Fwd: x", "FW: x", "Re[2]: x", "[外部] 回复: x"), True
    ),
    **dict.fromkeys(("x", "关于回复：x", "Regarding: x", "转发率：x", "", None), False),
}


@pytest.mark.parametrize(("subject", "reply"), SUBJECTS.items(), ids=str)
def test_a_reply_is_known_by_its_headers(subject: str | None, reply: bool) -> None:
    assert is_reply(subject, ()) == reply
    assert is_reply(subject, ("<1@x>",))


DEVICES = {
    True: (
        "发自我的iPhone", "发自我的 iPhone", "来自 小米手机", "来自我的小米手机", "发自vivo手机", "从我的 iPhone 发送", "来自华为手机 Mate60 Pro",
        "Sent from my iPhone", "Sent from my Huawei phone", "获取适用于 iOS 的 Outlook", "Get Outlook for iOS<https://aka.ms/o0ukef>",
        "来自网易邮箱大师", "从 Windows 版邮件发送", "发自我的手机", "发自新浪邮箱客户端", "Sent from Mail for Windows", "发自 网易邮箱大师",
        "发送自 Windows 10 版邮件应用", "Sent from my mobile device", "发自我的 HUAWEI Mate 60", "Sent with Proton Mail Secure Email.",
    ),
    False: (
        "发自内心希望领导看到这封邮件", "来自小米手机店的噪音", "从手机上看不清", "来自手机店", "通过手机举报", "来自三星路的居民", "发自肺腑", "手机",
        "Sent from my wife's account", "从窗户往下扔垃圾", "来自一加油站的噪音", "下载手机应用后无法登录", "通过手机", "来自居民", "", "x" * 5000,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "device"), [(line, device) for device, lines in DEVICES.items() for line in lines])
def test_a_device_line_is_known_and_no_other(line: str, device: bool) -> None:
    assert is_device_line(line) == device


PIECES = [
    *("路灯不亮。", "> 哪个路口？", "------ 原始邮件 ------", "发件人: 甲 <a@b.example>", "发送时间: 2026年11月22日 16:00", "收件人: 乙"),
    *("主题: 路灯", "在 2026-11-22 16:00，甲 <a@b.example> 写道：", "On 11/22/2026 4:00 PM, A wrote:", "发自我的iPhone", "-- ", "--", ""),
    *("________________________________", "本邮件含有保密信息，如误收请删除。", "张三", "见下文", "如下：", " ", "> > x", "Begin forwarded message:"),
]  # fmt: skip
MARKS = [QUOTE, UNQUOTE, QUOTE_ON]


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=25),
    st.lists(st.sampled_from(MARKS), max_size=4),
    st.booleans(),
)
def test_nothing_disappears(lines: list[str], marks: list[str], reply: bool) -> None:
    text = "\n".join(lines).translate(dict.fromkeys(map(ord, MARKS)))
    rows = text.split("\n")
    marked = "".join(f"{mark}{row}\n" for mark, row in zip([*marks, *[""] * len(rows)], rows, strict=False))
    letter = part(marked, "", reply=reply)
    assert "".join(f"{letter.own}{letter.quoted}".split()) == "".join(text.split())
    assert not text.strip() or letter.own.strip()


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_only_an_end_is_cut(lines: list[str]) -> None:
    words = "\n".join(lines).split()
    own = part("\n".join(lines), "", reply=True).own.split()
    assert own == words[: len(own)]


LONG = {
    "greater-than": "> a\n",
    "one line of them": ">",
    "attributions": "在 2026年11月22日 16:00 甲 写道：\n",
    "half attributions": "On 2026 at\n",
    "ends of attributions": "wrote:\n",
    "from": "From: a\n b\n c\n",
    "heads": "发件人: a\n发送时间: 2026年\n收件人: b\n",
    "dividers": "—— 原始邮件 ——\n",
    "dashes": "—",
    "signatures": "-- \n",
    "device lines": "发自我的iPhone\n",
    "disclaimers": "本邮件保密误收删除\n\n",
    "one disclaimer": "本邮件保密误收删除\n",
    "blank lines": "\n",
    "between the lines": "> q\nanswer\n",
    "marks": f"{QUOTE}a{UNQUOTE}\n",
    "marks in a line": f"{QUOTE}a{UNQUOTE}",
    "unclosed marks": f"{QUOTE}a\n",
}


@pytest.mark.parametrize("piece", LONG.values(), ids=LONG)
def test_a_megabyte_is_parted_in_time(piece: str) -> None:
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    started = time.process_time()
    part(f"说明\n{text}", "", reply=True)
    part("说明", text, reply=True)
    assert time.process_time() - started < 8


TAGS = ["<blockquote type=cite>a", "<blockquote type=cite>a</blockquote>b", "<div id=divRplyFwdMsg>x", '<div class="gmail_quote" x="', "<blockquote class=a "]  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_a_megabyte_of_quoting_tags_is_read_in_time(tag: str) -> None:
    started = time.process_time()
    html_text(tag * (1_000_000 // len(tag)))
    assert time.process_time() - started < 3


def said(text: str, quoted: str = "") -> Message:
    sender = Contact(type=ContactType.MAIL, value="a@b.example", assurance=Assurance.SPOOFABLE)
    return Message(key_space="mail", account="m", sender=sender, provider_id="1", text=text, quoted=quoted)


def test_a_message_is_the_same_however_it_is_parted() -> None:
    assert digest(said("路灯\n\n> 哪里")) == digest(said("路灯", "> 哪里"))
    assert digest(said("路灯", "> 哪里")) != digest(said("路灯", "> 那里"))


def test_a_mail_kept_before_it_was_parted_is_known_again() -> None:
    whole = (
        "路灯没修好。\n\n------------------ 原始邮件 ------------------\n发件人: 市长信箱\n发送时间: 2026年\n\n已转交。"
    )
    mail = read(f"Subject: Re: x\nContent-Type: text/plain; charset=utf-8\n\n{whole}\n".encode())
    assert mail.text == "路灯没修好。"
    assert digest(said(mail.text, mail.quoted)) == digest(said(whole))
