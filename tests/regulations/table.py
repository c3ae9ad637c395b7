"""docs/regulations.md: article → rule → test, from the profiles and the cases. ``python -m tests.regulations.table`` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from normalizer.profile import Profile, Rule, each_rule, within
from tests.regulations import (
    common_cases,
    jinan_cases,
    lianyungang_cases,
    mayors_telephone_cases,
    weifang_cases,
    xiangyang_cases,
)
from tests.regulations.cases import Case
from tests.regulations.judging import profile_of

PAGE = Path(__file__).parents[2] / "docs/regulations.md"
CASES = {
    "jinan": jinan_cases.CASES,
    "weifang": weifang_cases.CASES,
    "lianyungang": lianyungang_cases.CASES,
    "mayors-telephone": mayors_telephone_cases.CASES,
    "xiangyang": xiangyang_cases.CASES,
}
#: In the order of counting.
_NUMERALS = "一二三四五六七八九十"
INTRODUCTION = """\
# The regulations, rule by rule

Generated from `gateway/profiles/` and `tests/regulations/` by `python -m tests.regulations.table`; a test fails when it differs.
Each article or section that touches the entrance stands with the rules that come from it and the cases that show them:
a message in; fields, outcome and explanation out. Three of the five texts have no articles: they are quoted by part, heading or paragraph.
What a text does not say is our own choice and listed as such below each table, with the reason. Whatever a rule says against a
matter is a suggestion: the matter is filed all the same, and a person decides. How a city writes its own: [PROFILES.md](PROFILES.md).
"""


def document() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for city, cases in CASES.items():
        parts += ["\n".join(_city(city, profile_of(city), cases))]
    parts += ["\n".join(_common())]
    return "\n".join(parts)


def _city(city: str, profile: Profile, cases: Iterable[Case]) -> Iterator[str]:
    rules = list(each_rule(profile))
    own = [(name, rule) for name, rule in rules if rule.article is None]
    yield f"## {profile.title}\n"
    yield f"Profile `{city}`, cases in `tests/regulations/test_{city.replace('-', '_')}.py`;"
    yield f"{len(rules) - len(own)} rules from the text, {len(own)} of our own.\n"
    yield "| article | rule | cases |"
    yield "|---|---|---|"
    for article in profile.intake_articles:
        for part, name, rule in _from(article, rules):
            shown = [case.name for case in cases if case.rule == name and case.article == part]
            yield f"| {part} | {_shown(name, rule)} | {'; '.join(shown)} |"
    further = [(name, rule) for name, rule in rules if rule.article and rule.own]
    if further:
        yield "\nFurther than the text:\n"
        yield from (f"- {_shown(name, rule)}: {rule.own}" for name, rule in further)
    yield f"\nOur own: {', '.join(f'`{name}`' for name, _ in own)}.\n"


def _from(article: str, rules: Iterable[tuple[str, Rule]]) -> list[tuple[str, str, Rule]]:
    """The rules that come from an article, by its parts."""
    found = [(part, name, rule) for name, rule in rules for part in rule.articles if within(part, article)]
    return sorted(found, key=lambda one: [_NUMERALS.find(sign) for sign in one[0]])


def _shown(name: str, rule: Rule) -> str:
    words = getattr(rule, "name", "")
    return f"`{name}` {words}" if words and not name.endswith(words) else f"`{name}`"


def _common() -> Iterator[str]:
    """The choices of ours that a city has as they are in common.yaml, each with its reason."""
    reasons: dict[str, tuple[Rule, list[str]]] = {}
    for city in CASES:
        for name, rule in each_rule(profile_of(city)):
            if rule.article is None:
                reasons.setdefault(name, (rule, []))[1].append(city)
    yield "## Our own choices, where a text is silent\n"
    yield "In `gateway/profiles/common.yaml`, cases in `tests/regulations/test_common.py`.\n"
    yield "| rule | reason | where it holds | cases |"
    yield "|---|---|---|---|"
    for name, (rule, cities) in sorted(reasons.items()):
        shown = "; ".join(case.name for case in common_cases.CASES if case.rule == name)
        where = "all five" if len(cities) == len(CASES) else ", ".join(cities)
        yield f"| {_shown(name, rule)} | {rule.own} | {where} | {shown or '–'} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
