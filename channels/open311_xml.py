"""Answers of Open311 GeoReport v2 in either format (https://wiki.open311.org/GeoReport_v2/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson

from channels.base import Answer

Form = Literal["json", "xml"]
Item = Mapping[str, Any]

#: What an answer is a list of → the names of the list and of one of it, in XML.
_NAMES = {
    "services": ("services", "service"),
    "requests": ("service_requests", "request"),
    "errors": ("errors", "error"),
    "discovery": ("discovery", ""),
    "definition": ("service_definition", ""),
}
_TYPES = {"json": "application/json; charset=utf-8", "xml": "application/xml; charset=utf-8"}


def rendered(form: Form, what: str, found: Sequence[Item] | Item, status: int = 200) -> Answer:
    """A list of ``what``, or a single document of it."""
    body = orjson.dumps(found) if form == "json" else _xml(what, found)
    return Answer(status, body, _TYPES[form])


def refused(form: Form, status: int, description: str) -> Answer:
    """An error as the specification has it: a list, for clients that expect several."""
    return rendered(form, "errors", [{"code": str(status), "description": description}], status)


def form_of(path: str) -> Form:
    """By the ending of the path; JSON where there is none."""
    return "xml" if path.endswith(".xml") else "json"


def _xml(what: str, found: Sequence[Item] | Item) -> bytes:
    whole, one = _NAMES[what]
    root = Element(whole)
    if isinstance(found, Mapping):
        _fill(root, found)
    else:
        for item in found:
            _fill(SubElement(root, one), item)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _fill(element: Element, item: Item) -> None:
    """An element per field; lists hold an element per entry, named in the singular."""
    for name, value in item.items():
        child = SubElement(element, name)
        if isinstance(value, bool):
            child.text = str(value).lower()
        elif isinstance(value, str):
            child.text = value
        elif value is not None:
            for entry in value:
                _fill(SubElement(child, name.removesuffix("s")), entry)
