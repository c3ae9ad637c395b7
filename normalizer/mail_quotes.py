"""What the citizen wrote, apart from what his mail program put below it: quoted history, forwarded mail, signatures.

Only an end is ever taken off, and only where each of its lines is known to be another's: a false cut is worse than a
leftover. So a quotation counts in a reply or a forward alone, answers between quoted lines keep the lines they answer, and
where nothing would be left all stays. Each line is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from normalizer.html import QUOTE, QUOTE_ON, UNQUOTE
from normalizer.mail_signature import is_device_line, letter_end

#: Characters of a line that is still looked at as a divider, a header or an attribution.
_LONGEST = 400
#: Lines over which a header of a quoted mail may go, and an attribution that was folded.
_HEADER_LINES, _FOLDED = 16, 3
#: A pointer to answers further down stands in a letter of so many characters.
_POINTING = 200

_REPLY = re.compile(
    r"\s*(?:\[[^\]]{0,40}\]\s*)?(?:re|fwd?|aw|wg|sv|tr|回复|答复|回覆|转发|轉寄|轉發)\s*(?:\[\d{1,3}\])?\s*[:：]",
    re.IGNORECASE,
)
_DASHES = "-—–‐_=*~"
#: What stands between dashes where a quotation begins: QQ, NetEase, Outlook, Foxmail, Gmail, Apple and their likes.
_DIVIDERS = {
    *(
        "原始邮件",
        "原邮件",
        "邮件原件",
        "原始郵件",
        "回复的原邮件",
        "转发的原邮件",
        "转发的邮件",
        "转发邮件",
        "转发邮件信息",
        "原始信息",
    ),
    *("original message", "original mail", "original email", "original", "forwarded message", "forwarded mail"),
    *("replied message", "forward message"),
}
#: Without dashes.
_ANNOUNCED = {"开始转发的邮件", "下面是被转发的邮件", "以下是转发的邮件", "begin forwarded message"}
_LABELS = {
    **dict.fromkeys(("发件人", "寄件者", "寄件人", "from", "sender"), "from"),
    **dict.fromkeys(("发送时间", "发件时间", "发送日期", "日期", "时间", "寄件日期", "date", "sent"), "date"),
    **dict.fromkeys(("收件人", "收件者", "to"), "to"),
    **dict.fromkeys(("抄送", "副本", "cc"), "cc"),
    **dict.fromkeys(("主题", "主旨", "subject"), "subject"),
}
_LABEL = re.compile(r"([a-z]{2,7}|[\u4e00-\u9fff]{2,4})\s{0,8}(?:([:：|])|\s|$)", re.IGNORECASE)
#: How an attribution ends: Gmail, Apple, Thunderbird, NetEase, in Chinese and English.
_ENDS = ("写道：", "写道:", "寫道：", "寫道:", "wrote:", "wrote：", "来信：")
_YEAR = re.compile(r"(?:19|20)\d\d\D|\d{1,2}/\d{1,2}/\d{2,4}")
_TIME = re.compile(r"\d{1,2}[:：]\d{2}")
_BEGINS = re.compile(r"(?:在|于|on\b|at\b|星期|周|(?:19|20)\d\d年\d{1,2}月\d{1,2}日\s)", re.IGNORECASE)
_LATER = re.compile(r"\s[于在]\s?(?:19|20)\d\d年")
_MARKS = re.compile(f"([{QUOTE}{UNQUOTE}{QUOTE_ON}])")
#: He points to what he wrote further down.
_POINTS = re.compile("见下|如下|下文|下面|下方|红字|红色|蓝字|逐条|文中|原文|below|inline|in red", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letter:
    """A text, parted; ``own`` and ``quoted`` together are all of it."""

    own: str
    quoted: str = ""
    #: ``answers_in_quotation``: he wrote between or below quoted lines; ``only_quotation``: nothing else is there.
    flag: str | None = None


def is_reply(subject: str | None, thread: tuple[str, ...]) -> bool:
    """Whether a mail answers or forwards another, as its headers say."""
    return bool(thread) or _REPLY.match(subject or "") is not None


def part(text: str, twin: str, *, reply: bool) -> Letter:
    """Part ``text``; ``twin`` is the same letter from HTML, where it has both, for its program marked the quotation."""
    lines, quoted = _lines(text)
    if not reply:
        return _letter(lines, len(lines), [False] * len(lines))
    quoted = _with_text_marks(lines, quoted)
    cut = _tail(lines, quoted)
    if cut == len(lines) and twin and not any(quoted):
        cut = _twin_cut(lines, twin)
    return _letter(lines, cut, quoted)


def _letter(lines: list[str], cut: int, quoted: list[bool]) -> Letter:
    own = lines[:cut]
    if cut < len(lines) and not _written(own):
        return Letter("\n".join(lines), flag="only_quotation")
    inside = any(quoted[:cut])
    if cut < len(lines) and _points_down(own):
        inside, cut = True, len(lines)
    end = letter_end(lines, cut)
    flag = "answers_in_quotation" if inside else None
    return Letter("\n".join(lines[:end]), "\n".join(lines[end:]), flag)


def _written(lines: list[str]) -> bool:
    """Whether somebody wrote any of them."""
    return any(line.strip(f" \t\u00a0\ufeff>|{_DASHES}") and not is_device_line(line) for line in lines)


def _points_down(own: list[str]) -> bool:
    words = "\n".join(own)
    return len(words) <= _POINTING and _POINTS.search(words) is not None


def _lines(text: str) -> tuple[list[str], list[bool]]:
    """The lines, and which of them the HTML marks as quoted; a line that is partly his is his."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not _MARKS.search(text):
        return lines, [False] * len(lines)
    quoted: list[bool] = []
    depth, on = 0, False
    for line in lines:
        inside = outside = False
        for piece in _MARKS.split(line) if _MARKS.search(line) else (line,):
            if piece == QUOTE:
                depth += 1
            elif piece == UNQUOTE:
                depth = max(0, depth - 1)
            elif piece == QUOTE_ON:
                on = on or depth == 0
            elif piece.strip():
                inside, outside = inside or bool(depth or on), outside or not (depth or on)
        quoted.append(inside and not outside)
    return _MARKS.sub("", "\n".join(lines)).split("\n"), quoted


