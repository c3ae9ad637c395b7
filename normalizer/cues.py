"""What a short message asks of the hotline itself: how it stands, a mark for the answer, a withdrawal. Pure, by rule.

These are only cues. What they mean is decided against the caller's matters (dedupe/relation.py): 满意 from somebody whom
nobody has answered is no evaluation.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import Field

from normalizer.model import Frozen
from normalizer.tracking import valid

#: Characters of a message that is nothing but a cue; a longer one says more.
SHORT = 60
#: Whole messages that mean "send me nothing more": the carriers' and the platforms' words.
OPT_OUT = frozenset(
    ("TD", "T", "N", "退订", "退订短信", "取消订阅", "STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "0000", "00000")
)
_SCORES = {
    "非常满意": 5,
    "很满意": 5,
    "十分满意": 5,
    "满意": 4,
    "比较满意": 4,
    "基本满意": 3,
    "一般": 3,
    "不太满意": 2,
    "不满意": 2,
    "很不满意": 1,
    "非常不满意": 1,
    "十分不满意": 1,
    "VERY SATISFIED": 5,
    "SATISFIED": 4,
    "NEUTRAL": 3,
    "DISSATISFIED": 2,
    "NOT SATISFIED": 2,
    "VERY DISSATISFIED": 1,
}
_SCORE = re.compile(r"([1-5])(?:分|星|颗星)?")
_CODE = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
_STATUS = re.compile(
    r"进度|进展|查询|查一下|查下|办理情况|处理情况|办到哪|到哪一?步|办得怎么样|处理得怎么样|\bSTATUS\b|\bPROGRESS\b"
)
_OBJECT = "诉求|投诉|举报|工单|反映|求助|建议|申请|咨询|事项"
_WITHDRAWAL = re.compile(
    rf"(?:我要|我想|请|申请|麻烦|帮我)?(?:撤回|撤销|撤诉|取消|撤掉|不投诉了|WITHDRAW|CANCEL)(?:我的|本次|该|这个|这条|上述|MY|THE)?(?P<what>{_OBJECT}|COMPLAINT|REQUEST)?了?"
)
_WITHDRAWAL_ALONE = re.compile(r"撤回|撤销|撤诉|不投诉了|WITHDRAW")
_CHASE = re.compile(
    r"催办|催一下|催促|再催|请尽快|怎么还没|为什么还没|还没有?(?:处理|解决|修|来|人|回复|答复|消息|动静)|"
    r"没人(?:管|处理|回复|联系|来)|多久|什么时候|何时|几天了|等了.{0,6}(?:天|周|月)|ANY (?:NEWS|UPDATE)|HOW LONG|STILL WAITING"
)
_OBJECTION = re.compile(
    r"不满意|不认可|不同意|不接受|不属实|不符|没有?解决|未解决|没有?处理好|还是(?:没|老样子|一样)|又(?:坏|堵|漏|响|来)了|"
    r"敷衍|推诿|糊弄|弄虚作假|NOT (?:RESOLVED|SOLVED|FIXED|SATISFIED)|DISAGREE"
)
_EDGES = " \t\r\n,.;:!?~、，。；：！？…～()（）【】[]《》<>\"'“”‘’"


class Cues(Frozen):
    """What could be read in a message; any of it may mean nothing."""

    codes: tuple[str, ...] = ()
    """Tracking codes (受理编号) in the words, check digit right, in their order."""
    short: bool = False
    """There is not much more in it than the cue."""
    opt_out: bool = False
    """The whole message is a word for "send me nothing more"."""
    score: Annotated[int, Field(ge=1, le=5)] | None = None
    """The whole message is a mark: 5 very content, 1 not at all."""
    status: bool = False
    """Asks how it stands."""
    withdrawal: bool = False
    """Takes it back."""
    chase: bool = False
    """Asks for it to be done at last."""
    objection: bool = False
    """Says that it was not done, or not well."""


def read_cues(text: str) -> Cues:
    """Read the cues of a cleaned text."""
    folded = unicodedata.normalize("NFKC", text[: 10 * SHORT]).upper()
    codes = tuple(dict.fromkeys(code for code in _CODE.findall(folded) if valid(code)))
    words = _CODE.sub(" ", folded).strip(_EDGES)
    short = len(words) <= SHORT and len(text) <= 10 * SHORT
    return Cues(
        codes=codes,
        short=short,
        opt_out=not codes and folded.strip(_EDGES) in OPT_OUT,
        score=_score(words),
        status=short and (bool(_STATUS.search(words)) or (bool(codes) and not words)),
        withdrawal=short and _withdraws(words, named=bool(codes)),
        chase=short and bool(_CHASE.search(words)),
        objection=bool(_OBJECTION.search(words)),
    )


def _score(words: str) -> int | None:
    """Only where nothing else is said."""
    mark = _SCORE.fullmatch(words)
    return int(mark[1]) if mark else _SCORES.get(words)


def _withdraws(words: str, *, named: bool) -> bool:
    """取消 alone says nothing: it needs what is taken back, or its code."""
    found = _WITHDRAWAL.fullmatch("".join(words.split()))
    return found is not None and (named or bool(found["what"]) or bool(_WITHDRAWAL_ALONE.search(words)))
