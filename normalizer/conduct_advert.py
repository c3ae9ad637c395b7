"""How much a message reads like an advertisement: a linear model over characters, pairs and triples, figures being alike.

Learned by bench/train_offers.py from messages of our own; it adds to the words of offers. Short of the weights' file it says nothing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normalizer.conduct_model import Weights, hashes, loaded

WEIGHTS = Path(__file__).parent / "data" / "offers.npz"
#: A text of fewer characters counts as one of so many.
LEAST = 12
_FIGURE = re.compile("[0-9*]")


@cache
def weights() -> Weights | None:
    """What was learned; None: there is no model."""
    return loaded(WEIGHTS, "grams")


def grams(text: str) -> NDArray[np.int64]:
    """The hashes of a folded text's n-grams."""
    return np.concatenate(hashes(_FIGURE.sub("x", text))).astype(np.int64)


def advertised(text: str) -> float:
    """Above zero, a folded text reads like an advertisement."""
    learned = weights()
    if learned is None or not text:
        return 0.0
    summed = float(learned.steps.take(grams(text)).sum(dtype=np.int64))
    return learned.step * summed / float(np.sqrt(3 * max(len(text), LEAST))) + learned.bias
