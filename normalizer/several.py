"""Several matters in one letter: marked, so that a person may split it; never split by itself. Pure, by rule.

A list alone tells nothing: reasons, requests and sides of one matter are numbered as well. The parts must be about different
things, none of which the words before them are about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ahocorasick_rs import AhoCorasick, MatchKind

from normalizer.topics import PROBLEMS, SETTINGS

#: Characters read, and of a part.
READ = 2_000
_PART = 400
#: Fewest characters of a part that says anything, and most parts.
_LEAST, _MOST = 6, 9

_NUMERALS = "一二三四五六七八九"
#: Ways to number, each with its numbers in order.
_LISTS = (
    tuple(f"{sign}、" for sign in _NUMERALS),
    tuple(f"{number}、" for number in range(1, 10)),
    tuple(f"{number}." for number in range(1, 10)),
    tuple(f"{number}．" for number in range(1, 10)),
    tuple(f"({number})" for number in range(1, 10)),
    tuple(f"（{number}）" for number in range(1, 10)),
    tuple(f"（{sign}）" for sign in _NUMERALS),
    tuple("①②③④⑤⑥⑦⑧⑨"),
    tuple(f"第{sign}，" for sign in _NUMERALS),
    tuple(f"第{sign}、" for sign in _NUMERALS),
    tuple(f"第{sign}：" for sign in _NUMERALS),
    tuple(f"第{sign}件" for sign in _NUMERALS),
    tuple(f"第{sign}个" for sign in _NUMERALS),
    tuple(f"其{sign}" for sign in _NUMERALS),
    tuple(f"{sign}是" for sign in _NUMERALS),
    tuple(f"{number}，" for number in range(1, 10)),
)
_PATTERNS = tuple(
    tuple(re.compile(f"(?:^|(?<=[\\s，,。.；;：:！!？?）)]))[ 　]*{re.escape(mark)}(?![0-9])") for mark in marks)
    for marks in _LISTS
)
_TELL = "(?:反映|反应|投诉|举报|咨询|求助|报修|建议|提(?![供出升高示醒前])|问(?!题)|说)"
_ONE_MORE = "(?:[一1两2另几][个件项](?:别的|其他|小)?(?:事|问题|情况|建议))"
_LEADS = "(?:[，,、 ]|我们?|还|再|想|要|也|就是|是|有|顺便|希望|请问?|来|跟|向|给|您|麻烦|一下|一并|同时){0,12}"
#: Words by which another matter begins; each with a sign of its own, so that they are found fast.
_MORE = re.compile(
    f"另外{_LEADS}(?:{_TELL}|{_ONE_MORE})|另[一有][件个]?(?:事|问题|情况)|另{_LEADS}{_TELL}|此外{_LEADS}(?:{_TELL}|{_ONE_MORE})|还有{_LEADS}(?:{_TELL}|{_ONE_MORE}|[个件]事)"
    f"|顺便{_LEADS}{_TELL}|除此之外{_LEADS}(?:{_TELL}|{_ONE_MORE})|除此以外{_LEADS}(?:{_TELL}|{_ONE_MORE})|还[想要](?:再|顺便)?{_TELL}|也[想要](?:再|顺便)?{_TELL}|再{_TELL}(?:另外)?一[个件下]|再(?:有|一)[一个]{{0,2}}(?:事|问题|[，,])|第二件事"
)
#: What numbers reasons, requests or sides of one matter.
_ONE = re.compile(
    "[^我]的问题[:：]|操作|做法|情形|现象|相关问题|存在(?:以下|如下|诸多|很多)?|理由|原因|诉求|要求|请求|依据|证据|恳请|建议如下|几点建议|建议[:：]|希望|事实|经过|影响|危害|后果|隐患|好处|优点|缺点|质疑|疑问|疑点|表现|行为|违法|违规|措施|方案|问题在于|主要是|因为|如果|体现|步骤|条件|材料|反对|要点"
)
_SAYS_SO = re.compile(
    "(?:反映|投诉|咨询|说|问|有|以下|下面|这|如下)(?:以下|下面|如下|这)?(?:[两二三四五六2-6几多])(?:个|件|项|处|点)?(?:事情?|问题|情况|方面)|[两二三2-6几]件事"
)
#: Topics that go together: whoever tells of one tells of the other.
_TOGETHER = (
    (
        "noise",
        "dust",
        "building site",
        "smell",
        "cooking fumes",
        "nightlife",
        "square dance",
        "pollution",
        "racing",
        "street trade",
        "river",
    ),
    (
        "building faults",
        "handing over",
        "fitting out",
        "buying a home",
        "false promise",
        "title deed",
        "loan",
        "planning",
        "start of work",
    ),
    ("wages", "social insurance", "refund", "fraud", "prices", "court", "-labour", "pyramid selling", "licence"),
    (
        "road surface",
        "road building",
        "jam",
        "traffic light",
        "crossing",
        "goods traffic",
        "traffic police",
        "flooding",
    ),
    ("school place", "school fees", "teachers", "exam", "-kindergarten", "-college"),
    ("sewage", "smell", "rubbish", "toilet", "flooding", "river"),
    ("parking", "charging", "fire safety", "unlawful building", "change of use", "electric bicycle"),
    ("water supply", "water quality"),
    ("demolition", "renewal", "land", "resettlement", "corruption", "planning"),
    ("electricity", "gas", "heating"),
    ("lift", "greenery", "parking", "-property management", "rubbish"),
)
#: Settings that are subjects of their own.
_SERVICES = frozenset({"-bus", "-metro", "-coach", "-railway", "-airport", "-hospital", "-network service"})
_SAME = re.compile("(?:同一|还是|也是|仍是|该|上述|这家|此)")


@dataclass(frozen=True, slots=True)
class Several:
    """The matters of a letter."""

    spans: tuple[tuple[int, int], ...]
    #: Where each is told.
    rule: str
    #: several.numbered or several.more (另外还有一件事).


def _words() -> tuple[AhoCorasick, tuple[str, ...]]:
    """The words of all topics, and the topic of each."""
    topics = {word: f"-{topic}" for topic, words in SETTINGS.items() for word in words.split()}
    topics |= {word: topic for topic, words in PROBLEMS.items() for word in words.split()}
    return AhoCorasick(list(topics), matchkind=MatchKind.LeftmostLongest), tuple(topics.values())


_AUTOMATON, _TOPIC_OF = _words()


def several(text: str) -> Several | None:
    """The matters that a cleaned text tells one after the other, if there is more than one and they differ."""
    head = text[:READ]
    return _numbered(head) or _more(head)


def _numbered(text: str) -> Several | None:
    """Parts with numbers, about different things."""
    for marks, patterns in zip(_LISTS, _PATTERNS, strict=True):
        starts = _starts(text, patterns) if marks[1] in text else ()
        if len(starts) < 2:
            continue
        before = text[: starts[0]]
        spans = tuple(_trimmed(text, start, end) for start, end in pairwise((*starts, _last(text, starts[-1]))))
        said = bool(_SAYS_SO.search(before))
        if _ONE.search(before[-40:]) and not said:
            return None
        if _differ(text, spans, before, said=said):
            return Several(spans, "several.numbered")
    return None


def _starts(text: str, patterns: tuple[re.Pattern[str], ...]) -> Sequence[int]:
    """Where the parts of a list begin, its numbers in order."""
    starts, position = list[int](), 0
    for pattern in patterns[:_MOST]:
        mark = pattern.search(text, position)
        if mark is None:
            break
        starts.append(mark.start())
        position = mark.end()
    return starts


def _last(text: str, start: int) -> int:
    """Where the last part ends: with its paragraph."""
    end = text.find("\n", start + _LEAST)
    return min(end if end > 0 else len(text), start + _PART)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A part without the white space around it."""
    words = text[start:end]
    return start + len(words) - len(words.lstrip()), start + len(words.rstrip())


