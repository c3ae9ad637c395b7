"""What an operator asks of the links, done on a store: by the node that owns it, or by the command itself."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy.exc import IntegrityError

from gateway.filing import Fresh
from gateway.regroup import divide
from gateway.rules import CityRules, rules_of
from normalizer.ids import derived, derived_number
from normalizer.model import Frozen
from normalizer.tracking import NUMBERS, tracking_code
from store.linkbook import LinkBook
from store.regroup import Refused
from store.store import Store

#: What a command asks for, by ``do``.
ASKED = "links"
#: Numbers that are tried for a new tracking code, when others have the first.
TRIES = 5


class Asked(Frozen):
    """One decision, as it goes over the control socket too."""

    act: Literal["split", "join", "join_incident", "unlink"]
    matter: str
    """Tracking code or id."""
    other: str | None = None
    """The other matter or incident."""
    messages: tuple[UUID, ...] = ()
    """Of a split: those that leave."""
    by: Annotated[str, Field(min_length=1, max_length=100)]
    """Who decides."""
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    """Why, in his words."""


async def decide(store: Store, asked: Asked, at: datetime, rules: CityRules) -> str:
    """Do it; what was done, in a sentence. Raise Refused or LookupError with what to do instead."""
    links = store.links()
    matter = await links.find(asked.matter)
    if asked.act == "split":
        return await _split(links, matter, asked, at, rules)
    if asked.other is None:
        raise Refused("name the other matter or incident")
    other = await links.find(asked.other)
    if asked.act == "join":
        await links.join(matter, other, asked.by, asked.reason, at)
        return "joined: both matters stay, and the later one names the earlier"
    if asked.act == "unlink":
        await links.unlink(matter, other, asked.by, asked.reason, at)
        return "unlinked: it is not linked there again"
    incident = await links.join_incident(matter, other, asked.by, asked.reason, at)
    return f"joined: it belongs to incident {incident}"


async def do(store: Store, asked: dict[str, Any], at: datetime, rules: CityRules) -> dict[str, str]:
    """Do what is asked over the control socket; ``done``, or ``error`` with a sentence. Raise StoreUnavailable."""
    try:
        return {"done": await decide(store, Asked.model_validate(asked["asked"], strict=False), at, rules)}
    except (Refused, LookupError) as error:
        return {"error": str(error.args[0])}


async def _split(links: LinkBook, matter: UUID, asked: Asked, at: datetime, rules: CityRules) -> str:
    new = derived(asked.messages[0] if asked.messages else matter, "split", at.isoformat())
    for attempt in range(TRIES):
        code = tracking_code(at.astimezone(ZoneInfo(rules.timezone)).date(), derived_number(new, attempt, NUMBERS))
        try:
            await links.split(
                matter, asked.messages, partial(divide, Fresh(new, code), rules_of(rules)), asked.by, asked.reason, at
            )
        except IntegrityError:
            continue  # somebody has that number
        return f"split: the new matter is {code}"
    raise Refused("no free tracking code was found: try again")
