"""Where normalizer/data/conduct.npz comes from. Run: python -m bench.train_conduct.

Needs ../shared/data/cold/train.csv (COLD, Apache-2.0: offence against groups, in posts) and bench/conduct_letters.txt:
sentences of letters to the city, our own, so that the model learns what abuse is and not what a letter is. Logistic
regression with AdaGrad on whole texts and on their sentences; an n-gram seen less than three times weighs nothing.
The same seed gives the same file.
"""

from __future__ import annotations

import csv
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.contenders import ROOT
from normalizer.clean import clean
from normalizer.conduct_model import BITS, WEIGHTS, hashes
from normalizer.folding import fold

COLD = ROOT.parent / "shared" / "data" / "cold" / "train.csv"
LETTERS = ROOT / "bench" / "conduct_letters.txt"
PAIRS = ROOT / "tests" / "data" / "pairs" / "messages.csv"
EPOCHS, BATCH, RATE, RIDGE, SEEN = 6, 256, 0.15, 2e-6, 3
#: What a sentence of a post, and one of a letter, counts beside a whole post.
SENTENCE, LETTER = 0.4, 3.0
_SENTENCES = re.compile("[。！？!?；;\n]+")
_CLAUSES = re.compile("[。！？!?；;，,\n]+")
#: What may stand in a sentence of ours.
FILLERS = {
    "place": "阳光花园 翠湖雅苑 人民路 东风小区 县人民医院 第三小学 高新区 城南街道 柳河村 火车站",
    "bad": "漏水 噪音扰民 停车难 私搭乱建 电梯故障 没有通天然气 路灯不亮 下水道堵塞 违章建筑 飞线充电 高空抛物 乱收费",
    "office": "住建局 教育局 街道办 派出所 居委会 社保局 城管局 市场监管局 物业 村委会 交警队 人社局 环保局",
    "topic": "公积金提取 居住证 廉租房申请 医保报销 社保转移 人才补贴 失业金 营业执照 入学报名 低保 退休手续 户口迁移",
    "group": "业主 老百姓 居民们 村民 家长 农民工 老人们 我们几个人 住户 大家",
    "number": "三 5 一百 2000 十几 好几 80",
}
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from."""

    grams: NDArray[np.uint32]
    abusive: int
    weight: float


def main() -> int:
    """Learn, and write the weights."""
    if not COLD.is_file():
        print(f"{COLD} is absent")
        return 1
    learned, bias = fit([*posts(), *letters()])
    step = float(np.abs(learned).max()) / 127
    WEIGHTS.parent.mkdir(exist_ok=True)
    whole = np.rint(learned / step).astype(np.int8)
    np.savez_compressed(WEIGHTS, weights=whole, step=np.float64(step), bias=np.float64(bias))
    print(f"{np.count_nonzero(whole):,} weights, bias {bias:.3f}, {WEIGHTS.stat().st_size / 1024:.0f} KB")
    return 0


def posts() -> Iterator[Example]:
    """Of COLD, whole and by sentence."""
    with COLD.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            text, abusive = clean(row["text"]), int(row["label"])
            yield example(text, abusive, 1.0)
            parts = [part for part in _SENTENCES.split(text) if len(part.strip()) > 5]
            if len(parts) > 1:
                yield from (example(part, abusive, SENTENCE) for part in parts)


def letters() -> Iterator[Example]:
    """Sentences of our own letters, whole and by clause: none is abuse of a group."""
    chance = random.Random(1)
    with PAIRS.open(encoding="utf-8", newline="") as rows:
        ours = [f"{row['title']}\n{row['text']}" for row in csv.DictReader(rows)]
    for line in LETTERS.read_text(encoding="utf-8").splitlines():
        ours += [filled(line, chance) for _ in range(1 + 3 * line.count("{"))]
    for text in ours:
        yield example(text, 0, LETTER)
        yield from (example(part, 0, LETTER) for part in _CLAUSES.split(text) if len(part) > 4)


def filled(line: str, chance: random.Random) -> str:
    """A sentence of ours with words in its places."""
    return re.sub(r"\{(\w+)\}", lambda place: chance.choice(FILLERS[place[1]].split()), line)


def example(text: str, abusive: int, weight: float) -> Example:
    """A text's n-grams."""
    return Example(np.concatenate(hashes(fold(text).text)), abusive, weight)


def fit(examples: list[Example]) -> tuple[Numbers, float]:
    """The weights and the bias."""
    size = 1 << BITS
    learned, squares = np.zeros(size), np.full((size + 1), 1e-3)
    often = sum(np.bincount(np.unique(one.grams), minlength=size) for one in examples) >= SEEN
    bias = 0.0
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(len(examples))
        for start in range(0, len(order), BATCH):
            slope, common = gradient([examples[one] for one in order[start : start + BATCH]], learned, bias)
            slope += RIDGE * learned
            squares[:-1] += slope * slope
            squares[-1] += common * common
            learned -= RATE * slope / np.sqrt(squares[:-1])
            bias -= RATE * common / float(np.sqrt(squares[-1]))
    return learned * often, bias


def gradient(batch: list[Example], learned: Numbers, bias: float) -> tuple[Numbers, float]:
    """How the loss of a batch changes with each weight, and with the bias."""
    grams, lengths = np.concatenate([one.grams for one in batch]), np.array([len(one.grams) for one in batch])
    row = np.repeat(np.arange(len(batch)), lengths)
    scale = 1 / np.sqrt(np.maximum(lengths, 1))
    score = np.bincount(row, learned[grams], len(batch)) * scale + bias
    wrong = 1 / (1 + np.exp(-score)) - np.array([one.abusive for one in batch])
    wrong *= np.array([one.weight for one in batch])
    slope: Numbers = np.bincount(grams, (wrong * scale)[row], len(learned)) / 16
    return slope, float(wrong.mean())


if __name__ == "__main__":
    sys.exit(main())
