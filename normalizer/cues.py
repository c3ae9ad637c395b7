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
    "满分": 5,
    "满意": 4,
    "比较满意": 4,
    "挺满意": 4,
    "还算满意": 4,
    "基本满意": 3,
    "一般": 3,
    "不太满意": 2,
    "不是很满意": 2,
    "不怎么满意": 2,
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
_NUMERALS = dict(zip("一二三四五", range(1, 6), strict=True))
_BEFORE_MARK = r"(?:评价|评分|满意度|我?(?:打|给)|回复|我)?"
_AFTER_MARK = r"(?:谢谢|感谢|多谢|THANKS|THANK YOU)?"
_WORDS = rf"(?P<words>{'|'.join(sorted(_SCORES, key=len, reverse=True))})的?"
_FIGURE = "(?:(?P<digit>[1-5]) ?(?:分|星|颗星)?|(?P<numeral>[一二三四五])(?:分|星|颗星))"
_MARKS = tuple(
    re.compile(rf"{_BEFORE_MARK} ?{mark} ?{_AFTER_MARK}")
    for mark in (rf"{_FIGURE}(?: ?{_WORDS})?", rf"{_WORDS}(?: ?{_FIGURE})?")
)
#: How far a figure may be from the words beside it; further apart they say two things.
_AGREE = 1
#: Sixteen digits, also in groups; found at every place, so that a number before does not hide one.
_CODE = re.compile(r"(?<![0-9])(?=((?:[0-9][ -]?){15}[0-9])(?![0-9]))")

_OBJECT = "诉求|投诉|举报|工单|反映|求助|建议|申请|咨询|事项|案件|单子"
_POLITE = (
    "您好|你好|在吗|请问|请|麻烦[您你]?|帮我|帮忙|能不能|能否|可以|可否|我们?|本人|市民|想|要|需要|再|来|问问?(?!题)|查询|"
    "查查|查一?下|查|看看|看一?下|了解|知道|告知|告诉|一下|下|关于|谢谢"
)
_ASKING = re.compile(_POLITE)
_QUERY = re.compile("查询|查查|查一?下")
#: Something that he brought before, his courtesies aside; no part of it can be read in two ways, which would take for ever.
_MINE = (
    r"(?:(?:之前|上次|上周|上个?月|昨天|前天|前几天|刚才)*(?:提交|反映|投诉|举报|反馈|咨询|求助|报修)过?的.{0,12}?|"
    rf"的|这个|那个|这件|那件|上次的?|之前的?|该)?(?:{_OBJECT}|问题|事情?|(?:受理)?编号)?的?"
)
_HANDLED = "(?:办理?|处理|解决|落实|跟进)"
_STATE = (
    rf"(?:{_HANDLED}?[的得]?(?:进度|进展|情况|结果|状态|怎么样|怎样|如何)|{_HANDLED}?到哪(?:一?步|里|儿)?|"
    rf"{_HANDLED}[好完]?了?(?:没有?|吗))"
)
_ENDING = "(?:了|吗|呢|啊|呀|么|没有?|如何|怎么样|是什么|出来)*"
_FILLING = "(?:现在|目前|最新|到底|是|有没有|有|什么|啥)*"
#: The whole of it asks: what only mentions 进度 or 查一下 may be a complaint, and would be lost as a query.
_STATUS = re.compile(
    rf"{_MINE}{_FILLING}{_STATE}{_ENDING}|.{{1,10}}(?:的事情?|的?问题|一事)(?:现在|目前|到底)?"
    rf"{_HANDLED}[的得]?(?:进度|进展|怎么样|怎样|到哪(?:一?步|里|儿)?){_ENDING}"
)
_QUERIED = re.compile(f"{_MINE}{_ENDING}")
_STATUS_ENGLISH = frozenset({"STATUS", "PROGRESS"})
_AROUND_STATUS = frozenset(
    re.findall(
        "[A-Z]+",
        "A ABOUT AN ANY CAN CASE CHECK COMPLAINT COULD CURRENT FOR GIVE HELLO HI HOW I IS KNOW LET LIKE ME MY NUMBER OF ON "
        "PLEASE REPORT REQUEST S TELL THANK THANKS THE THERE THIS TICKET TO WANT WHAT WHATS WITH WOULD YOU",
    )
)

_WITHDRAWAL = re.compile(
    rf"(?:(?:问题|事情)?(?:已经?|都)?(?:解决|处理|修)好?了?)?(?:我要|我想|请|申请|麻烦|帮我|要求|PLEASE|IWANTTO|IWOULDLIKETO)*"
    rf"(?:(?P<clear>撤回|撤销|撤诉|不投诉了|不举报了|不用(?:再)?处理了|不需要处理了|WITHDRAW)|取消|撤掉|CANCEL)"
    rf"(?:我的|本次|该|这个|这条|上述|之前的|MY|THE)?(?P<what>{_OBJECT}|COMPLAINT|REQUEST)?了?(?:谢谢|THANKS|THANKYOU)?"
)

