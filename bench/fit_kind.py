"""Where the weights of normalizer/kind.py come from, and how they do on letters they have not seen.

Run: python -m bench.fit_kind [--write]. Needs ../shared/data (real letters, which are not ours to publish): a letter whose title
holds the words of exactly one kind is labelled by them, and they are taken out of the title; each counts half with and half
without them in its text. 反映 is no kind's word; such letters count little. Our own messages (tests/data/kind) add short ones,
help and praise, which the letters have not. What calls itself a kind speaks for that kind, and for no other. Multinomial logistic regression with a ridge on groups of words that each have one
plain meaning; cross-validated in five folds by writer. Only the numbers are shipped.
"""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT
from normalizer.clean import clean
from normalizer.kind import TEXT, Found, find
from normalizer.kind_weights import KINDS
from normalizer.kind_words import GROUPS
from normalizer.model import MatterKind

DATA = ROOT.parent / "shared" / "data" / "tipdm"
OWN = ROOT / "tests" / "data" / "kind"
WEIGHTS = ROOT / "normalizer" / "kind_weights.py"
FILES = ("附件2", "附件3", "附件4")
#: The words in a title that label a letter.
WORDS = {
    MatterKind.CONSULTATION: "咨询|请问",
    MatterKind.HELP: "求助|求救",
    MatterKind.SUGGESTION: "建议|意见",
    MatterKind.COMPLAINT: "投诉|反映",
    MatterKind.REPORT: "举报",
    MatterKind.PRAISE: "表扬|感谢",
}
HIDDEN = re.compile("|".join(WORDS.values()))
#: Groups that count at the close of a text too: what a letter ends in.
CLOSING = [
    "asks",
    "asks_whether",
    "asks_when",
    "asks_how",
    "asks_amount",
    "mark",
    "particle",
    "awaits_answer",
    "says_consultation",
    "says_suggestion",
    "says_complaint",
    "says_report",
    "says_praise",
    "says_help",
    "adds",
    "good_of_it",
    "urges",
    "inquiry",
    "justice",
    "closing_thanks",
    "exclaims",
]
SHAPES = ("length.shape", "about.shape", "ends_asking.shape", "silent.shape")
FOLDS, ROUNDS, RIDGE, STEPS = 5, 3, 70.0, 250
#: How much a letter counts: a report, of which there are few; one that is labelled by 反映; one of ours.
REPORT, REFLECTS, OURS = 2.5, 0.05, 0.6
#: A feature that fewer lines have tells of them and of nothing else.
LEAST = 8
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Letter:
    """A labelled letter, its label's words taken out of the title."""

    writer: str
    title: str
    text: str
    kind: MatterKind
    #: Whether 反映 alone labels it.
    reflects: bool = False

    def bare(self) -> str:
        """Its text without any kind's word."""
        return HIDDEN.sub("", self.text)


def letters() -> list[Letter]:
    """The labelled letters of the city's board, each once."""
    csv.field_size_limit(1_000_000)
    found: dict[tuple[str, str], Letter] = {}
    for name in FILES:
        path = DATA / f"{name}.csv"
        if path.is_file():
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    title, text = clean(row["subject"]), clean(row["body"])
                    kinds = [kind for kind, words in WORDS.items() if re.search(words, title)]
                    if len(kinds) == 1:
                        hidden, reflects = (
                            re.sub(WORDS[kinds[0]], "", title),
                            kinds[0] == "complaint" and "投诉" not in title,
                        )
                        found[title, text] = Letter(row["user"], hidden, text, kinds[0], reflects)
    return list(found.values())


def own(half: str | None = None) -> list[Letter]:
    """Our own messages, or a part of them."""
    with (OWN / "gold.csv").open(encoding="utf-8", newline="") as file:
        gold = {row["id"]: row for row in csv.DictReader(file)}
    with (OWN / "messages.csv").open(encoding="utf-8", newline="") as file:
        return [
            Letter(row["id"], row["title"], row["text"], MatterKind(gold[row["id"]]["label"]))
            for row in csv.DictReader(file)
            if half in {None, gold[row["id"]]["half"]}
        ]


def names() -> list[str]:
    """The features."""
    places = [f"{group}.{place}" for place in ("title", "text") for group in GROUPS]
    return [*places, *(f"{group}.close" for group in CLOSING), *SHAPES]


def values(found: Found) -> list[float]:
    """What a letter has of each feature."""
    all_names = [*(f"{group}.{place}" for place in ("title", "text", "close") for group in GROUPS), *SHAPES]
    rows, amounts = found.features()
    has = {all_names[row]: amount for row, amount in zip(rows, amounts, strict=True)}
    return [has.get(name, 0.0) for name in names()]


def matrix(chosen: list[Letter], *, bare: bool = False) -> Numbers:
    """The features of letters, a line each."""
    return np.array([values(find(one.title, (one.bare() if bare else one.text)[:TEXT])) for one in chosen])


