"""Where normalizer/data/emergency.npz comes from. Run: python -m bench.train_emergency.

Messages of our own: those of danger and their counterparts (tests/data/emergency), what people write every day to a hotline
that answers in a chat (everyday.csv there: the part to learn from, the rest only measures), ordinary ones (the other sets below tests/data,
bench/conduct_letters.txt), sentences with choices in them (bench/emergency_told.txt), and posts of COLD (Apache-2.0; ../shared/data/cold) as what danger is not.
Logistic regression with AdaGrad, one for danger and one for each service; an n-gram seen only once weighs nothing. The same
seed gives the same file.
"""

from __future__ import annotations

import csv
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.contenders import ROOT
from bench.quality_emergency import Labelled, own_messages
from bench.train_conduct import COLD, LETTERS, filled
from normalizer.clean import clean
from normalizer.conduct_model import BITS, hashes
from normalizer.emergency_model import CLASSES, FLOOR, LINE_BITS, LINE_SHIFT, WEIGHTS
from normalizer.emergency_rules import ruled
from normalizer.sentences import Reading, fold

OTHERS = ROOT / "tests" / "data"
EVERYDAY = OTHERS / "emergency" / "everyday.csv"
TOLD = ROOT / "bench" / "emergency_told.txt"
EPOCHS, BATCH, RATE, RIDGE, SEEN = 12, 128, 0.3, 2e-7, 2
#: Posts taken from COLD, and what each example of ours about danger counts beside an ordinary one.
POSTS, OURS = 6_000, 5.0
#: Messages made of each sentence with choices, and what one counts.
VARIANTS, TEMPLATE = 40, 1.0
#: What an ordinary message or sentence counts, and a piece of an everyday chat.
ORDINARY, PIECE = 2.0, 8.0
#: Characters up to which a text is read whole.
_LETTER = 160
_SENTENCES = re.compile("(?<=[。！？!?\n])")
_CHOICE = re.compile(r"\{([^{}]*)\}")
_MARKS = re.compile("[，。！？,.!?；;：: ]")
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from."""

    grams: NDArray[np.uint32]
    label: str
    weight: float


def main() -> int:
    """Learn, and write the weights."""
    if not COLD.is_file():
        print(f"{COLD} is absent")
        return 1
    learn(own_messages(), WEIGHTS)
    return 0


def learn(messages: Sequence[Labelled], path: Path) -> None:
    """Learn from messages of danger and all that is none; write the weights."""
    about = [one for message in messages for one in _about(message)]
    about += _told()
    danger, bias = _fit([*about, *_everyday(), *_ordinary(), *_posts()], lambda label: label in CLASSES, BITS, 0)
    live = [one for one in about if one.label in CLASSES]
    lines = [_fit(live, line.__eq__, LINE_BITS, LINE_SHIFT) for line in CLASSES]
    whole, step = _rounded(danger)
    each, fine = _rounded(np.array([weights for weights, _ in lines]))
    biases = np.array([one for _, one in lines], np.float32)
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        path, danger=whole, lines=each, steps=np.array([step, fine]), bias=np.float64(bias), biases=biases
    )
    print(f"{np.count_nonzero(whole):,} weights, bias {bias:.3f}, {path.stat().st_size / 1024:.0f} KB")


def _rounded(learned: Numbers) -> tuple[NDArray[np.int8], float]:
    """Weights in steps of which 127 are the largest one."""
    step = float(np.abs(learned).max()) / 127
    return np.rint(learned / step).astype(np.int8), step


def _about(message: Labelled) -> Iterator[Example]:
    """A message about danger, as it is written and without its marks."""
    text = clean(f"{message.title} {message.text}".strip())
    if len(text) <= _LETTER:
        label = message.label if message.label in CLASSES else ""
        yield _example(text, label, OURS)
        yield _example(_MARKS.sub(" ", text), label, OURS / 2)


def _told() -> Iterator[Example]:
    """Sentences with one of each choice, so many of each."""
    chance = random.Random(1)
    for line in TOLD.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            label, words = line.split("\t")
            texts = {_CHOICE.sub(lambda of: chance.choice(of[1].split("|")), words) for _ in range(VARIANTS)}
            for text in sorted(texts):
                yield _example(text, label if label in CLASSES else "", TEMPLATE)


def _everyday() -> Iterator[Example]:
    """The pieces of everyday chats that are there to learn from."""
    with EVERYDAY.open(encoding="utf-8", newline="") as rows:
        texts = [clean(row["text"]) for row in csv.DictReader(rows) if row["part"] == "trained"]
    for text in texts:
        yield _example(text, "", PIECE)


def _ordinary() -> Iterator[Example]:
    """Ordinary messages of our own and their sentences; what a rule takes for danger is none of them."""
    texts = [text for path in sorted(OTHERS.glob("*/*")) for text in _read(path)]
    chance = random.Random(1)
    lines = LETTERS.read_text(encoding="utf-8").splitlines()
    texts += [filled(line, chance) for line in lines for _ in range(1 + 2 * line.count("{"))]
    for text in dict.fromkeys(texts):
        parts = [part for part in _SENTENCES.split(text) if len(part.strip()) > 5]
        for part in dict.fromkeys([text, *parts]):
            if len(part) <= _LETTER:
                yield _example(part, "", ORDINARY)


def _read(path: Path) -> Iterator[str]:
    """The texts of another set below tests/data."""
    if path.parent.name in {"emergency", "mail"} or path.suffix not in {".csv", ".jsonl"}:
        return
    with path.open(encoding="utf-8", newline="") as rows:
        found = map(json.loads, rows) if path.suffix == ".jsonl" else csv.DictReader(rows)
        for row in found:
            values = row.values() if isinstance(row, dict) else row
            texts = (clean(value) for value in values if isinstance(value, str) and len(value) > 5)
            yield from (text for text in texts if path.parent.name == "conduct" or ruled(Reading(fold(text))) is None)


def _posts() -> Iterator[Example]:
    """Posts that speak of anything, also of violence and death."""
    with COLD.open(encoding="utf-8", newline="") as rows:
        texts = [row["text"] for row in csv.DictReader(rows)]
    for text in random.Random(1).sample(texts, POSTS):
        yield _example(clean(text)[:_LETTER], "", 0.5)


def _example(text: str, label: str, weight: float) -> Example:
    return Example(np.concatenate(hashes(fold(text))), label, weight)


def _fit(examples: list[Example], wanted: Callable[[str], bool], bits: int, shift: int) -> tuple[Numbers, float]:
    """The weights and the bias that tell the labels that are wanted."""
    size = 1 << bits
    grams = [one.grams >> shift for one in examples]
    sought, counts = np.array([wanted(one.label) for one in examples]), np.array([one.weight for one in examples])
    learned, squares, bias = np.zeros(size), np.full(size + 1, 1e-3), 0.0
    often = np.bincount(np.concatenate([np.unique(one) for one in grams]), minlength=size) >= SEEN
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(len(examples))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            lengths = np.array([len(grams[one]) for one in batch])
            row, signs = np.repeat(np.arange(len(batch)), lengths), np.concatenate([grams[one] for one in batch])
            scale = 1 / np.sqrt(np.maximum(lengths, FLOOR))
            told = np.bincount(row, learned[signs], len(batch)) * scale + bias
            wrong = (1 / (1 + np.exp(-told)) - sought[batch]) * counts[batch]
            slope = np.bincount(signs, (wrong * scale)[row], size) / 16 + RIDGE * learned
            common = float(wrong.mean())
            squares[:-1] += slope * slope
            squares[-1] += common * common
            learned -= RATE * slope / np.sqrt(squares[:-1])
            bias -= RATE * common / float(np.sqrt(squares[-1]))
    return learned * often, bias


if __name__ == "__main__":
    sys.exit(main())
