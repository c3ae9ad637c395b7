"""What a message says that earlier ones of the same matter did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dedupe.features import Frequencies, rarity
from normalizer.asking import SHORT, besides
from normalizer.fingerprint import Fingerprint, fingerprint
from normalizer.places import by_kind

#: Of a message's words so much, or so little (the rarities of its n-grams), may be new without there being anything new.
NEW_SHARE, NEW_TOLD = 0.45, 6.0
#: The same of what a short message says besides asking again; so little where it says itself that he told of it before.
REST_SHARE, REST_TOLD = 0.55, 1.0
#: Two clauses of new words: then half of a message may be what he has told before, so that it is known what it is about.
MUCH_TOLD = 12.0


@dataclass(frozen=True, slots=True)
class Novelty:
    """What a message says that earlier ones did not."""

    #: The share of its words that is new, rarity counted, 0 to 1.
    share: float
    #: How much that is: the rarities of the new n-grams.
    told: float
    #: Lines, buildings, phases and the like that only it names.
    numbers: int
    #: It brings nothing new.
    nothing: bool


def novelty(new: Fingerprint, known: Sequence[Fingerprint], frequencies: Frequencies, text: str = "") -> Novelty:
    """Tell what ``new`` says that ``known`` did not; ``text``: its words, of which a short message's are read closely."""
    numbers = _numbers(new, known)
    if not text or len(text) > SHORT:
        share, told = _unheard(new, known, frequencies)
        return Novelty(share, told, numbers, nothing=not numbers and (share < NEW_SHARE or told < NEW_TOLD))
    rest, refers = besides(text)
    share, told = _unheard(fingerprint("", rest), known, frequencies) if rest else (0.0, 0.0)
    least, part = REST_TOLD if refers else NEW_TOLD, NEW_SHARE if told >= MUCH_TOLD else REST_SHARE
    return Novelty(share, told, numbers, nothing=not numbers and (share < part or told < least))


def _unheard(new: Fingerprint, known: Sequence[Fingerprint], frequencies: Frequencies) -> tuple[float, float]:
    weights = rarity(new.grams, frequencies)
    unseen = ~np.isin(new.grams, np.concatenate([one.grams for one in known])) if known else np.ones(len(weights), bool)
    told = float(weights[unseen].sum())
    return told / max(float(weights.sum()), 1e-9), told


def _numbers(new: Fingerprint, known: Sequence[Fingerprint]) -> int:
    heard = by_kind(tuple(fact for one in known for fact in one.numbers))
    return sum(len(said - heard.get(kind, set())) for kind, said in by_kind(new.numbers).items())
