"""A city's rules as data: what its regulation says of a matter at the door, each rule with the article it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from normalizer.model import EmergencyLine, Frozen
from normalizer.rules import (
    CitizenText,
    ConductRule,
    ConfidentialityRule,
    CrisisRule,
    DispositionRule,
    EmergencyRule,
    Ground,
    GroundRule,
    HoursRule,
    KindRule,
    LimitRule,
    PartyRule,
    PlatformRule,
    RecordRule,
    RightRule,
    Rule,
    TextRule,
    Way,
    WayIn,
    Words,
)

__all__ = [
    "KEYS",
    "CitizenText",
    "ConductRule",
    "ConfidentialityRule",
    "CrisisRule",
    "DispositionRule",
    "EmergencyRule",
    "Ground",
    "GroundRule",
    "HoursRule",
    "KindRule",
    "LimitRule",
    "PartyRule",
    "PlatformRule",
    "Profile",
    "RecordRule",
    "RightRule",
    "Rule",
    "TextRule",
    "Way",
    "WayIn",
    "each_rule",
    "within",
]


class Profile(Frozen):
    """The rules of one city."""

    title: Words
    """The regulation they come from, by its own name."""
    hours: HoursRule | None = None
    ways_in: tuple[WayIn, ...]
    parties: tuple[PartyRule, ...]
    kinds: tuple[KindRule, ...]
    records: tuple[RecordRule, ...]
    dispositions: tuple[DispositionRule, ...] = ()
    grounds: tuple[GroundRule, ...]
    platforms: tuple[PlatformRule, ...]
    emergencies: tuple[EmergencyRule, ...]
    crisis: CrisisRule
    limits: tuple[LimitRule, ...]
    confidentiality: ConfidentialityRule
    conduct: tuple[ConductRule, ...]
    rights: tuple[RightRule, ...]
    texts: tuple[TextRule, ...] = ()
    intake_articles: tuple[Words, ...]
    """Every article or section that touches the entrance: each has a rule here and a test."""

    def ground(self, ground: Ground) -> GroundRule | None:
        """The rule of a ground of non-acceptance."""
        return next((rule for rule in self.grounds if rule.ground is ground), None)

    def platform(self, number: str) -> PlatformRule | None:
        """The rule of a linked platform, by its number."""
        return next((rule for rule in self.platforms if rule.number == number), None)

    def emergency(self, line: EmergencyLine) -> EmergencyRule | None:
        """The rule of an emergency line."""
        return next((rule for rule in self.emergencies if rule.line == line), None)

    def way(self, *ways: str | None) -> WayIn | None:
        """The rule of the first of these ways that the city has: how an operator wrote it, the channel's kind, the address."""
        known = {rule.way: rule for rule in self.ways_in}
        return next((known[way] for way in ways if way in known), None)

    def told(self, text: CitizenText, *, reason: str = "", where_to: str = "") -> str:
        """What a citizen is told; nothing where the profile has no such text."""
        words = next((rule.tell for rule in self.texts if rule.text == text), "")
        return words.format(reason=reason, where_to=where_to)


#: What tells the rules of a list apart; the other sections are one rule each.
KEYS = {
    "ways_in": "way",
    "parties": "type",
    "kinds": "kind",
    "records": "field",
    "dispositions": "disposition",
    "grounds": "ground",
    "platforms": "number",
    "emergencies": "line",
    "limits": "name",
    "conduct": "kind",
    "rights": "right",
    "texts": "text",
}


def each_rule(profile: Profile) -> Iterator[tuple[str, Rule]]:
    """Every rule by its name: ``grounds.litigation``, ``crisis``."""
    for section in Profile.model_fields:
        value = getattr(profile, section)
        if isinstance(value, Rule):
            yield section, value
        elif section in KEYS:
            yield from ((f"{section}.{getattr(rule, KEYS[section])}", rule) for rule in value)


def within(article: str, intake: str) -> bool:
    """Whether an article is that of the list or a part of it: 第十九条第一款 is within 第十九条."""
    return article.startswith(intake)
