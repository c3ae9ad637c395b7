"""Who is spoken of and who speaks: the body complained of or asked about, and for whom the writer stands. Pure, by rule.

Natural persons, legal persons and other organisations may turn to the hotline (Jinan article 3, Weifang article 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from normalizer.model import PartyType
from normalizer.party_words import (
    ALSO_PLACES,
    ANSWERED,
    AT,
    AUTOMATON,
    BESIDE,
    BRANCH,
    BY_LEAVE,
    COMMON,
    ENDS_FROM,
    FAULT,
    HEADING,
    HOTLINE,
    I_AM,
    LEAD,
    LEXICON,
    MARKS,
    OFFICE,
    ON_STREET,
    OURSELVES,
    OWN_BEHIND,
    PLACE,
    REPORTED,
    ROUTE,
    SHOPS,
    STOPS_TO,
    TO_ACT,
    TOLD,
    UNLESS,
    WHOLE,
    WORKS,
)

#: Characters read.
READ = 2_000
#: Bodies looked at.
_MOST = 16
#: A body asked to act this near the beginning is all that is told.
_ALONE = 6
#: An office that is only named so far behind the beginning is passed by.
_FAR = 60
#: Characters of a name before its end.
_LONGEST = 22


@dataclass(frozen=True, slots=True)
class Body:
    """A body that a text speaks of."""

    name: str
    #: Its full name as written.
    span: tuple[int, int]
    #: Where it stands.
    rule: str
    #: party.accused, party.blamed, party.asked or party.named.


def target_unit(text: str) -> Body | None:
    """The body that a cleaned text complains of or asks about; not who is written to, nor the writer's own."""
    head = text[:READ]
    best: tuple[float, Body] | None = None
    for count, (start, end) in enumerate(_bodies(head)):
        weight, rule = _weight(head, start, end)
        weight -= count / 20
        if weight > 0 and (best is None or weight > best[0]):
            best = weight, Body(head[start:end], (start, end), rule)
    return best[1] if best else None


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """Where the names of bodies stand."""
    reached = 0
    matches = AUTOMATON.find_matches_as_indexes(text)
    for place in [place for place, match in enumerate(matches) if match[0] >= ENDS_FROM][:_MOST]:
        index, sign, end = matches[place]
        word = LEXICON[index]
        unless = UNLESS.get(word)
        if sign < reached or (unless and unless.match(text, end)):
            continue
        start = _begins(text, sign, end, max(reached, sign - _LONGEST, _stopped(matches, place)))
        if start is None and word in WHOLE:
            start = sign
        if start is not None:
            reached = _ends(text, matches, place)
            yield start, reached


def _ends(text: str, matches: list[tuple[int, int, int]], place: int) -> int:
    """Where a name ends that goes on behind such an end: 鲁商物业服务有限公司第三分公司."""
    end = matches[place][2]
    for index, sign, behind in matches[place + 1 : place + 4]:
        if index < STOPS_TO or sign - end > 8:
            break
        if LEXICON[index].endswith(("公司", "集团", "支行", "分行")):
            end = behind
    branch = BRANCH.match(text, end) if text.startswith(("公司", "银行"), end - 2) else None
    return branch.end() if branch else end


def _stopped(matches: list[tuple[int, int, int]], place: int) -> int:
    """Where the last word before an end of a name stands that is part of none."""
    for index, _, end in reversed(matches[max(0, place - 12) : place]):
        if index < STOPS_TO:
            return end
    return 0


def _begins(text: str, sign: int, end: int, start: int) -> int | None:
    """Where the name begins that ends with a sign; None where that is no name."""
    if start >= sign:
        return None
    inside = text.rfind("（", start, sign)
    if inside >= 0 and text.find("）", inside, sign) < 0:
        start = inside + 1
    while start < sign and text[start] in "()）":
        start += 1
    if lead := LEAD.match(text, start, sign):
        start = lead.end()
    if sign - start > 4 and (address := AT.match(text, start, sign)):
        start = address.end()
    if text[end - 1] in SHOPS and (street := ON_STREET.match(text, start, sign)):
        start = street.end()
    name = text[start:sign]
    if not name or COMMON.match(name) or HOTLINE.search(text[start:end]):
        return None
    if text[sign:end].endswith("政府") and name[-1] not in "市区县镇乡省州":
        return None
    return start if len(name) > 1 or (name in "市区县省镇乡" and end - sign > 1) or name.isascii() else None


