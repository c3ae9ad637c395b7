"""The text as rules of danger read it, character for character the same length: small letters, simplified characters."""

from __future__ import annotations

import re
from bisect import bisect_left

from ahocorasick_rs import AhoCorasick

#: Characters read: who is in danger says so early.
READ = 4_000
#: Characters on either side of an anchor that are read with it.
_ASIDE = 40
#: Pieces read, and characters of one: a letter has one or two.
_WINDOWS, _LONGEST = 5, 160
#: Of the words of danger, what Cantonese writes for 没, 不, 了 and the like, the northern 俺 and 咧; 著 only where it is 着.
_TRADITIONAL = "著燒煙災傷車樓來腦媽爺們電禍搶殺槍賊門鎖關壓墜紅綠燈醫藥護過現剛見還沒無個離開國貨轉橋溝陽臺頂樑熱氣體馬鐵絕遺書會說話讓對親兒孫學頭點應該給嚴塊裡裏邊報從歲歡爛覺難緊趕當這誰麼幾動觸斷線慘險擊衝鋸鋼僕嘔噴濃發暈攔幫蘇聽聯長間單買賣麗產壞盡寫後處訊顏噁轟鑰嬰婦餵鎮綁騙錢錶鐘爐閥竄鬧鬥棄鄰層煩變龍條號帶數兩區內臉傾隻鳥蟲裝運軌橫衛組織員場寶貝歸遠斃屍憂鬱癥啲嚟冇唔咗佢哋嘅喺俺咧嘞哒"
_SIMPLIFIED = "着烧烟灾伤车楼来脑妈爷们电祸抢杀枪贼门锁关压坠红绿灯医药护过现刚见还没无个离开国货转桥沟阳台顶梁热气体马铁绝遗书会说话让对亲儿孙学头点应该给严块里里边报从岁欢烂觉难紧赶当这谁么几动触断线惨险击冲锯钢仆呕喷浓发晕拦帮苏听联长间单买卖丽产坏尽写后处讯颜恶轰钥婴妇喂镇绑骗钱表钟炉阀窜闹斗弃邻层烦变龙条号带数两区内脸倾只鸟虫装运轨横卫组织员场宝贝归远毙尸忧郁症点来没不了他们的在我了了了"
_SIMPLER = dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True))
_OLD = re.compile(f"[{_TRADITIONAL}]")
#: 著 alone is simplified too: 著名.
_HAS_OLD = re.compile(f"[{_TRADITIONAL.replace('著', '')}]|著[火了]")
_MARKS = re.compile("[。！？!?\n;；]")


def fold(text: str) -> str:
    """The beginning of a cleaned text for the rules; every character stands where it stood."""
    head = text[:READ]
    small = head.lower()
    folded = small if len(small) == len(head) else head
    return _OLD.sub(lambda old: _SIMPLER[old[0]], folded) if _HAS_OLD.search(folded) else folded


class Reading:
    """A text, and what was already looked for in its pieces."""

    __slots__ = ("_found", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[tuple[re.Pattern[str], str], bool] = {}

    def has(self, sign: re.Pattern[str], piece: str | None = None) -> bool:
        """Whether a sign stands in a piece of it, or in the whole."""
        key = (sign, self.text if piece is None else piece)
        if key not in self._found:
            self._found[key] = sign.search(key[1]) is not None
        return self._found[key]


def ends(text: str) -> list[int]:
    """Where sentences end; the text's end is the last."""
    found = [mark.start() for mark in _MARKS.finditer(text)]
    return [*found, len(text)]


def windows(anchors: AhoCorasick, text: str) -> list[tuple[int, int]]:
    """The first pieces of sentences in which anchors stand, with what is said around them, in their order."""
    hits = anchors.find_matches_as_indexes(text)
    if not hits:
        return []
    marks, found = ends(text), list[tuple[int, int]]()
    for _, start, end in hits:
        number = bisect_left(marks, start)
        opens = max(marks[number - 1] + 1 if number else 0, start - _ASIDE)
        closes = min(marks[number], end + _ASIDE)
        if found and opens <= found[-1][1]:
            opens = found.pop()[0]
        elif len(found) == _WINDOWS:
            break
        found.append((opens, max(opens, closes)))
    return [(opens, min(closes, opens + _LONGEST)) for opens, closes in found]


def around(text: str, opens: int, closes: int, start: int, end: int) -> str:
    """A place with thirty characters on either side, within its sentence."""
    return text[max(opens, start - 30) : min(closes, end + 30)]
