"""Asking again: what a short message says besides "I told you of it, when will it be done at last?"."""

from __future__ import annotations

import re

from normalizer.clean import for_matching

#: Characters of a message that is read clause by clause: whoever writes more tells it anew.
SHORT = 160

_TELL = "反映|反应|投诉|举报|反馈|报修|上报|咨询|求助|申诉|提交|来电|来信|留言|打过?电话"
_BEFORE = "之前|以前|先前|上次|上回|上个?(?:周|月|星期|礼拜)|前[些几两]?[天日周]|前段时间|前一阵|昨天|早就|曾经?|已经?|多次|再次|再三"
_MATTER = "问题|事情|事|情况|一事|诉求|投诉|工单|件|建议"
#: An earlier letter of his and what it was about, as far as the clause goes: 我上周反映的路灯的问题.
_REFERS = re.compile(
    rf"(?:(?:{_TELL})(?:[过了]|多次)*的|(?:{_BEFORE}).{{0,6}}[说提讲问报催]过?的).{{0,30}}?(?:的?(?:{_MATTER}))?"
    "(?=$|更|又|还|一直|至今|仍|到)"
)
#: The end of a clause that says no more than that: 路灯的事已经投诉过, 漏水反映好几次了.
_TOLD = re.compile(rf"(?:{_TELL})(?:[过了好多几数无0-9两一二三四五六七八九十]+[次回遍]?)+$")
_MAY_BE_TOLD = tuple("过了次回遍多")
#: That of a clause that only names: 关于路灯的事. Of what has appeared it tells more.
_NAMES, _APPEARS = ("问题", "事", "事情", "情况"), re.compile("出现|发生|产生|存在|新的|[均都又还也]有")
#: The longest.
_NAME = 34

_DO = (
    "处理|解决|回复|答复|回应|回话|回音|回信|办理|办好|办|落实|反馈|安排|联系|过问|受理|跟进|理睬|搭理|理会|理|整改|"
    "修好|维修|修理|修复|修|检修|整治|查处|核实|看看|看一?下|看|查|管|来人|派人|派员"
)
_LONG = (
    "(?:[0-9几数多两半一二三四五六七八九十]+个?多?(?:半)?|好几个?|好多|许多|多)(?:天|日|周|星期|礼拜|月|年|小时|次|回|遍)多?"
    "|这么(?:久|长)|这么多|好久|很久|许久|长时间|时间"
)
#: What asking again is made of: who, how long, nobody, when, please; what is asked for and what did not come.
_ASKS = re.compile(
    rf"(?:{_TELL}|{_DO}|{_LONG}|{_MATTER}|{_BEFORE}"
    "|什么时候|啥时候|什么|啥|何时|几时|多久|多长|哪天|哪一?步|怎么样|怎样|怎么|咋|如何|为什么|为何|到底|究竟|是否|有没有|能不能|能否|可否"
    "|没有谁|没谁|没人|无人|没有|没见到?|不见|不管|不理|未|没|无|不"
    "|到现在|至今|现在|目前|仍然?|还是|还|依然|依旧|一直|始终|总是|迟迟|拖着|都|也|就|再|又|才|已经|已"
    "|消息|音讯|音信|动静|下文|结果|进展|进度|结论|说法|交代|准信|石沉大海|杳无|不了了之|老样子|一点|任何|半点|丝毫|毫无|变化|反应"
    "|催办|催促|催催|催一?催|催一?下|催问|催|追问|督促|督办|问一?下|问问|问|尽快|尽早|早日|早点|抓紧|赶紧|赶快|加快|快点|快些|及时|马上|立即|时间"
    "|补充一?下?|补充说明|接着|新情况|说明|更严重|有变化|严重|变化"
    "|急死|气死|烦死|着急|心急|急|无奈|失望|寒心|心寒|无助|受不了|忍不了|忍无可忍|难受|煎熬|崩溃|老百姓|百姓|过日子|怎么活|没法活|没法过|真|太|实在"
    "|您好|你好|请问|请求|恳请|希望|拜托|求求|麻烦|谢谢|感谢|多谢|辛苦|打扰|在吗|盼复|盼|望|请|给|帮忙|帮|领导|政府|有关部门|相关部门|部门|单位|重视|关注|为民做主"
    "|我们|我|本人|你们|您们|您|你|他们|大家|人家|业主|居民|市民|谁|归|人|个|这件|那件|这个|那个|这|那|此|同一"
    "|[的了过吗呢吧啊呀是会要想能可以得来去到有等说和与向对把被让很好下次天件完成])*+$"
)
#: Words of one who comes back to a matter.
_AGAIN = re.compile(
    "[又再催追补接新还](?:(?<=又)来[问催反投]|(?<=再)[次来]?(?:[问催](?!就)|反映|投诉|来[电信])|(?<=催)[办促一催下问]|(?<=追)问|(?<=补)充"
    "|(?<=接)着(?:反映|上次)|(?<=新)情况|(?<=还)是(?=.*(?:事|问题)$))"
)
_CLAUSES = re.compile("[,。.!?;:…~]+")


def besides(text: str) -> tuple[str, bool]:
    """What a short message says besides asking again, in the form for matching; and whether it speaks of an earlier one."""
    told, refers = list[str](), False
    for words in _CLAUSES.split(for_matching(text.replace("\n", "。"))):
        rest, earlier = _besides(words)
        refers |= earlier or bool(_AGAIN.search(words))
        if not _ASKS.match(rest):
            told.append(rest)
    return "。".join(told), refers


def _besides(words: str) -> tuple[str, bool]:
    """What a clause says besides speaking of an earlier letter, and whether it speaks of one."""
    if words.endswith(_MAY_BE_TOLD) and _TOLD.search(words[-_NAME:]):
        return "", True
    rest = _REFERS.sub("", words, count=1) if "的" in words else words
    named = rest.endswith(_NAMES) and len(rest) <= _NAME and not _APPEARS.search(rest)
    return "" if named else rest, rest != words