def _weight(text: str, start: int, end: int) -> tuple[float, str]:
    """How much a body is the one that is spoken of, and how that shows."""
    clause = text[max(0, start - 8) : start].rstrip("（(")
    if "尊敬的" in clause or (start < 12 and HEADING.match(text, end)) or OWN_BEHIND.match(text, end):
        return 0, ""
    if clause.endswith(OURSELVES) or (clause.endswith(I_AM) and not WORKS.match(text, end)):
        return 0, ""
    weight, rule = _told(text, start)
    if rule == "party.named" and text.endswith(ALSO_PLACES, start, end):
        weight -= 0.7
    weight -= 0.7 * clause.endswith(I_AM)
    office = OFFICE.search(text, start, end) is not None
    if FAULT.search(MARKS.split(text[end : end + 18], maxsplit=1)[0]):
        weight += -0.3 if office and ANSWERED.match(text, end) else 2
    elif office and rule == "party.named" and start > _FAR:
        weight -= 1.2
    if office:
        weight -= _of_office(text, clause, start, end, asked=rule == "party.asked")
    if BESIDE.search(clause):
        weight -= 1
    if PLACE.match(text, end):
        weight -= 2.5
    if clause.endswith(ROUTE) and REPORTED.match(text, end):
        weight -= 1.5
    return weight, rule


def _of_office(text: str, clause: str, start: int, end: int, *, asked: bool) -> float:
    """How much less an office is spoken of that is asked to act against another, or by whose leave something is."""
    acts = asked and start > _ALONE and TO_ACT.match(text, end) is not None
    return 3.4 * acts + 1.5 * (BY_LEAVE.search(clause) is not None)


def _told(text: str, start: int) -> tuple[float, str]:
    """What the words before a body in its clause make of it."""
    clause = MARKS.split(text[max(0, start - 20) : start])[-1]
    for weight, rule, words in TOLD:
        if words.search(clause):
            return weight, rule
    return 1.6, "party.named"


_COMMITTEE = re.compile(
    "(?:[村镇乡]|社区|小区|们)?(?:(?:业主|村民|居民)?委员会|业委会|村委会|居委会|筹备组|协会|商会|工会|合作社|学会)"
)
_NOT_SO = "(?!不|拖|乱|违|拒|一直|工作人员|的(?:人|主任|领导)|没|说)"
_COMMITTEES = "业主委员会|业委会|筹备组|村委会|村民委员会|居委会|居民委员会|社区居委会|协会|商会|学会|联合会|基金会|合作社|志愿者?(?:服务)?队|志愿者?协会|工会|党支部"
_THIS = "(?:(?P<{0}>公司|企业|厂|单位|司|[院校](?=[是拟现因想需申]))|(?P<{0}o>业委会|协会|商会|学会|合作社){1})"
#: All begin with a sign of their own, so that they are found fast.
_OURS = re.compile(
    "我(?:(?P<legal>司|公司|集团|企业|厂|单位|院|校)(?!门|长|政|花园|小区|宿舍|走)|们(?P<we>公司|企业|厂|单位|学校|医院|集团)"
    f"|们?是?(?P<organisation>[^\\W\\d_也能都要想会没不在就去对向和与被把给找请让跟用有的]{{0,12}}?(?:{_COMMITTEES})){_NOT_SO}"
    "|们?是(?P<named>[^\\W_]{2,24}?(?:公司|集团|企业|工厂|合作社|协会|商会|学校|医院|业委会|村委会|居委会))的?(?P<stands>法人|法定代表人|负责人|老板|代表|经办人|办公室|行政|人事|财务|[，,。]))"
    f"|本{_THIS.format('this', _NOT_SO)}|敝{_THIS.format('humble', '')}|弊{_THIS.format('humbled', '')}"
)
#: Of an employee who says 我们公司 the firm is the adversary.
_EMPLOYED = re.compile(
    "拖欠|欠薪|不发|克扣|辞退|裁员|加班|讨薪|社保|不签|五险|工资|老板|上班时间|休息|劳动合同|离职|辞职|强制员工|体罚|让我|逼"
)
_PERSON = re.compile(
    "本人|我代表|我们代表|我们(?:业主|居民|村民|住户|老百姓|家长)|我叫|我是(?!不是|说|想|来)(?:一[名位个]|[^，,。；;！？!?\\n]{0,16}?(?:业主|居民|市民|村民|学生|家长|员工|职工|教师|老师|租户|住户|工人|残疾人|老兵|军人|客户|消费者|患者|乘客|司机|个体户|市民|人$))|作为(?:一[名位个]|[^，,。；;！？!?\\n]{0,8}?(?:业主|居民|市民|家长))"
    "|我家|我(?:的)?(?:孩子|儿子|女儿|闺女|姑娘|小孩|宝宝|外甥|侄|嫂|公公|姥|老爸|老妈|岳母|父亲|母亲|爸|妈|老公|老婆|丈夫|妻子|爱人|爷爷|奶奶|父母|老伴|孙子|孙女|婆婆|岳父|弟弟|哥哥|姐姐|妹妹|媳妇|娃|朋友)|我(?:今年)?[0-9]{2}岁|家住|我住|我个人"
)
_UNITS = (
    (
        PartyType.ORGANISATION,
        re.compile("(?:委员会|委会|协会|商会|学会|联合会|基金会|合作社|工会|志愿.{0,6}队|筹备组|党支部)\\Z"),
    ),
    (
        PartyType.LEGAL_PERSON,
        re.compile(
            "(?:公司|集团|企业|厂|银行|支行|分行|学校|小学|中学|大学|学院|医院|幼儿园|局|政府|酒店|事务所|研究院|研究所|中心)\\Z"
        ),
    ),
)


