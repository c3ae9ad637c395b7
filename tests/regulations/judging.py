"""Judging a case by the code that judges a citizen's message, and what he is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.profile import load_profile
from normalizer.due import due, national_holidays
from normalizer.fields import Fields, Rules
from normalizer.matter import compose
from normalizer.model import (
    Assurance,
    Contact,
    ContactType,
    Due,
    HotlineMatter,
    KeptMessage,
    Message,
    Place,
    RegistrationSource,
)
from normalizer.normalize import normalize
from normalizer.profile import Profile, Rule, each_rule, within
from tests.regulations.cases import ZONE, Case, Said

#: Division codes by how a profile's title begins.
HOMES = {"济南": "370100", "潍坊": "370700", "连云港": "320700", "襄阳": "420600"}
ID = UUID("01938c3e-0000-7000-8000-000000000001")
#: The kind of channel, and the type of the address, by which each way comes.
WAYS = {
    "phone": ("sms_aliyun", ContactType.PHONE),
    "mail": ("smtp", ContactType.MAIL),
    "wechat": ("wechat", ContactType.WECHAT),
    "weibo": ("weibo", ContactType.WEIBO),
    "telegram": ("telegram", ContactType.TELEGRAM),
    "app": ("app", ContactType.APP),
    "partner": ("partner", ContactType.PHONE),
    "open311": ("open311", ContactType.MAIL),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """The matter that a message becomes, and what the city's rules make of it."""

    matter: HotlineMatter
    fields: Fields
    #: The city's names for how he came, who he is, what he wants, the platform it came from.
    way: str | None
    party: str | None
    kind: str | None
    platform: str | None
    #: The ground on which its acceptance is doubted.
    ground: str | None
    #: Kinds of the flags.
    flags: frozenset[str]
    due: Due | None
    #: What the citizen is told beside the acknowledgement.
    told: tuple[str, ...]

    def seen(self, names: Iterable[str]) -> dict[str, Any]:
        """What was expected, as it is."""
        return {name: attrgetter(name)(self) for name in names}

    @property
    def words(self) -> str:
        """Every explanation."""
        acceptance = self.matter.acceptance
        because = [self.due.basis if self.due else "", acceptance.ground, acceptance.article, acceptance.where_to]
        rules = [evidence.rule for evidence in self.matter.evidence]
        return "\n".join(filter(None, (*because, *self.told, *rules)))


@cache
def profile_of(city: str) -> Profile:
    """The shipped profile."""
    return load_profile(city, Path())


def judge(profile: Profile, said: Said) -> Judged:
    """What becomes of a message in a city with these rules."""
    message = _message(said)
    home = next((code for name, code in HOMES.items() if profile.title.startswith(name)), HOMES["济南"])
    fields = normalize(message, ID, Rules(profile, home, ZONE), said.received)
    kept = KeptMessage(ID, ID, said.way, WAYS.get(said.way, ("telephone",))[0], said.received, message)
    matter = compose(kept, fields, matter_id=ID, tracking_code="0" * 16, caller_id=ID)
    number = matter.linked_platform
    return Judged(
        matter=matter,
        fields=fields,
        way=_name(profile.way(matter.source, kept.kind, message.sender.type)),
        party=_name(next((rule for rule in profile.parties if rule.type is matter.party.type), None)),
        kind=_name(next((rule for rule in profile.kinds if rule.kind is matter.kind), None)),
        platform=_name(profile.platform(number)) if number else None,
        ground=next((rule.ground.value for rule in profile.grounds if rule.name == matter.acceptance.ground), None),
        flags=frozenset(flag.kind for flag in matter.conduct.flags),
        due=due(profile, matter.kind, number, matter.received_at, ZONE, national_holidays()),
        told=_told(profile, matter),
    )


def _message(said: Said) -> Message:
    stated = said.way if said.way in list(RegistrationSource) else None
    kind = WAYS[said.way][1] if said.way in WAYS else ContactType.PHONE
    address = {ContactType.PHONE: "+8600000000000", ContactType.MAIL: "a@example.cn"}.get(kind, "1")
    asserted = Assurance.ASSERTED
    return Message(
        key_space=said.way,
        account="12345",
        sender=Contact(type=kind, value=address, assurance=asserted),
        provider_id="1",
        text=said.text,
        name=said.name,
        unit=said.unit,
        contacts=(Contact(type=ContactType.PHONE, value=said.phone, assurance=asserted),) if said.phone else (),
        place=Place(text=said.place, division_code=said.division) if said.place or said.division else None,
        party_type=said.party,
        matter_kind=said.kind,
        confidential=said.confidential,
        source=RegistrationSource(stated) if stated else None,
        operator="op-1" if stated else None,
        disposition=said.disposition,
        answer=said.answer,
        linked_platform=said.platform,
        emergency_line=said.line,
    )


def _name(rule: Any) -> str | None:
    return rule and rule.name


def _told(profile: Profile, matter: HotlineMatter) -> tuple[str, ...]:
    """The words of the profile that fit the matter."""
    told: list[str] = []
    if matter.crisis:
        told.append(profile.crisis.tell)
    if matter.emergency_line and (line := profile.emergency(matter.emergency_line)):
        told.append(line.tell)
    ground = next((rule for rule in profile.grounds if rule.name == matter.acceptance.ground), None)
    if ground is not None and matter.acceptance.suggestion != "accept":
        text = {"refer": "referred", "refuse": "refused"}[matter.acceptance.suggestion]
        told.append(profile.told(text, reason=ground.explain, where_to=ground.where_to or ""))  # type: ignore[arg-type]
    if matter.confidential:
        told.append(profile.told("confidential"))
    if matter.conduct.disposition == "review":
        told.append(profile.told("held"))
    return tuple(told)


def wrong(case: Case, judged: Judged) -> Mapping[str, Any]:
    """What differs from what the case expects, and the words that its explanation lacks."""
    seen = judged.seen(case.expect)
    differs: dict[str, Any] = {name: seen[name] for name in case.expect if seen[name] != case.expect[name]}
    lacking = [words for words in case.says if words not in judged.words]
    return differs | ({"explanation": judged.words} if lacking else {})


def rule_of(profile: Profile, case: Case) -> Rule | None:
    """The rule that a case is of."""
    return dict(each_rule(profile)).get(case.rule)


def uncovered(profile: Profile, cases: Iterable[Case], article: str) -> list[str]:
    """What an article lacks: any rule, or for a rule of one of its parts a case."""
    shown = {(case.article, case.rule) for case in cases}
    rules = [(part, name) for name, rule in each_rule(profile) for part in rule.articles if within(part, article)]
    lacking = [f"no case of {part} for {name}" for part, name in rules if (part, name) not in shown]
    return lacking if rules else ["no rule"]


def unfounded(profile: Profile, case: Case) -> str:
    """Why a case does not belong to the rule that it names; nothing where it does."""
    rule = rule_of(profile, case)
    if rule is None:
        return f"there is no rule {case.rule}"
    if case.article is None:
        return "" if rule.own else f"{case.rule} comes from {rule.article}"
    return "" if case.article in rule.articles else f"{case.rule} comes from {rule.article}, not from {case.article}"
