from __future__ import annotations

import pickle
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from dedupe import rings as rings_module
from dedupe.counts import TERM, Counts
from dedupe.index import Entry, Index
from dedupe.rings import LEAST, ROUND, Rings
from normalizer.fingerprint import BITS, Fingerprint, Hashes, fingerprint

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
WINDOW = timedelta(days=14)
DUST = fingerprint("搅拌站扬尘", "锦绣家园东门外的搅拌站日夜施工，扬尘很大，窗户都不敢开")
DUST_AGAIN = fingerprint("灰尘太大", "我住锦绣家园，东门外搅拌站每天扬尘，孩子咳嗽")
LAMP = fingerprint("路灯不亮", "人民路与解放路交叉口的路灯坏了一个星期，晚上看不清")


def prints(grams: Iterable[int]) -> Fingerprint:
    hashes = np.array(sorted(set(grams)), np.uint32)
    return Fingerprint(hashes << 32 - BITS, b"", (), (), asks=False)


def chance(number: int, how_many: int = 60) -> Fingerprint:
    """A message that shares n-grams with another by chance only."""
    return prints(np.random.default_rng(number).integers(0, 1 << BITS, how_many).tolist())


def entry(number: int, made: Fingerprint, at: datetime = NOW) -> Entry:
    return Entry(number, UUID(int=number), at, made)


def index(*made: Fingerprint, most: int = 1000) -> Index:
    found = Index(WINDOW, most)
    for number, one in enumerate(made, start=1):
        found.add(entry(number, one))
    return found


def numbers(found: Index, made: Fingerprint, at: datetime = NOW, most: int = 20) -> list[int]:
    return [one.entry.number for one in found.find(made, at, most)]


def alike(grams: Iterable[int]) -> Hashes:
    return prints(grams).grams


# -- finding -----------------------------------------------------------------------------------------------------------


def test_one_matter_in_other_words_is_found_and_another_is_not() -> None:
    found = index(LAMP, DUST, *(chance(number) for number in range(50)))
    assert numbers(found, DUST_AGAIN) == [2]
    assert numbers(found, chance(99)) == []
    assert numbers(Index(WINDOW), DUST) == []


def test_what_is_found_is_what_was_put_in() -> None:
    put = entry(7, DUST, NOW.replace(microsecond=123457))
    found = Index(WINDOW)
    found.add(put)
    for number in range(20):
        found.add(entry(100 + number, chance(number)))
    (one,) = found.find(DUST, NOW)
    assert (one.entry.number, one.entry.message_id) == (7, put.message_id)
    assert one.entry.at == put.at and one.entry.fingerprint.pack() == DUST.pack()
    assert one.weight > 0


def test_who_shares_more_comes_first_and_no_more_than_asked_for() -> None:
    own = chance(1, 100).grams.tolist()
    kept = [prints([*own[:part], *chance(part).grams.tolist()]) for part in (20, 80, 40, 60)]
    found = index(*(chance(number) for number in range(2, 20)), *kept)
    assert numbers(found, prints(own)) == [20, 22, 21, 19]
    assert numbers(found, prints(own), most=2) == [20, 22]


def test_a_gram_that_many_have_leads_nowhere() -> None:
    common = chance(0, 40).grams.tolist()
    many = [prints([*common, *chance(number).grams.tolist()]) for number in range(1, 200)]
    found = index(*many)
    assert numbers(found, prints([*common, *chance(900).grams.tolist()])) == []
    assert numbers(found, many[100]) == [101], "what is its own leads to it"


def test_forty_neighbours_find_each_other_when_nobody_else_has_written() -> None:
    neighbours = [prints([*DUST.grams.tolist(), *chance(number, 20).grams.tolist()]) for number in range(40)]
    assert len(numbers(index(*neighbours), DUST_AGAIN)) == 20


def test_messages_of_the_window_only_before_and_after() -> None:
    found = Index(WINDOW)
    for number, days in enumerate((-20, -10, 0, 10, 20), start=1):
        found.add(entry(number, prints([*DUST.grams.tolist(), number]), NOW + timedelta(days=days)))
    assert sorted(numbers(found, DUST)) == [2, 3, 4]


# -- as common as it is ------------------------------------------------------------------------------------------------


