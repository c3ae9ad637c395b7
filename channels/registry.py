"""Which kinds of channel there are: entry points of the group ``hotline.channels``, built-in ones among them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from channels.base import AnyChannel, Channel

GROUP = "hotline.channels"


class UnknownKind(LookupError):
    """No installed package provides this kind of channel."""


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def kinds() -> list[str]:
    """All kinds, sorted; nothing is imported."""
    return sorted(_points())


@cache
def load(kind: str) -> type[AnyChannel]:
    """The class of a kind, imported now. Raise UnknownKind; a plug-in that is no Channel raises TypeError."""
    try:
        found = _points()[kind].load()
    except KeyError:
        raise UnknownKind(f"no channel kind {kind!r}; there are {', '.join(kinds())}") from None
    if not (isinstance(found, type) and issubclass(found, Channel)):
        raise TypeError(f"{kind}: {found!r} is no subclass of channels.base.Channel")
    return found
