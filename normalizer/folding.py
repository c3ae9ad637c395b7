"""The form in which a text's words are looked for when their writer hides them: one letter width, one script, no filling.

Full-width and circled letters (NFKC, UAX #15), traditional characters (OpenCC's t2s), capital letters and pictures that
stand for a word become what they stand for, sign for sign; what is put between the characters of a word goes.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

from opencc import OpenCC

#: What NFKC makes letters and figures of: circled and squared ones, radicals, mathematical and full-width letters.
_DISGUISED = ((0x2460, 0x2500), (0x2E80, 0x2FE0), (0x3200, 0x3400), (0xFF00, 0xFFF0), (0x1D400, 0x1D800))
#: Full-width forms of what fills words; the Chinese marks of punctuation stay.
_FILLING = "＊－＿．／＼｜＋＝＃＠％＆＄～＾"
#: 正 in a circle: an ornament.
_SEAL = "㊣"
_CHINESE = (0x4E00, 0xA000)
#: Latin letters with marks, as in pinyin with its tones.
_MARKED = (0xC0, 0x250)
#: Letters of other scripts that look like Latin ones, and characters that look like others.
_ALIKE = str.maketrans("аеорсхѕукмвнтАЕОРСХЅМВНТКοαβνρτ孑孒", "aeopcxsykmbhtaeopcxsmbhtkoabvpt子子")
#: Pictures used for the sound or the sense of a character.
_PICTURES = {
    **dict.fromkeys("🐴🐎🏇", "马"),
    **dict.fromkeys("🐶🐕🐩", "狗"),
    **dict.fromkeys("🐷🐖🐽", "猪"),
    **dict.fromkeys("🥚🍳", "蛋"),
    **dict.fromkeys("🔪🗡", "刀"),
    **dict.fromkeys("💣🧨", "炸"),
    **dict.fromkeys("💩", "屎"),
    **dict.fromkeys("💀☠", "死"),
    **dict.fromkeys("🐔🐓", "鸡"),
    **dict.fromkeys("🐢", "龟"),
    **dict.fromkeys("🖊🖋✏", "笔"),
    **dict.fromkeys("🌿🍀", "草"),
    **dict.fromkeys("👩🤱", "妈"),
    **dict.fromkeys("🔫", "枪"),
    **dict.fromkeys("🔨⚒", "锤"),
    **dict.fromkeys("🪓", "斧"),
    **dict.fromkeys("🐑🐏", "羊"),
    **dict.fromkeys("🐛🪱", "蛆"),
    **dict.fromkeys("🅱", "b"),
}
#: What is put between the characters of a word; not the marks that end a clause, and not quotation marks.
_BETWEEN = r" \t\u00a0\u3000*\-_.·•・~^`|/\\+=#@%&$…°㊣☆★○●◎◇◆□■△▲※♀♂\u200c\u200d\ufe0e\ufe0f\u2600-\u27bf\U0001f300-\U0001faff"
_FILLED = re.compile(f"[{_BETWEEN}]{{1,3}}+(?=[\u3400-\u9fffa-z])")
#: A word spelt out with marks of punctuation: 我，操，你.
_SPELT = re.compile("[,，.。、!！](?=[\u3400-\u9fff][,，.。、!！][\u3400-\u9fff])")


#: 死 by its sound: 弄4你, 去4吧; not 打4次.
_DEATH = re.compile("(?<=[弄砍打捅杀整搞掐撞去])[4シ亖s](?=[你您妳伱尼他她吧全光掉]|$)")


@dataclass(frozen=True, slots=True)
class Folded:
    """A text in the form for looking up words."""

    #: What is compared.
    text: str
    #: Where in it something was taken out, ascending.
    cuts: tuple[int, ...] = ()
    #: Characters taken out up to and with each cut.
    shifts: tuple[int, ...] = ()

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text that was given the characters from ``start`` to ``end`` stand."""
        return (start, end) if not self.cuts else (self._at(start), self._at(end - 1) + 1 if end > start else start)

    def _at(self, position: int) -> int:
        """One character's place."""
        before = bisect_right(self.cuts, position)
        return position + (self.shifts[before - 1] if before else 0)


def level(text: str) -> str:
    """The text with its disguised signs as what they stand for, each in its place."""
    table, odd = _table()
    return odd.sub(lambda sign: table.get(sign[0], sign[0]), text)


def fold(text: str) -> Folded:
    """The text as its words are looked up; an ordinary one comes back after two looks."""
    plain = _DEATH.sub("死", level(text))
    gaps = [one.span() for one in _FILLED.finditer(plain) if _fills(plain, *one.span())]
    spelt = [span for one in _SPELT.finditer(plain) for span in _marks(plain, one.start())]
    return _without(plain, sorted({*gaps, *spelt})) if gaps or spelt else Folded(plain)


def _fills(text: str, start: int, end: int) -> bool:
    """Whether what stands there parts the characters of a word: Chinese ones, or single Latin letters."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    left, right = _kind(before[-1:]), _kind(after[:1])
    if not left or not right:
        return False
    alone = (left == "chinese" or not before[:-1].isalnum() or _kind(before[:1]) == "chinese") and (
        right == "chinese" or not after[1:].isalnum() or _kind(after[1:]) == "chinese"
    )
    return alone or left == right == "chinese"


def _kind(sign: str) -> str:
    """Whether a sign is a Chinese character, a small Latin letter or neither."""
    if "\u3400" <= sign <= "\u9fff":
        return "chinese"
    return "latin" if "a" <= sign <= "z" else ""


def _marks(text: str, at: int) -> Iterator[tuple[int, int]]:
    """The two marks of a word spelt out, of which the first stands at ``at``."""
    if at and _kind(text[at - 1]) == "chinese":
        yield from ((at, at + 1), (at + 2, at + 3))


def _without(text: str, gaps: Iterable[tuple[int, int]]) -> Folded:
    """The text without these spans, which are in order."""
    kept, cuts, shifts = list[str](), list[int](), list[int]()
    last = taken = 0
    for start, end in gaps:
        if start < last:
            continue
        kept.append(text[last:start])
        taken += end - start
        cuts.append(end - taken)
        shifts.append(taken)
        last = end
    kept.append(text[last:])
    return Folded("".join(kept), tuple(cuts), tuple(shifts))


@cache
def _table() -> tuple[dict[str, str], re.Pattern[str]]:
    """Sign by sign what each stands for; and any of them (translating all signs takes twenty times as long)."""
    signs = [chr(code) for code in chain.from_iterable(range(*span) for span in _DISGUISED)]
    plain = {sign: unicodedata.normalize("NFKC", sign).casefold() for sign in signs}
    found = {
        sign: to for sign, to in plain.items() if len(to) == 1 and (to.isalnum() or sign in _FILLING) and sign != _SEAL
    }
    chinese = [chr(code) for code in range(*_CHINESE)]
    simple = OpenCC("t2s").convert("\n".join(chinese)).split("\n")
    found |= {old: new for old, new in zip(chinese, simple, strict=True) if old != new and len(new) == 1}
    found |= {
        sign: base
        for sign in map(chr, range(*_MARKED))
        if (base := unicodedata.normalize("NFKD", sign)[0].lower()) != sign and base.isascii()
    }
    found |= {chr(old): chr(new) for old, new in _ALIKE.items()}
    found |= {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)} | _PICTURES
    near = "".join(sign for sign in found if sign <= "\uffff")
    return found, re.compile(f"[{re.escape(near)}\U0001d400-\U0001d7ff\U0001f100-\U0001faff]")
