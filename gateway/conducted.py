"""Signs of conduct, as a command asks about them: of the store that this process owns, or of the node that does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from store.errors import IdentitySealed, NobodySuch
from store.people import Word
from store.store import Store

#: What can be asked for, by ``do``.
READ, EXPORT, APPEAL, CLEAR = "conduct_read", "conduct_export", "conduct_appeal", "conduct_clear"
ASKED = frozenset({READ, EXPORT, APPEAL, CLEAR})


async def do(store: Store, asked: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Do what is asked; the answer, or ``error`` with a sentence. Raise StoreUnavailable.

    Reading and exporting are only written down here; whoever asks reads the store himself.
    """
    flags, word, named = store.flags(), Word(asked["by"], asked["reason"], at), asked["named"]
    try:
        if asked["do"] == READ:
            await flags.note_reader(UUID(named), word)
            return {}
        if asked["do"] == EXPORT:
            await flags.note_export(named, word)
            return {}
        decide: Callable[[str, Word], Awaitable[int]] = flags.appeal if asked["do"] == APPEAL else flags.clear
        return {"flags": await decide(named, word)}
    except (NobodySuch, IdentitySealed) as error:
        return {"error": str(error)}
