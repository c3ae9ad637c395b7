"""The city's rules on one message: urgent, of what kind, admissible, confidential, abusive; where, when, and whose it is.

Each field that is read names its rule and its words. Nothing here decides against a citizen: acceptance is suggested, signs
of abuse are flags. What the citizen or an operator stated himself stands above what the words seem to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from normalizer.acceptance import platform, suggest
from normalizer.conduct import COUNTS, Sign, said
from normalizer.confidential import asks_to_stay_unnamed
from normalizer.crisis import Crisis, crisis
from normalizer.due import due, national_holidays
from normalizer.emergency import Alarm, alarm
from normalizer.fields import Rules, Triage
from normalizer.kind import read_kind
from normalizer.model import (
    EmergencyLine,
    Evidence,
    Flag,
    MatterKind,
    Message,
    PartyType,
    Place,
    Urgency,
)
from normalizer.party import speaks_for, target_unit
from normalizer.profile import Profile
from normalizer.several import several
from normalizer.when import occurred
from normalizer.where import division, where

Span = tuple[int, int]
#: What reporting is called; and characters in which it is looked for.
_REPORTS, _READ = re.compile("举报|舉報|检举|檢舉|揭发|控告|爆料|\\breport", re.IGNORECASE), 4_000
#: Somebody says that he reports: 我要举报, 现向贵局实名举报, 举报人：; not how, where or what became of it.
_DECLARES = re.compile(
    "(?:我们?|本人|现|特此?|实名|匿名|现向.{1,12}?)(?:想要?|要|来|向.{1,12}?){0,2}(?:实名|匿名)?(?:举报|舉報|检举|檢舉|揭发|控告)"
    "(?!电话|热线|渠道|途径|邮箱|方式|窗口|平台|中心|无门|无果|无效|后|过|了|者)|(?:举报|舉報|检举|檢舉)人[:：]"
)


@dataclass(frozen=True, slots=True)
class Words:
    """A message as the rules read it; ``text`` and ``title`` cleaned."""

    message: Message
    message_id: UUID
    title: str
    text: str
    place: Place | None

    @property
    def heading(self) -> str:
        """The title that he gave; nothing where it is only his first sentence."""
        return self.title if self.message.title else ""

    def why(self, field: str, rule: str, span: Span | None = None) -> Evidence:
        """Why a field is as it is."""
        return Evidence(field=field, message_id=self.message_id, span=span, rule=rule)


def stated(words: Words) -> Triage:
    """What the citizen, a client or an operator said of it in so many words."""
    message = words.message
    why = (words.why("kind", "kind.stated"),) if message.matter_kind is not None else ()
    return Triage(
        kind=message.matter_kind or MatterKind.OTHER,
        emergency_line=message.emergency_line,
        linked_platform=message.linked_platform,
        confidential=message.confidential,
        place=words.place,
        party_type=message.party_type,
        evidence=why,
    )


def triage(words: Words, rules: Rules, received_at: datetime) -> Triage:
    """Read a message by the city's rules. Pure and total."""
    found = dict[str, object]()
    evidence = list[Evidence]()
    reads = (_kind, _danger, partial(_whereabouts, received_at=received_at), _party, _several)
    for read in reads:
        values, why = read(words, rules)
        found |= values
        evidence += why
    kind, place = found["kind"], found["place"]
    for values, why in (
        _conduct(words, in_crisis=bool(found.get("crisis"))),
        _admissible(words, rules, place),  # type: ignore[arg-type]  # as they were found
        _unnamed(words, rules, kind),  # type: ignore[arg-type]  # as they were found
    ):
        found |= values
        evidence += why
    owed = due(rules.profile, kind, found["linked_platform"], received_at, rules.zone, national_holidays())  # type: ignore[arg-type]  # as they were found
    return Triage.model_validate(found | {"due": owed, "evidence": tuple(evidence)}, strict=False)


Read = tuple[dict[str, object], Iterable[Evidence]]


def _kind(words: Words, _: Rules) -> Read:
    """The citizen's own choice, else what the words say."""
    if words.message.matter_kind is not None:
        return {"kind": words.message.matter_kind}, (words.why("kind", "kind.stated"),)
    read = read_kind(words.heading, words.text)
    return {"kind": read.kind}, [words.why("kind", read.rule, span) for span in read.spans or (None,)]


def _danger(words: Words, rules: Rules) -> Read:
    """A live emergency, or danger to the writer's own life (Weifang article 39); not where an operator has dealt with it."""
    message = words.message
    if message.disposition == "answered_on_the_spot":
        return {"emergency_line": message.emergency_line}, ()
    text, own = alarm(words.text), crisis(words.text)
    found = text or alarm(words.heading)
    titled = crisis(words.heading)
    in_crisis = own or titled
    why = []
    if found is not None:
        why.append(words.why("emergency_line", found.rule, text.span if text else None))
    if in_crisis is not None:
        why.append(words.why("crisis", in_crisis.rule, own.span if own else None))
    return {
        "emergency_line": message.emergency_line or _line(found),
        "crisis": in_crisis is not None,
        "urgency": Urgency.IMMEDIATE if found or in_crisis else Urgency.ROUTINE,
        "warnings": _warnings(rules.profile, found, in_crisis),
    }, why