def _with_text_marks(lines: list[str], marked: list[bool]) -> list[bool]:
    """``marked``, with what the text itself shows: lines behind ``>``, and all below the head of a quoted mail."""
    quoted = [mark or line.lstrip(" \t\u00a0\ufeff").startswith(">") for line, mark in zip(lines, marked, strict=True)]
    last = max((at for at, mark in enumerate(quoted) if mark), default=-1)
    for at, line in enumerate(lines):
        if not quoted[at] and 0 < len(line.strip()) <= _LONGEST and _begins_quotation(lines, at, last):
            return quoted[:at] + [bool(line.strip()) for line in lines[at:]]
    return quoted


def _begins_quotation(lines: list[str], at: int, last: int) -> bool:
    """Whether all below ``at`` is quoted; where lines are marked up to the ``last``, an attribution says nothing more."""
    if _is_divider(lines[at]):
        return _heads(lines, at + 1, strict=False) >= 1
    if _label(lines[at], strict=True) == "from":
        return _is_header(lines, at)
    end = _attribution_end(lines, at)
    return end is not None and last < end


def _bare(line: str) -> str:
    return line[:_LONGEST].strip(" \t\u00a0\u3000\ufeff>|*")


def _is_divider(line: str) -> bool:
    bare = line[:_LONGEST].strip(" \t\u00a0\u3000\ufeff>|")
    words = bare.strip(f"{_DASHES} \t\u00a0\u3000:：").casefold()
    if words in _ANNOUNCED:
        return True
    return words in _DIVIDERS and bare[:2].strip(_DASHES) == "" and bare[-2:].strip(_DASHES) == ""


def _label(line: str, *, strict: bool) -> str | None:
    """Which header of a mail a line shows; without ``strict`` the cells of a table do as well."""
    found = _LABEL.match(_bare(line).replace("\u3000", ""))
    return _LABELS.get(found[1].casefold()) if found and (found[2] or not strict) else None