def _more(text: str) -> Several | None:
    """What follows 另外还有一件事, about another thing."""
    for more in _MORE.finditer(text):
        spans = (_trimmed(text, 0, more.start()), _trimmed(text, more.start(), _last(text, more.start())))
        behind = text[more.end() : more.end() + 12]
        if not _SAME.match(behind) and not _ONE.search(behind[:6]) and _differ(text, spans, "", said=True):
            return Several(spans, "several.more")
    return None


def _differ(text: str, spans: tuple[tuple[int, int], ...], before: str, *, said: bool) -> bool:
    """Whether every part has a subject, and no two parts, nor a part and the words before them, have one in common."""
    parts = [_topics(text[start : min(end, start + _PART)]) for start, end in spans]
    if any(end - start < _LEAST for start, end in spans) or not all(parts):
        return False
    told = _topics(before) if before else set()
    if any(one & other for number, one in enumerate(parts) for other in (told, *parts[:number])):
        return False
    if any(_akin(one, other) for number, one in enumerate(parts) for other in parts[:number]):
        return False
    problems = [{topic for topic in part if topic[0] != "-" or topic in _SERVICES} for part in parts]
    return said or (all(problems) and not told and len(spans) < 5)


def _akin(one: set[str], other: set[str]) -> bool:
    """Whether two parts are about things that go together."""
    return any(not one.isdisjoint(topics) and not other.isdisjoint(topics) for topics in _TOGETHER)


def _topics(words: str) -> set[str]:
    """What words are about; settings are marked."""
    return {_TOPIC_OF[index] for index, _, _ in _AUTOMATON.find_matches_as_indexes(words)}
