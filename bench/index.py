"""What finding candidates costs, and what it finds: 10,000, 100,000 and 1,000,000 messages. Run: python -m bench.index (SHORT=1).

Letters of some 250 characters are put together from where it is, what is wrong, what everybody writes besides, and words of
their own, some of which nobody else used. The clauses are hashed once and joined as hashes, so that a million is feasible;
what stands across two of them is left out. A planted pair is one place and one problem in two letters, which have the name
of the place in common, its address every other time, one or two of three phrases on the problem, and up to a third of the
words. It counts as found when the earlier letter is among the 20 of the later one. Exit 1 when the largest index costs a
message more than 1.3 times what the smallest does, when one takes more than 1.5 KB a message (but the smallest, whose tables
are nearly empty), or finds less than nine of ten.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT, circumstances
from dedupe.index import COMMON as COMMON_SHARE
from dedupe.index import FEW, Entry, Index
from gateway.lookout import CANDIDATES
from normalizer.fingerprint import BITS, PLACE, Fingerprint, Hashes, fingerprint

RESULTS = ROOT / "bench" / "results" / "index.json"
FULL, SHORT = (10_000, 100_000, 1_000_000), (10_000, 50_000)
#: Pairs planted in each index, messages timed (CPU time), and messages of a turn: the sizes take turns, so that a busy moment
#: of the machine hits all of them.
PAIRS, TIMED, TURN = 500, 3_000, 50
#: What is promised: the cost at most, largest to smallest; bytes a message at most; pairs found at least.
RATIO, BYTES, RECALL = 1.3, 1536, 0.9
#: An exact search holds every n-gram of every message: up to so many messages it is measured beside ours.
EXACT = 100_000
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
#: Messages for each place; of problems and their phrases, stock sentences, and words.
A_PLACE, PROBLEMS, PHRASES, STOCK, WORDS = 10, 200, 20, 40, 1 << BITS
#: Of a letter: phrases on the problem, stock sentences, words, and words that hardly anybody else has.
TELLS, BESIDES, OWN, RARE = 3, 2, 50, 50
ROADS = "东西南北中新和平人民解放文化建设青年学府光明胜利幸福长江黄河泰山"
ENDINGS = ("小区", "花园", "家园", "公寓", "广场", "小学门口", "市场", "大厦", "工地", "社区")
SUBJECTS = (
    "路灯",
    "井盖",
    "噪音",
    "油烟",
    "垃圾",
    "污水",
    "扬尘",
    "停车",
    "物业费",
    "电梯",
    "暖气",
    "自来水",
    "公交车",
    "违建",
    "狗",
)
SAID = "请问希望相关部门尽快处理谢谢领导居民生活严重影响孩子老人安全环境卫生管理单位公司施工学校医院道路小区业主问题情况时间"


@dataclass(frozen=True, slots=True)
class Size:
    """An index that is full of so many messages."""

    messages: int
    microseconds: float
    search_microseconds: float
    insert_microseconds: float
    #: Found for a message on average, of ``CANDIDATES`` at most.
    found: float
    bytes_a_message: float
    recall: float
    #: Of an exact search by the same weights; None where it was not measured.
    exact_recall: float | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter is about, and its fingerprint."""

    place: int
    problem: int
    phrases: tuple[int, ...]
    words: Hashes
    made: Fingerprint


