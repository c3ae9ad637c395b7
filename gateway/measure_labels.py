"""What the rules say of single messages, against what people say of them: conduct, emergency, kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.labelled import Unusable, Written
from gateway.measure_pairs import Figures, rounded, share

#: What stands for "nothing of the kind"; and what for "something, whatever it is".
NOTHING, SOMETHING = "0", "1"
#: Kinds of matters as people write them (Jinan article 3).
CHINESE_KINDS = {
    "咨询": "consultation",
    "求助": "help",
    "建议": "suggestion",
    "意见": "suggestion",
    "投诉": "complaint",
    "批评": "complaint",
    "举报": "report",
    "表扬": "praise",
    "其他": "other",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the rules say of a message."""

    #: In the subject's words: 119, threat, complaint; ``NOTHING``.
    label: str
    #: How sure, 0 to 1; 0 for nothing.
    score: float = 0.0
    #: The rule, and where in the words: never the words.
    reason: str = ""


Judge = Callable[[str, str], Said]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be said of a message by itself."""

    name: str
    #: Of title and text.
    judge: Judge
    #: Every label it can give besides ``NOTHING``.
    labels: frozenset[str]
    #: Labels as people write them.
    spelt: Mapping[str, str]

    def label(self, told: str) -> str | None:
        """A label of a gold file as it is called here; None: there is no such label."""
        named = self.spelt.get(told, told.lower())
        return named if named in self.labels | {NOTHING, SOMETHING} else None


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, what the rules say of it, and what people say."""

    id: str
    said: Said
    #: None: nobody has looked.
    label: str | None = None

    @property
    def flagged(self) -> bool:
        """The rules say something of it."""
        return self.said.label != NOTHING

    @property
    def right(self) -> bool:
        """People say the same; of what they only say that it is something, anything is right."""
        return self.flagged if self.label == SOMETHING else self.said.label == self.label


def gold_of(subject: Subject, groups: Mapping[int, str], messages: Sequence[Written]) -> dict[int, str]:
    """The labels as the subject calls them. Raises Unusable: a label that it does not know."""
    found = {}
    for place, told in groups.items():
        label = subject.label(told or NOTHING)
        if label is None:
            known = ", ".join(sorted(subject.labels))
            raise Unusable(f"message {messages[place].id}: there is no label {told!r}; write 1, 0 or one of {known}")
        found[place] = label
    return found


def measured(judged: Sequence[Judged]) -> dict[str, Any]:
    """Precision, recall and F1 of whatever is said, and of each label; ``accuracy``: how many messages are told right."""
    by_label = {label: _of_label(judged, label) for label in sorted(_told(judged))}
    return {
        "n": len(judged),
        **_all(judged).written(),
        "accuracy": rounded(share(sum(one.right for one in judged), len(judged))),
        "labels": {
            label: {"n": figures.right + figures.missed} | figures.written() for label, figures in by_label.items()
        },
    }


def _all(judged: Iterable[Judged]) -> Figures:
    """A message that is given the wrong label is both flagged wrongly and missed."""
    right = wrong = missed = 0
    for one in judged:
        right += one.flagged and one.right
        wrong += one.flagged and not one.right
        missed += one.label != NOTHING and not one.right
    return Figures(right, wrong, missed)


def _told(judged: Iterable[Judged]) -> set[str]:
    return {one.label for one in judged if one.label not in {None, NOTHING}}


def _of_label(judged: Iterable[Judged], label: str) -> Figures:
    if label == SOMETHING:
        return Figures.of((one.flagged, one.label == SOMETHING) for one in judged)
    return Figures.of((one.said.label == label, one.label == label) for one in judged)


def hardest(judged: Iterable[Judged]) -> list[Judged]:
    """The errors, the worst first: what was flagged with most certainty, then what was missed."""
    wrong = [one for one in judged if one.label is not None and not one.right]
    return sorted(wrong, key=lambda one: -one.said.score)
