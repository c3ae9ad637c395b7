"""The words that would tell who a citizen is, and the same text without them. Pure, by rule.

Where a matter is sealed his words leave us only masked: what he says of himself goes, what he reports stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence

from normalizer import naming_fields as fields
from normalizer import naming_words as words
from normalizer.naming_self import Named, going_on, is_anothers, told
from normalizer.phones import phones

#: Lines at the end, and characters of one, that may be a signature.
_SIGNING_LINES, _SIGNING = 8, 80
#: A text that may be nothing but a name.
_NAME_ALONE = 12
#: Where a letter says to whom it goes.
_ADDRESSED = 16
#: Characters before a number that may say whose it is.
_OWNER = 24
#: Characters of a form that may speak of whom he reports.
_FORM = 80
#: Signs between two things that he says of himself in one breath.
_APART = 3
#: Shorter values that are known would hide half a text.
_LEAST = 2
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_NUMERALS = str.maketrans("幺一二两三四五六七八九零〇壹贰叁肆伍陆柒捌玖", "1122345678900123456789")
_IDLE = frozenset(" \t\n\u3000-－—–_.·•・,，、()（）*＊\u200b")
_LAST_WORDS = re.compile(r"[。！!？?；;～~，,\s][ 　]{0,4}([^。！!？?；;，,\n]{2,40})[。.！! 　]{0,3}$")
_LAST_SENTENCE = re.compile(r"[。！!？?；;～~][ 　]{0,4}([^。！!？?；;\n]{2,60})[。.！! 　]{0,3}$")
#: How names of employers end, and the length of a name without a dot.
_UNITS, _LONGEST_NAME = ("公司", "局", "厂", "学校", "医院", "店", "中心", "银行", "政府", "超市", "酒店", "村委会"), 4
#: Between the lines of a letter.
_LINE = re.compile(r"[^\n]+")


def names(text: str, known: Collection[str] = ()) -> tuple[Named, ...]:
    """The words that would tell who the writer is, in their order, none over another.

    ``known`` are values known of him (name, telephone, mail address, unit): they go in any spelling. What he is called
    where he says it goes wherever it stands.
    """
    found = [*_known(text, known), *_owned(text), *_introduced(text), *_at_home(text), *told(text)]
    found += _beside_phones(text, [one for one in found if one.label == "电话"])
    found += _signed(text)
    found += _dated(text)
    found += [one for last in found for one in _behind(text, last)]
    found += [one for last in found for one in going_on(text, last)]
    found += _addresses(text, found)
    called = {text[one.start : one.end] for one in found if one.label == "姓名"}
    found += _known(text, [name for name in called if len(name) > _LEAST or name[0] in words.SURNAMES])
    return _merged(found)


def masked(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """The text with a mark in place of each span that says what stood there: [姓名], [电话]. The rest stays as it is."""
    parts, at = list[str](), 0
    for start, end, label in sorted(spans):
        if end <= at:
            continue
        parts += (text[at : max(at, start)], f"[{label}]")
        at = end
    return "".join((*parts, text[at:]))


def _merged(found: Sequence[Named]) -> tuple[Named, ...]:
    """Overlapping ones become one, of the kind of the first and longest."""
    merged = list[Named]()
    for one in sorted(found, key=lambda named: (named.start, -named.end)):
        if one.start >= one.end:
            continue
        if merged and one.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return tuple(merged)


# -- Values known of him -----------------------------------------------------------------------------------------------


def _known(text: str, known: Collection[str]) -> Iterator[Named]:
    """Each value in any spelling: full-width, spaced, with dashes, in capitals, its figures as numerals."""
    folded, places = _folded(text)
    for value in known:
        wanted = "".join(sign for sign, _ in _signs(value))
        digits = wanted.lstrip("+").isdigit()
        for spelling in {wanted, _national(wanted)} if digits else {wanted}:
            for start, end in _found(folded, spelling) if len(spelling) >= _LEAST else ():
                yield Named(places[start], places[end - 1] + 1, _label(value))


def _found(folded: str, wanted: str) -> Iterator[tuple[int, int]]:
    at = folded.find(wanted)
    while at >= 0:
        yield at, at + len(wanted)
        at = folded.find(wanted, at + len(wanted))


def _folded(text: str) -> tuple[str, list[int]]:
    """The text without what only spaces it, and where each sign of it stood."""
    signs = list(_signs(text))
    return "".join(sign for sign, _ in signs), [place for _, place in signs]


def _signs(text: str) -> Iterator[tuple[str, int]]:
    for place, character in enumerate(text):
        if character not in _IDLE:
            for sign in unicodedata.normalize("NFKC", character).casefold():
                yield sign, place


def _national(number: str) -> str:
    return number.removeprefix("+").removeprefix("0086").removeprefix("86")


def _label(value: str) -> str:
    if "@" in value or "＠" in value:
        return "邮箱"
    digits = sum(map(str.isdigit, value))
    if digits >= 15:
        return "证件号码"
    if digits * 2 > len(value):
        return "电话"
    return "单位" if value.endswith(_UNITS) or (len(value) > _LONGEST_NAME and not value.isascii()) else "姓名"


# -- Numbers -------------------------------------------------------------------------------------------------------------


def _owned(text: str) -> Iterator[Named]:
    """Numbers and fields that are his: not those of others, nor what stands in one list with theirs."""
    others = -1
    for one, is_others in sorted([*_numbers(text), *_fields(text)]):
        listed = others >= 0 and fields.LISTED.fullmatch(text, others, max(others, one.start))
        if is_others or listed:
            others = max(others, one.end)
        else:
            yield one


def _numbers(text: str) -> Iterator[tuple[Named, bool]]:
    """Numbers and addresses by which somebody can be found, and whether they are said to be another's."""
    found = [Named(_first_figure(text, one.start), one.end, "电话") for one in phones(text)]
    found += [Named(*match.span(), "电话") for match in fields.PHONE.finditer(text)]
    found += [Named(*match.span(), "电话") for match in fields.SPOKEN.finditer(text) if _is_spoken(match.group())]
    found += [Named(*match.span(), "邮箱") for match in fields.MAIL.finditer(text)]
    for match in fields.LONG.finditer(text):
        label = _long(match.group())
        if label:
            found.append(Named(*match.span(), label))
    for match in fields.PLATE.finditer(text):
        before, behind = text[max(0, match.start() - _OWNER) : match.start()], text[match.end() : match.end() + 4]
        if fields.OWN_CAR.search(before) or behind.startswith(("是我的", "是本人", "是俺")):
            found.append(Named(*match.span(), "车牌"))
    return ((one, _is_others(text, one.start) or _is_of_accused(text, one.start)) for one in found)


