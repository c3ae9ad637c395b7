"""Who is whom, as a command asks it: of the store that this process owns, or of the node that does."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from store.errors import IdentitySealed, NobodySuch, Superseded
from store.people import People, Sheet, Word, masked
from store.store import Store

#: What can be asked for, by ``do``.
JOIN, UNDO, REVEAL = "join", "undo", "reveal"
ASKED = frozenset({JOIN, UNDO, REVEAL})
#: How often it is tried again when somebody else changes who is whom at the same moment.
TRIES = 5


async def do(store: Store, asked: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Do what is asked; the answer, or ``error`` with a sentence. Raise StoreUnavailable, and Superseded after some tries."""
    for left in reversed(range(TRIES)):
        try:
            return await _once(store.people(), asked, Word(asked["by"], asked["reason"], at))
        except (NobodySuch, IdentitySealed) as error:
            return {"error": str(error)}
        except Superseded:
            if not left:
                raise
    raise AssertionError(asked["do"])


async def _once(people: People, asked: dict[str, Any], word: Word) -> dict[str, Any]:
    if asked["do"] == JOIN:
        return {"join": str(await people.join(asked["one"], asked["other"], word))}
    if asked["do"] == UNDO:
        return {"undone": await people.undo(UUID(asked["join"]), word)}
    return {"sheet": written(await people.reveal(asked["named"], word), reveal=True)}


def written(sheet: Sheet, *, reveal: bool) -> dict[str, Any]:
    """A sheet as JSON holds it; what leads to somebody is masked unless it is to be revealed."""

    def shown(kind: str, value: str) -> str:
        return value if reveal else masked(kind, value)

    return {
        "person": str(sheet.person_id),
        "callers": [str(caller) for caller in sheet.callers],
        "contacts": [
            {
                "caller": str(caller),
                "type": str(contact.type),
                "value": shown(contact.type, contact.value),
                "assurance": str(contact.assurance),
            }
            for caller, contact in sheet.contacts
        ],
        "proofs": [_plain(asdict(one)) | {"value": shown(one.kind, one.value)} for one in sheet.proofs],
        "joins": [_plain(asdict(one)) for one in sheet.joins],
        "hints": [{"value": shown("phone", one.value), "caller": str(one.caller_id)} for one in sheet.hints],
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
