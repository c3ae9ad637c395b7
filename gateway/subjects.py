"""What can be said of a single message, for ``gateway evaluate``: conduct, emergency, kind."""

from __future__ import annotations

from gateway.measure_labels import CHINESE_KINDS, NOTHING, Said, Subject
from normalizer.clean import clean
from normalizer.conduct import COUNTS, said
from normalizer.crisis import crisis
from normalizer.emergency import alarm
from normalizer.kind import read_kind
from normalizer.model import MatterKind

#: Label of danger to the writer's own life.
CRISIS = "crisis"
LINES = frozenset({"110", "119", "120", "122"})


def _emergency(title: str, text: str) -> Said:
    """The line, or ``crisis``; what is explicit before all."""
    heading, words = clean(title), clean(text)
    own = crisis(words) or crisis(heading)
    found = alarm(words) or alarm(heading)
    if own is not None and (own.explicit or found is None):
        return Said(CRISIS, 1.0 if own.explicit else 0.5, own.rule)
    if found is not None:
        return Said(found.line, 1.0, found.rule)
    return Said(NOTHING)


def _conduct(title: str, text: str) -> Said:
    """The strongest sign."""
    signs = [sign for sign in (*said(clean(text)), *said(clean(title))) if sign.score >= COUNTS]
    if not signs:
        return Said(NOTHING)
    strongest = max(signs, key=lambda sign: sign.score)
    return Said(strongest.kind, strongest.score, f"{strongest.rule} {strongest.span[0]}-{strongest.span[1]}")


def _kind(title: str, text: str) -> Said:
    read = read_kind(clean(title), clean(text))
    return Said(read.kind, read.score, read.rule)


CONDUCT = Subject("Conduct", _conduct, frozenset({"insult", "threat", "harassment", "spam"}), {})
EMERGENCY = Subject("Emergency", _emergency, LINES | {CRISIS}, {"危机": CRISIS})
KIND = Subject("Kind", _kind, frozenset(MatterKind), CHINESE_KINDS)
