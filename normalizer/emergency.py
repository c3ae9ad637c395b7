"""Live emergencies, for which another number is right: 110, 119, 120, 122. Pure, on one text.

What such services come for is no matter of the hotline (Weifang's measures, article 39): the citizen is told the number
at once. Rules find what is told (emergency_rules.py); in short messages a small model reads what they did not foresee, settles
which service it is where they disagree, and keeps quiet what reads like nothing of the kind (emergency_model.py).
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import cast

from normalizer import emergency_signs as signs
from normalizer.emergency_model import THRESHOLD, Danger, danger, passage, unlike
from normalizer.emergency_rules import HARD, LETTER, SOFT, Alarm, cried, ruled, scene
from normalizer.model import EmergencyLine
from normalizer.sentences import Reading, fold

__all__ = ["Alarm", "alarm", "required"]

#: What a rule finds is none where a short message reads so little like danger, and nobody cries for help.
_UNLIKE = -1.5
#: The pieces of a chat, and cries, of fewer characters: the model alone says nothing of them, and doubts only clues, no event named.
_PIECE = 12
#: Short messages, of fewer characters, and how much they must read like danger: most of a chat's are ordinary.
_BRIEF, _BRIEFLY = 18, 1.2
#: Characters from which on a message is as long as a letter: what is feared or past in it counts as denied.
_LONG = 100
#: How much a message must read like danger that speaks of a grievance besides, and of what is past or feared, that denies it,
#: and that is in English, of which little was learned.
_ASKING, _DESPITE, _DENIED, _FOREIGN = 0.8, 1.2, 4.0, 1.5
#: How much more it must read like another service than the one that a rule found.
_SURER = 1.2
#: What a message that only reads like danger tells of.
_WHAT: dict[str, str] = {"110": "crime", "119": "rescue", "120": "illness", "122": "traffic"}


def alarm(text: str) -> Alarm | None:
    """The live emergency that a cleaned text tells, a title of six characters too; None where there is none."""
    if not text:
        return None
    reading = Reading(fold(text))
    found = ruled(reading)
    if len(reading.text) > LETTER:
        return found or _in_letter(reading.text)
    if found is None and signs.ONLY_CRY.fullmatch(reading.text):
        return Alarm("110", "crime", (0, len(reading.text)), "emergency.crime.cry")
    if found is None:
        read = danger(reading.text)
        return _read(read) if read and read.score >= required(reading) else None
    doubted = len(reading.text) >= _PIECE or found.rule.endswith(".scene")
    if doubted and unlike(reading.text, _UNLIKE) and not reading.has(signs.CRY):
        return None
    return found if reading.text.isascii() else _settled(found, danger(reading.text))


def required(reading: Reading) -> float:
    """How much a message must read like danger that no rule finds: more where it is short, speaks of the past, of a grievance."""
    if len(reading.text) < _PIECE:
        return inf
    if reading.has(signs.DENIES):
        return _DENIED
    if any(reading.has(sign) for sign in (*HARD, signs.NOTHING)):
        return _DENIED if len(reading.text) > _LONG else _DESPITE
    plain = _BRIEFLY if len(reading.text) < _BRIEF else THRESHOLD
    asks = any(reading.has(sign) for sign in SOFT)
    return _FOREIGN if reading.text.isascii() else max(plain, _ASKING) if asks else plain


def _read(read: Danger) -> Alarm | None:
    """The alarm of a message that reads like danger."""
    if read.kind not in _WHAT:
        return None
    what = _WHAT[read.kind]
    return Alarm(cast("EmergencyLine", read.kind), what, (read.start, read.end), f"emergency.{what}.read")


def _settled(found: Alarm, read: Danger | None) -> Alarm:
    """What a rule found, for the service that the whole message reads like."""
    other = _read(read) if read else None
    if read is None or other is None or other.line == found.line:
        return found
    if read.margin < _SURER:
        return replace(found, also=tuple(dict.fromkeys((*found.also, other.line))))
    also = (found.line, *(line for line in found.also if line not in {found.line, other.line}))
    return replace(found, line=other.line, what=other.what, also=also)


def _in_letter(folded: str) -> Alarm | None:
    """The alarm of a letter: what stands before a cry for help, read as a message of its own; or a passage that is clearly one."""
    for begins, told in cried(folded):
        if found := scene(Reading(told)):
            return _moved(found, begins)
    place = passage(folded)
    if place is None:
        return None
    reading = Reading(folded[slice(*place)])
    read = danger(reading.text)
    if read is None or any(reading.has(sign) for sign in (*HARD, signs.NOTHING, signs.HABIT, signs.DENIES)):
        return None
    found = _read(read)
    return _moved(found, place[0]) if found else None


def _moved(found: Alarm, begins: int) -> Alarm:
    """What was found in a part of a letter, in its place."""
    return replace(found, span=(found.span[0] + begins, found.span[1] + begins))