_DO = "处理|解决|修好|修复|修|办理|办|落实|回复|答复|反馈|安排|联系|管|来|受理"
_CHASE = re.compile(
    rf"催办|催一?下|催促|催催|再催|(?:尽快|抓紧|赶紧|赶快|加快)(?:{_DO})|"
    rf"(?:还|一直|迟迟|至今)(?:是|都)?(?:没有?|不|未)(?:有?人|给|来|见)?(?:{_DO}|人|消息|动静|结果|反应|说法)|没有?人(?:{_DO}|理)|"
    rf"(?:什么时候|啥时候|何时|几时|多久|几天)(?:才|能|可以|会|给|有|到底|要)*(?:{_DO}|结果|消息|好|完)|"
    r"等了.{0,6}(?:天|周|月|星期|小时)|(?:有|有没有)(?:消息|结果|答复|回复)(?:了|吗|没有?)+|"
    r"ANY (?:NEWS|UPDATE)|HOW (?:MUCH )?LONG(?:ER)?|STILL (?:WAITING|NO|NOT)|HURRY UP|WHEN WILL (?:IT|THIS|YOU)"
)
#: Of a chase that says nothing else.
_NOTHING_NEW = re.compile(
    rf"{_POLITE}|{_DO}|{_OBJECT}|[你您]们?|他们|人家|怎么|为什么|为何|咋|到底|究竟|已经|现在|目前|至今|一直|都|也|就|才|能|会|给|个|"
    r"这|那|的|了|吗|呢|啊|呀|吧|还|是|有|没有?|不|未|人|结果|消息|问题|事情?|之前|上次|昨天|前天|上周|多次|好|到|过|去|很|"
    r"[0-9一二三四五六七八九十两几多半]+|小时|天|周|星期|月|年|\b(?:PLEASE|THE|MY|IS|IT|THIS|FOR|ON|TO|A|AN|OF|I|AM|WE|ARE|"
    r"THERE|HELLO|HI|DO|DOES|HAVE|WILL|BE|YOU|REQUEST|COMPLAINT|CASE|DAYS?|WEEKS?|AN?Y|TAKE|WAIT|NEED|UNTIL|DONE|FIXED|"
    r"SOLVED|RESOLVED|HANDLED|ANSWER|REPLY|RESPONSE|ACTION|THANKS|ABOUT|FROM|YET|ALREADY|BEEN)\b"
)
#: Characters of something else that a chase may name, and one that says to be about an earlier matter.
_ELSE, _ELSE_REFERRING = 2, 20
_REFERS = re.compile(
    r"(?:我|之前|上次|昨天|前天|上周|早就|已经?)(?:反映|投诉|举报|报修|说|提|打过?电话|报)过?的?|那件事|我的(?:诉求|投诉|工单)"
)

#: 没有不满意, 不是没解决, 有没有解决, "I do not disagree" object to nothing; 不是敷衍吗 does.
_UNLESS_DENIED = (
    r"(?<!没有)(?<!没)(?<!不是(?!.{0,12}吗))(?<!并非)(?<!不会)(?<!无)(?<!有(?=没有))(?<!NOT )(?<!N'T )(?<!N’T )"
)
_NOT_CONTENT = "不满意|不认可|不同意|不接受|不属实|(?:与|和)(?:事实|实际|实情|现状|情况)(?:情况)?不符|不符合?(?:事实|实际|实情)|没有?解决|未解决|没有?(?:处理|修|弄|办)好|敷衍|推诿|糊弄|弄虚作假"
_OBJECTION = re.compile(
    rf"{_UNLESS_DENIED}(?:{_NOT_CONTENT}|DISAGREE|STILL (?:NOT|BROKEN))|还是(?:没|老样子|一样|不)|又(?:坏|堵|漏|响|来)了|NOT (?:BEEN )?(?:RESOLVED|SOLVED|FIXED|SATISFIED)"
)
#: In a long text, which may tell of something else, only what is said of an answer.
_ANSWERED = "答复|回复|处理结果|办理结果|处理意见|办理意见|回访"
_OBJECTION_LONG = re.compile(
    rf"(?:{_ANSWERED})[^。！？!?]{{0,15}}{_UNLESS_DENIED}(?:{_NOT_CONTENT})|(?:不满意|不认可|不同意|不接受)[^。！？!?]{{0,10}}(?:{_ANSWERED})"
)
#: Words by which somebody who has just called speaks of the call, or sends what he promised there.
_CALL = re.compile(
    r"补充|刚才|刚刚|(?:打|拨|来)[过了]?(?:12345|热线|您?你?们?的?)?[的个了过]{0,2}(?:热线)?电话|电话[里中上]|电话(?:反映|投诉|说)"
    r"|照片|图片|视频"
)
#: The whole message: a number that he says is his, to be bound to the account he writes from (绑定手机); a code given back.
_BINDING = re.compile(
    r"(?:我要|我想|请|帮我|申请|PLEASE )*(?:绑定|BIND|LINK)(?:我的|一下| MY)?(?:手机|电话| PHONE| MOBILE)?(?:号码?| NUMBER)?(?:是|为| IS)?[ :]*"
    r"(?P<number>(?:(?:\+|00)?86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{4}){2}|\+[1-9][0-9 -]{6,18}[0-9])"
)
_GIVEN = re.compile(r"(?:(?:绑定|手机|短信)*(?:验证码|校验码|CODE)(?:是|为| IS)?[ :]*)?(?P<code>[0-9]{3}[ -]?[0-9]{3})")
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
    call: bool = False
    """Speaks of a call just made, or of pictures to it."""
    binds: str | None = None
    """A telephone number, E.164, that he wants to show to be his."""


