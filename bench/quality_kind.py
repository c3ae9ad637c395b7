"""How well is the kind of a matter read (normalizer/kind.py), beside a naive rule and a plain model? Run: python -m bench.quality_kind.

On messages of our own (tests/data/kind): the weights were fitted with part "a"; part "b" was written when the rules were made, and after
its first reading (accuracy .625) words were added; part "c" was written after that and changed nothing. Parts "d" to "j" are seven rounds
more, four odder than people write ("d", "e", "f", "h"); at first sight, with the messages that are of no kind, accuracy .62, .62, .61, .77, .65, .78, .80; all but
"j" are in the shipped weights. And, where they lie beside us,
on letters of a city's board whose title's own word gives the label and is hidden. Of the letters our figures are
cross-validated by writer, as the model's are: the shipped weights have seen them. The model (multinomial Bayes on bigrams of
characters) is trained within the run, for comparison only; on our own messages with part "a".
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.fit_kind import FOLDS, Fitting, Letter, figures, letters, own
from normalizer.kind import read_kind
from normalizer.kind_weights import KINDS
from normalizer.model import MatterKind

OURS, NAIVE, MODEL = "the gateway", "naive words", "bigram model"
Said = NDArray[np.intp]
_NAIVE = (
    (MatterKind.REPORT, "举报|违法|非法|贪污|无证"),
    (MatterKind.SUGGESTION, "建议|增设|加装|优化"),
    (MatterKind.PRAISE, "表扬|点赞|锦旗|感谢信"),
    (MatterKind.HELP, "求助|帮帮|救救|帮助"),
    (MatterKind.COMPLAINT, "投诉|扰民|噪音|拖欠|乱收费|不作为|物业"),
    (MatterKind.CONSULTATION, "咨询|请问|是否|什么时候|如何|怎么|[?？]"),
)


def naive(letter: Letter) -> int:
    """The kind whose words stand there first in a plain order; complaint where none does."""
    text = f"{letter.title}\n{letter.text}"
    return KINDS.index(next((kind for kind, words in _NAIVE if re.search(words, text)), MatterKind.COMPLAINT))


def ours(letter: Letter) -> int:
    """The kind as shipped; -1 for none."""
    kind = read_kind(letter.title, letter.text).kind
    return KINDS.index(kind) if kind in KINDS else -1


def _bigrams(letter: Letter) -> Counter[str]:
    text = f"{letter.title}\n{letter.text[:1500]}"
    return Counter(text[at : at + 2] for at in range(len(text) - 1))


class Bayes:
    """Multinomial Bayes on bigrams of characters."""

    def __init__(self, taught: Sequence[Letter]) -> None:
        counts: list[Counter[str]] = [Counter() for _ in KINDS]
        for one in taught:
            counts[KINDS.index(one.kind)].update(_bigrams(one).keys())
        known = len(set().union(*counts))
        sizes = [sum(one.values()) + known for one in counts]
        kinds = Counter(one.kind for one in taught)
        self._prior = [np.log((kinds[kind] + 0.5) / len(taught)) for kind in KINDS]
        self._chance = [
            {gram: float(np.log((count + 1) / size)) for gram, count in one.items()}
            for one, size in zip(counts, sizes, strict=True)
        ]
        self._unseen = [float(-np.log(size)) for size in sizes]

    def kind(self, letter: Letter) -> int:
        """The likeliest."""
        grams = _bigrams(letter)
        sums = [
            prior + sum(chance.get(gram, unseen) for gram in grams)
            for prior, chance, unseen in zip(self._prior, self._chance, self._unseen, strict=True)
        ]
        return int(np.argmax(sums))


def model(chosen: Sequence[Letter], fitting: Fitting) -> Said:
    """What the model says of each letter, taught without its writer."""
    fold = np.random.default_rng(0).permutation(fitting.writer.max() + 1)[fitting.writer][: len(chosen)] % FOLDS
    said = np.zeros(len(chosen), np.intp)
    for number in range(FOLDS):
        taught = Bayes([one for one, part in zip(chosen, fold, strict=True) if part != number])
        for at in np.flatnonzero(fold == number).tolist():
            said[at] = taught.kind(chosen[at])
    return said


def row(texts: str, method: str, said: Said, true: Said) -> dict[str, Any]:
    """Figures of a method on some texts."""
    found = figures(said, true)
    confusion = [[int(((true == one) & (said == two)).sum()) for two in range(len(KINDS))] for one in range(len(KINDS))]
    scores = {
        str(kind): round(value, 3)
        for kind, value in zip(KINDS, found[1:], strict=True)
        if (true == KINDS.index(kind)).any()
    }
    return {
        "texts": texts,
        "method": method,
        "messages": len(true),
        "accuracy": round(found[0], 3),
        "f1": scores,
        "confusion": confusion,
    }


def on_own() -> list[dict[str, Any]]:
    """Our own messages, by part."""
    taught = Bayes(own("a"))
    methods: dict[str, Callable[[Letter], int]] = {OURS: ours, NAIVE: naive, MODEL: taught.kind}
    found = []
    for half in sorted({one.writer[0] for one in own()}):
        chosen = own(half)
        true = np.array([KINDS.index(one.kind) for one in chosen])
        for name, method in methods.items():
            if (half, name) != ("a", MODEL):
                found.append(row(f"our own, part {half}", name, np.array([method(one) for one in chosen]), true))
    return found


def on_letters(chosen: list[Letter]) -> list[dict[str, Any]]:
    """The city's letters: with and without those labelled by 反映, with and without the kinds' words in the text."""
    fitting = Fitting.of(chosen, own("a"))
    true = fitting.kinds[: len(chosen)]
    strict = np.array([not one.reflects for one in chosen])
    found = []
    for said, bare in zip(fitting.validated(0), (False, True), strict=True):
        seen = [Letter(one.writer, one.title, one.bare(), one.kind) if bare else one for one in chosen]
        guesses = {
            OURS: said[: len(chosen)],
            NAIVE: np.array([naive(one) for one in seen]),
            MODEL: model(seen, fitting),
        }
        for part, name in ((strict, "letters"), (strict | True, "letters, 反映 too")):
            shown = f"{name}, word out of the text too" if bare else name
            found += [row(shown, method, guess[part], true[part]) for method, guess in guesses.items()]
    return found


def microseconds(chosen: Sequence[Letter]) -> float:
    """CPU time of a message, the least of several rounds."""
    spent = []
    for _ in range(7):
        began = time.process_time()
        for one in chosen:
            read_kind(one.title, one.text)
        spent.append(time.process_time() - began)
    return 1e6 * min(spent) / max(len(chosen), 1)


def measure() -> dict[str, Any]:
    """All figures."""
    chosen = letters()
    median = [one for one in chosen if 215 <= len(one.text) <= 245] or own()
    return {
        "kinds": [str(kind) for kind in KINDS],
        "rows": on_own() + (on_letters(chosen) if chosen else []),
        "balance": dict(Counter(str(one.kind) for one in chosen)),
        "microseconds_per_message": round(microseconds(median), 1),
        "characters": int(np.median([len(one.text) for one in median])),
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print them."""
    table = Table(
        "texts", "method", "messages", "accuracy", *found["kinds"], title="The kind of a matter: accuracy, F1 a kind"
    )
    for one in found["rows"]:
        scores = (f"{one['f1'][kind]:.3f}" if kind in one["f1"] else "" for kind in found["kinds"])
        table.add_row(one["texts"], one["method"], str(one["messages"]), f"{one['accuracy']:.3f}", *scores)
    console.print(table)
    for one in found["rows"]:
        if one["method"] == OURS:
            shown = Table("true \\ said", *found["kinds"], title=f"{one['texts']}: confusion")
            for kind, line in zip(found["kinds"], one["confusion"], strict=True):
                shown.add_row(kind, *map(str, line))
            console.print(shown)
    if found["balance"]:
        console.print(f"Letters by label: {found['balance']}")
    console.print(f"{found['microseconds_per_message']} µs a message of {found['characters']} characters")


def main() -> int:
    """Measure and print."""
    show(measure(), Console(width=150))
    return 0


if __name__ == "__main__":
    sys.exit(main())
