"""What troubles citizens, as grammars: ``[a|b]`` is one of them, ``{name}`` a word of the place (``places.Place``).

All sentences are our own. A problem is told by one of its ``main`` sentences, some ``details`` and a ``wish``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

#: Words for the same: whoever writes chooses his own.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "孩子": ("小孩", "娃"),
    "老人": ("老年人", "上了年纪的人"),
    "晚上": ("夜里", "夜间", "天黑以后"),
    "天天": ("每天", "成天", "日复一日"),
    "邻居": ("街坊", "左邻右舍"),
    "听说": ("据说", "有人讲"),
    "没人": ("无人", "没有谁"),
    "半夜": ("深夜", "后半夜"),
    "一直": ("始终", "总是"),
    "门口": ("大门外", "门前"),
    "昨晚": ("昨天夜里", "昨夜"),
    "今天": ("今日", "就在今天"),
    "刚才": ("方才", "就在刚刚"),
    "家里": ("家中", "屋里"),
    "小区": ("院区", "社区"),
    "业主": ("住户", "房主"),
    "到处": ("遍地", "四处"),
    "经常": ("时常", "三天两头"),
    "越来越多": ("日益增多", "一天比一天多"),
    "睡不着": ("没法入睡", "彻夜难眠"),
    "受不了": ("难以忍受", "实在扛不住"),
    "味道": ("气味", "味儿"),
    "派人": ("安排人员", "差人"),
    "尽快": ("早日", "抓紧"),
    "查处": ("处理", "严肃查办"),
    "督促": ("敦促", "责成"),
    "不敢": ("没胆量", "哪敢"),
}
#: How often somebody does.
_OWN_WORDS = 0.5
_CHOICE = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that can be anywhere."""

    name: str
    #: Many may suffer from it; else it is one household's.
    common: bool
    #: Its main sentences say the same in other words; else each is a trouble of its own.
    one: bool
    titles: tuple[str, ...]
    #: The trouble itself; each names the place.
    main: tuple[str, ...]
    #: Further facts.
    details: tuple[str, ...]
    wishes: tuple[str, ...]
    #: What it is called when he comes back to it.
    short: tuple[str, ...]
    #: What can have happened since.
    fresh: tuple[str, ...]


def say(rng: Random, grammar: str, words: Mapping[str, str]) -> str:
    """One of the sentences of a grammar, in somebody's own words."""
    while (found := _CHOICE.search(grammar)) is not None:
        grammar = grammar[: found.start()] + rng.choice(found[1].split("|")) + grammar[found.end() :]
    grammar = _KNOWN.sub(lambda word: _own(rng, word[0]), grammar)
    return grammar.format_map(words)


_KNOWN = re.compile("|".join(_SYNONYMS))


def _own(rng: Random, word: str) -> str:
    return rng.choice(_SYNONYMS[word]) if rng.random() < _OWN_WORDS else word
