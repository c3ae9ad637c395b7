"""Simulated citizens: the generator is what it says, the promises hold, and the checker sees when they do not."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from rich.console import Console

from bench import stories as bench
from bench.story_check import Facts, check
from bench.story_world import World
from gateway.stories import letters, places
from gateway.stories.generator import KINDS, stories
from gateway.stories.letters import PROBLEMS, cause, letter, twins
from gateway.stories.problems import say
from gateway.stories.story import Relation, Story
from normalizer.model import Assurance, Outcome

SEED, MANY = 7, 300


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return list(stories(SEED, MANY))


@pytest.fixture(scope="module")
def lived(told: list[Story]) -> tuple[World, Facts]:
    """All stories have happened; what the store says then."""
    return asyncio.run(bench.happen(told))


# -- The generator -----------------------------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same_stories(told: list[Story]) -> None:
    assert list(stories(SEED, MANY)) == told
    assert list(stories(SEED + 1, MANY)) != told


def test_every_kind_is_told_and_every_step_has_its_truth_in_order_of_time(told: list[Story]) -> None:
    assert {story.kind for story in told} == set(KINDS)
    assert {truth.relation for story in told for truth in story.truth} == set(Relation)
    for story in told:
        assert len(story.steps) == len(story.truth) > story.certain_from
        assert all(one.at <= other.at for one, other in pairwise(story.steps))
    assert all(one.steps[0].at <= other.steps[0].at for one, other in pairwise(told))


def test_texts_are_as_long_as_citizens_write_and_leave_no_slot_open(told: list[Story]) -> None:
    texts = [step.text for story in told for step in story.steps]
    assert all(15 <= len(text) <= 400 for text in texts)
    assert sum(len(text) >= 60 for text in texts) > len(texts) * 0.75
    assert not [text for text in texts if set(text) & set("{}[]|")]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_sentence_of_every_problem_can_be_said(problem: letters.Problem) -> None:
    rng = Random(1)
    about = replace(cause(rng, 1, "cause"), problem=problem)
    for sentence in (*problem.titles, *problem.main, *problem.details, *problem.wishes, *problem.short, *problem.fresh):
        for _ in range(20):
            said = say(rng, sentence, about.words(rng))
            assert said and not set(said) & set("{}[]|")
    assert all("{at}" in main for main in problem.main)


def test_names_of_places_never_differ_by_one_character_only() -> None:
    assert Counter("".join(places._FORE)).most_common(1)[0][1] == 1
    counted, names = 0, set[str]()
    for common in (False, True):
        counted += places.names(common=common)
        names |= {
            places.place(Random(1), number, common=common).name[:4] for number in range(places.names(common=common))
        }
    assert len(names) == counted
    for at in range(4):
        assert len({name[:at] + name[at + 1 :] for name in names}) == counted


def test_the_same_facts_in_other_words() -> None:
    rng, different = Random(3), 0
    for number in range(50):
        about = cause(rng, number, "cause", common=True)
        first = letter(rng, about, "app", "王建国")
        second = letter(rng, about, "app", "李秀英", first.details)
        assert second.details == first.details
        different += first.text != second.text
    assert different >= 45


def test_lookalikes_are_told_apart_by_phase_or_line() -> None:
    rng = Random(5)
    for number in range(50):
        one, other = twins(rng, cause(rng, number, "one", common=True), "other")
        assert one.label != other.label and one.problem == other.problem
        assert (one.place.name, one.place.line) != (other.place.name, other.place.line)


def test_who_shows_nothing_is_nobody_we_know(told: list[Story]) -> None:
    """Callers of several contacts have proofs, or an operator has said so."""
    for story in told:
        contacts: dict[str, set[tuple[str, str]]] = {}
        for step, truth in zip(story.steps, story.truth, strict=True):
            contacts.setdefault(truth.caller, set()).add((step.account, step.sender.value))
        if any(len(one) > 1 for one in contacts.values()):
            assert story.ruled or any(step.proofs for step in story.steps)


def test_a_spoofed_mail_claims_an_address_that_is_known(told: list[Story]) -> None:
    for story in (one for one in told if one.kind == "spoofed"):
        mails = {
            (step.sender.value, step.sender.assurance): truth
            for step, truth in zip(story.steps, story.truth, strict=True)
        }
        assert {assurance for _, assurance in mails} == {Assurance.VERIFIED, Assurance.SPOOFABLE}
        assert len({value for value, _ in mails}) == 1 and len({truth.caller for truth in mails.values()}) == 2


# -- The promises ------------------------------------------------------------------------------------------------------


def test_no_promise_is_broken_in_three_hundred_stories(lived: tuple[World, Facts]) -> None:
    verdicts = check(*lived)
    assert verdicts.certain() == {}, verdicts.examples
    assert verdicts.messages == sum(len(one.story.steps) for one in lived[0].lived) == len(lived[1].messages)


def test_most_of_what_belongs_together_is_found_and_most_that_is_joined_belongs_together(
    lived: tuple[World, Facts],
) -> None:
    """With room for another judgement: how good it is, the bench says."""
    shares = check(*lived).shares()
    assert shares["repeats"] > 0.6 and shares["follows"] > 0.6 and shares["incidents"] > 0.6
    assert shares["right: words put into a matter"] > 0.8 and shares["right: members of incidents"] > 0.8


# -- The checker sees when one is -----------------------------------------------------------------------------------------


def more(lived: tuple[World, Facts], other: tuple[World, Facts]) -> Counter[str]:
    """The faults that were not there before."""
    return check(*other).faults - check(*lived).faults


def kind_of(world: World, kind: str) -> int:
    return next(number for number, one in enumerate(world.lived) if one.story.kind == kind)


def changed(world: World, kind: str, step: int, **more: Any) -> World:
    """The world in which one step of the first story of a kind ended otherwise."""
    other, number = World.__new__(World), kind_of(world, kind)
    other.undone = world.undone
    other.lived = [replace(one, seen=list(one.seen)) for one in world.lived]
    other.lived[number].seen[step] = replace(other.lived[number].seen[step], **more)
    return other


def seen(world: World, kind: str, step: int) -> Any:
    return world.lived[kind_of(world, kind)].seen[step]


def caller(world: World, known: Facts, kind: str, step: int) -> Any:
    return known.messages[seen(world, kind, step).message_id][1]


def test_sees_an_outcome_that_changed(lived: tuple[World, Facts]) -> None:
    world, known = lived
    message = seen(world, "ordinary", 0).message_id
    other = replace(known, messages=known.messages | {message: (None, known.messages[message][1])})
    assert more(lived, (world, other)) == Counter({"one outcome each": 1})


def test_sees_a_message_that_is_lost(lived: tuple[World, Facts]) -> None:
    world, known = lived
    extra = replace(known, messages=known.messages | {world.lived[0].seen[0].person: (None, None)})
    assert more(lived, (world, extra)) == Counter({"every message is there once": 1})


def test_sees_books_that_do_not_add_up_and_a_code_given_twice(lived: tuple[World, Facts]) -> None:
    world, known = lived
    first, second = list(known.codes)[:2]
    other = replace(known, books=("odd",), codes=known.codes | {second: known.codes[first]})
    assert more(lived, (world, other)) == Counter({"the books add up": 1, "every matter has a code of its own": 1})


@pytest.mark.parametrize(
    ("kind", "step", "ended", "promise"),
    [
        ("family", 1, {"counted": 99}, "every contact counts"),
        ("redelivered", 1, {"outcome": Outcome.FILED}, "a redelivery is the same delivery, and nothing else is"),
        ("ordinary", 0, {"outcome": Outcome.REDELIVERED}, "a redelivery is the same delivery, and nothing else is"),
    ],
)
def test_sees_a_step_that_ended_otherwise(
    lived: tuple[World, Facts], kind: str, step: int, ended: dict[str, Any], promise: str
) -> None:
    world, known = lived
    assert promise in more(lived, (changed(world, kind, step, **ended), known))


def test_sees_a_stranger_who_is_told(lived: tuple[World, Facts]) -> None:
    world, known = lived
    told_him = changed(world, "spoofed", 1, matter_id=seen(world, "spoofed", 0).matter_id)
    assert more(lived, (told_him, known)) == Counter({"a stranger learns nothing": 1})


@pytest.mark.parametrize(
    ("kind", "promise"),
    [("few", "nobody's words in another's matter"), ("office", "no words in another matter of his")],
)
def test_sees_words_in_a_wrong_matter_and_a_matter_that_is_missing(
    lived: tuple[World, Facts], kind: str, promise: str
) -> None:
    world, known = lived
    alone = replace(known, incident={}, links=())
    put = {"outcome": Outcome.ATTACHED, "matter_id": seen(world, kind, 0).matter_id}
    faults = more((world, alone), (changed(world, kind, 1, **put), alone))
    assert faults == Counter({promise: 1, "every matter counts": 1, "one outcome each": 1})


def test_sees_persons_joined_without_proof_and_parted_against_it(lived: tuple[World, Facts]) -> None:
    world, known = lived
    one, other = (caller(world, known, "not_proven", step) for step in (0, 1))
    joined = replace(known, persons=known.persons | {other: known.persons[one]})
    assert more(lived, (world, joined))["no proof, no join"] == 1
    proven = caller(world, known, "proven_by_union", 2)
    parted = replace(known, persons=known.persons | {proven: other})
    assert check(world, parted).faults["known where there is proof"] >= 1


def test_sees_people_of_different_stories_who_became_one(lived: tuple[World, Facts]) -> None:
    world, known = lived
    one, other = caller(world, known, "ordinary", 0), caller(world, known, "office", 0)
    joined = replace(known, persons=known.persons | {other: known.persons[one]})
    assert check(world, joined).faults["no proof, no join"] >= 1


def test_sees_a_join_that_was_undone_before_the_end(lived: tuple[World, Facts]) -> None:
    world, known = lived
    wrong = changed(world, "not_proven", 1, person=seen(world, "not_proven", 0).person)
    assert check(wrong, known).faults["no proof, no join when it was filed"] == 1


def test_sees_two_causes_in_one_incident_and_citizens_counted_wrongly(lived: tuple[World, Facts]) -> None:
    world, known = lived
    one, other = (seen(world, "lookalikes", step).matter_id for step in (0, 1))
    incident = world.lived[0].seen[0].message_id
    mixed = replace(known, incident=known.incident | {one: incident, other: incident})
    faults = check(world, mixed).faults
    assert faults["two causes share no incident"] >= 1 and faults["an incident counts its citizens"] >= 1


@pytest.mark.parametrize(
    ("kind", "promise"),
    [("few", "no link to another's matter"), ("office", "no link to another matter of his")],
)
def test_sees_links_to_wrong_matters(lived: tuple[World, Facts], kind: str, promise: str) -> None:
    world, known = lived
    earlier, later = (seen(world, kind, step).matter_id for step in (0, 1))
    linked = replace(known, links=(*known.links, (later, earlier, "same_matter")))
    assert more(lived, (world, linked)) == Counter({promise: 1})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda u: replace(u, wrong=(next(iter(u.before)),)),
        lambda u: replace(u, after={one: one for one in u.before} | {max(u.before): min(u.before)}),
    ],
)
def test_sees_what_an_undone_join_left_behind(lived: tuple[World, Facts], spoil: Callable[[Any], Any]) -> None:
    world, known = lived
    other = changed(world, "ordinary", 0)
    other.undone = [spoil(world.undone[0]), *world.undone[1:]]
    assert more(lived, (other, known)) == Counter({"an undone join leaves nothing": 1})


def test_counts_what_was_found(lived: tuple[World, Facts]) -> None:
    world, known = lived
    number = kind_of(world, "few")
    matters = [one.matter_id for one in world.lived[number].seen]
    incident = world.lived[0].seen[0].message_id
    bare = replace(known, incident={}, citizens={})
    found = replace(bare, incident=dict.fromkeys(matters, incident), citizens={incident: len(matters)})
    assert check(world, found).certain() == {}
    assert check(world, found).found["incidents"] == len(matters) - 1 and check(world, bare).found["incidents"] == 0


# -- The long run ------------------------------------------------------------------------------------------------------


def test_the_bench_tells_figures_and_no_texts(lived: tuple[World, Facts]) -> None:
    verdicts, out = check(*lived), io.StringIO()
    verdicts.broken("a promise", "story 5")
    bench.show(verdicts, Console(file=out, width=200))
    assert f"{MANY} stories" in out.getvalue() and "a promise\n    story 5" in out.getvalue()
    figures = bench.written(verdicts, 1.0)
    assert figures["stories"] == MANY and figures["faults"] == dict(verdicts.faults)
    assert set(figures["found"]) == set(figures["wanted"])