def _is_of_accused(text: str, start: int) -> bool:
    """Whether it stands in the sentence of a form that begins with whom he reports: 被举报人：…，电话：…"""
    return fields.ABOUT_ACCUSED.search(text[max(0, start - _FORM) : start]) is not None


def _first_figure(text: str, start: int) -> int:
    """Where a number begins behind the bracket that opens before it."""
    return start + (text[start] in "(（" and text[start + 1 : start + 2] not in {"0", "０"})


def _is_others(text: str, start: int) -> bool:
    before = text[max(0, start - _OWNER) : start]
    others = fields.OTHERS.search(before)
    own = others and fields.OWN_ROLE.search(before, 0, others.start() + 1)
    return bool((others and not own) or fields.OTHERS_NAMED.search(before))


def _is_spoken(number: str) -> bool:
    """Eleven figures of a mobile number, at least some of them as words."""
    digits = "".join(filter(str.isdigit, number.translate(_NUMERALS)))
    return digits.startswith("1") and len(digits) >= 11 and not number.isascii()


def _long(number: str) -> str | None:
    signs = "".join(sign for sign in unicodedata.normalize("NFKC", number).upper() if sign.isdigit() or sign == "X")
    if _is_identity(signs):
        return "证件号码"
    return "银行卡号" if 16 <= len(signs) <= 19 and signs.isdigit() and _is_card(signs) else None


def _is_identity(signs: str) -> bool:
    """Whether the last is the check digit of the 17 before (GB 11643, ISO 7064 MOD 11-2)."""
    if len(signs) != 18 or not signs[:17].isdigit():
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, signs, strict=False)) % 11
    return signs[17] == "10X98765432"[rest]


def _is_card(signs: str) -> bool:
    """Whether the last is the check digit (ISO/IEC 7812-1, Luhn)."""
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(signs)))
    return total % 10 == 0


