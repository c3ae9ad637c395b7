"""How well is abuse found, and how seldom is a citizen wronged? Run: python -m bench.quality_conduct.

Our own messages (tests/data/conduct), plain and disguised; with ../shared/data the city's board (letters flagged), COLD's
development part alone and put into letters, and the SMS. A lexicon stands beside it in the same run.
"""

from __future__ import annotations

import csv
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

from opencc import OpenCC
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT
from normalizer import conduct_advert, conduct_model, conduct_staff
from normalizer.clean import clean
from normalizer.conduct import COUNTS, said

OWN = ROOT / "tests" / "data" / "conduct"
SHARED = ROOT.parent / "shared" / "data"
WIDTH = 120
#: COLD's texts that are put into letters, and the seed.
SAMPLE, SEED = 500, 7
_ENDS = re.compile("[。！？!?；;\n]")
_ABUSE = ("insult", "threat", "harassment")
#: What was read rightly of each round (a half of the messages) when nobody had looked at it yet; "odd" ones were made up to escape.
FIRST_SIGHT = (
    ("half", "threat", "insult", "obfuscated", "spam", "angry", "quoted", "ordinary", "worded"),
    ("6", ".340", ".208", ".562", ".280", ".944", ".933", ".967", "odd, by words alone"),
    ("7", ".486", ".514", ".409", ".600", "1.00", ".950", "1.00", "mixed, by words alone"),
    ("8", ".733", ".848", ".800", ".450", ".909", ".938", ".944", "mixed"),
    ("9", ".667", ".906", ".900", ".533", ".955", ".938", "1.00", "odd"),
    ("10", ".640", ".920", ".857", ".583", ".875", ".833", ".833", "odd"),
    ("11", ".850", ".900", "1.00", "", ".667", "1.00", ".917", "mixed; angry ones that come near a threat"),
    ("12", ".650", ".900", "1.00", ".375", ".950", "1.00", "1.00", "odd"),
    ("13", ".667", ".850", "", ".700", ".812", "1.00", "1.00", "odd"),
    ("14", "1.00", "1.00", "", "", ".867", ".857", "1.00", "plain"),
    ("15", ".833", "1.00", "1.00", ".750", ".867", "1.00", "1.00", "mixed"),
    ("16", "1.00", "1.00", "", ".500", ".733", "1.00", "1.00", "plain; the threshold was raised after it"),
    ("17", "1.00", ".870", "", "", ".947", "1.00", ".875", "mixed, many angry; half 18 is kept out of training"),
    ("18", ".850", ".773", "", "", ".958", "1.00", "1.00", "as 17; 17 learned: abuse .857, wronged 2 of 116"),
    ("19", ".900", ".875", "", "", ".917", ".917", "1.00", "mixed, angry ones; after it idle words were masked"),
    ("20", ".900", "1.00", "", "", ".900", "1.00", "1.00", "mixed; after it more is asked where no word is armed"),
)
#: What a plain lexicon would look for.
LEXICON = [
    "傻逼",
    "废物",
    "垃圾",
    "去死",
    "滚",
    "王八蛋",
    "畜生",
    "狗东西",
    "操你妈",
    "你妈死",
    "脑残",
    "智障",
    "杂种",
    "婊子",
    "贱人",
    "混蛋",
    "人渣",
    "败类",
    "白痴",
    "蠢货",
    "饭桶",
    "流氓",
    "土匪",
    "无耻",
    "不要脸",
    "弄死",
    "砍死",
    "打死",
    "捅死",
    "杀了",
    "炸了",
    "小心点",
    "等着",
    "同归于尽",
    "全家",
    "狗官",
    "恶心",
    "他妈的",
    "尼玛",
    "放屁",
    "狗屁",
]
_LIKE = {"废物": "费物", "傻逼": "煞笔", "操你妈": "艹你吗", "王八蛋": "王八旦", "弄死": "弄4", "狗东西": "狗东茜"}
_SIMPLE_PICTURES = {"妈": "🐴", "狗": "🐶", "蛋": "🥚", "死": "💀"}


def _between(sign: str, text: str) -> str:
    """The text with a sign between all its characters."""
    return re.sub("(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])", sign, text)


def _wide(text: str) -> str:
    """The text with a letter for its slur, in full width, and in signs between."""
    return _between("＊", text.replace("傻逼", "ＳＢ"))


def _sounds(text: str) -> str:
    """The text in characters of the same sound."""
    for word, like in _LIKE.items():
        text = text.replace(word, like)
    return text


def _pictures(text: str) -> str:
    """The text with pictures: some for words, some between."""
    for word, picture in _SIMPLE_PICTURES.items():
        text = text.replace(word, picture)
    return _between("😂", text)


#: Ways to hide a word.
DISGUISES: dict[str, Callable[[str], str]] = {
    "spaces": partial(_between, " "),
    "hyphens": partial(_between, "-"),
    "dots": partial(_between, "·"),
    "full width": _wide,
    "traditional": lambda text: _between("*", OpenCC("s2t").convert(text)),
    "sounds": lambda text: _sounds(text) if _sounds(text) != text else _between("_", text),
    "pictures": _pictures,
}


def flagged(text: str, kinds: Sequence[str]) -> bool:
    """Whether a sign of these kinds holds the message."""
    return any(sign.kind in kinds and sign.score >= COUNTS for sign in said(text))


def naive(text: str) -> bool:
    """Whether a word of the lexicon stands in the text."""
    return any(word in text for word in LEXICON)


