"""A city's profile: laid over what it extends; every fault with file, line, key and mend."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import ascii_letters

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import PROFILES
from gateway.faults import ConfigFaults
from gateway.loading import load_config
from gateway.profile import EXTENDABLE, load_profile
from normalizer.model import ContactType, MatterKind, RegistrationSource
from normalizer.profile import KEYS, Ground, Profile, each_rule, within

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/PROFILES.md").read_text(encoding="utf-8")
#: Weifang's, with a line more.
HEAD = "extends: weifang\n"


def load(folder: Path, text: str, name: str = "my.yaml") -> Profile:
    (folder / name).write_text(text, encoding="utf-8")
    return load_profile(name, folder)


def faults(folder: Path, text: str) -> list[tuple[str, int | None, str, str]]:
    """File, line, key and mend of each."""
    with pytest.raises(ConfigFaults) as caught:
        load(folder, text)
    return [(Path(fault.file).name, fault.line, fault.key, fault.mend) for fault in caught.value.faults]


@pytest.mark.parametrize("name", PROFILES)
def test_a_shipped_profile_loads_and_every_rule_says_where_it_comes_from(name: str) -> None:
    profile = load_profile(name, Path())
    assert all(rule.article or rule.own for _, rule in each_rule(profile))
    assert {line.line for line in profile.emergencies} == {"110", "119", "120", "122"}
    assert set(Ground) == {rule.ground for rule in profile.grounds}
    assert set(MatterKind) == {rule.kind for rule in profile.kinds}


@pytest.mark.parametrize("name", EXTENDABLE)
def test_a_shipped_profile_is_in_the_package(name: str) -> None:
    assert files("gateway").joinpath(f"profiles/{name}.yaml").is_file()


def test_no_file_of_the_folder_is_forgotten() -> None:
    assert sorted(path.stem for path in (ROOT / "gateway/profiles").iterdir()) == sorted(EXTENDABLE)


@pytest.mark.parametrize("name", PROFILES)
def test_every_way_has_a_name(name: str) -> None:
    profile = load_profile(name, Path())
    for way in (*RegistrationSource, *ContactType, "partner", "open311"):
        assert profile.way(way) is not None, way


def test_how_an_operator_wrote_it_down_comes_before_the_channel() -> None:
    profile = load_profile("xiangyang", Path())
    way = profile.way(RegistrationSource.LETTER, "telephone", ContactType.PHONE)
    assert way is not None
    assert way.name == "书信"
    assert profile.way(None, "pigeon") is None


def test_words_to_the_citizen_hold_reason_and_way() -> None:
    profile = load_profile("weifang", Path())
    rule = profile.ground(Ground.DISCIPLINE)
    assert rule is not None
    told = profile.told("referred", reason=rule.explain, where_to=rule.where_to or "")
    assert rule.explain in told
    assert "12388" in told
    assert "{" not in told


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("word", ["骚扰", "恶意", "滥用", "违规", "辱骂", "可疑"])
def test_who_is_held_is_accused_of_nothing(name: str, word: str) -> None:
    assert word not in load_profile(name, Path()).told("held")


def test_what_one_s_own_does_not_say_stays(tmp_path: Path) -> None:
    mine = load(tmp_path, HEAD)
    assert mine == load_profile("weifang", Path())


def test_a_rule_is_laid_over_that_of_its_name_and_keeps_its_place(tmp_path: Path) -> None:
    mine = load(tmp_path, HEAD + "limits:\n  - {name: 一般诉求, working_days: 3, own: 本市更快}\n")
    assert [limit.name for limit in mine.limits] == ["一般诉求", "消费者投诉"]
    assert (mine.limits[0].working_days, mine.limits[0].article, mine.limits[0].own) == (3, None, "本市更快")
    assert mine.limits[1] == load_profile("weifang", Path()).limits[1]


def test_what_a_rule_does_not_say_stays_but_for_its_source(tmp_path: Path) -> None:
    mine = load(tmp_path, HEAD + 'emergencies:\n  - {line: "119", tell: 快打119, article: 第三十九条}\n')
    line = mine.emergency("119")
    assert line is not None
    assert (line.name, line.tell, line.articles) == ("消防救援", "快打119", ("第三十九条",))


def test_a_new_rule_comes_last_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    text = 'platforms:\n  - {number: "12328", remove: true}\n  - {number: "96123", name: 本地热线, own: 本地号码}\n'
    mine = load(tmp_path, HEAD + text)
    assert mine.platform("12328") is None
    assert mine.platforms[-1].number == "96123"


def test_a_single_rule_is_replaced_as_a_whole(tmp_path: Path) -> None:
    mine = load(tmp_path, HEAD + "confidentiality:\n  article: 第十一条第三款\n")
    assert mine.confidentiality.kinds == ()


def test_a_profile_may_extend_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/base.yaml").write_text(HEAD + "title: 省里的\n", encoding="utf-8")
    (tmp_path / "rules/mine.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
    assert load_profile("rules/mine.yaml", tmp_path).title == "省里的"


LIMIT = "limits:\n  - {name: 一般诉求, "
ONE_FAULT = {
    "unknown section": ("limit: []\n", 2, "limit", "did you mean limits?"),
    "unknown key": (LIMIT + "workingdays: 3, own: 快}\n", 3, "limits.0.workingdays", "did you mean working_days?"),
    "no source": (LIMIT + "working_days: 3}\n", 3, "limits.0", "article, or own"),
    "days of none": (LIMIT + "working_days: 0, own: 快}\n", 3, "limits.0.working_days", "greater than or equal to 1"),
    "days in words": (LIMIT + "working_days: 五, own: 快}\n", 3, "limits.0.working_days", "integer"),
    "not extended": (LIMIT + "extended_to: 5, own: 快}\n", 3, "limits.0", "more than working_days"),
    "unknown kind": (LIMIT + "kinds: [complaints], own: 快}\n", 3, "limits.0.kinds.0", "'complaint'"),
    "unknown ground": ("grounds:\n  - {ground: war, name: 战, suggestion: refuse, explain: 战, own: 战}\n", 3, "grounds.0.ground", "'litigation'"),
    "unknown way": ("ways_in:\n  - {way: pigeon, name: 飞鸽, own: 快}\n", 3, "ways_in.0.way", "'telephone'"),
    "nowhere to go": ("grounds:\n  - {ground: secrets, suggestion: refer, article: 第十九条第一款第三项}\n", 3, "grounds.0", "where_to is missing"),
    "line without quotes": ("emergencies:\n  - {line: 119, article: 第三十九条}\n", 3, "emergencies.0.line", "put it in quotes"),
    "number without quotes": ("platforms:\n  - {number: 96123, name: 本地, own: 本地}\n", 3, "platforms.0.number", "put it in quotes"),
    "platform of no rule": ('limits:\n  - {name: 急, working_days: 1, platforms: ["96123"], own: 快}\n', 3, "limits.0.platforms", "96123 is no number of platforms"),
    "twice": ("limits:\n  - {name: 急, working_days: 1, own: 快}\n  - {name: 急, working_days: 2, own: 快}\n", 4, "limits.1", "stands twice"),
    "nothing to remove": ("limits:\n  - {name: 急, remove: true}\n", 3, "limits.0.remove", "there is no 急 to remove"),
    "a life left alone": ('emergencies:\n  - {line: "120", remove: true}\n', 2, "emergencies", "120 is missing"),
    "a text left out": ("texts:\n  - {text: held, remove: true}\n", 2, "texts", "held is missing"),
    "braces of another word": ("texts:\n  - {text: held, tell: '{name}您好', own: 客气}\n", 3, "texts.0.tell", "only {reason} and {where_to}"),
    "braces that turn": ("texts:\n  - {text: held, tell: '{reason.__class__}', own: 客气}\n", 3, "texts.0.tell", "only {reason} and {where_to}"),
    "a brace left open": ("texts:\n  - {text: held, tell: '{您好', own: 客气}\n", 3, "texts.0.tell", "only {reason} and {where_to}"),
    "a rule that is none": ("limits:\n  - 三天\n", 3, "limits.0", "map of settings"),
    "a list that is none": ("limits: 三天\n", 2, "limits", "must be a list"),
    "an article that is not listed": (LIMIT + "article: 第四十条}\n", 3, "limits.0.article", "第四十条 is within none of intake_articles"),
    "extends unknown": ("", 1, "extends", "did you mean weifang?"),
    "extends no file": ("", 1, "extends", "base.yaml is no file here"),
    "extends a number": ("", 1, "extends", "unknown profile 5"),
    "YAML": ("limits: [\n", None, "", "YAML: "),
}  # fmt: skip
HEADS = {
    "extends unknown": "extends: weifan\n",
    "extends no file": "extends: base.yaml\n",
    "extends a number": "extends: 5\n",
}


@pytest.mark.parametrize("name", ONE_FAULT)
def test_a_fault_is_told_once_with_line_key_and_mend(tmp_path: Path, name: str) -> None:
    text, line, key, mend = ONE_FAULT[name]
    ((file, found_line, found_key, found_mend),) = faults(tmp_path, HEADS.get(name, HEAD) + text)
    assert found_key == key
    assert mend in found_mend
    if line is not None:
        assert (file, found_line) == ("my.yaml", line)


def test_an_article_without_a_rule_is_told_at_its_line(tmp_path: Path) -> None:
    known = [*load_profile("weifang", Path()).intake_articles, "第四十条"]
    text = HEAD + "intake_articles:\n" + "".join(f"  - {article}\n" for article in known)
    mend = "no rule comes from 第四十条; write one, or take it off the list"
    assert faults(tmp_path, text) == [("my.yaml", 2 + len(known), f"intake_articles.{len(known) - 1}", mend)]


def test_faults_are_told_in_the_file_that_holds_them(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(HEAD + LIMIT + "working_days: 0, own: 快}\n", encoding="utf-8")
    text = "extends: base.yaml\nhours: {all_day: true, name: 全天}\n"
    found = [(file, line, key) for file, line, key, _ in faults(tmp_path, text)]
    assert found == [("base.yaml", 3, "limits.0.working_days"), ("my.yaml", 2, "hours")]


def test_a_profile_that_extends_none_is_told_what_it_lacks(tmp_path: Path) -> None:
    lacking = {key for _, _, key, mend in faults(tmp_path, "title: 空\n") if mend == "is missing; set it"}
    assert {"grounds", "emergencies", "crisis", "limits", "intake_articles"} <= lacking


@pytest.mark.parametrize("through", [[], ["a.yaml"], ["a.yaml", "b.yaml"]])
def test_a_circle_is_an_error(tmp_path: Path, through: list[str]) -> None:
    chain = ["my.yaml", *through, "my.yaml"]
    for name, base in pairwise(chain):
        (tmp_path / name).write_text(f"title: 圆\nextends: {base}\n", encoding="utf-8")
    with pytest.raises(ConfigFaults) as caught:
        load_profile("my.yaml", tmp_path)
    (fault,) = caught.value.faults
    assert (Path(fault.file).name, fault.line, fault.key) == (chain[-2], 2, "extends")
    assert "circle" in fault.mend


@pytest.mark.parametrize(("files_in_a_row", "fits"), [(5, True), (6, False)])
def test_five_profiles_in_a_row_are_the_most(tmp_path: Path, files_in_a_row: int, fits: bool) -> None:
    own = files_in_a_row - 2  # weifang extends common
    for step in range(own):
        base = f"{step + 1}.yaml" if step + 1 < own else "weifang"
        (tmp_path / f"{step}.yaml").write_text(f"extends: {base}\n", encoding="utf-8")
    if fits:
        assert load_profile("0.yaml", tmp_path).title.startswith("潍坊")
        return
    with pytest.raises(ConfigFaults, match="at most 5 profiles"):
        load_profile("0.yaml", tmp_path)


@pytest.mark.parametrize(("article", "intake", "inside"), [
    ("第十九条第一款", "第十九条", True),
    ("第十九条", "第十九条", True),
    ("第十九条", "第十条", False),
    ("第二十条", "第二条", False),
    ("工作程序（二）3", "工作程序（二）", True),
])  # fmt: skip
def test_a_part_is_within_its_article(article: str, intake: str, inside: bool) -> None:
    assert within(article, intake) is inside


def test_every_list_of_rules_has_what_tells_its_rules_apart() -> None:
    for section, key in KEYS.items():
        (rule,) = {type(one) for one in getattr(load_profile("weifang", Path()), section)}
        assert key in rule.model_fields


def _config(folder: Path, profile: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        f"city:\n  profile: {profile}\ncore:\n  sink: file\n  path: events.jsonl\n"
        f"channels:\n  app:\n    kind: app\n    clients:\n"
        f'      - {{id: a, key_hash: "sha256:{"0" * 64}", scopes: ["messages:read"]}}\n',
        encoding="utf-8",
    )
    return path


def test_the_configuration_names_a_profile_beside_it(tmp_path: Path) -> None:
    load(tmp_path, HEAD + "title: 本市\n")
    config, _ = load_config(_config(tmp_path, "my.yaml"))
    assert load_profile(config.city.profile, Path()).title == "本市"


def test_the_configuration_tells_of_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults) as caught:
        load_config(_config(tmp_path, "nowhere.yaml"))
    (fault,) = caught.value.faults
    assert (fault.line, fault.key) == (2, "city.profile")
    assert "nowhere.yaml is no file" in fault.mend


def test_the_configuration_tells_of_a_fault_in_the_profile_by_the_profile_s_own_line(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(HEAD + "\nlimit: []\n", encoding="utf-8")
    with pytest.raises(ConfigFaults) as caught:
        load_config(_config(tmp_path, "my.yaml"))
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.key) == (str(tmp_path / "my.yaml"), 3, "limit")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    section=st.sampled_from([*Profile.model_fields, "extends", "nonsense"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(ascii_letters, max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*KEYS.values(), "remove", "article"]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)
def test_whatever_stands_in_a_section_is_taken_or_told(tmp_path: Path, section: str, value: object) -> None:
    text = yaml.safe_dump({"extends": "weifang"} | {section: value}, allow_unicode=True)
    try:
        load(tmp_path, text)
    except ConfigFaults as error:
        told = [fault.mend for fault in error.faults]
    else:
        told = ["taken"]
    assert told
    assert all(told)


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(extends.*?)```", PAGE, re.DOTALL)
    assert load(tmp_path, example, "my-city.yaml").title == "某市12345热线管理办法"


@pytest.mark.parametrize("section", sorted(set(Profile.model_fields) - {"title", "intake_articles"}))
def test_every_section_is_explained_on_the_page(section: str) -> None:
    assert re.search(rf"^\|[^|]*`{section}`", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("section", "key"), KEYS.items())
def test_the_page_says_what_tells_rules_apart(section: str, key: str) -> None:
    assert re.search(rf"`{key}` \([^)]*\b{section}\b", PAGE)


@pytest.mark.parametrize(
    "text",
    ["[" * 5_000, "- " * 5_000, "\n".join(" " * depth + "a:" for depth in range(3_000)), "a: " + "{a: " * 5_000],
    ids=["brackets", "lists", "maps", "maps in braces"],
)
def test_a_file_nested_too_deep_is_told_and_ends_nothing(tmp_path: Path, text: str) -> None:
    """libyaml nests on the C stack: it would take the process with it."""
    ((_, _, _, mend),) = faults(tmp_path, text)
    assert "nested too deep" in mend
