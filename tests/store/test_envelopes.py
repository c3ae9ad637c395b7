from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, NoResultFound, StatementError

from normalizer.model import Binding, Envelope, Kept
from store.envelopes import StateWrite
from store.errors import BindingReused, StateChanged
from store.store import Store
from store.tables import BINDINGS, ENVELOPES, WORK
from tests.store.conftest import NOW, Open, count_writes, envelope, run


def bound(key: str = "key-1", body: bytes = b"raw", **more: object) -> Envelope:
    return envelope(body, binding=Binding(key, hashlib.sha256(body).digest()), **more)


def cursor(value: str, expected: str | None = None, key: str = "cursor", channel: str = "letters") -> StateWrite:
    return StateWrite(channel, key, expected, value)


async def kept_ids(store: Store) -> set[object]:
    return {one.id for one in await store.envelopes()}


async def test_what_keep_returned_is_seen_by_everybody_at_once(store: Store, opened: Open) -> None:
    beside = await opened(owner=False)
    for _ in range(3):
        one = envelope()
        assert await store.keep(one) == Kept(one.id, again=False)
        assert await beside.envelope(one.id) == one


async def test_an_envelope_comes_back_as_it_came(store: Store) -> None:
    one = envelope(
        bytes(range(256)) * 300,
        query="a=%00&b=李",
        context={"content_type": "text/plain", "client": "desk"},
        flags=("stale_clock", "odd"),
    )
    await store.keep(one)
    assert await store.envelope(one.id) == one
    assert await store.envelopes() == [one]


async def test_an_empty_body_is_kept(store: Store) -> None:
    one = envelope(b"")
    await store.keep(one)
    assert (await store.envelope(one.id)).body == b""


async def test_an_envelope_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NoResultFound):
        await store.envelope(envelope().id)


async def test_every_kept_envelope_is_queued_once(store: Store) -> None:
    one = envelope()
    await store.keep(one)
    assert [row.subject for row in await run(store, select(WORK.c.subject))] == [one.id]
    assert await store.pending() == 1


async def test_one_refused_envelope_takes_no_neighbour_with_it(store: Store) -> None:
    taken = envelope()
    await store.keep(taken)
    good = [envelope() for _ in range(3)]
    bad = [
        replace(taken, body=b"another"),
        envelope(received_at=datetime(2026, 3, 1)),  # noqa: DTZ001 - the fault under test
        envelope(query="\ud800"),
        envelope(channel="\ud800"),
    ]
    mixed = [good[0], bad[0], bad[1], good[1], bad[2], bad[3], good[2]]
    results = await asyncio.gather(*map(store.keep, mixed), return_exceptions=True)
    assert [result for result in results if isinstance(result, Kept)] == [Kept(one.id) for one in good]
    assert [type(results[index]) for index in (1, 2, 4)] == [IntegrityError, StatementError, StatementError]
    assert isinstance(results[5], Exception)
    assert await kept_ids(store) == {taken.id} | {one.id for one in good}
    assert (await store.envelope(taken.id)).body == b"raw"
    assert await store.pending() == 4


# -- bindings ----------------------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_again_gets_the_first_receipt(store: Store) -> None:
    first, second = bound(), bound()
    assert await store.keep(first) == Kept(first.id)
    assert await store.keep(second) == Kept(first.id, again=True)
    assert await kept_ids(store) == {first.id, second.id}, "a redelivery is kept and counted like any other"


async def test_the_same_key_with_another_body_is_refused_and_nothing_is_kept(store: Store) -> None:
    first = bound()
    await store.keep(first)
    with pytest.raises(BindingReused):
        await store.keep(bound(body=b"another"))
    assert await kept_ids(store) == {first.id}
    assert await store.pending() == 1


async def test_a_key_counts_within_its_channel_only(store: Store) -> None:
    await store.keep(bound())
    other = bound(body=b"another", channel="app")
    assert await store.keep(other) == Kept(other.id)