def test_how_common_a_gram_is() -> None:
    found = index(*(prints([5, 10 + number // 2, 1000 + number]) for number in range(40)))
    assert found.of(alike([5, 10, 77, 1000])).tolist() == [40, 2, 0, 1]
    assert found.total == len(found) == 40


def test_what_was_common_and_is_no_more_is_forgotten() -> None:
    counts, old, new = Counts(), alike([1]), alike([2])
    for _ in range(TERM):
        counts.add(old, TERM)
    for _ in range(TERM):
        counts.add(new, 2 * TERM)
    assert counts.of(alike([1, 2]), 2 * TERM).tolist() == [TERM, TERM]
    counts.add(new, 2 * TERM)
    assert counts.of(alike([1, 2]), 2 * TERM).tolist() == pytest.approx([0, 2 * TERM])


def test_a_counter_that_is_full_stays_so() -> None:
    counts = Counts()
    counts._now[1] = np.iinfo(np.uint16).max - 1
    for _ in range(3):
        counts.add(alike([1]), 3)
    assert counts.of(alike([1]), 3)[0] == np.iinfo(np.uint16).max


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_old_generations_go_whole_and_the_newest_messages_stay() -> None:
    found = Index(WINDOW, most=80)
    for number in range(1, 201):
        found.add(entry(number, chance(number)))
        assert len(found) <= 90
    assert len(found) >= 80
    assert all(numbers(found, chance(number)) == [number] for number in range(121, 201))
    assert numbers(found, chance(1)) == []


def test_what_has_left_the_window_gives_its_memory_back() -> None:
    found = Index(timedelta(days=1), most=80)
    for number in range(1, 41):
        found.add(entry(number, chance(number), NOW))
    before = found.nbytes
    found.add(entry(41, DUST, NOW + timedelta(days=2)))
    assert len(found) == 1 and found.nbytes < before
    assert numbers(found, DUST, NOW + timedelta(days=2)) == [41]


def test_a_ring_keeps_the_newest() -> None:
    table = Rings(1000)
    for position in range(1, 101):
        table.add(position, alike([5]))
    _, away = table.look(alike([5]), 0)
    assert sorted(away.tolist()) == list(range(101 - rings_module.SLOTS, 101))


def test_a_ring_tells_apart_the_grams_that_share_it() -> None:
    table, first, second = Rings(1000), alike([5]), alike([5 + (1 << 20)])
    table.add(1, first)
    table.add(2, second)
    assert [table.look(grams, 0)[1].tolist() for grams in (first, second)] == [[1], [2]]


def test_every_lookup_stays_right_while_the_table_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings_module, "LEAST", 1 << 12)
    table, kept = Rings(2_000), [chance(number, 40).grams for number in range(2_000)]
    size = table.nbytes
    for position, grams in enumerate(kept, start=1):
        table.grow(position)
        table.add(position, grams)
    assert table.nbytes > 2 * size
    led = [np.count_nonzero(table.look(grams, 0)[1] == position) for position, grams in enumerate(kept, start=1)]
    assert min(led) >= 35 and sum(led) >= 0.99 * 40 * len(kept), "two grams of one message in one ring take one slot"


def test_positions_come_round() -> None:
    found = Index(WINDOW, most=80)
    found._next = found._generations[0].first = ROUND - 40
    for number in range(1, 201):
        found.add(entry(number, chance(number)))
    there = [number for number in range(121, 201) if numbers(found, chance(number)) == [number]]
    assert len(there) >= 79, "but the one whose position is the mark of an empty slot"


@pytest.mark.parametrize("most", [0, -1, ROUND])
def test_an_index_has_bounds(most: int) -> None:
    with pytest.raises(ValueError, match="an index holds"):
        Index(WINDOW, most)


def test_an_empty_index_takes_what_it_takes() -> None:
    assert Index(WINDOW).nbytes == LEAST * (4 * rings_module.SLOTS + 1) + Counts().nbytes + 8


# -- secrecy -----------------------------------------------------------------------------------------------------------


def test_nothing_in_it_reveals_a_text() -> None:
    canary = "金丝雀小区三号楼的井盖"
    found = index(fingerprint("井盖", canary), most=100)
    kept = pickle.dumps(found)
    for code in ("utf-8", "utf-16-le", "utf-32-le", "gb18030"):
        for length in (2, 3, len(canary)):
            assert not any(canary[at : at + length].encode(code) in kept for at in range(len(canary) - length + 1)), (
                code
            )
