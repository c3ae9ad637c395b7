"""What is wrong with a file that an operator edits: read with line numbers, every fault with file, line, key and mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

Location = tuple[str | int, ...]
Lines = dict[Location, int]
#: Where, and the mend.
Complaint = tuple[Location, str]
#: Brackets in a text, and characters in a line, from which on it may be nested too deep for C: no level takes less.
_SHALLOW = 1_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the configuration, and its mend."""

    file: str
    line: int | None
    key: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.mend}" if self.key else f"{place}: {self.mend}"


class ConfigFaults(Exception):
    """The configuration cannot be used; ``faults`` says why, one each."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def read(path: Path) -> tuple[dict[str, Any], Lines]:
    """The document, and the line of every key in it."""
    try:
        loader = _loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
        lines: Lines = {}
        doubles = list(_number(root, (), lines))
    except OSError as error:
        raise ConfigFaults([Fault(str(path), None, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigFaults([Fault(str(path), None, "", "is not UTF-8; save it as UTF-8")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise ConfigFaults([Fault(str(path), line, "", f"YAML: {_problem(error)}")]) from None
    except ValueError:  # a date or number in form only, for example 2026-13-01
        raise ConfigFaults([Fault(str(path), None, "", "a date or number in it is none; put it in quotes")]) from None
    except RecursionError:
        raise ConfigFaults([Fault(str(path), None, "", "is nested too deep; see the commented example")]) from None
    if not isinstance(document, dict):
        raise ConfigFaults([Fault(str(path), 1, "", "must be a map of sections; see the commented example")])
    if doubles:
        raise ConfigFaults(fault_at(path, lines, place, "stands twice; keep one of them") for place in doubles)
    return document, lines


def _loader(text: str) -> Any:
    """The one of libyaml where it is built in, ten times as fast; it nests on the C stack, which only a shallow text leaves whole."""
    openers = text.count("[") + text.count("{")
    shallow = openers < _SHALLOW and all(len(line) < _SHALLOW for line in text.splitlines())
    return (getattr(yaml, "CSafeLoader", yaml.SafeLoader) if shallow else yaml.SafeLoader)(text)


def _problem(error: yaml.YAMLError) -> str:
    """What YAML says is wrong, but not where it quotes a value: an unquoted secret may begin with one of its signs."""
    problem = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
    return "put values that begin with & * or ! in quotes" if re.search("alias|anchor|tag", problem) else problem


def _number(node: yaml.Node | None, place: Location, lines: Lines) -> Iterator[Location]:
    """Fill ``lines``; yield keys that stand twice, which YAML would let pass."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines:
                yield inner
            lines[inner] = key.start_mark.line + 1
            yield from _number(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*place, index)] = value.start_mark.line + 1
            yield from _number(value, (*place, index), lines)


#: What to say instead of pydantic's words where these do not tell the mend.
_MENDS = {
    "missing": "is missing; set it",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list",
    "dict_type": "must be a map of settings",
    "model_type": "must be a map of settings",
    "ip_v4_network": "not a network; write for example 10.0.0.0/8",
    "ip_v6_network": "not a network; write for example 10.0.0.0/8",
}


def explained(error: ValidationError, model: type[BaseModel]) -> Iterator[Complaint]:
    """Each error of pydantic's as a place and a sentence; never with the value, which may be a secret."""
    told: set[Location] = set()
    for fault in error.errors(include_input=False, include_url=False):
        place = tuple(takewhile(lambda step: "[" not in str(step), fault["loc"]))  # without pydantic's own steps
        inside = any(other[: len(place)] == place for other in told)
        told.add(place)
        match fault["type"]:
            case "ip_v6_network" | "too_short" if inside:
                continue  # it is one fault, told already
            case "extra_forbidden":
                yield place, choose(str(place[-1]), _names(model, place[:-1]), "setting")
            case "enum" | "literal_error":
                yield place, f"must be {fault['ctx']['expected']}"
            case kind:
                yield place, _MENDS.get(kind, fault["msg"].removeprefix("Value error, "))


def _names(model: type[BaseModel], place: Location) -> list[str]:
    """The settings known at a place below a model."""
    for step in place:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        inner = next(iter(get_args(field.annotation)), field.annotation) if field else None  # of a list its elements
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)


def choose(given: object, known: list[str], noun: str) -> str:
    """What to write instead of something unknown: the nearest that is known, or any of them."""
    near = difflib.get_close_matches(str(given), known, n=1)
    if near:
        return f"unknown {noun} {given!r}; did you mean {near[0]}?"
    return f"unknown {noun} {given!r}; choose from {', '.join(known)}" if known else f"unknown {noun}; remove it"


def fault_at(path: Path, lines: Lines, place: Location, mend: str) -> Fault:
    """The fault at the nearest line there is: a missing key stands at its section."""
    near = place
    while near and near not in lines:
        near = near[:-1]
    return Fault(str(path), lines.get(near), ".".join(map(str, place)), mend)