# -- What he says of himself ---------------------------------------------------------------------------------------------


def _fields(text: str) -> Iterator[tuple[Named, bool]]:
    for label, pattern in fields.FIELDS:
        for match in pattern.finditer(text):
            others = _is_others(text, match.start()) or text[: match.start()].endswith("被")
            others = others or _is_of_accused(text, match.start())
            yield Named(*match.span(match.lastgroup or 0), label), others
    for match in fields.BADGE.finditer(text):
        start = match.start()
        others = is_anothers(text, start) or _is_others(text, start) or _is_of_accused(text, start)
        others = others or text[match.end() :].startswith("的")
        yield Named(*match.span(match.lastgroup or 0), "号码"), others


def _introduced(text: str) -> Iterator[Named]:
    for pattern in words.NAMED:
        for match in pattern.finditer(text):
            name = match["name"]
            polite = name[:2] in words.POLITE or (words.OFFICE.search(name) and match.end("name") < _ADDRESSED)
            if not polite and not _is_others(text, match.start()):
                yield Named(*match.span("name"), "姓名")


def _at_home(text: str) -> Iterator[Named]:
    for pattern in (fields.AT_HOME, fields.BESIDE, fields.OWN_HOUSE):
        for match in pattern.finditer(text):
            said_of_him = any(one in match.group() for one in "我俺本")
            if not said_of_him and is_anothers(text, match.start("name")):
                continue
            if not fields.OF_ACCUSED.search(text[max(0, match.start() - _OWNER) : match.start() + 1]):
                yield Named(*match.span("name"), "地址")


def _addresses(text: str, found: Sequence[Named]) -> Iterator[Named]:
    """Addresses right beside what tells who he is."""
    for match in fields.ADDRESS.finditer(text):
        if fields.ACCUSED_PLACE.search(match.group()) or fields.GOES_ON.match(text, match.end()):
            continue
        if _is_of_accused(text, match.start()):
            continue
        if any(0 <= match.start() - one.end <= _APART or 0 <= one.start - match.end() <= _APART for one in found):
            yield Named(*match.span(), "地址")


def _beside_phones(text: str, numbers: Sequence[Named]) -> Iterator[Named]:
    for number in numbers:
        start = max(0, number.start - _OWNER)
        before = words.BEFORE_PHONE.search(text[start : number.start])
        if before and before["name"][:2] not in words.POLITE:
            yield Named(start + before.start("name"), start + before.end("name"), "姓名")
        after = words.AFTER_PHONE.search(text[number.end : number.end + _OWNER])
        if after and after["name"][:2] not in words.POLITE:
            yield Named(number.end + after.start("name"), number.end + after.end("name"), "姓名")


def _behind(text: str, last: Named) -> Iterator[Named]:
    """Names, family names and ages that are said in one breath with what is his."""
    match = words.BREATH.match(text, last.end)
    if match and match["name"][:2] not in words.POLITE:
        yield Named(*match.span("name"), "姓名")
        last = Named(*match.span("name"), "姓名")
    if last.label in {"姓名", "身份"} and (aged := words.AGED.match(text, last.end)):
        yield Named(*aged.span("age"), "年龄")


def _dated(text: str) -> Iterator[Named]:
    """The day of a letter below or behind its signature."""
    if dated := words.DATED.search(text, max(0, len(text) - _SIGNING)):
        yield Named(*dated.span("date"), "日期")


def _signed(text: str) -> Iterator[Named]:
    """Signatures: among the last lines, or the last words."""
    lines = list(_LINE.finditer(text))[-_SIGNING_LINES:]
    places = [(line.start(), line.group(), False) for line in lines if line.start() or len(text) <= _NAME_ALONE]
    endings = (_LAST_WORDS.search(text[-_SIGNING:]), _LAST_SENTENCE.search(text[-_SIGNING:]))
    places += [(max(0, len(text) - _SIGNING) + last.start(1), last[1], True) for last in endings if last]
    for start, line, inline in places:
        found = words.SIGNED.search(line) if len(line) <= _SIGNING else None
        if found is None or found["name"][:2] in words.POLITE:
            continue
        before = line[: found.start("name") + 1]
        if not words.ACCUSED.search(before) and not (inline and words.ACCUSED_INLINE.search(before)):
            yield Named(start + found.start("name"), start + found.end("name"), "姓名")
