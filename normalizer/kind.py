"""The kind of a matter, with the words that tell it: Jinan article 3, Weifang article 10. Pure, by rule.

Words in groups of one meaning (normalizer/kind_words.py) speak for or against each kind, in the title, anywhere in the text or at
its close; what each weighs stands in normalizer/kind_weights.py and was fitted by bench/fit_kind.py. What the citizen calls it
himself at the edge of the title (咨询……, ……的建议, 【投诉】) or in the first words of the text (我要举报) weighs most, but does not
decide alone: "举报电话是多少" asks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick, MatchKind

from normalizer.kind_weights import KINDS, START, WEIGHTS
from normalizer.kind_words import GROUPS
from normalizer.model import MatterKind

#: Characters read of the title and of the text; of the text's close.
TITLE, TEXT, CLOSE = 200, 1_500, 80
#: Added to a text's hundreds of characters; the most a group's words can count.
SHORT, MOST = 0.5, 3.0
#: The most words named as evidence.
SPANS = 3
#: What his own word for it adds to the sum of that kind: in the title; where the text begins.
NAMED, DECLARED = 4.0, 2.5

#: Groups that tell nothing alone: 你好, 谢谢, 在吗？
_EMPTY = frozenset(
    {"greeting", "closing_thanks", "about", "particle", "mark", "exclaims", "problem", "own_case", "self"}
)
#: Groups without which nothing is asked.
ASKING = frozenset(
    {
        "asks",
        "asks_whether",
        "asks_when",
        "asks_how",
        "asks_amount",
        "asks_where_to_report",
        "says_consultation",
        "mark",
        "particle",
        "awaits_answer",
    }
)
#: A question in fewer characters is a greeting: 在吗？ 有人吗？
_LEAST = 6
#: What has so many different signs tells something.
_LEAST_SIGNS = 11
_NAMES = tuple(GROUPS)
_WORDS = {word: at for at, words in enumerate(GROUPS.values()) for word in words.split()}
_GROUP = tuple(_WORDS.values())
_FINDER = AhoCorasick(list(_WORDS), matchkind=MatchKind.LeftmostLongest)
_EMPTY_AT = frozenset(at for at, name in enumerate(_NAMES) if name in _EMPTY)
_ASKING_AT = frozenset(at for at, name in enumerate(_NAMES) if name in ASKING)
_SHAPES = ("length.shape", "about.shape", "ends_asking.shape", "silent.shape")
_PLACES = ("title", "text", "close")
_COUNT = len(_NAMES)
_TOTAL = _COUNT * len(_PLACES)
_NOTHING = (0.0,) * len(KINDS)
#: The rows of the weights: every group in the title, in the text, at its close; then the form.
_ROWS = tuple(
    WEIGHTS.get(name, _NOTHING) for name in (*(f"{group}.{place}" for place in _PLACES for group in _NAMES), *_SHAPES)
)

_OWN_WORDS = {
    "咨询": MatterKind.CONSULTATION,
    "请问": MatterKind.CONSULTATION,
    "求助": MatterKind.HELP,
    "求救": MatterKind.HELP,
    "建议": MatterKind.SUGGESTION,
    "意见": MatterKind.SUGGESTION,
    "提议": MatterKind.SUGGESTION,
    "投诉": MatterKind.COMPLAINT,
    "批评": MatterKind.COMPLAINT,
    "举报": MatterKind.REPORT,
    "检举": MatterKind.REPORT,
    "表扬": MatterKind.PRAISE,
    "感谢": MatterKind.PRAISE,
    "点赞": MatterKind.PRAISE,
}
_OWN = "|".join(_OWN_WORDS)
#: Behind the word: it is not the matter's name but what the matter is about.
_NOT_OWN = "(?!电话|热线|渠道|途径|邮箱|方式|窗口|平台|中心|人|者|信箱|奖励|无门|无果|无效|后|过|了|稿|费|公司|机构|单)"
_BEFORE = "(?:我们?|本人|市民|群众|业主|想|要|来|再次|强烈|严重|紧急|实名|匿名|特此|特|现|向.{1,8}?|对.{1,30}?的|一个|一下|关于){0,4}"
#: 咨询……, 我要举报……, 【投诉】…… at the start; ……的建议, ……举报信 at the end.
_TITLE_STARTS = re.compile(rf"\W{{0,3}}{_BEFORE}({_OWN}){_NOT_OWN}")
_TITLE_ENDS = re.compile(rf"(?:的|之|:|：|[一二三四五六七八九十几0-9][条点])?({_OWN})(?:信|函|书|贴|帖)?\W{{0,3}}$")
_TITLE_TAIL = 12
#: In the first words of the text: 我要投诉, 特此举报, 现向贵局举报, 建议:.
_TEXT_STARTS = re.compile(
    rf"(?:^|[\s，,。.！!：:])(?:(?:我们?|本人|市民|今天|特此|特|现|实名|匿名|想要?|要|来|向.{{1,8}}?){{1,4}}({_OWN}){_NOT_OWN}"
    rf"|({_OWN})(?:[:：]|人[:：]))"
)
_TEXT_HEAD = 60
#: In a short message: how, where and with what result one reports or complains, which is a question about it.
_ASKS_TO_REPORT = re.compile(
    "(?:向谁|找谁|哪个|哪些|哪里|哪儿|去哪|怎么|怎样|如何|咋)[^。！!？?\n]{0,8}(?:举报|投诉)"
    "|(?:举报|投诉)[^。！!？?\n]{0,16}?(?:哪个|哪里|什么材料|哪些|奖励|流程|渠道|几天|几个工作日|多久|怎么|如何|能否匿名)"
)
#: A short message that begins with thanks and goes on to nothing else.
_THANKS = re.compile(
    "(?:真心|衷心|特别|非常|十分|在此|真的?|太){0,2}(?:感谢|谢谢|表扬|点赞|夸夸?)(?!信|过|一下吧)(?=[^\\W\\d_]{3})"
    "(?!.*(?:[?？吗呢]|但|可是|不过|希望|请|麻烦|能不能|能否|什么|怎么|为什么|却|还是没|投诉|举报|建议|咨询))",
    re.DOTALL,
)
_SHORT_TEXT = 90
_ENDS_ASKING = re.compile(
    r"(?:[?？吗呢么]|[^\W\d_]{2}(?:不|没|没有|没得)[嘛呀啊哈哦]?|是?多少(?:钱|元)?|是?什么|哪里|哪儿|哪个|[几多]久|几[天号点])\W{0,4}$"
)
_ABOUT = re.compile(r"\W{0,2}(?:关于|对|就)")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Read:
    """The kind of a matter and why."""

    #: What is asked of the city.
    kind: MatterKind
    #: How sure, 0 to 1: the kind's share (softmax) of the sums.
    score: float
    #: In the text, the words that decided, the weightiest first, at most SPANS; empty when only the title did.
    spans: tuple[tuple[int, int], ...]
    #: What decided: "kind.title_word", "kind.text_word", or the weightiest group of words, like "kind.asks_how".
    rule: str


@dataclass(slots=True)
class Found:
    """What stands in a title and a text."""

    #: Groups in the title.
    title: set[int] = field(default_factory=set)
    #: How often each group is in the text.
    text: dict[int, int] = field(default_factory=dict)
    #: Groups at the close of the text.
    close: set[int] = field(default_factory=set)
    #: Where each group's first word is in the text.
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: Characters of the text.
    length: int = 0
    #: Form rather than words: of the length, whether the title begins with 关于, whether the text ends in a question,
    #: whether nothing is asked.
    shape: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def empty(self) -> bool:
        """Whether there is nothing to go by."""
        return not self.title - _EMPTY_AT and not self.text.keys() - _EMPTY_AT

    def features(self) -> tuple[list[int], list[float]]:
        """The rows of the weights that apply, and how much each."""
        groups, size = self.title | self.text.keys(), self.length / 100 + SHORT
        rows, values = list(self.title), [1.0] * len(self.title)
        for group in groups:
            rows.append(_COUNT + group)
            values.append(min((self.text.get(group, 0) + (group in self.title)) / size, MOST))
        rows += [2 * _COUNT + group for group in self.close]
        values += [1.0] * len(self.close)
        return [*rows, *range(_TOTAL, _TOTAL + len(_SHAPES))], [*values, *self.shape]


def read_kind(title: str, text: str) -> Read:
    """The kind of a matter by a cleaned title and text; OTHER where neither tells anything."""
    title, text = _readable(title[:TITLE]), _readable(text[:TEXT])
    found = find(title, text)
    named, declared = title_word(title), _text_word(text)
    if found.empty() and not named and not _tells(found, text):
        return Read(MatterKind.OTHER, 1.0, (), "kind.nothing")
    rows, values = found.features()
    sums = _total(rows, values)
    if named:
        sums[KINDS.index(named)] += NAMED
    if declared:
        sums[KINDS.index(declared[0])] += DECLARED
    second, best = sorted(range(len(KINDS)), key=sums.__getitem__)[-2:]
    score = 1 / sum(math.exp(one - sums[best]) for one in sums)
    gains = [value * (_ROWS[row][best] - _ROWS[row][second]) for row, value in zip(rows, values, strict=True)]
    spans, rule = _evidence(found, rows, gains)
    if declared and declared[0] == KINDS[best]:
        spans, rule = _first(declared[1], spans), "kind.text_word"
    return Read(KINDS[best], score, spans, "kind.title_word" if named == KINDS[best] else rule)


def find(title: str, text: str) -> Found:
    """The groups of words in a title and a text."""
    found = Found({_GROUP[at] for at, _, _ in _FINDER.find_matches_as_indexes(title)}, length=len(text))
    counts, close = found.text, len(text) - CLOSE
    for at, start, end in _FINDER.find_matches_as_indexes(text):
        group = _GROUP[at]
        if group in counts:
            counts[group] += 1
        else:
            counts[group], found.places[group] = 1, (start, end)
        if start >= close:
            found.close.add(group)
    asks = bool(_ENDS_ASKING.search(text[-12:]))
    silent = _ASKING_AT.isdisjoint(found.title) and _ASKING_AT.isdisjoint(counts)
    found.shape = (math.log1p(len(text)) / 3, float(bool(_ABOUT.match(title))), float(asks), float(silent))
    return found


def _total(rows: list[int], values: list[float]) -> list[float]:
    """The sum of each kind, in the order of KINDS: written out, as it is the most of the work."""
    one, two, three, four, five, six = START
    for row, value in zip(rows, values, strict=True):
        first, second, third, fourth, fifth, sixth = _ROWS[row]
        one += value * first
        two += value * second
        three += value * third
        four += value * fourth
        five += value * fifth
        six += value * sixth
    return [one, two, three, four, five, six]


def title_word(title: str) -> MatterKind | None:
    """The kind that the title calls itself, at its start or its end; None where it does not, or names two."""
    starts = _TITLE_STARTS.match(title)
    ends = _TITLE_ENDS.search(title[-_TITLE_TAIL:])
    named = {_OWN_WORDS[one[1]] for one in (starts, ends) if one}
    return named.pop() if len(named) == 1 else None


def _text_word(text: str) -> tuple[MatterKind, tuple[int, int]] | None:
    """The kind that the text calls itself in its first words, and where; a short one may ask how to report, or only thank."""
    if len(text) <= _SHORT_TEXT:
        if asks := _ASKS_TO_REPORT.search(text):
            return MatterKind.CONSULTATION, asks.span()
        if thanks := _THANKS.match(text):
            return MatterKind.PRAISE, thanks.span()
    found = _TEXT_STARTS.search(text[:_TEXT_HEAD])
    if found is None:
        return None
    group = 1 if found[1] else 2
    return _OWN_WORDS[found[group]], found.span(group)


def _tells(found: Found, text: str) -> bool:
    """Whether it at least asks or tells something, in words that are not known."""
    return (bool(found.shape[2]) and len(text) >= _LEAST) or len(set(text)) >= _LEAST_SIGNS


def _evidence(found: Found, rows: list[int], gains: list[float]) -> tuple[tuple[tuple[int, int], ...], str]:
    """Where the words are that spoke most for the best kind rather than the second, and the weightiest group's rule."""
    spoke: dict[int, float] = {}
    for row, gain in zip(rows, gains, strict=True):
        if row < _TOTAL:
            group = row % _COUNT
            spoke[group] = spoke.get(group, 0.0) + gain
    ranked = sorted((group for group, gain in spoke.items() if gain > 0), key=spoke.__getitem__, reverse=True)
    spans = tuple(found.places[group] for group in ranked[:SPANS] if group in found.places)
    return spans, f"kind.{_NAMES[ranked[0]]}" if ranked else "kind.shape"


def _first(span: tuple[int, int], spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The span before the others, those that it overlaps left out."""
    return (span, *(one for one in spans if one[1] <= span[0] or one[0] >= span[1]))[:SPANS]


def _readable(text: str) -> str:
    """The text without halves of characters, each of which is replaced by one sign: the finder takes UTF-8."""
    return text if text.isascii() or text.isprintable() else _SURROGATE.sub("\ufffd", text)