class Writer:
    """Writes letters from a city of so many messages, the same for the same city."""

    def __init__(self, messages: int) -> None:
        self._random, self._numbers = random.Random(messages), np.random.default_rng(messages)
        self._places = [_hashed(*_place(self._random)) for _ in range(messages // A_PLACE)]
        self._problems = [[_hashed(_problem(self._random)) for _ in range(PHRASES)] for _ in range(PROBLEMS)]
        self._stock = [_hashed(_stock(self._random)) for _ in range(STOCK)]
        self._words = self._numbers.permutation(np.arange(WORDS, dtype=np.uint32))

    def letter(self, like: Letter | None = None) -> Letter:
        """A letter; one like another is the later of a pair."""
        chance = self._random
        place = like.place if like else chance.randrange(len(self._places))
        problem = like.problem if like else _rank(chance, PROBLEMS)
        kept = like.phrases[: chance.randint(1, 2)] if like else ()
        others = [number for number in range(PHRASES) if like is None or number not in like.phrases]
        phrases = (*kept, *chance.sample(others, TELLS - len(kept)))
        where = self._places[place][: chance.randint(1, 2) if like else 2]
        # Zipf: the tenth word is a tenth as frequent as the first.
        own = self._words[(WORDS ** self._numbers.random(OWN)).astype(np.intp) - 1]
        words = self._numbers.permutation(np.concatenate([own, self._numbers.integers(0, WORDS, RARE, np.uint32)]))
        if like:
            shared = chance.randrange(len(words) // 3)
            words[:shared] = like.words[:shared]
        told = [clause for number in phrases for clause in self._problems[problem][number]]
        stock = [clause for _ in range(BESIDES) for clause in self._stock[_rank(chance, STOCK)]]
        grams = np.unique(np.concatenate([*where, *told, *stock, words]))
        marks = np.uint32(PLACE) * np.isin(grams, np.concatenate(where)).astype(np.uint32)
        return Letter(
            place, problem, phrases, words, Fingerprint(grams << np.uint32(32 - BITS) | marks, b"", (), (), asks=False)
        )


def _rank(chance: random.Random, how_many: int) -> int:
    """The first come more often than the last, but not by much."""
    return int(how_many * chance.random() ** 2)


def _place(chance: random.Random) -> tuple[str, str]:
    name = "".join(chr(chance.randrange(0x4E00, 0x5A00)) for _ in range(3)) + chance.choice(ENDINGS)
    return name, f"位于{''.join(chance.sample(ROADS, 2))}路{chance.randrange(1, 400)}号{chance.randrange(1, 30)}号楼"


def _problem(chance: random.Random) -> str:
    return chance.choice(SUBJECTS) + "".join(chance.sample(SAID, 4))


def _stock(chance: random.Random) -> str:
    return "".join(chance.sample(SAID, 14))


def _hashed(*clauses: str) -> list[Hashes]:
    return [fingerprint("", clause).grams for clause in clauses]


# -- the index ---------------------------------------------------------------------------------------------------------


class Filled:
    """An index with so many messages, of which some are the earlier letters of pairs, spread over all of it."""

    def __init__(self, messages: int) -> None:
        self.messages, self.index, self._numbers = messages, Index(timedelta(days=365), messages), 0
        self.writer = Writer(messages)
        self.planted: dict[int, Letter] = {}
        self.kept: list[Hashes] = []
        self.searching: list[float] = []
        self.inserting: list[float] = []
        self.found = 0
        every = messages // PAIRS
        for number in range(messages):
            letter = self.writer.letter()
            if number % every == every // 2:
                self.planted[self._numbers] = letter
            if messages <= EXACT:
                self.kept.append(letter.made.grams)
            self._add(letter.made)

    def recall(self) -> tuple[float, float | None]:
        """Of the planted pairs, how many are found: by the index, and by an exact search."""
        later = [(number, self.writer.letter(like=letter)) for number, letter in self.planted.items()]
        ours = sum(
            number in {one.entry.number for one in self.index.find(letter.made, STARTED)} for number, letter in later
        )
        if not self.kept:
            return ours / len(later), None
        exact = Exact(self.kept)
        return ours / len(later), sum(number in exact.find(letter.made.grams) for number, letter in later) / len(later)

    def turn(self) -> None:
        """Search and insert some messages, with the clock running; the index is full, so old ones go."""
        letters = [self.writer.letter().made for _ in range(TURN)]
        began = time.process_time()
        for made in letters:
            self.found += len(self.index.find(made, STARTED, CANDIDATES))
        searched = time.process_time()
        for made in letters:
            self._add(made)
        self.searching.append((searched - began) / TURN * 1e6)
        self.inserting.append((time.process_time() - searched) / TURN * 1e6)

    def _add(self, made: Fingerprint) -> None:
        self.index.add(Entry(self._numbers, UUID(int=self._numbers), STARTED, made))
        self._numbers += 1


class Exact:
    """Every n-gram of every message, sorted: what could be found if space and time were free."""

    def __init__(self, kept: Sequence[Hashes]) -> None:
        grams, messages = np.concatenate(kept), np.repeat(np.arange(len(kept)), [len(one) for one in kept])
        order = np.argsort(grams, kind="stable")
        self._grams, self._messages, self._total = grams[order], messages[order], len(kept)

    def find(self, grams: Hashes, most: int = 20) -> set[int]:
        """The messages that share most, by the weights that the index goes by."""
        begins, ends = (np.searchsorted(self._grams, grams, side) for side in ("left", "right"))
        weights: NDArray[np.float64] = np.zeros(self._total)
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            if 0 < end - begin <= max(FEW, COMMON_SHARE * self._total):
                weights[self._messages[begin:end]] += np.log2(self._total / (end - begin))
        return set(np.argsort(-weights)[:most].tolist())


def measured(sizes: Sequence[int], console: Console) -> Iterator[Size]:
    """Fill one index after the other, then let them take turns."""
    filled = []
    for messages in sizes:
        began = time.monotonic()
        filled.append(Filled(messages))
        console.print(f"{messages:,} messages in {time.monotonic() - began:.0f} s")
    recalls = [one.recall() for one in filled]
    for _ in range(TIMED // TURN):
        for one in filled:
            one.turn()
    for one, (recall, exact) in zip(filled, recalls, strict=True):
        search, insert = statistics.median(one.searching), statistics.median(one.inserting)
        size = one.index.nbytes / len(one.index)
        yield Size(one.messages, search + insert, search, insert, one.found / TIMED, size, recall, exact)


def complaints(found: Sequence[Size]) -> list[str]:
    """What is not as promised."""
    slow = found[-1].microseconds > RATIO * found[0].microseconds
    said = (
        [f"{found[-1].messages:,} messages cost more than {RATIO} times what {found[0].messages:,} do"] if slow else []
    )
    said += [f"{one.messages:,}: {one.bytes_a_message:.0f} bytes" for one in found[1:] if one.bytes_a_message > BYTES]
    return said + [f"{one.messages:,}: {one.recall:.3f} of the pairs found" for one in found if one.recall < RECALL]


def main() -> int:
    """Measure, print, write, judge."""
    short, console = bool(os.environ.get("SHORT")), Console(width=120)
    found = list(measured(SHORT if short else FULL, console))
    columns = ("messages", "µs a message", "search", "insert", "found", "bytes", "recall@20", "exact search")
    table = Table(*columns, title="Candidates by the index", title_justify="left", box=SIMPLE)
    for one in found:
        exact = "–" if one.exact_recall is None else f"{one.exact_recall:.3f}"
        costs = (f"{cost:.0f}" for cost in (one.microseconds, one.search_microseconds, one.insert_microseconds))
        rest = (f"{one.found:.1f}", f"{one.bytes_a_message:.0f}", f"{one.recall:.3f}", exact)
        table.add_row(f"{one.messages:,}", *costs, *rest)
    console.print(table)
    ratio = found[-1].microseconds / found[0].microseconds
    console.print(f"{found[-1].messages:,} cost {ratio:.2f} times as much a message as {found[0].messages:,}")
    if not short:
        told = circumstances() | {"ratio": round(ratio, 3), "sizes": [asdict(one) for one in found]}
        RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for sentence in complaints(found):
        console.print(f"[red]✗[/red] {sentence}")
    return 1 if complaints(found) else 0


if __name__ == "__main__":
    sys.exit(main())
