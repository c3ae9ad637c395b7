"""Telling a story: who does what when, each step with the truth about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, Literal

from gateway.stories import letters
from gateway.stories.letters import Cause
from gateway.stories.people import People, Person, Way
from gateway.stories.story import Relation, Ruled, Step, Story, Told, Truth, Written

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: Channels on which a citizen writes himself and is known by his account there.
OWN = ("app", "smtp", "telegram", "wechat", "weibo")
EVERY = (*OWN, "sms_aliyun", "telephone")


class Teller:
    """Takes a story down, in order of time."""

    def __init__(self, rng: Random, number: int, begins: timedelta, places: Callable[[bool], int]) -> None:
        """``places``: the number of the next place, of those where something happens to many or of the others."""
        self.rng, self.number, self.now = rng, number, begins
        self.people = People(rng, number)
        #: See ``Story``.
        self.certain_from = 0
        self._places, self._causes = places, 0
        self._steps: list[Step] = []
        self._truth: list[Truth] = []
        self._told: list[Told] = []
        self._ruled: list[Ruled] = []

    # -- what there is ---------------------------------------------------------------------------------------------

    def cause(self, *, common: bool = False) -> Cause:
        """Something new, somewhere else."""
        return letters.cause(self.rng, self._places(common), self.label(), common=common)

    def label(self) -> str:
        """For a new cause."""
        self._causes += 1
        return f"cause {self.number}-{self._causes}"

    def somebody(self) -> tuple[Person, Way]:
        """A person and his one way to write."""
        person = self.people.person()
        return person, self.people.way(person, self.rng.choice(EVERY))

    def later(self, least: timedelta, most: timedelta) -> None:
        """Time goes by."""
        self.now += least + (most - least) * self.rng.random()

    # -- what happens ----------------------------------------------------------------------------------------------

    def writes(
        self, person: Person, way: Way, about: Cause, relation: Relation, words: Written | None = None, **truth: Any
    ) -> int:
        """A step; ``words``: by default a first letter. ``truth``: caller, matter, where they are not the person's own one."""
        words = words or letters.letter(self.rng, about, way.channel, person.name)
        titled = way.channel == "smtp" or (way.channel == "app" and self.rng.random() < 0.8)
        said = Step(
            at=self.now,
            sent_at=self.now,
            channel=way.channel,
            account=way.account,
            sender=way.sender,
            provider_id=f"{self.number}-{len(self._steps)}",
            text=words.text,
            title=words.title if titled else None,
            name=way.name,
            unit=way.unit,
            contacts=way.contacts,
            proofs=way.proofs,
            cites=truth.pop("cites", None),
        )
        caller = truth.pop("caller", person.label)
        matter = truth.pop("matter", f"{about.label} of {caller}")
        return self._add(said, Truth(person.label, caller, matter, about.label, relation))

    def comes_again(self, step: int) -> int:
        """The same delivery, once more."""
        return self._add(
            replace(self._steps[step], at=self.now), replace(self._truth[step], relation=Relation.REDELIVERY)
        )

    def _add(self, said: Step, truth: Truth) -> int:
        self._steps.append(said)
        self._truth.append(truth)
        return len(self._steps) - 1

    def core(self, step: int, kind: Literal["result", "closed"] = "closed") -> None:
        """The core ends the matter."""
        self._told.append(Told(self.now, step, kind, "您反映的问题已办理完毕。" if kind == "result" else ""))

    def operator(self, one: int, other: int, reason: str, undone_after: timedelta | None = None) -> None:
        """An operator joins the callers of two steps."""
        undone_at = None if undone_after is None else self.now + undone_after
        self._ruled.append(Ruled(self.now, one, other, reason, undone_at))

    def story(self, kind: str) -> Story:
        """All of it."""
        parts = (tuple(self._steps), tuple(self._truth), tuple(self._told), tuple(self._ruled))
        return Story(kind, *parts, self.certain_from)
