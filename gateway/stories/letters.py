"""Letters on a cause: one person's words differ from another's, and from his own of last week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from gateway.stories.places import Place, names, phase, place
from gateway.stories.problems import Problem, say
from gateway.stories.problems_home import HOME
from gateway.stories.problems_street import STREET
from gateway.stories.story import Written

PROBLEMS = (*HOME, *STREET)
#: Those that many have, and tell of in different words.
COMMON = tuple(problem for problem in PROBLEMS if problem.common and problem.one)
#: A name that comes again (``places.names``) has the problem so much further on.
_ROUND = 5
Style = Literal["sms", "chat", "weibo", "mail", "app", "spoken"]
#: How people write on a kind of channel.
STYLES: Mapping[str, Style] = {
    "app": "app",
    "smtp": "mail",
    "sms_aliyun": "sms",
    "telegram": "chat",
    "telephone": "spoken",
    "wechat": "chat",
    "weibo": "weibo",
}
_OPENINGS: Mapping[Style, str] = {
    "sms": "[|12345你好，|反映个事：|]",
    "chat": "[你好，|您好！|请问这个归谁管？|在吗，想反映一下，||我要投诉，]",
    "weibo": "[@市长热线 |#民生# |求关注！|有没有人管啊，]",
    "mail": "[尊敬的领导：\n　　您好！|市长热线：\n|各位领导好，\n][我是一名普通市民，|冒昧来信，|怀着无奈的心情写这封信，|打扰了。|]",
    "app": "[|您好，|现反映如下：|]",
    "spoken": "[来电反映：|市民来电称，|来电人讲述，|诉求人来电：]",
}
_CLOSINGS: Mapping[Style, str] = {
    "sms": "[|谢谢|盼复]",
    "chat": "[|谢谢！|麻烦了|辛苦了，等回复。]",
    "weibo": "[[抓狂]|！！！|求转发|]",
    "mail": "\n[此致\n敬礼|盼复为感。|祝工作顺利！]\n[{name}业主|一位居民|市民：{who}|{who}]",
    "app": "[|谢谢。|望回复。]",
    "spoken": "[要求回电。|请核实处理。|希望短信告知结果。|诉求人表示会继续关注。]",
}
_SINCE = ("十来天", "两个星期", "半个多月", "快一个月", "两个月", "三个多月", "小半年", "大半年", "一年多")
#: How many details are told, least and most.
_DETAILS: Mapping[Style, tuple[int, int]] = {
    "sms": (1, 1),
    "chat": (1, 3),
    "weibo": (1, 2),
    "mail": (2, 6),
    "app": (2, 5),
    "spoken": (1, 4),
}
#: What people say beside the matter.
_ASIDES = (
    "[我们都是普通老百姓|大家都是拖家带口的人]，[只想过安稳日子|没有别的要求]。",
    "打过[好几次|无数个]电话，[每次都说记录了|回答都一样]。",
    "社区的同志[也很为难|倒是热心]，[说没有办法|可惜管不了]。",
    "邻居[都有意见|私下议论纷纷]，[我只是代表大家说一说|就是没人出头]。",
    "我在这里[住了十几年|刚搬来两年]，[从没遇到过这种事|没想到会这样]。",
    "[附上照片|照片和视频都有]，[可以随时提供|需要的话再发]。",
    "[不是万不得已|若非实在没有办法]，[也不会写信麻烦政府|不想给你们添乱]。",
    "[本人愿意配合调查|有问题可以随时联系我]。",
)
_BETWEEN = "[|而且|另外，|还有，|更气人的是，|再说，||]"
_URGE = (
    "我[之前|上周|前几天|早就]反映的{at}{short}，[到现在没人处理|一直没有消息|还是没人来]，[请尽快处理|什么时候有结果|再催一下]。",
    "{at}{short}[反映过了|已经投诉过]，[没人联系我|石沉大海|还是老样子]，[到底管不管|请抓紧办理|麻烦催办]。",
    "[还是|又来问]{at}{short}，[都过去这么多天了|等了好几天]，[一点动静都没有|没见人来]，[请给个说法|多久能解决]？",
)
_NEWS = (
    "[补充一下|接着反映|有新情况]：{at}{short}，{fresh}",
    "[之前说的|上次反映的|我投诉过的]{at}{short}[更严重了|又有变化]。{fresh}",
    "{fresh}[这就是|说的还是][之前|前几天]反映的{at}{short}。",
)
_BACK = (
    "{at}{short}，[上回说是办结了|前段时间你们回复解决了]，[现在又来了|没过多久又犯了|根本没好]。",
    "[上次|之前]投诉{at}{short}，[好了没几天|结案以后消停了一阵]，[如今又是老样子|又开始了]。",
)
#: Of one who writes many letters: the same words around each matter.
_TEMPLATE = (
    "尊敬的市领导：本人长期关注本市民生建设，现就走访中发现的问题反映如下。{main}{detail}"
    "上述情况损害了群众切身利益，影响了城市形象。依据有关法律法规和便民热线工作要求，请责成主管部门依法履行职责，"
    "认真调查核实，限期整改到位，并将办理结果书面答复本人。以上情况属实，愿承担相应责任。"
)
_CAMPAIGN = (
    "我们是{name}的全体业主，联名强烈反映以下问题：{main}{detail}{more}为此我们多次向有关单位反映，均未得到有效解决。"
    "{wish}我们保留依法维护自身权益的一切权利。{name}业主 {who}"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """What is the matter, and where."""

    label: str
    problem: Problem
    place: Place
    #: For how long, and two counts, as everybody says who tells of it.
    since: str
    n: int
    m: int
    #: Which of the problem's main sentences, where they do not all say the same.
    main: int

    def words(self, rng: Random, **more: str) -> dict[str, str]:
        """What stands in the slots of one sentence; the place is named more or less exactly."""
        at = rng.choice((self.place.name, self.place.name, self.place.area + self.place.name))
        known = {"at": at, "since": self.since, "n": str(self.n), "m": str(self.m), "k": str(rng.randint(2, 9))}
        return self.place.slots() | known | more


def cause(rng: Random, number: int, label: str, *, common: bool = False) -> Cause:
    """The cause of this number; ``common``: one that many have."""
    again, at = divmod(number, names(common=common))
    known = COMMON if common else PROBLEMS
    problem = known[(at * 7 + again * _ROUND) % len(known)]
    where = place(rng, number, common=common)
    return Cause(label, problem, where, rng.choice(_SINCE), rng.randint(11, 97), rng.randint(2, 9), rng.randrange(3))


def elsewhere(rng: Random, one: Cause, label: str) -> Cause:
    """Another problem at the same place: another cause."""
    at = PROBLEMS.index(one.problem) + rng.randint(1, _ROUND - 1)
    return replace(one, label=label, problem=PROBLEMS[at % len(PROBLEMS)], main=rng.randrange(3))


def twins(rng: Random, one: Cause, label: str) -> tuple[Cause, Cause]:
    """The same problem in two phases of one estate, or on two lines: two causes, however alike."""
    if "{line}" in one.problem.titles[0]:
        line = str(int(one.place.line) + rng.randint(1, 7))
        return one, replace(one, label=label, place=replace(one.place, line=line))
    first, second = phase(rng)
    places = [replace(one.place, name=one.place.name + which) for which in (first, second)]
    return replace(one, place=places[0]), replace(one, label=label, place=places[1])


# -- Letters -----------------------------------------------------------------------------------------------------------


def letter(rng: Random, about: Cause, channel: str, who: str, details: tuple[int, ...] | None = None) -> Written:
    """A first letter, or with the ``details`` of an earlier one the same facts in other words."""
    style = STYLES[channel]
    least, most = _DETAILS[style]
    if details is None:
        details = tuple(rng.sample(range(len(about.problem.details)), rng.randint(least, most)))
    middle = [_said(rng, _BETWEEN + about.problem.details[detail], about) for detail in details]
    rng.shuffle(middle)
    asides = rng.sample(_ASIDES, rng.randint(1, 4) if style == "mail" else rng.randint(0, 1))
    middle += [_said(rng, aside, about) for aside in asides if style in {"mail", "app"}]
    wish = [_said(rng, rng.choice(about.problem.wishes), about)] if style != "sms" or rng.random() < 0.5 else []
    opening, closing = (_said(rng, around[style], about, who=who) for around in (_OPENINGS, _CLOSINGS))
    return Written(_title(rng, about), "".join((opening, _main(rng, about), *middle, *wish, closing)), details)


def _main(rng: Random, about: Cause) -> str:
    main = rng.choice(about.problem.main) if about.problem.one else about.problem.main[about.main]
    return _said(rng, main, about)


def urge(rng: Random, about: Cause) -> Written:
    """Asks for it to be done, with nothing new."""
    return _back(rng, about, rng.choice(_URGE))


def news(rng: Random, about: Cause) -> Written:
    """What has happened since."""
    fresh = _said(rng, rng.choice(about.problem.fresh), about)
    return _back(rng, about, rng.choice(_NEWS), fresh=fresh)


def again(rng: Random, about: Cause, channel: str, who: str) -> Written:
    """Takes up a matter that is over: the old trouble, and how it is now."""
    whole = letter(rng, about, channel, who)
    return replace(whole, text=_back(rng, about, rng.choice(_BACK)).text + whole.text)


def template(rng: Random, about: Cause) -> Written:
    """A letter of one who always writes in the same words."""
    words = {"main": _main(rng, about), "detail": _said(rng, rng.choice(about.problem.details), about)}
    return Written(f"关于{about.place.name}有关问题的反映", _TEMPLATE.format_map(words))


def campaign(rng: Random, about: Cause) -> Written:
    """A letter that many send; each signs it in place of ``{who}``."""
    chosen = rng.sample(about.problem.details, 2)
    words = {"main": _main(rng, about), "name": about.place.name, "who": "{who}"}
    words |= {"detail": _said(rng, chosen[0], about), "more": _said(rng, chosen[1], about)}
    words["wish"] = _said(rng, rng.choice(about.problem.wishes), about)
    return Written(_title(rng, about), _CAMPAIGN.format_map(words))


def _back(rng: Random, about: Cause, grammar: str, **more: str) -> Written:
    short = _said(rng, rng.choice(about.problem.short), about)
    return Written(_title(rng, about), _said(rng, grammar, about, short=short, **more))


def _title(rng: Random, about: Cause) -> str:
    return _said(rng, rng.choice(about.problem.titles), about)


def _said(rng: Random, grammar: str, about: Cause, **more: str) -> str:
    return say(rng, grammar, about.words(rng, **more))
