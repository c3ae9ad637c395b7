"""How alike two messages are: our own letters, invented, of which everybody would say the same."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupe.features import NAMES, rarity
from dedupe.likeness import WEIGHTS, Likeness, Thresholds, likeness, likenesses
from normalizer.clean import clean, for_matching
from normalizer.fingerprint import BITS, Fingerprint, Hashes, fingerprint
from normalizer.model import Level
from normalizer.title import title


class Seen:
    """An index of messages, counted exactly."""

    def __init__(self, *made: Fingerprint) -> None:
        self._counts, self.total = np.zeros(1 << BITS, np.int32), len(made)
        for one in made:
            self._counts[one.grams] += 1

    def of(self, grams: Hashes) -> np.ndarray:
        return self._counts.take(grams)


EMPTY = Seen()


def made(heading: str, body: str = "") -> Fingerprint:
    text = clean(body or heading)
    return fingerprint(for_matching(title(heading, text)[0]), for_matching(text))


def like(a: Fingerprint, b: Fingerprint, *, own: bool = False, days: float = 3.0) -> Likeness:
    return likeness(a, b, EMPTY, same_caller=own, apart_days=days)


BARBECUE = made(
    "锦绣江南小区楼下烧烤店油烟扰民",
    "锦绣江南小区3栋楼下的老王烧烤每天营业到凌晨，油烟直接排到居民家里，窗户都不敢开，请城管来管一管。",
)

# -- The same matter ---------------------------------------------------------------------------------------------------

SAME = {
    "in other words": (
        BARBECUE,
        made(
            "餐饮油烟的投诉", "家住锦绣江南，楼下烤串摊烟熏得睡不着，晚上吵到两三点，老人孩子没法休息，找物业没有用。"
        ),
    ),
    "word for word": (BARBECUE, BARBECUE),
    "swapped characters": (
        made("财达通平台跑路", "我在财达通平台投了八万元，现在网站打不开，老板跑路了。"),
        made("达财通平台无法提现", "达财通平台的老板跑了，投的钱取不出来，报案也没有立案。"),
    ),
    "one wrong character": (
        made("中茶城停工半年无人管", "中茶城项目停工半年了，商户交了租金开不了业。"),
        made("中葉城项目一直停工，商户怎么办", "我们是中葉城的商户，项目停工，交的租金没有退，开不了业。"),
    ),
    "one with its district, one without": (
        made("历下区经十路路灯不亮", "历下区经十路与山师东路路口路灯坏了一周，晚上漆黑一片。"),
        made("经十路山师东路口路灯坏了", "济南市历下区经十路山师东路口的路灯一直不亮，走路很危险，请维修。"),
    ),
    "hardly a word": (made("停水", "翠湖雅苑停水三天了"), made("翠湖雅苑停水", "我们翠湖雅苑小区已经三天没有水了")),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
@pytest.mark.parametrize("own", [False, True], ids=["two callers", "one caller"])
def test_one_matter_is_linked(pair: tuple[Fingerprint, Fingerprint], own: bool) -> None:
    assert like(*pair, own=own).level is Level.LINK


# -- Another matter ----------------------------------------------------------------------------------------------------

TRAIN = "{}号线晚高峰要等八分钟一班，车厢挤得上不去，希望增加车次。"
FLAT = "凤凰城{}合同约定6月30日交房，至今没有通知，开发商一拖再拖。"
OTHER = {
    "another problem there": (
        BARBECUE,
        made("锦绣江南小区停车位太少", "锦绣江南小区业主下班回来停不进去，希望增加停车位。"),
    ),
    "the same words, another place": (
        BARBECUE,
        made(
            "碧水云天小区楼下烧烤店油烟扰民",
            "碧水云天小区3栋楼下的老王烧烤每天营业到凌晨，油烟直接排到居民家里，窗户都不敢开，请城管来管一管。",
        ),
    ),
    "another line": (made("地铁2号线晚高峰太挤", TRAIN.format(2)), made("地铁6号线晚高峰太挤", TRAIN.format(6))),
    "another phase": (made("凤凰城二期延期交房", FLAT.format("二期")), made("凤凰城三期延期交房", FLAT.format("三期"))),
    "another building": (
        made("金桂园7栋电梯坏了", "金桂园7栋的电梯坏了一个月，老人上下都要爬楼。"),
        made("电梯还没修好", "我是金桂园3栋的住户，电梯停运到今天还没有恢复，老人上下都要爬楼。"),
    ),
    "another year": (
        made("2024年物业费为何上涨", "翠湖雅苑2024年度物业费从1.8元涨到2.2元，没有经过业主大会。"),
        made("2025年物业费为何上涨", "翠湖雅苑2025年度物业费从2.2元涨到2.6元，没有经过业主大会。"),
    ),
    "another town": (
        made("黄河镇中学食堂卫生差", "中学食堂的饭菜里吃出了虫子，餐具也不消毒，请查一查。"),
        made("泉沟镇中学食堂卫生差", "中学食堂的饭菜里吃出了虫子，餐具也不消毒，请查一查。"),
    ),
    "a template of one writer": (
        made(
            "建议加快人民公园建设力度", "在大力建设文明城市的背景下，人民公园设施陈旧，希望加快建设力度，有何具体行动？"
        ),
        made(
            "建议加快中心医院建设力度", "在大力建设文明城市的背景下，中心医院床位不足，希望加快建设力度，有何具体行动？"
        ),
    ),
}


@pytest.mark.parametrize("pair", OTHER.values(), ids=OTHER)
@pytest.mark.parametrize("own", [False, True], ids=["two callers", "one caller"])
def test_another_matter_is_not_even_shown(pair: tuple[Fingerprint, Fingerprint], own: bool) -> None:
    assert like(*pair, own=own).level is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("another line", "another line: 2 / 6"),
        ("another phase", "another phase: 2 / 3"),
        ("another building", "another building: 7 / 3"),
        ("another year", "another year: 2024 / 2025"),
        ("another town", "another town"),
        ("the same words, another place", "another place: neither names that of the other's title"),
        ("another problem there", "another problem"),
    ],
)
def test_what_speaks_against_it_is_told_in_plain_words(name: str, reason: str) -> None:
    assert like(*OTHER[name]).veto == reason


def test_two_who_do_not_say_where_may_mean_two_things_and_one_who_repeats_himself_does_not() -> None:
    lamp = made("路灯坏了")
    assert like(lamp, lamp).veto == "no common place, and too little else to tell"
    assert like(lamp, lamp, own=True, days=1).level is Level.LINK


def test_what_a_campaign_copies_is_one_matter_though_it_names_no_place() -> None:
    text = (
        "现行的医保政策对慢性病患者很不合理：起付线太高，报销比例太低，异地就医要先垫付，手续繁琐，"
        "许多退休工人因此看不起病，建议降低起付线，提高比例，简化备案，让异地就医直接结算。"
    )
    assert like(made("建议完善慢性病医保", text), made("请完善慢性病医保报销", text)).level is Level.LINK


def test_years_apart_is_another_matter_unless_one_caller_wrote_both() -> None:
    assert like(BARBECUE, BARBECUE, days=731).veto == "more than two years apart"
    assert like(BARBECUE, BARBECUE, days=731, own=True).level is Level.LINK
    assert like(BARBECUE, BARBECUE, days=300).score < like(BARBECUE, BARBECUE, days=0).score


def test_an_unknown_time_is_taken_for_a_month() -> None:
    assert like(BARBECUE, BARBECUE, days=float("nan")) == like(BARBECUE, BARBECUE, days=30)


def test_of_other_buildings_a_person_is_asked() -> None:
    noise = "银河苑{}楼上装修噪音大，中午也不停，孩子睡不了觉，物业不管。"
    assert like(made("银河苑装修噪音", noise.format("5栋")), made("银河苑装修噪音", noise.format("9栋"))).level is (
        Level.SUGGESTION
    )


# -- The score ---------------------------------------------------------------------------------------------------------


def test_the_same_caller_needs_less() -> None:
    levels = Thresholds(link=0.8, suggestion=0.5, own=0.1)
    scores = (0.81, 0.79, 0.71, 0.69, 0.51, 0.49, 0.41, 0.39)
    assert [levels.level(score, same_caller=False) for score in scores] == [
        *[Level.LINK],
        *[Level.SUGGESTION] * 4,
        *[None] * 3,
    ]
    assert [levels.level(score, same_caller=True) for score in scores] == [
        *[Level.LINK] * 3,
        *[Level.SUGGESTION] * 4,
        None,
    ]


def test_its_shares_make_up_the_score() -> None:
    found = like(BARBECUE, SAME["in other words"][1])
    total = sum(share.value * share.weight for share in found.shares)
    assert abs(1 / (1 + np.exp(-total)) - found.score) < 1e-3
    assert {share.feature for share in found.shares[1:]} <= set(NAMES)


def test_many_at_once_are_judged_as_each_alone() -> None:
    nothing = fingerprint("", "")
    everything = [one for pair in (*SAME.values(), *OTHER.values()) for one in (nothing, *pair)]
    seen = Seen(*everything)
    at_once = likenesses(BARBECUE, [(one, False, 2.0) for one in everything], seen)
    alone = [likeness(BARBECUE, one, seen, same_caller=False, apart_days=2.0) for one in everything]
    far = [alone[at] for at, one in enumerate(at_once) if one is None]
    assert 0 < len(far) < len(alone) and all(one.level is None and one.score < Thresholds().least for one in far)
    both = [(one, two) for one, two in zip(at_once, alone, strict=True) if one is not None]
    assert all(one.level == two.level and one.veto == two.veto for one, two in both)
    assert np.allclose([one.score for one, _ in both], [two.score for _, two in both])
    assert likenesses(BARBECUE, [], seen) == []


def test_whatever_thresholds_a_city_sets_what_could_reach_one_is_judged() -> None:
    everything = [(one, False, 2.0) for pair in (*SAME.values(), *OTHER.values()) for one in pair]
    for set_so in (Thresholds(suggestion=0.0), Thresholds(link=0.0), Thresholds(suggestion=0.06)):
        assert None not in likenesses(BARBECUE, everything, EMPTY, set_so)
    assert set(likenesses(BARBECUE, everything, EMPTY, Thresholds(link=1.0, suggestion=1.0))) != {None}


def test_what_is_not_looked_at_any_further_could_only_lose() -> None:
    """``likenesses`` leaves out what its words alone cannot bring over the lowest threshold."""
    assert all(weight < 0 for name, weight in zip(NAMES, WEIGHTS, strict=True) if name not in NAMES[:3])


WORDS = st.text(alphabet="锦绣江南小区楼下烧烤店油烟扰民停车位2号线,。 ", max_size=60)


@settings(max_examples=60)
@given(WORDS, WORDS, WORDS, WORDS)
def test_it_does_not_matter_which_comes_first(first: str, one: str, second: str, other: str) -> None:
    pair = fingerprint(first, one), fingerprint(second, other)
    seen = Seen(BARBECUE, *pair)
    there, back = (likeness(a, b, seen, same_caller=False, apart_days=1.0) for a, b in permutations(pair))
    assert (there.level, there.veto and there.veto.split(":")[0]) == (back.level, back.veto and back.veto.split(":")[0])
    assert abs(there.score - back.score) < 1e-9 and 0 <= there.score <= 1


def test_rarity_is_of_the_share_and_not_of_the_size_of_the_index() -> None:
    class Common:
        def __init__(self, total: int) -> None:
            self.total = total

        def of(self, grams: Hashes) -> np.ndarray:
            return np.full(len(grams), self.total * 0.01)

    small, large = (rarity(BARBECUE.grams, Common(total)) for total in (100_000, 10_000_000))
    assert np.allclose(small, large, atol=0.01) and 0.5 < small[0] < 0.7
    assert np.all(rarity(BARBECUE.grams, Seen(*[BARBECUE] * 5_000)) < 0.05)
    assert np.allclose(rarity(BARBECUE.grams, Seen(BARBECUE, *[fingerprint("", "")] * 50_000)), 1)