def _heads(lines: list[str], at: int, *, strict: bool) -> int:
    """How many different headers stand in the next lines, folded ones and one empty line in a row allowed."""
    seen: set[str] = set()
    foreign = 0
    for line in lines[at : at + _HEADER_LINES]:
        if not line.strip(" \t\u00a0\u3000>|-"):
            continue
        label = _label(line, strict=strict)
        foreign = 0 if label else foreign + 1
        if label:
            seen.add(label)
        elif foreign > 2:
            break
    return len(seen)


def _is_header(lines: list[str], at: int) -> bool:
    """Outlook's head of a quoted mail: who, when, to whom or about what; unless he himself leads over to it."""
    before = next((line.strip() for line in reversed(lines[max(0, at - 3) : at]) if line.strip()), "")
    if before.endswith((":", "：")) and not _is_divider(before):
        return False
    block = lines[at : at + _HEADER_LINES]
    dated = any(_label(line, strict=True) == "date" and _YEAR.search(line) for line in block)
    return dated and _heads(lines, at, strict=True) >= 3


def _attribution_end(lines: list[str], at: int) -> int | None:
    """Behind which line the attribution ends that begins at ``at``; None where there is none."""
    for end in range(at, min(len(lines), at + _FOLDED)):
        if len(lines[end]) > _LONGEST:
            return None
        if _bare(lines[end]).endswith(_ENDS):
            joined = " ".join(_bare(line) for line in lines[at : end + 1]).strip()
            return end + 1 if _is_attribution(joined) else None
    return None


def _is_attribution(line: str) -> bool:
    """When and who, and nothing like a sentence: 在 2026年11月22日的通知中写道 is his own."""
    if len(line) > _LONGEST or re.search("[。；！？]", line) or not _YEAR.search(line):
        return False
    time = _TIME.search(line)
    if not (_BEGINS.match(line) or _LATER.search(line)) or not (time or "@" in line):
        return False
    return "@" in line or (time is not None and not re.search("的|中写道|里写道", line[time.end() :]))


def _tail(lines: list[str], quoted: list[bool]) -> int:
    """Before which line the quotation begins that goes on to the end; the number of lines where there is none."""
    cut = len(lines)
    while cut and (quoted[cut - 1] or not lines[cut - 1].strip() or _is_nobodys(lines[cut - 1])):
        cut -= 1
    below = [line for line, mark in zip(lines[cut:], quoted[cut:], strict=True) if mark]
    lead = _lead(lines, cut)
    if not below or (lead == cut and len(below) == 1 and below[0].lstrip().startswith(">")):
        return len(lines)
    return lead


def _is_nobodys(line: str) -> bool:
    """Neither his words nor quoted ones."""
    return is_device_line(line) or _is_rule(line)


def _lead(lines: list[str], cut: int) -> int:
    """``cut``, or where the attribution and dividers right above it begin."""
    for _ in range(_FOLDED):
        above = cut
        while above and not lines[above - 1].strip():
            above -= 1
        starts = (start for start in range(max(0, above - _FOLDED), above) if _attribution_end(lines, start) == above)
        start = next(starts, above)
        if start == above and above and _leads_over(lines[above - 1]):
            start = above - 1
        if start == above:
            break
        cut = start
    return cut


def _leads_over(line: str) -> bool:
    return _is_divider(line) or _is_rule(line) or _bare(line).casefold() in _DIVIDERS


def _is_rule(line: str) -> bool:
    """Outlook's line above a quoted head."""
    bare = line.strip()
    return len(bare) >= 5 and not bare.strip(_DASHES)


def _twin_cut(lines: list[str], twin: str) -> int:
    """Where the plain text goes on beyond his own words in the HTML, word for word."""
    own = part(twin, "", reply=True)
    if not own.quoted:
        return len(lines)
    return _at_words(lines, "".join(own.own.split()))


def _at_words(lines: list[str], words: str) -> int:
    at = 0
    for number, line in enumerate(_folded(lines)):
        if at == len(words):
            return number
        if not words.startswith(line, at):
            return len(lines)
        at += len(line)
    return len(lines)


def _folded(lines: list[str]) -> Iterator[str]:
    return ("".join(line.split()) for line in lines)