def _warnings(profile: Profile, found: Alarm | None, in_crisis: Crisis | None) -> tuple[str, ...]:
    """What is said to somebody in danger; first of all to who may harm himself."""
    own = (profile.crisis.tell,) if in_crisis is not None else ()
    if found is None:
        return own
    return own + tuple(rule.tell for rule in profile.emergencies if rule.line == found.line)


def _line(found: Alarm | None) -> EmergencyLine | None:
    return found.line if found else None


def _whereabouts(words: Words, rules: Rules, received_at: datetime) -> Read:
    """Place with its division, and when it happened; a place told by itself stands above one in the words."""
    place, why, told = words.place, list[Evidence](), dict[str, object]()
    if place is None and (found := where(words.text)) is not None:
        place = Place(text=found.text[:1000])
        why.append(words.why("place.text", found.rule, found.span))
    if place is not None and place.text and place.division_code is None:
        code = division(place.text, rules.division_code)
        place = place.model_copy(update={"division_code": code})
        why += [words.why("place.division_code", "place.division")] if code else []
    written = words.message.sent_at or received_at
    if (at := occurred(words.text, written, rules.zone)) is not None:
        told["occurred_at"] = at.at
        why.append(words.why("occurred_at", at.rule, at.span))
    return told | {"place": place}, why


def _party(words: Words, _: Rules) -> Read:
    """Who speaks, and of whom; what he stated stands above the words."""
    message, why, told = words.message, list[Evidence](), dict[str, object]()
    speaks = speaks_for(words.text, message.unit, message.name)
    if message.party_type is PartyType.UNKNOWN and speaks is not None:
        kind, unit, span, rule = speaks
        told |= {"party_type": kind, "unit": unit}
        why.append(words.why("party.type", rule, span))
    else:
        told["party_type"] = message.party_type
    if (body := target_unit(words.text)) is not None:
        told["target_unit"] = body.name
        why.append(words.why("target_unit", body.rule, body.span))
    return told, why


def _conduct(words: Words, *, in_crisis: bool) -> Read:
    """Signs of abuse; of whoever may harm himself only what words of abuse show, for despair as a whole reads like anger."""
    signs = [sign for sign in said(words.text) if sign.score >= COUNTS]
    if in_crisis:
        shown = {sign.kind for sign in signs if sign.rule != "conduct.staff"}
        signs = [sign for sign in signs if sign.kind in shown]
    flags = tuple(_flag(words.text, sign) for sign in signs)
    return {"flags": flags}, [words.why("conduct.flags", sign.rule, sign.span) for sign in signs]


def _flag(text: str, sign: Sign) -> Flag:
    return Flag(kind=sign.kind, score=sign.score, evidence=(text[slice(*sign.span)],))


def _several(words: Words, _: Rules) -> Read:
    parts = several(words.text)
    if parts is None:
        return {}, ()
    return {"several": True}, [words.why("several", parts.rule, span) for span in parts.spans]


def _admissible(words: Words, rules: Rules, place: Place | None) -> Read:
    """What speaks against accepting it, and the linked platform that has a number of its own for it."""
    division_code = place.division_code if place else None
    acceptance, doubts = suggest(
        words.title, words.text, rules.profile, division=division_code, city=rules.division_code
    )
    why = [words.why("acceptance", doubt.rule, doubt.span) for doubt in doubts[:1]]
    number = words.message.linked_platform
    if number is None and (linked := platform(words.text, rules.profile)) is not None:
        number, span = linked
        why.append(words.why("linked_platform", "platform.subject", span))
    return {"acceptance": acceptance, "linked_platform": number}, why


def _unnamed(words: Words, rules: Rules, kind: MatterKind) -> Read:
    """Whose identity is sealed: who asks for it, and whoever reports and says so (Weifang article 11).

    What only reads like a report may be a complaint, whose citizen the unit must be able to call.
    """
    rule = rules.profile.confidentiality
    if words.message.confidential:
        return {"confidential": True}, (words.why("confidential", "confidential.stated"),)
    asked = asks_to_stay_unnamed(words.text) if rule.on_request else None
    if asked is not None:
        return {"confidential": True}, (words.why("confidential", asked.rule, asked.span),)
    head, stated = words.text[:_READ], words.message.matter_kind is not None
    calls = _REPORTS.search(f"{words.title}\n{head}")
    if kind in rule.kinds and (stated or calls):
        return {"confidential": True}, (words.why("confidential", f"confidential.{kind}"),)
    may_report = MatterKind.REPORT in rule.kinds and kind is not MatterKind.CONSULTATION and not stated
    if may_report and calls and (declares := _DECLARES.search(head)):
        return {"confidential": True}, (words.why("confidential", "confidential.declared", declares.span()),)
    return {"confidential": False}, ()
