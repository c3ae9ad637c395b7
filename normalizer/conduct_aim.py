"""At whom words are aimed: the reader, who answers for the city; somebody else; or nobody, because they are only reported.

A citizen who tells what was shouted at him reports a wrong. Who calls a neighbour names is heard all the same.
"""

from __future__ import annotations

import re
from typing import Literal

Aim = Literal["reader", "other", "nobody"]

#: The hotline, its people, and whoever in the city's service is spoken to.
READER = (
    "你们?|您们?|妳们?|尼们|泥们|伱们?|你门|尔等|接线[员生]?|接线的|话务员?|客服|坐席|[接回打][了我听]?(?:电话|热线|回?访)(?:的|那[个位])?(?:那个)?(?:女的|男的|女人|男人|小子|丫头|小姑娘|女士|大妈|家伙)?|回复我?的(?:这个|那个)?人?|接听的?|值班(?:的|员)|12345|热线|"
    "领导|当官的|当领导|公务员|官老爷|吃皇粮的|公仆"
)
_OTHER = (
    "[他她它]们?|对方|邻居|物业|保安|老板|开发商|商家|店[家主员]|司机|城管|警察|民警|派出所|医生|护士|医院|老师|校长|学校|房东|中介|村[长霸委民]|[书主局队]记|主任|局长|"
    "公司|厂|业委会|施工队|包工头|骗子|村干部|交警|法官|快递|外卖|骑手|那(?:些|家|[帮伙群](?!人?[傻狗废畜王]))|这家|某家|卖家|商户|厂家|主播|客人|乘客|业务员|师傅|作者|供货商|承包商|会所|饭店|前[夫妻]|老公|老婆|婆婆|亲戚|男的|女的|男人|女人|"
    "楼上|楼下|隔壁|狗主|车主|教练|销售|经理|员工|网友|同学|小孩|流氓|小偷|黑社会|奸商|机构|银行|商贩|住户|租客|业主"
)
_WHO = re.compile(f"(?P<reader>{READER})|(?P<other>{_OTHER})")
_NOT_YOU = re.compile("你说|你想|你看|你知道|你懂|领导(?:好|你好|您好)|您好|你好|尊敬的|政府(?:网|部门)")
#: He himself is the one who is called so: 把老百姓当傻子.
_HIMSELF = re.compile(
    "(?:[把拿将当像](?:我们?|俺们?|咱们?|老百姓|百姓|市民|群众|人|大家|业主|居民|村民)|我们?(?:真?是|就是|都是|像|成了?)|以为我们?|(?:老百姓|市民|群众|业主)[^，,。]{0,3}[是像]|当成?|当做|当作)[^，,。！!？?]{0,6}$"
)
THIRD = re.compile(_OTHER)
#: The verb's clause ends with it, or with whom it was said to; what comes then is what was said.
_SPEECH = re.compile("[我我们了道着过他她的老婆孩子全家爸妈儿女]{0,5}[，,：:、]")
_CLAUSE = re.compile("[，,：:]")
#: He goes on himself.
_OWN = re.compile("(?<![让叫对跟给向骂])我(?!家|的|单位|老|孩)")
#: Characters between such a verb and the words.
_NEAR = 24
_ENDS = "。！？!?；;\n"
_REACH = 60
_CLOSES = re.compile("[”」』’]")
_QUOTES = '“"「『‘《【'