def own_messages() -> Iterator[tuple[str, str, bool, str]]:
    """Our own: kind, half, label, text."""
    with (OWN / "gold.csv").open(encoding="utf-8", newline="") as rows:
        gold = {row["id"]: row for row in csv.DictReader(rows)}
    with (OWN / "messages.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            one = gold[row["id"]]
            yield one["kind"], one["half"], one["label"] == "1", clean(row["text"])


def of_ours() -> dict[str, Any]:
    """Of each kind of our own, by half, how many are flagged; and of the lexicon."""
    found: dict[str, dict[str, Any]] = {}
    for kind, half, label, text in own_messages():
        kinds = ("spam",) if kind in {"spam", "link"} else _ABUSE if label else (*_ABUSE, "spam")
        row = found.setdefault(f"{kind}, half {half}", {"label": int(label), "messages": 0, "flagged": 0, "lexicon": 0})
        row["messages"] += 1
        row["flagged"] += flagged(text, kinds)
        row["lexicon"] += naive(text)
    return found


def disguised() -> dict[str, Any]:
    """Of the plain insults and threats that are found, how many still are when they are disguised."""
    plain = [text for kind, _, _, text in own_messages() if kind in {"insult", "threat"} and flagged(text, _ABUSE)]
    return {
        name: {
            "messages": len(plain),
            "flagged": sum(flagged(hide(text), _ABUSE) for text in plain),
            "lexicon": sum(naive(hide(text)) for text in plain),
        }
        for name, hide in DISGUISES.items()
    }


def letters() -> list[str]:
    """The city's board, title and body."""
    found = []
    for file in sorted((SHARED / "tipdm").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as rows:
            found += [clean(f"{row['subject']}\n{row['body']}") for row in csv.DictReader(rows)]
    return found


def cold(label: str) -> list[str]:
    """A sample of COLD's development part."""
    with (SHARED / "cold" / "dev.csv").open(encoding="utf-8", newline="") as rows:
        texts = [clean(row["text"]) for row in csv.DictReader(rows) if row["label"] == label]
    random.Random(SEED).shuffle(texts)
    return texts[:SAMPLE]


def inserted(texts: Sequence[str], into: Sequence[str]) -> list[str]:
    """Each text put between two sentences of a letter."""
    chance = random.Random(SEED)
    found = []
    for text in texts:
        letter = chance.choice(into)
        at = chance.choice([0, *(one.end() for one in _ENDS.finditer(letter)), len(letter)])
        found.append(f"{letter[:at]}{text}。{letter[at:]}")
    return found


def on_shared() -> dict[str, Any]:
    """What is found in the development texts."""
    board, abusive, harmless = letters(), cold("1"), cold("0")
    within = inserted(abusive, board)
    with (SHARED / "sms" / "sms.csv").open(encoding="utf-8", newline="") as rows:
        sms = [(clean(row["content"]), row["label"] == "1") for row in csv.DictReader(rows)]
    judged = [(flagged(text, ("spam",)), spam) for text, spam in sms]
    hits = sum(flag and spam for flag, spam in judged)
    groups = {"letters": board, "cold alone": abusive, "cold in letters": within, "cold harmless": harmless}
    return {
        name: {
            "messages": len(texts),
            "abuse": sum(flagged(text, _ABUSE) for text in texts),
            "spam": sum(flagged(text, ("spam",)) for text in texts) if name == "letters" else None,
            "lexicon": sum(map(naive, texts)),
        }
        for name, texts in groups.items()
    } | {"sms": {"recall": hits / sum(spam for _, spam in judged), "precision": hits / sum(flag for flag, _ in judged)}}


def costs(texts: Sequence[str]) -> dict[str, float]:
    """Microseconds a message of median length, all and without the model: the best of several rounds."""
    middle = sorted(texts, key=len)[len(texts) // 2 - 20 :][:40]
    found = {"all": min(map(_spent, [middle] * 7))}
    learned = [
        patch.object(one, "weights", return_value=None) for one in (conduct_advert, conduct_model, conduct_staff)
    ]
    with learned[0], learned[1], learned[2]:
        found["rules"] = min(map(_spent, [middle] * 7))
    return found


def _spent(texts: Sequence[str]) -> float:
    """Microseconds a message."""
    began = time.process_time()
    for text in texts:
        said(text)
    return 1e6 * (time.process_time() - began) / len(texts)


def measure() -> dict[str, Any]:
    """All figures."""
    present = (SHARED / "tipdm").is_dir()
    texts = letters() if present else [text for _, _, _, text in own_messages()]
    found: dict[str, Any] = {"own": of_ours(), "disguised": disguised(), "microseconds": costs(texts)}
    return found | ({"development": on_shared()} if present else {})


def show(found: dict[str, Any], console: Console) -> None:
    """The figures as tables."""
    sights = Table(*FIRST_SIGHT[0], title="at first sight", title_justify="left", box=SIMPLE)
    for row in FIRST_SIGHT[1:]:
        sights.add_row(*row)
    console.print(sights)
    for name in ("own", "disguised"):
        table = Table("messages", "of", "flagged", "share", "lexicon", title=name, title_justify="left", box=SIMPLE)
        for kind, row in found[name].items():
            share = row["flagged"] / row["messages"]
            table.add_row(kind, str(row["messages"]), str(row["flagged"]), f"{share:.3f}", str(row["lexicon"]))
        console.print(table)
    for name, row in found.get("development", {}).items():
        console.print(
            f"{name}: " + ", ".join(f"{key} {_figure(value)}" for key, value in row.items() if value is not None)
        )
    console.print("microseconds: " + ", ".join(f"{key} {value:.0f}" for key, value in found["microseconds"].items()))


def _figure(value: float) -> str:
    """A number, a share with three digits."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    show(measure(), Console(width=WIDTH))
