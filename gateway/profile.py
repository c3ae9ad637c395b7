"""A city's profile: its rules from YAML, laid over those of the profile that it extends. Every fault with its mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config import PROFILES, is_path
from gateway.faults import Complaint, ConfigFaults, Fault, Lines, Location, choose, explained, fault_at, read
from normalizer.profile import KEYS, Profile, Rule, each_rule, within

FOLDER = Path(__file__).parent / "profiles"
#: What a profile may extend by name: the five cities, and what they share.
EXTENDABLE = (*PROFILES, "common")
#: Profiles in a row, each extending the next.
_DEEPEST = 5
_LINES = ("110", "119", "120", "122")
_TEXTS = ("referred", "refused", "confidential", "held")


@dataclass(frozen=True, slots=True)
class _Source:
    """One profile's file."""

    path: Path
    document: dict[str, Any]
    lines: Lines

    def fault(self, place: Location, mend: str) -> Fault:
        return fault_at(self.path, self.lines, place, mend)


@dataclass(slots=True)
class _Merged:
    """Profiles laid over each other, and which file each section and rule was last written in."""

    #: Sections that are no list of rules.
    whole: dict[str, Any] = field(default_factory=dict)
    #: Lists of rules: by section, by what tells them apart.
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[Location, tuple[_Source, Location]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def load_profile(name_or_path: str, folder: Path) -> Profile:
    """The profile of that name, or from that file relative to ``folder`` (``city.profile`` is located already). Raise ConfigFaults with every fault found."""
    chain = _chain(name_or_path, folder)
    merged = _Merged()
    for source in reversed(chain):
        for section, value in source.document.items():
            if section != "extends":
                _lay(merged, source, section, value)
    return _validated(merged, chain[0])


def _chain(name_or_path: str, folder: Path) -> list[_Source]:
    """The profile asked for, the one that it extends, and so on."""
    chain = [_source(name_or_path, folder)]
    while (base := chain[-1].document.get("extends")) is not None:
        last = chain[-1]
        if not isinstance(base, str) or not (is_path(base) or base in EXTENDABLE):
            mend = choose(base, list(EXTENDABLE), "profile") + "; or write the path of one of your own, my-city.yaml"
            raise ConfigFaults([last.fault(("extends",), mend)])
        path = _path(base, last.path.parent)
        if path.resolve() in {source.path.resolve() for source in chain}:
            raise ConfigFaults([last.fault(("extends",), f"goes round in a circle: {path.name} extends this one")])
        if len(chain) == _DEEPEST:
            mend = f"is the end: at most {_DEEPEST} profiles may extend each other; put some of them into one"
            raise ConfigFaults([last.fault(("extends",), mend)])
        if not path.is_file():
            raise ConfigFaults(
                [last.fault(("extends",), f"{base} is no file here; write its path from this file's folder")]
            )
        chain.append(_source(base, last.path.parent))
    return chain


def _source(name_or_path: str, folder: Path) -> _Source:
    path = _path(name_or_path, folder)
    return _Source(path, *read(path))


def _path(name_or_path: str, folder: Path) -> Path:
    return FOLDER / f"{name_or_path}.yaml" if name_or_path in EXTENDABLE else folder / name_or_path


def _lay(merged: _Merged, source: _Source, section: str, value: Any) -> None:
    """One section of a file over what is there: a list rule by rule, all else as a whole."""
    merged.origins[section,] = (source, (section,))
    if section not in KEYS or not isinstance(value, list):
        merged.rules.pop(section, None)
        merged.whole[section] = value
        return
    merged.whole.pop(section, None)
    rules = merged.rules.setdefault(section, {})
    key, seen = KEYS[section], set[str]()
    for index, rule in enumerate(value):
        place: Location = (section, index)
        name = str(rule[key]) if isinstance(rule, dict) and key in rule else f"{source.path}:{index}"
        if name in seen:
            merged.faults.append(source.fault(place, f"{name} stands twice; keep one of them"))
        seen.add(name)
        _lay_rule(merged, source, place, (rules, name, rule))


def _lay_rule(merged: _Merged, source: _Source, place: Location, what: tuple[dict[str, Any], str, Any]) -> None:
    """One rule over that of the same name: what it does not say stays, but for the source, which it must say itself."""
    rules, name, rule = what
    merged.origins[place[0], name] = (source, place)
    if not isinstance(rule, dict):
        rules[name] = rule
    elif rule.get("remove") is not True:
        below = rules.get(name)
        said = below.items() if isinstance(below, dict) else ()
        kept = {word: value for word, value in said if word not in {"article", "own"}}
        rules[name] = kept | rule
    elif rules.pop(name, None) is None:
        merged.faults.append(source.fault((*place, "remove"), f"there is no {name} to remove; delete these words"))


def _validated(merged: _Merged, top: _Source) -> Profile:
    faults = list(merged.faults)
    lists = {section: list(rules.values()) for section, rules in merged.rules.items()}
    try:
        profile = Profile.model_validate(merged.whole | lists)
        found = list(_gaps(profile))
    except ValidationError as error:
        found = list(explained(error, Profile))
    faults += [_fault(merged, top, place, mend) for place, mend in found]
    if faults:
        raise ConfigFaults(sorted(faults, key=lambda fault: (fault.file, fault.line or 0, fault.key)))
    return profile


def _fault(merged: _Merged, top: _Source, place: Location, mend: str) -> Fault:
    """The fault in the file and at the line where what is wrong was written."""
    origin: Location
    match place:
        case (str(section), int(index), *rest) if section in merged.rules:
            origin = (section, list(merged.rules[section])[index])
        case (section, *rest):
            origin = (section,)
    source, written = merged.origins.get(origin, (top, origin))
    return source.fault((*written, *rest), mend)


def _gaps(profile: Profile) -> Iterator[Complaint]:
    """What each rule for itself does not show."""
    for line in _LINES:
        if profile.emergency(line) is None:  # type: ignore[arg-type]  # one of the four
            yield ("emergencies",), f"{line} is missing; danger to life must be told where to turn"
    for text in sorted(set(_TEXTS) - {rule.text for rule in profile.texts}):
        yield ("texts",), f"{text} is missing; write what the citizen is told"
    for index, limit in enumerate(profile.limits):
        for number in limit.platforms:
            if profile.platform(number) is None:
                yield ("limits", index, "platforms"), f"{number} is no number of platforms; add it there"
    yield from _sources(profile)


def _sources(profile: Profile) -> Iterator[Complaint]:
    """Articles without a rule, and rules of articles that the list leaves out."""
    articles = {article for _, rule in each_rule(profile) for article in rule.articles}
    for index, intake in enumerate(profile.intake_articles):
        if not any(within(article, intake) for article in articles):
            yield ("intake_articles", index), f"no rule comes from {intake}; write one, or take it off the list"
    for place, rule in _placed(profile):
        for article in rule.articles:
            if not any(within(article, intake) for intake in profile.intake_articles):
                yield (*place, "article"), f"{article} is within none of intake_articles; add it there"


def _placed(profile: Profile) -> Iterator[tuple[Location, Rule]]:
    """Every rule, and where it stands."""
    for section in Profile.model_fields:
        value = getattr(profile, section)
        if isinstance(value, Rule):
            yield (section,), value
        elif section in KEYS:
            yield from (((section, index), rule) for index, rule in enumerate(value))
