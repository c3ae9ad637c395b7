"""A gate for small XML from outside: what passes it is one flat ``<xml>`` element, and reading it costs next to nothing.

The body must begin with the root element, after at most a byte order mark and a declaration of UTF-8. A DOCTYPE can
stand nowhere else (XML 1.0 section 2.8), so there are no entities to expand and nothing to fetch, and expat holds the
rest to UTF-8. Size, number of elements and depth are bounded before anything is made of them.
"""

from __future__ import annotations

import re
from xml.parsers import expat

#: Bytes; WeChat's largest messages are a few kilobytes.
SIZE = 64 * 1024
ELEMENTS = 200
DEPTH = 8

_PROLOG = re.compile(
    rb"""(?:\xef\xbb\xbf)?"""
    rb"""(?:<\?xml\s+version=(["'])1\.0\1(?:\s+encoding=(["'])(?i:utf-8)\2)?\s*\?>)?"""
    rb"""\s*<xml[\s/>]"""
)


class BadXml(ValueError):
    """It does not pass the gate; the message is one constant word."""


def read(body: bytes) -> dict[str, str]:
    """The text of each child of ``<xml>``, by name, white space kept; raise BadXml."""
    fields = _Fields()
    _parse(body, fields)
    return fields.found


def rows(body: bytes, name: str) -> list[dict[str, str]]:
    """The text of each child of each element ``name``, wherever it stands: WeChat's lists. Raise BadXml."""
    found = _Rows(name)
    _parse(body, found)
    return found.found


def _parse(body: bytes, handler: _Bounded) -> None:
    if len(body) > SIZE:
        raise BadXml("size")
    if not _PROLOG.match(body):
        raise BadXml("prolog")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise BadXml("syntax") from None


class _Bounded:
    """Stops at the bounds."""

    def __init__(self) -> None:
        self._depth = 0
        self._elements = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH or self._elements > ELEMENTS:
            raise BadXml("bounds")
        self.begin(name)

    def begin(self, name: str) -> None:
        """An element begins, at ``_depth``."""

    def end(self, _name: str) -> None:
        self._depth -= 1

    def text(self, characters: str) -> None:
        """Some of the text at ``_depth``."""


class _Fields(_Bounded):
    """Collects the children of the root."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._name = ""

    def begin(self, name: str) -> None:
        if self._depth != 2:
            return
        if name in self.found:
            raise BadXml("repeated")
        self._name = name
        self.found[name] = ""

    def text(self, characters: str) -> None:
        if self._depth == 2:
            self.found[self._name] += characters


class _Rows(_Bounded):
    """Collects the children of each element of one name; of a repeated child the last counts."""

    def __init__(self, row: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self._row, self._within, self._name = row, 0, ""

    def begin(self, name: str) -> None:
        if not self._within and name == self._row:
            self._within = self._depth
            self.found.append({})
        elif self._within and self._depth == self._within + 1:
            self._name = name
            self.found[-1][name] = ""

    def end(self, name: str) -> None:
        if self._depth == self._within:
            self._within = 0
        super().end(name)

    def text(self, characters: str) -> None:
        if self._within and self._depth == self._within + 1:
            self.found[-1][self._name] += characters