def fit(lines: Numbers, kinds: NDArray[np.intp], weight: Numbers) -> tuple[Numbers, Numbers]:
    """The weights of each feature for each kind, and the start, by accelerated gradients on values brought to one scale."""
    mean, spread = lines.mean(0), lines.std(0)
    used = (spread > 1e-9) & ((lines != 0).sum(0) >= LEAST)
    scaled = np.c_[np.where(used, (lines - mean) / np.where(used, spread, 1), 0), np.ones(len(lines))]
    true = np.eye(len(KINDS))[kinds]
    ridge = np.full((scaled.shape[1], 1), RIDGE)
    ridge[-1] = 1e-3
    step = 1 / (0.5 * float(np.linalg.norm(scaled * np.sqrt(weight)[:, None], 2)) ** 2 + RIDGE)
    now = ahead = np.zeros((scaled.shape[1], len(KINDS)))
    pace = 1.0
    for _ in range(STEPS):
        slope = scaled.T @ ((softmax(scaled @ ahead) - true) * weight[:, None]) + ridge * ahead
        new, faster = _signed(ahead - step * slope), (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        ahead, now, pace = new + (pace - 1) / faster * (new - now), new, faster
    weights = np.where(used[:, None], now[:-1] / np.where(used, spread, 1)[:, None], 0)
    return weights, now[-1] - mean @ weights


def _signed(weights: Numbers) -> Numbers:
    """The weights, in which what says a kind speaks for it and against the others."""
    for row, name in enumerate(names()):
        says = name.split(".")[0].removeprefix("says_")
        if name.startswith("says_") and says in KINDS:
            own_kind = KINDS.index(MatterKind(says))
            for kind in range(len(KINDS)):
                weights[row, kind] = max(weights[row, kind], 0) if kind == own_kind else min(weights[row, kind], 0)
    return weights


def softmax(sums: Numbers) -> Numbers:
    """Shares of each line."""
    grown: Numbers = np.exp(sums - sums.max(1, keepdims=True))
    shares: Numbers = grown / grown.sum(1, keepdims=True)
    return shares


@dataclass(frozen=True, slots=True)
class Fitting:
    """All that weights are fitted on."""

    letters: list[Letter]
    whole: Numbers
    bare: Numbers
    kinds: NDArray[np.intp]
    weight: Numbers
    #: The number of each letter's writer.
    writer: NDArray[np.intp]

    @classmethod
    def of(cls, chosen: list[Letter], ours: list[Letter]) -> Fitting:
        """Letters and ours."""
        found = [*chosen, *ours]
        counts = [OURS] * len(found)
        for at, one in enumerate(chosen):
            counts[at] = (REPORT if one.kind == "report" else 1.0) * (REFLECTS if one.reflects else 1.0)
        numbers: dict[str, int] = {}
        writer = [numbers.setdefault(one.writer, len(numbers)) for one in found]
        kinds = np.array([KINDS.index(one.kind) for one in found])
        return cls(found, matrix(found), matrix(found, bare=True), kinds, np.array(counts), np.array(writer))

    def fitted(self, used: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
        """The weights by these letters, each half with and half without its own word."""
        lines, kinds = np.r_[self.whole[used], self.bare[used]], np.r_[self.kinds[used], self.kinds[used]]
        return fit(lines, kinds, np.r_[self.weight[used], self.weight[used]] / 2)

    def validated(self, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The kinds said of each letter, whole and bare, by weights found without its writer."""
        fold = np.random.default_rng(seed).permutation(self.writer.max() + 1)[self.writer] % FOLDS
        whole, bare = np.zeros_like(self.kinds), np.zeros_like(self.kinds)
        for number in range(FOLDS):
            left = fold == number
            weights, start = self.fitted(~left)
            whole[left] = (self.whole[left] @ weights + start).argmax(1)
            bare[left] = (self.bare[left] @ weights + start).argmax(1)
        return whole, bare


def figures(said: NDArray[np.intp], true: NDArray[np.intp]) -> list[float]:
    """The accuracy, and the F1 of each kind."""
    found = [float((said == true).mean())]
    for at in range(len(KINDS)):
        both = ((said == at) & (true == at)).sum()
        found.append(float(2 * both / max((said == at).sum() + (true == at).sum(), 1)))
    return found


def table(fitting: Fitting) -> Table:
    """Cross-validated figures, the mean of several rounds."""
    shown = Table("", "letters", "accuracy", *KINDS, title="Cross-validated by writer, the title's word hidden")
    rounds = [fitting.validated(seed) for seed in range(ROUNDS)]
    board = np.array([one.writer[1:2] != "-" for one in fitting.letters])
    strict = board & np.array([not one.reflects for one in fitting.letters])
    for name, part in (("without 反映", strict), ("with 反映 as complaint", board), ("our own", ~board)):
        for at, form in enumerate(("", ", its word out of the text too")):
            rows = [figures(one[at][part], fitting.kinds[part]) for one in rounds]
            shown.add_row(name + form, str(part.sum()), *(f"{value:.3f}" for value in np.mean(rows, axis=0)))
    return shown


def written(weights: Numbers, start: Numbers) -> str:
    """The file of the weights."""
    head = WEIGHTS.read_text(encoding="utf-8").split("#: Before any word")[0]
    rows = "".join(
        f'    "{name}": ({", ".join(f"{value:.2f}" for value in row)}),\n'
        for name, row in zip(names(), weights + 0.0, strict=True)
        if np.abs(row).max() >= 0.005
    )
    begin = ", ".join(f"{value:.2f}" for value in start)
    return f"{head}#: Before any word.\nSTART: Final = ({begin})\n#: By group and place: in the title, in the text (times its density), at its close; and by form.\nWEIGHTS: Final[dict[str, tuple[float, float, float, float, float, float]]] = {{\n{rows}}}\n".replace(
        "-0.00", "0.00"
    )


def main() -> int:
    """Fit, validate, print, and write when asked to."""
    out = Console(width=150)
    chosen = letters()
    if not chosen:
        out.print(f"There are no letters at {DATA}: nothing to fit.")
        return 0
    fitting = Fitting.of(chosen, own())
    out.print(table(fitting))
    weights, start = fitting.fitted(np.ones(len(fitting.letters), bool))
    if "--write" in sys.argv[1:]:
        WEIGHTS.write_text(written(weights, start), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