def speaks_for(
    text: str, unit: str | None, name: str | None
) -> tuple[PartyType, str | None, tuple[int, int] | None, str] | None:
    """For whom the writer of a cleaned text stands: his kind, his unit, the words and the rule; None where it is not told.

    ``unit`` and ``name`` are what he is registered with: the words decide, then the unit, then a name that is a body's.
    """
    head = text[:READ]
    ours = _OURS.search(head)
    if ours and not (ours["we"] and _EMPLOYED.search(head)):
        return _of_words(head, ours, unit)
    if person := _PERSON.search(head):
        return PartyType.PERSON, None, person.span(), "party.person"
    for stated, rule in ((unit, "party.unit"), (name, "party.name")):
        for kind, ends in _UNITS:
            if stated and ends.search(stated[-12:].strip()):
                return kind, stated.strip(), None, rule
    return None


def _of_words(text: str, ours: re.Match[str], unit: str | None) -> tuple[PartyType, str | None, tuple[int, int], str]:
    """The kind and the unit that the words tell."""
    named = ours["named"] or ours["organisation"]
    organisation = ours["organisation"] or ours["thiso"] or (named and _UNITS[0][1].search(named))
    kind = PartyType.ORGANISATION if organisation else PartyType.LEGAL_PERSON
    full = named if named and not _COMMITTEE.fullmatch(named) else _name_of(text, ours)
    return kind, unit or full, ours.span(), f"party.{kind.value}"


_NAMED_BEHIND = re.compile(
    "[（(:：,，是 ]?(?:名称)?(?P<name>[^\\W_]{2,24}?(?:公司|集团|厂|银行|学校|医院|学院|协会|合作社|商会))(?![^\\W\\d_]{0,4}公司)"
)
_KIND_OF_BODY = re.compile("(?:是|一家|一所|一个|民营|私立|公立|外贸|小|大|微|中|型)*+(?:公司|集团|厂|学校|医院|企业)")
_CALLED = re.compile(
    "(?:名称|全称)[是为：:]?(?P<name>[^\\W_]{2,24}?(?:公司|集团|厂|银行|学校|医院|学院|协会|合作社|商会))"
)
_SIGNED = re.compile(
    "(?P<name>[^\\W_]{4,30}(?:公司|集团|厂|学校|医院|协会|商会|合作社|委员会|委会))[ \\n]*(?:[0-9年月日./ -]{6,12})?\\Z"
)


def _name_of(text: str, ours: re.Match[str]) -> str | None:
    """The name behind 我司, or under the letter."""
    found = _NAMED_BEHIND.match(text, ours.end()) or _CALLED.search(text) or _SIGNED.search(text[-60:].rstrip())
    return found["name"] if found and not _KIND_OF_BODY.match(found["name"]) else None
