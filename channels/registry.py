"""Which kinds of channel there are: entry points of the group ``hotline.channels``, built-in ones among them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from channels.base import AnyChannel, Channel

GROUP = "hotline.channels"


class UnknownKind(LookupError):
    """No installed package provides this kind of channel."""


class BrokenKind(Exception):
    """The package that provides this kind cannot be used."""


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def kinds() -> list[str]:
    """All kinds, sorted; nothing is imported."""
    return sorted(_points())


@cache
def load(kind: str) -> type[AnyChannel]:
    """The class of a kind, imported now. Raise UnknownKind, or BrokenKind when its package cannot be used."""
    try:
        point = _points()[kind]
    except KeyError:
        raise UnknownKind(f"no channel kind {kind!r}; there are {', '.join(kinds())}") from None
    try:
        found = point.load()
    except Exception as error:
        raise BrokenKind(f"{point.value} cannot be imported ({type(error).__name__}); mend or remove it") from error
    if not (isinstance(found, type) and issubclass(found, Channel)):
        raise BrokenKind(f"{point.value} is no subclass of channels.base.Channel; mend or remove it")
    return found
