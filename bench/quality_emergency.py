"""How many live emergencies and crises are recognised, and how many ordinary letters are taken for one. Run: python -m bench.quality_emergency.

On messages of our own (tests/data/emergency: invented; half 1 written with the rules at hand, half 2 in five sittings after them,
each without a look at the rules, which were then improved on it; further rounds, in files of their own, likewise, from the third
of them on with the model beside the rules: the shares here are of known texts, what the sittings gave at first sight stands in
FIRST_SIGHT), on everyday pieces of a chat with nothing in them (everyday.csv; EVERYDAY_BEFORE) and, where they are present, on the ordinary letters of a city's board (../shared/data), beside
the list of words that one thinks of first.
"""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from normalizer.clean import clean
from normalizer.crisis import crisis
from normalizer.emergency import alarm

ROOT = Path(__file__).parent.parent
OWN = ROOT / "tests" / "data" / "emergency"
LETTERS = ROOT.parent / "shared" / "data" / "tipdm"
NONE = "0"
CRISIS = "crisis"
#: What each sitting gave before the rules had seen it: shares recognised by line, of counterparts left alone, and its messages.
FIRST_SIGHT = (
    {
        "110": 0.49,
        "119": 0.57,
        "120": 0.67,
        "122": 0.51,
        "explicit": 0.50,
        "indirect": 0.11,
        "0": 0.83,
        "messages": 277,
    },
    {
        "110": 0.95,
        "119": 0.70,
        "120": 0.75,
        "122": 1.00,
        "explicit": 0.87,
        "indirect": 0.88,
        "0": 1.00,
        "messages": 133,
    },
    {
        "110": 0.73,
        "119": 0.93,
        "120": 1.00,
        "122": 0.93,
        "explicit": 0.92,
        "indirect": 0.38,
        "0": 0.80,
        "messages": 120,
    },
    {
        "110": 0.87,
        "119": 1.00,
        "120": 0.80,
        "122": 0.90,
        "explicit": 0.90,
        "indirect": 0.67,
        "0": 0.83,
        "messages": 100,
    },
    {"110": 0.90, "119": 1.00, "120": 1.00, "122": 0.90, "explicit": 1.00, "indirect": 0.80, "0": 1.00, "messages": 75},
    {
        "110": 0.89,
        "119": 0.66,
        "120": 0.89,
        "122": 0.85,
        "explicit": 0.60,
        "indirect": 0.67,
        "0": 0.88,
        "messages": 199,
    },
    {
        "110": 0.58,
        "119": 0.55,
        "120": 0.54,
        "122": 0.56,
        "explicit": 0.56,
        "indirect": 0.33,
        "0": 0.94,
        "messages": 208,
    },
    {
        "110": 0.94,
        "119": 0.87,
        "120": 0.71,
        "122": 0.79,
        "explicit": 0.60,
        "indirect": 0.67,
        "0": 0.73,
        "messages": 210,
    },
    {
        "110": 0.74,
        "119": 0.80,
        "120": 0.86,
        "122": 0.95,
        "explicit": 0.92,
        "indirect": 0.67,
        "0": 0.95,
        "messages": 213,
    },
    {
        "110": 0.73,
        "119": 0.69,
        "120": 0.79,
        "122": 0.80,
        "explicit": 0.76,
        "indirect": 0.17,
        "0": 0.87,
        "messages": 212,
    },
    {
        "110": 0.81,
        "119": 0.92,
        "120": 1.00,
        "122": 1.00,
        "explicit": 0.91,
        "indirect": 0.75,
        "0": 0.98,
        "messages": 159,
    },
    {
        "110": 0.79,
        "119": 0.84,
        "120": 0.76,
        "122": 0.83,
        "explicit": 0.88,
        "indirect": 0.50,
        "0": 0.86,
        "messages": 131,
    },
)
#: Everyday pieces kept apart, of 2 to 24 characters: how many, and how many were flagged before the model had learned from the
#: others, and after it had, at first sight. The last of the words were then corrected on some of them: what is measured flatters.
EVERYDAY_BEFORE = {"messages": 750, "flagged": 176, "learned": 18}
#: Rounds 6 to 12, each read by a model that never saw it and by rules that have: live ones with any alarm, what is said outright
#: and what is hinted at, counterparts left alone; before everyday pieces counted, and with them.
UNSEEN_BY_MODEL = (
    {"live": 0.957, "explicit": 0.957, "indirect": 0.711, "0": 0.981},
    {"live": 0.921, "explicit": 0.939, "indirect": 0.526, "0": 0.986},
)
#: What a first attempt looks for, wherever it stands.
_WORDS = {
    "119": "着火|起火|失火|火灾|爆炸|煤气泄漏|燃气泄漏|倒塌|坍塌|落水|溺水|被困|跳楼",
    "122": "车祸|交通事故|追尾|撞车|撞人|肇事|逃逸|被撞",
    "110": "抢劫|小偷|打架|殴打|打人|持刀|杀人|绑架|报警|走失|诈骗|家暴",
    "120": "救护车|急救|昏迷|晕倒|受伤|流血|中毒|触电|心脏病|救命",
    CRISIS: "自杀|不想活|跳楼|遗书|活不下去|走投无路|绝望|想死",
}
_NAIVE = {label: re.compile(words) for label, words in _WORDS.items()}

