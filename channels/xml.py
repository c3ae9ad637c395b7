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
    if len(body) > SIZE:
        raise BadXml("size")
    if not _PROLOG.match(body):
        raise BadXml("prolog")
    fields = _Fields()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = fields.start
    parser.EndElementHandler = fields.end
    parser.CharacterDataHandler = fields.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise BadXml("syntax") from None
    return fields.found


class _Fields:
    """Collects the children of the root, and stops at the bounds."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._name = ""
        self._depth = 0
        self._elements = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH or self._elements > ELEMENTS:
            raise BadXml("bounds")
        if self._depth == 2:
            self._begin(name)

    def _begin(self, name: str) -> None:
        if name in self.found:
            raise BadXml("repeated")
        self._name = name
        self.found[name] = ""

    def end(self, _name: str) -> None:
        self._depth -= 1

    def text(self, characters: str) -> None:
        if self._depth == 2:
            self.found[self._name] += characters