def read_cues(text: str) -> Cues:
    """Read the cues of a cleaned text."""
    folded = unicodedata.normalize("NFKC", text[: 10 * SHORT]).upper()
    numbers = _CODE.findall(folded)
    codes = codes_in(folded)
    words = folded
    for number in numbers:
        words = words.replace(number, " ")
    words = words.strip(_EDGES)
    short = len(words) <= SHORT and len(text) <= 10 * SHORT
    plain, spaced = "".join(_pieces(words)), " ".join(_pieces(words))
    return Cues(
        codes=codes,
        short=short,
        opt_out=not codes and folded.strip(_EDGES) in OPT_OUT,
        score=_score(spaced) if short else None,
        status=short and (_asks(plain, spaced) or (bool(codes) and not words)),
        withdrawal=short and _withdraws(plain, named=bool(codes)),
        chase=short and _chases(plain, spaced, named=bool(codes)),
        objection=bool((_OBJECTION if short else _OBJECTION_LONG).search(words)),
        call=bool(_CALL.search(words)),
        binds=_bound(folded) if len(text) <= SHORT else None,
    )


def _bound(folded: str) -> str | None:
    found = _BINDING.fullmatch(folded.strip(_EDGES))
    if found is None:
        return None
    digits, abroad = _digits(found["number"]), found["number"].startswith("+")
    return f"+{digits}" if abroad else f"+86{digits.removeprefix('00').removeprefix('86')}"


def code_given(text: str) -> str | None:
    """The six digits, where the message is nothing else: a code that he was sent, if he was sent one."""
    if len(text) > SHORT:
        return None
    found = _GIVEN.fullmatch(unicodedata.normalize("NFKC", text).upper().strip(_EDGES))
    return _digits(found["code"]) if found else None


def codes_in(text: str) -> tuple[str, ...]:
    """Tracking codes that stand in it."""
    folded = unicodedata.normalize("NFKC", text[: 10 * SHORT])
    return tuple(dict.fromkeys(code for code in map(_digits, _CODE.findall(folded)) if valid(code)))


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))


def _pieces(words: str) -> list[str]:
    """What stands between spaces and punctuation."""
    return re.findall(r"[^\W_]+", words)


def _score(spaced: str) -> int | None:
    """Only where nothing else is said."""
    mark = next(filter(None, (pattern.fullmatch(spaced) for pattern in _MARKS)), None)
    if mark is None:
        return None
    said = _SCORES[mark["words"]] if mark["words"] else None
    figure = int(mark["digit"]) if mark["digit"] else _NUMERALS.get(mark["numeral"])
    if said is None or figure is None:
        return said or figure
    return figure if abs(figure - said) <= _AGREE else None


def _asks(plain: str, spaced: str) -> bool:
    english = set(spaced.split())
    if english & _STATUS_ENGLISH and english <= _STATUS_ENGLISH | _AROUND_STATUS:
        return True
    rest = _ASKING.sub("", plain)
    return bool(_STATUS.fullmatch(rest) or (_QUERY.search(plain) and _QUERIED.fullmatch(rest)))


def _withdraws(plain: str, *, named: bool) -> bool:
    """取消 alone says nothing: it needs what is taken back, or its code."""
    found = _WITHDRAWAL.fullmatch(plain)
    return found is not None and (named or bool(found["what"]) or bool(found["clear"]))


def _chases(plain: str, spaced: str, *, named: bool) -> bool:
    """A chase says nothing new: with much else in it, it is a matter that only has not been dealt with."""
    chinese = plain if not plain.isascii() else spaced
    if _CHASE.search(chinese) is None:
        return False
    more = "".join(_NOTHING_NEW.sub("", _CHASE.sub("", chinese)).split())
    return len(more) <= (_ELSE_REFERRING if named or _REFERS.search(chinese) else _ELSE)