Labels = Callable[[str, str], set[str]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message of our own and what it is."""

    title: str
    text: str
    label: str
    #: live, past, negated, quoted, hypothetical, generic, figurative, explicit, indirect.
    kind: str
    half: str


def ours(title: str, text: str) -> set[str]:
    """What the gateway makes of a message: the line of the emergency, and whether it is a crisis."""
    found = alarm(title) or alarm(text)
    labels: set[str] = {found.line} if found else set()
    return labels | {CRISIS} if crisis(title) or crisis(text) else labels


def naive(title: str, text: str) -> set[str]:
    """What a list of words makes of it."""
    return {label for label, words in _NAIVE.items() if words.search(title) or words.search(text)}


def own_messages() -> list[Labelled]:
    """Our own messages with their labels."""
    with (OWN / "messages.csv").open(encoding="utf-8", newline="") as rows:
        messages = {row["id"]: row for row in csv.DictReader(rows)}
    with (OWN / "gold.csv").open(encoding="utf-8", newline="") as rows:
        found = [
            Labelled(messages[row["id"]]["title"], messages[row["id"]]["text"], row["label"], row["kind"], row["half"])
            for row in csv.DictReader(rows)
        ]
    for path in sorted(OWN.glob("round_*.csv")):
        with path.open(encoding="utf-8", newline="") as rows:
            found += [
                Labelled("", row["text"], row["label"], row["kind"], path.stem[6:]) for row in csv.DictReader(rows)
            ]
    return found


def everyday() -> list[str]:
    """The everyday pieces of a chat that the model has not learned from."""
    with (OWN / "everyday.csv").open(encoding="utf-8", newline="") as rows:
        return [clean(row["text"]) for row in csv.DictReader(rows) if row["part"] == "kept"]


def letters() -> list[tuple[str, str]]:
    """Titles and bodies of the city's board; none where it does not lie beside us."""
    found = []
    for path in sorted(LETTERS.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as rows:
            found += [(clean(row["subject"] or ""), clean(row["body"] or "")) for row in csv.DictReader(rows)]
    return found


def measure() -> dict[str, Any]:
    """Recall by label and kind, ordinary letters flagged, and the cost."""
    messages, board = own_messages(), letters()
    found: dict[str, Any] = {"own": {name: _own(messages, labels) for name, labels in _METHODS.items()}}
    found["first_sight"], found["unseen_by_model"] = FIRST_SIGHT, UNSEEN_BY_MODEL
    pieces = [("", text) for text in everyday()]
    found["everyday"] = {name: _flagged(pieces, labels) for name, labels in _METHODS.items()}
    found["everyday"]["before"] = EVERYDAY_BEFORE
    if board:
        found["letters"] = {name: _flagged(board, labels) for name, labels in _METHODS.items()}
    texts = [text for _, text in board] or [one.text for one in messages]
    return found | {"microseconds": _cost(texts), "median_characters": sorted(map(len, texts))[len(texts) // 2]}


_METHODS: dict[str, Labels] = {"the gateway": ours, "word list": naive}


def _own(messages: Iterable[Labelled], labels: Labels) -> dict[str, dict[str, Any]]:
    """Of each label, kind and half: how many, and what share was judged right."""
    total, right = Counter[str](), Counter[str]()
    for one in messages:
        said = labels(one.title, one.text)
        good = not said if one.label == NONE else one.label in said
        for half in (one.half, "all"):
            key = f"{one.label} {one.kind} {half}"
            total[key] += 1
            right[key] += good
    return {key: {"messages": total[key], "right": round(right[key] / total[key], 4)} for key in sorted(total)}


def _flagged(board: Iterable[tuple[str, str]], labels: Labels) -> dict[str, Any]:
    """Of ordinary letters: how many are taken for an emergency, how many for a crisis."""
    said = [labels(title, text) for title, text in board]
    emergencies, crises = sum(bool(one - {CRISIS}) for one in said), sum(CRISIS in one for one in said)
    shares = {"emergency_share": round(emergencies / len(said), 5), "crisis_share": round(crises / len(said), 5)}
    return {"letters": len(said), "emergency": emergencies, "crisis": crises, **shares}


def _cost(texts: list[str]) -> dict[str, float]:
    """CPU microseconds of both rules: on the average message, on those of median length, and on the dearest."""
    middle = sorted(map(len, texts))[len(texts) // 2]
    usual = [text for text in texts if abs(len(text) - middle) <= middle // 10]
    each = sorted(_spent([text]) for text in texts)
    return {"average": round(_spent(texts), 1), "median_length": round(_spent(usual), 1), "dearest": round(each[-1], 1)}


def _spent(texts: list[str]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.process_time_ns()
        for text in texts:
            alarm(text)
            crisis(text)
        best = min(best, (time.process_time_ns() - begun) / 1_000 / len(texts))
    return best


def show(found: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    table = Table("our own messages", "half", "messages", *_METHODS, box=SIMPLE, title="Judged right")
    for key, row in found["own"]["the gateway"].items():
        label, kind, half = key.split()
        shares = [f"{found['own'][name][key]['right']:.3f}" for name in _METHODS]
        table.add_row(f"{label} {kind}", half, str(row["messages"]), *shares)
    console.print(table)
    table = Table(*FIRST_SIGHT[0], box=SIMPLE, title="At first sight, sitting by sitting")
    for sitting in found["first_sight"]:
        table.add_row(*map(str, sitting.values()))
    console.print(table)
    console.print("Everyday pieces:", found["everyday"])
    console.print("Rounds 6 to 12, unseen by the model, before and after:", *found["unseen_by_model"])
    if "letters" in found:
        table = Table(
            "method", "letters", "emergency", "%", "crisis", "%", box=SIMPLE, title="Ordinary letters flagged"
        )
        for name, row in found["letters"].items():
            shares = [f"{100 * row[share]:.2f}" for share in ("emergency_share", "crisis_share")]
            table.add_row(name, str(row["letters"]), str(row["emergency"]), shares[0], str(row["crisis"]), shares[1])
        console.print(table)
    console.print(
        "CPU microseconds a message, both rules:",
        found["microseconds"],
        "median characters:",
        found["median_characters"],
    )


if __name__ == "__main__":
    show(measure(), Console(width=140))