async def test_a_hundred_at_once_under_one_key_have_one_first(
    nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = count_writes(nodes[0], monkeypatch)
    envelopes = [bound() for _ in range(100)]
    results = await asyncio.gather(*(nodes[index % 2].keep(one) for index, one in enumerate(envelopes)))
    receipts = {result.receipt for result in results}
    assert len(receipts) == 1 and receipts < {one.id for one in envelopes}
    assert [result.again for result in results].count(False) == 1
    assert len(writes) == 1, "they were meant to meet in one batch"


async def test_two_bodies_at_once_under_one_key_have_one_winner(nodes: tuple[Store, Store]) -> None:
    for number in range(10):
        rivals = [bound(f"key-{number}", body) for body in (b"one", b"two")]
        results = await asyncio.gather(
            *(node.keep(one) for node, one in zip(nodes, rivals, strict=True)), return_exceptions=True
        )
        assert {type(result) for result in results} == {Kept, BindingReused}
        winner = next(result.receipt for result in results if isinstance(result, Kept))
        assert winner in await kept_ids(nodes[0])
        assert len(await nodes[0].envelopes()) == number + 1


async def test_nodes_with_the_same_keys_in_another_order_do_not_lock_each_other_out(nodes: tuple[Store, Store]) -> None:
    for number in range(3):
        keys = [f"key-{number}-{place}" for place in range(400)]
        forward, backward = [bound(key) for key in keys], [bound(key) for key in reversed(keys)]
        results = await asyncio.gather(*map(nodes[0].keep, forward), *map(nodes[1].keep, backward))
        assert [result.again for result in results].count(False) == 400


async def test_of_several_bodies_in_one_batch_the_first_to_come_has_the_key(store: Store) -> None:
    rivals = [bound(body=body) for body in (b"first", b"second", b"first")]
    results = await asyncio.gather(*map(store.keep, rivals), return_exceptions=True)
    assert results[::2] == [Kept(rivals[0].id), Kept(rivals[0].id, again=True)]
    assert isinstance(results[1], BindingReused)


async def test_a_binding_tells_nothing_about_the_body_to_who_reads_the_database(store: Store) -> None:
    await store.keep(bound("key-1", b"short"))
    (row,) = await run(store, select(BINDINGS))
    assert hashlib.sha256(b"short").digest() not in {row.key, row.digest}
    assert b"key-1" not in row.key


# -- channel state -----------------------------------------------------------------------------------------------------


async def test_state_commits_with_its_envelope(store: Store) -> None:
    await store.keep(envelope(), cursor("7"))
    assert await store.state("letters", "cursor") == "7"
    await store.keep(envelope(), cursor("8", expected="7"))
    assert await store.state("letters", "cursor") == "8"


@pytest.mark.parametrize("expected", [None, "6", ""])
async def test_state_that_is_not_as_expected_keeps_neither_itself_nor_the_envelope(
    store: Store, expected: str | None
) -> None:
    await store.keep(envelope(), cursor("7"))
    with pytest.raises(StateChanged):
        await store.keep(envelope(), cursor("8", expected))
    assert await store.state("letters", "cursor") == "7"
    assert len(await store.envelopes()) == await store.pending() == 1


async def test_absent_state_is_not_what_is_expected_of_present_state(store: Store) -> None:
    with pytest.raises(StateChanged):
        await store.keep(envelope(), cursor("8", expected="7"))
    assert await store.state("letters", "cursor") is None


async def test_an_envelope_that_is_refused_changes_no_state(store: Store) -> None:
    taken = envelope()
    await store.keep(taken)
    with pytest.raises(IntegrityError):
        await store.keep(taken, cursor("7"))
    with pytest.raises(BindingReused):
        await store.keep(bound()) and await store.keep(bound(body=b"another"), cursor("7"))
    assert await store.state("letters", "cursor") is None


async def test_a_changed_state_leaves_the_binding_free_for_the_next_try(store: Store) -> None:
    await store.keep(envelope(), cursor("7"))
    with pytest.raises(StateChanged):
        await store.keep(bound(), cursor("8"))
    next_try = bound()
    assert await store.keep(next_try, cursor("8", expected="7")) == Kept(next_try.id)


async def test_one_changed_state_takes_no_neighbour_with_it(store: Store) -> None:
    good, bad = envelope(), envelope()
    results = await asyncio.gather(
        store.keep(good, cursor("7")), store.keep(bad, cursor("8", expected="6")), return_exceptions=True
    )
    assert isinstance(results[1], StateChanged)
    assert await kept_ids(store) == {good.id}


async def test_of_those_who_change_the_same_state_at_once_one_succeeds(nodes: tuple[Store, Store]) -> None:
    value: str | None = None
    for number in range(10):
        writes = [cursor(f"{number}-{node}", expected=value) for node in range(2)]
        won = await asyncio.gather(*(node.change_state(write) for node, write in zip(nodes, writes, strict=True)))
        assert sorted(won) == [False, True]
        value = writes[won.index(True)].value
        assert await nodes[0].state("letters", "cursor") == value


async def test_states_are_apart_by_channel_and_key(store: Store) -> None:
    for channel, key in (("letters", "cursor"), ("letters", "token"), ("app", "cursor")):
        assert await store.change_state(cursor(f"{channel} {key}", channel=channel, key=key))
    assert await store.state("letters", "token") == "letters token"
    assert await store.state("app", "cursor") == "app cursor"
    assert await store.state("app", "token") is None


# -- times -------------------------------------------------------------------------------------------------------------


async def test_times_come_back_aware_in_utc_to_the_microsecond(store: Store) -> None:
    local = datetime.fromisoformat("2026-03-01T16:30:00.123456+08:00")
    one = envelope(received_at=local)
    await store.keep(one)
    read = (await store.envelope(one.id)).received_at
    assert read == local and read.isoformat() == "2026-03-01T08:30:00.123456+00:00"


async def test_a_time_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError):
        await store.keep(envelope(received_at=NOW.replace(tzinfo=None)))
    assert await run(store, select(func.count()).select_from(ENVELOPES)) == [(0,)]


async def test_envelopes_are_listed_in_order_of_arrival(store: Store) -> None:
    envelopes = [envelope(str(number).encode()) for number in range(20)]
    for one in reversed(envelopes):
        await store.keep(one)
    assert await store.envelopes() == envelopes
    assert await run(store, text("SELECT count(*) FROM unpacked")) == [(0,)]
