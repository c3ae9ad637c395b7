"""Stories about what is the same: neighbours, campaigns, those who ask again, those who write often, and lookalikes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gateway.stories import letters
from gateway.stories.letters import Cause
from gateway.stories.people import Person, Way
from gateway.stories.story import Relation
from gateway.stories.teller import DAY, EVERY, HOUR, Teller

NEW, CHASE, ADDS, INCIDENT = Relation.NEW, Relation.CHASE, Relation.ADDS, Relation.INCIDENT
#: How many neighbours, least and most; how many sign a campaign's letter.
NEIGHBOURS, SIGNERS = (25, 55), (10, 25)
MINUTES = timedelta(minutes=1)


def neighbours(told: Teller) -> None:
    """Some forty under one dust cloud, each in his own words; some of them ask again."""
    about, told_before = told.cause(common=True), list[tuple[Person, Way]]()
    for place in range(told.rng.randint(*NEIGHBOURS)):
        person, way = told.somebody()
        told.writes(person, way, about, INCIDENT if place else NEW)
        told_before.append((person, way))
        told.later(10 * MINUTES, 12 * HOUR)
        if told.rng.random() < 0.1:
            again, by = told.rng.choice(told_before)
            told.writes(again, by, about, CHASE, letters.urge(told.rng, about))


def few(told: Teller) -> None:
    """Two or three neighbours."""
    about = told.cause(common=True)
    for place in range(told.rng.randint(2, 3)):
        told.writes(*told.somebody(), about, INCIDENT if place else NEW)
        told.later(HOUR, 4 * DAY)


def campaign(told: Teller) -> None:
    """One letter under many names, mostly by mail."""
    about = told.cause(common=True)
    words = letters.campaign(told.rng, about)
    for place in range(told.rng.randint(*SIGNERS)):
        person = told.people.person()
        way = told.people.way(person, told.rng.choice(("smtp", "smtp", "app", "wechat")))
        signed = replace(words, text=words.text.format(who=person.name))
        told.writes(person, way, about, INCIDENT if place else NEW, signed)
        told.later(5 * MINUTES, 8 * HOUR)


def asks_again(told: Teller) -> None:
    """He has nothing new to say: by asking when, or by telling it once more in other words."""
    person, way, about = *told.somebody(), told.cause()
    first = letters.letter(told.rng, about, way.channel, person.name)
    told.writes(person, way, about, NEW, first)
    for _ in range(told.rng.randint(1, 2)):
        told.later(DAY, 9 * DAY)
        retold = letters.letter(told.rng, about, way.channel, person.name, first.details)
        words = told.rng.choice((letters.urge(told.rng, about), retold))
        told.writes(person, way, about, CHASE, words)


def adds(told: Teller) -> None:
    """He has new facts."""
    person, way, about = *told.somebody(), told.cause()
    told.writes(person, way, about, NEW)
    for _ in range(told.rng.randint(1, 2)):
        told.later(HOUR, 6 * DAY)
        told.writes(person, way, about, ADDS, letters.news(told.rng, about))


def long_after(told: Teller) -> None:
    """What was closed long ago is back."""
    person, way, about = *told.somebody(), told.cause()
    first = told.writes(person, way, about, NEW)
    told.later(3 * DAY, 8 * DAY)
    told.core(first)
    told.later(40 * DAY, 80 * DAY)
    words = letters.again(told.rng, about, way.channel, person.name)
    told.writes(person, way, about, Relation.FOLLOWS, words, matter=f"{about.label} again of {person.label}")


def redelivered(told: Teller) -> None:
    """The provider delivers again, and once more after a later message."""
    person, way = told.somebody()
    first = told.writes(person, way, told.cause(), NEW)
    told.later(MINUTES / 12, MINUTES)
    told.comes_again(first)
    told.later(DAY, 2 * DAY)
    told.writes(person, way, told.cause(), NEW)
    told.later(MINUTES, HOUR)
    told.comes_again(first)


def often(told: Teller) -> None:
    """One citizen writes letter after letter in the same words, each on another matter."""
    person = told.people.person()
    way = told.people.way(person, told.rng.choice(("smtp", "app")))
    for _ in range(told.rng.randint(5, 9)):
        about = told.cause()
        told.writes(person, way, about, NEW, letters.template(told.rng, about))
        told.later(4 * HOUR, 3 * DAY)


def lookalikes(told: Teller) -> None:
    """The same problem in two phases of one estate, or on two lines: two causes of two or three citizens each."""
    both = letters.twins(told.rng, told.cause(common=True), told.label())
    _in_turn(told, both, told.rng.randint(2, 3))


def chain(told: Teller) -> None:
    """Three causes, each like the next: the place in common, then the problem. No chain joins the first and the last."""
    first = told.cause(common=True)
    second = letters.elsewhere(told.rng, first, told.label())
    there = told.cause(common=True)
    third = replace(second, label=there.label, place=there.place, n=there.n, m=there.m)
    _in_turn(told, (first, second, third), 2)


def _in_turn(told: Teller, causes: tuple[Cause, ...], citizens: int) -> None:
    for round_ in range(citizens):
        for about in causes:
            person = told.people.person()
            way = told.people.way(person, told.rng.choice(EVERY))
            told.writes(person, way, about, INCIDENT if round_ else NEW)
            told.later(HOUR, DAY)
