"""How much a passage reads like an attack on a group of people: a linear model over characters, pairs and triples.

Learned by bench/train_conduct.py from COLD (Deng et al. 2022, Apache-2.0) and from sentences of our own. Short of the
weights' file it says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from ahocorasick_rs import AhoCorasick
from numpy.typing import NDArray

from normalizer.conduct_words import spellings

WEIGHTS = Path(__file__).parent / "data" / "conduct.npz"
#: Weights, as a power of two: an n-gram has the one of its hash.
BITS = 17
#: A passage of fewer characters counts as one of so many: one strong word alone proves little.
LEAST = 16
#: From here on a passage is an attack on the group of people that it names, and on anybody.
NAMED, ANYBODY = 1.6, 2.3

Signs = NDArray[np.uint32]
Numbers = NDArray[np.float32]
_MIX = tuple(np.array(one, np.uint32) for one in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D))
_FOLD, _LAST, _SHIFT = (np.array(one, np.uint32) for one in (15, 0x2C1B3C6D, 32 - BITS))

_ENDS = re.compile("[。！？!?；;\n]+")
_LANDS = (
    "北京 上海 天津 重庆 广[东州西] 深圳 湖[南北] 武汉 河[南北] 山[东西] 陕西 江[苏西] 苏[北南] 浙江 温州 安徽 福建 莆田 四川 成都 贵州 云南 东北 黑龙江 吉林 辽宁 甘肃 青海 "
    "宁夏 新疆 西藏 内蒙 海南 台湾 香港 澳门 [外本]地 [南北]方 农村 乡下 [中美英法韩泰德俄外]国 日本 印度 非洲"
)
#: A group of people by colour, sex, origin or faith.
_GROUPS = " ".join(f"{land}[人佬男女猪狗]" for land in _LANDS.split()) + (
    " 黑[人鬼奴命妹哥佬叔皮] 白[人皮] 老[外黑] 种族 [亚华非]裔 华人 黄[种皮] 犹太 阿三 棒子 洋人 尼哥 鬼佬 穆斯林 绿绿 [回维]族 同性恋 女[人的性权拳生孩司] 男[人的性权生孩] "
    "直男 婊 地域[黑歧] 井盖 港[独灿毒] 湾湾 性别 小三 老娘 田园 妇女 拜金 大妈"
)
#: Different signs that a passage must have: one sign a thousand times says nothing.
_DIFFERENT = 5


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that reads like abuse."""

    start: int
    end: int
    #: 0 to 1; one half at the threshold.
    score: float
    #: Whether it names a group of people.
    named: bool


@cache
def _named() -> AhoCorasick:
    """The names of groups."""
    return AhoCorasick(list(spellings(_GROUPS)))


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned."""

    #: Of each hash of an n-gram, in steps; small, so that they stay near at hand.
    steps: NDArray[np.int8]
    #: What a step is.
    step: float
    #: What a passage starts from.
    bias: float


@cache
def weights() -> Weights | None:
    """What was learned; None: there is no model."""
    return loaded(WEIGHTS, "weights")


def loaded(path: Path, name: str) -> Weights | None:
    """What was learned and stands in a file under this name; None: there is no such file."""
    if not path.is_file():
        return None
    with np.load(path) as stored:
        return Weights(stored[name], float(stored["step"]), float(stored["bias"]))


@lru_cache(maxsize=4)
def hashes(text: str) -> list[Signs]:
    """Of each character, pair and triple its hash, by the place where it begins; several models read the same text."""
    signs = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    one = signs * _MIX[0]
    two = (one[:-1] ^ signs[1:]) * _MIX[1]
    three = (two[:-1] ^ signs[2:]) * _MIX[2]
    return [((grams ^ (grams >> _FOLD)) * _LAST) >> _SHIFT for grams in (one, two, three)]


def attack(text: str, grams: list[Signs]) -> Passage | None:
    """The one or two sentences of a folded text, of hashes as given, that read most like an attack, if any does enough."""
    learned = weights()
    if learned is None or not text:
        return None
    sums = _sums(text, grams, learned)
    cuts = np.array([0, *(one.end() for one in _ENDS.finditer(text)), len(text)])
    groups = np.array([start for _, start, _ in _named().find_matches_as_indexes(text)])
    found = [_best(sums, cuts, learned.bias, groups, count) for count in (1, 2)]
    strong = (one for one in found if one and len(set(text[one.start : one.end])) >= _DIFFERENT)
    return max(strong, key=lambda one: one.score, default=None)


def _sums(text: str, grams: list[Signs], learned: Weights) -> Numbers:
    """What the n-grams that begin before each place say together."""
    sums = np.zeros(len(text) + 1, np.int32)
    for one in grams:
        sums[1 : len(one) + 1] += learned.steps.take(one)
    return (np.cumsum(sums) * learned.step).astype(np.float32)


def _best(sums: Numbers, cuts: NDArray[np.int64], bias: float, groups: NDArray[np.int64], count: int) -> Passage | None:
    """The strongest passage of so many sentences: of those that name a group, or one sentence of any."""
    if len(cuts) <= count:
        return None
    starts, ends = cuts[:-count], cuts[count:]
    scores = (sums[ends] - sums[starts]) / np.sqrt(3 * np.maximum(ends - starts, LEAST)) + bias
    over = scores - ANYBODY if count == 1 else np.full(len(scores), -1.0)
    named = np.zeros(0, np.int64)
    if len(groups):
        first = np.searchsorted(cuts, groups, "right") - 1
        named = np.unique(np.clip(first[:, None] - np.arange(count), 0, len(scores) - 1))
        over[named] = np.maximum(over[named], scores[named] - NAMED)
    place = int(over.argmax())
    if over[place] < 0:
        return None
    return Passage(int(starts[place]), int(ends[place]), _share(float(over[place])), place in named)


def _share(over: float) -> float:
    """What exceeds the threshold, as a score from one half to one."""
    return round(1 - 0.5 / (1 + over), 3)
