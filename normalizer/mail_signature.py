"""What a mail program or an employer puts under a letter: found at its end only, and never where it could be his words."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Characters of a line that is still looked at as such a mark.
_LONGEST = 80
#: So many marks of programs and employers stand below each other at most.
_STACKED = 4
#: RFC 3676 section 4.3; a signature below it of so many lines at most.
_DELIMITER, _SIGNATURE_LINES = "-- ", 10
#: Somebody can be called by it: it stays with the words.
_NUMBER = re.compile(r"\d[\d\s-]{5,}\d")

_DEVICE = (
    "iPhone|iPad|Mac|华为|HUAWEI|荣耀|HONOR|小米|Xiaomi|Redmi|红米|OPPO|vivo|iQOO|realme|一加|OnePlus|三星|Samsung|Galaxy|魅族|"
    "Meizu|中兴|ZTE|努比亚|nubia|联想|Lenovo|摩托罗拉|诺基亚|Nokia|Android|安卓|鸿蒙|HarmonyOS|BlackBerry|Windows|Outlook|"
    "Foxmail|QQ邮箱|网易邮箱大师|网易邮箱|网易灵犀办公|阿里邮箱|钉钉邮箱|新浪邮箱|搜狐邮箱|139邮箱|189邮箱|移动设备|手机|平板|"
    "mobile device|phone|tablet|Proton ?Mail|Zoho Mail"
)
_AROUND = (
    r"客户端|智能|电脑|Secure Email|版邮件应用|版邮件|邮件应用|适用于|的|移动|Mail|Mate|Nova|Find|Reno|Ultra|Fold|Pro(?!ton)|Plus|Max|Note|for|the|my|on"
    r"|iOS|[A-Za-z]{0,3}\d{1,3}[A-Za-z]{0,5}|[\s,.+()-]"
)
_MACHINE = rf"(?:{_AROUND})*+(?:{_DEVICE})(?:{_DEVICE}|{_AROUND})*+"
_SENT = re.compile(
    rf"(?:(?:发自|来自|发送自)(?:我的)?\s*{_MACHINE}|(?:从|通过|使用)\s*(?:我的)?\s*{_MACHINE}发[送出]|sent\s(?:from|via|with)\s{_MACHINE}"
    r"|(?:get|获取|下载)[\sA-Za-z\u4e00-\u9fff]{0,12}Outlook[\sA-Za-z]{0,12})[。.]?",
    re.IGNORECASE,
)
_LINK = re.compile(r"<https?://[^\s<>]{1,200}>")

#: How a disclaimer begins, and what it speaks of; two of these make one.
_DISCLAIMS = re.compile(
    r"[\s*【\[(（]*(?:免责声明|保密声明|保密提示|本(?:电子)?邮件|此(?:电子)?邮件|disclaimer|confidentiality|confidential"
    r"|this (?:e-?mail|message|communication)|the information (?:contained )?in this)",
    re.IGNORECASE,
)
_SPEAKS_OF = (
    re.compile("保密|机密|专有信息|confidential|privileged", re.IGNORECASE),
    re.compile("误收|错误地?收到|错收|(?:非|不是|并非)(?:指定|预期|本邮件)?的?收件人|intended (?:recipient|solely|only)", re.IGNORECASE),
    re.compile("删除|销毁|delete|destroy", re.IGNORECASE),
    re.compile("禁止|不得|严禁|未经授权|unauthori[sz]ed|prohibited|not (?:copy|disclose)", re.IGNORECASE),
)  # fmt: skip
_DISCLAIMER = 4000


def is_device_line(line: str) -> bool:
    """Whether a line is a phone's or program's own signature: 发自我的iPhone, Sent from Outlook."""
    if len(line) > _LONGEST + 200:
        return False
    shown = _LINK.sub("", line).strip()
    return len(shown) <= _LONGEST and _SENT.fullmatch(shown) is not None


def letter_end(lines: Sequence[str], end: int) -> int:
    """Before which of ``lines[:end]`` the letter ends: what follows is signature or disclaimer; ``end`` if nothing does."""
    found = _written(lines, end)
    for _ in range(_STACKED):
        found = _written(lines, _one_less(lines, found))
    return found if any(line.strip() for line in lines[:found]) else end


def _written(lines: Sequence[str], end: int) -> int:
    """``end`` without blank lines."""
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _one_less(lines: Sequence[str], end: int) -> int:
    if end and is_device_line(lines[end - 1]):
        return end - 1
    start = _paragraph(lines, end)
    if _is_disclaimer("\n".join(lines[start:end])):
        return start
    return _delimited(lines, end)


def _paragraph(lines: Sequence[str], end: int) -> int:
    """Where the last paragraph begins, as far as a disclaimer can be long."""
    start, length = end, 0
    while start and length <= _DISCLAIMER and lines[start - 1].strip():
        start -= 1
        length += len(lines[start]) + 1
    return start


def _is_disclaimer(paragraph: str) -> bool:
    if len(paragraph) > _DISCLAIMER or not _DISCLAIMS.match(paragraph):
        return False
    return sum(bool(cue.search(paragraph)) for cue in _SPEAKS_OF) >= 2


def _delimited(lines: Sequence[str], end: int) -> int:
    """Where a signature begins that its program has set apart; one with a telephone number stays."""
    for at in range(end - 1, max(-1, end - 2 - _SIGNATURE_LINES), -1):
        if lines[at].rstrip("\r") == _DELIMITER:
            below = lines[at + 1 : end]
            short = all(len(line) <= _LONGEST for line in below)
            return at if short and not _NUMBER.search("\n".join(below)) else end
    return end
