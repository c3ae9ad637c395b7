"""Plain ways to say how alike two messages are, for comparing: each reads all messages, then scores pairs of them."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from gateway.labelled import Written
from normalizer.clean import clean, for_matching

#: Says how alike the messages at two places are, 0 to 1.
Score = Callable[[int, int], float]
#: MinHash: permutations. BM25: the constants of Robertson and Zaragoza (2009).
_PERMUTATIONS, _K1, _B = 128, 1.5, 0.75
#: Characters of a text that the cosine of bigrams looks at.
_LEAD = 220


def _words(one: Written) -> str:
    return for_matching(clean(f"{one.title}\n{one.text}"))


def _grams(text: str, *sizes: int) -> list[str]:
    return [text[i : i + size] for size in sizes for i in range(len(text) - size + 1)]


def minhash(messages: Sequence[Written]) -> Score:
    """Share of equal minima of 128 permutations of the character 3-grams' hashes (Broder 1997)."""
    dice = np.random.default_rng(1)
    factors = dice.integers(1, 2**63, _PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    summands = dice.integers(0, 2**63, _PERMUTATIONS, dtype=np.uint64)

    def signature(one: Written) -> np.ndarray:
        hashes = np.array([zlib.crc32(gram.encode()) for gram in set(_grams(_words(one), 3))] or [0], dtype=np.uint64)
        least: np.ndarray = ((hashes[:, None] * factors + summands) >> np.uint64(32)).min(axis=0)
        return least

    signatures = [signature(one) for one in messages]
    return lambda a, b: float((signatures[a] == signatures[b]).mean())


def jaccard(messages: Sequence[Written]) -> Score:
    """Shared character 3-grams, of all that either has."""
    sets = [set(_grams(_words(one), 3)) for one in messages]
    return lambda a, b: len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b]))


def tfidf(messages: Sequence[Written]) -> Score:
    """Cosine of character 2- to 4-grams, logarithmic counts times inverse document frequency."""
    counts = [Counter(_grams(_words(one), 2, 3, 4)) for one in messages]
    rarity = _rarity(counts)
    vectors = [{gram: (1 + math.log(n)) * rarity[gram] for gram, n in count.items()} for count in counts]
    return _cosine(vectors)


def bm25(messages: Sequence[Written]) -> Score:
    """Okapi BM25 over character bigrams, each message once the question, as a share of what it scores with itself."""
    counts = [Counter(_grams(_words(one), 2)) for one in messages]
    rarity = _rarity(counts)
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / len(lengths)

    def asked(a: int, b: int) -> float:
        weight = _K1 * (1 - _B + _B * lengths[b] / mean)
        shared = counts[a].keys() & counts[b].keys()
        return sum(rarity[gram] * counts[b][gram] * (_K1 + 1) / (counts[b][gram] + weight) for gram in shared)

    itself = cache(lambda a: asked(a, a) or 1.0)
    return lambda a, b: (asked(a, b) / itself(a) + asked(b, a) / itself(b)) / 2


def bigrams(messages: Sequence[Written]) -> Score:
    """Cosine of character bigrams of the title, twice, and the text's first 220 characters."""
    return _cosine([Counter(_grams(for_matching(clean(_lead(one))), 2)) for one in messages])


def _lead(one: Written) -> str:
    return f"{one.title}\n{one.title}\n{one.text[:_LEAD]}"


def _rarity(counts: Sequence[Mapping[str, int]]) -> dict[str, float]:
    found = Counter(gram for count in counts for gram in count)
    return {gram: math.log(1 + len(counts) / n) for gram, n in found.items()}


def _cosine(vectors: Sequence[Mapping[str, float]]) -> Score:
    lengths = [math.sqrt(sum(value * value for value in vector.values())) or 1.0 for vector in vectors]

    def score(a: int, b: int) -> float:
        few, many = sorted((vectors[a], vectors[b]), key=len)
        return sum(value * many.get(gram, 0) for gram, value in few.items()) / (lengths[a] * lengths[b])

    return score


METHODS: dict[str, Callable[[Sequence[Written]], Score]] = {
    "MinHash, 3-grams": minhash,
    "Jaccard, 3-grams": jaccard,
    "TF-IDF, 2- to 4-grams": tfidf,
    "BM25, bigrams": bm25,
    "cosine of bigrams, title twice": bigrams,
}