_SAYS = (
    "说(?!法|明|服|理|好|清|不(?:清|出|上|定|通|完|得|了|过)|了算|一声|得|你们)|骂|吼|喊|嚷|叫嚣|扬言|威胁|恐吓|辱骂|谩骂|声称|放话|撂下?(?:狠)?话|口口声声|警告|叫骂|爆粗|嘲讽|嘲笑|侮辱|咒骂?|诅咒|羞辱|"
    "(?:发|发来|收到|写|留言|回复|打来|贴|喷|刷|评论|私信|备注|弹幕)(?:[^，,。！!？?]{0,8}?(?:短信|信息|微信|语音|条|消息|电话|着|字|道|说|内容|写|了|过)){1,2}|说话|开口|张口|一口一个|写着|写道|喷|原话|叫我|喊我|问[她他]|问我(?!要不)"
)
_VERBS = re.compile(_SAYS)
#: He speaks himself: 我告诉你们, 老子警告你, 再说一遍.
_OWN_VOICE = re.compile(
    "(?:(?:^|[，,。：:！!\\s]|但|那|反正|今天|明天|现在|所以|这次|给我听好)(?:我|老子|俺|劳资|爷|本人|咱|姑奶奶)(?!们?被|爸|妈|老|儿|女|弟|哥|姐|妹|孩|家|同|朋|邻|单位|领导|公司|听|收)|"
    "再|实话|丑话|把话|别怪|不要怪|明确|真想|就想|只想|忍不住)[^，,。他她听]{0,6}$"
)
#: Spoken to the reader, by nobody else: 骂你们傻逼都是轻的.
_TO_READER = re.compile("^(?:[了过着]|他妈)?(?:你|您)")
#: Behind the words it is said that they were another's.
_AFTER = re.compile(
    '[^。！？!?；;\n]{0,12}?(?:[”"」』’]?[，,]?(?:他|她|对方|老板|邻居|保安|司机|物业|经理|老师)们?[^，,。！!？?]{0,8}?[骂说喊吼威]|这是(?:他|她|对方|原话)|原话|这种话|这样的话|这类话|'
    "骂我|骂人|威胁我|恐吓我|辱骂|吓唬|等脏话|脏话|等(?:侮辱|言语|恐吓|威胁)|这几个字|几个(?:大)?字|二字|两个字|三个字|四个字)"
    '|[”"」』’]?[^，,。！？!?；;\n]{0,3}?的(?:话(?!务)|短信|信息|语音|字条|威胁|骂声|标语|评论|纸条|弹幕)'
    '|[”"」』’][，,]?(?:还|并|请问|这|是不是|算|有|我|吓|老)'
)
#: 保安：……
_NAMED = re.compile(
    f"(?:{_OTHER})[^，,。：:]{{0,8}}[：:][^：:]{{0,30}}$|[向对冲跟给朝]我[^。：:]{{0,10}}[：:][^：:]{{0,30}}$|(?:短信|信息|微信|纸条|语音|留言|群里发|发话|字)[^，,。：:]{{0,4}}[：:][^：:]{{0,30}}$"
)
_PASSIVE = re.compile("被[^，,。！!？?；;\n]{1,14}$")


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence around a span, as far as it matters."""
    first = max((text.rfind(mark, max(0, start - _REACH), start) + 1 for mark in _ENDS), default=0)
    lasts = [at for mark in _ENDS if (at := text.find(mark, end, end + _REACH)) >= 0]
    return max(first, start - _REACH, 0), min(lasts, default=min(len(text), end + _REACH))


def aim(text: str, start: int, end: int) -> Aim:
    """At whom the words from ``start`` to ``end`` are aimed: whoever was named last before them in the sentence, or after."""
    first, last = sentence(text, start, end)
    before = _NOT_YOU.sub(lambda found: "·" * len(found[0]), text[first:start])
    if _HIMSELF.search(before):
        return "other"
    who = [*_WHO.finditer(before)] or [*_WHO.finditer(text[end : min(last, end + 16)])][:1]
    if not who:
        return "nobody"
    return "reader" if who[-1]["reader"] else "other"


def reported(text: str, start: int, end: int) -> bool:
    """Whether the words are another's, whom the citizen quotes: 他骂我“……”, 对方发短信说……, ……这是他的原话."""
    first, last = sentence(text, start, end)
    before = text[first:start]
    if _AFTER.match(text[end:last]) or _PASSIVE.search(before[-20:]):
        return True
    quoted = max(before.rfind(mark) for mark in _QUOTES)
    if quoted >= 0 and not _CLOSES.search(before[quoted:]):
        return _introduced(before[:quoted].rstrip("：:，,、 ")) or before[:quoted].rstrip().endswith(("：", ":"))
    return bool(_NAMED.search(before)) or _introduced(before, text[start:end])


def _introduced(before: str, words: str = "") -> bool:
    """Whether what stands before the words makes them another's."""
    verbs = [*_VERBS.finditer(before)]
    if not verbs:
        return False
    rest, head = before[verbs[-1].end() :], before[: verbs[-1].start()]
    if _OWN_VOICE.search(head[-12:]):
        return False
    if _SPEECH.match(rest):
        return bool(THIRD.search(head)) or len(rest) < _NEAR
    if _TO_READER.match(rest) and not THIRD.search(head):
        return False
    own = "你们" in rest or "你们" in words or bool(_OWN.search(rest))
    return len(rest) <= _NEAR and not (_CLAUSE.search(rest) and own)
