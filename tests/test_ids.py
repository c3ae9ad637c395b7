from __future__ import annotations

from collections import Counter
from uuid import RFC_4122

import uuid_utils.compat

from normalizer.ids import derived, derived_number

BASE = uuid_utils.compat.uuid7()


def test_the_same_purpose_gives_the_same_id_and_another_another() -> None:
    assert derived(BASE, "message", 0) == derived(BASE, "message", 0)
    purposes = [("message", 0), ("message", 1), ("matter",), ("event",)]
    assert len({derived(BASE, *purpose) for purpose in purposes}) == len(purposes)
    assert derived(uuid_utils.compat.uuid7(), "matter") != derived(BASE, "matter")


def test_it_is_a_uuid_of_version_7_with_the_time_of_its_base() -> None:
    made = [derived(BASE, number) for number in range(1000)]
    assert {(one.version, one.variant, one.bytes[:6]) for one in made} == {(7, RFC_4122, BASE.bytes[:6])}
    assert len(set(made)) == 1000


def test_numbers_are_spread_evenly() -> None:
    found = Counter(derived_number(uuid_utils.compat.uuid7(), 0, 10) for _ in range(5000))
    assert set(found) == set(range(10)) and max(found.values()) < 700
    assert derived_number(BASE, 0, 10**9) != derived_number(BASE, 1, 10**9)
