"""Reading config.yaml: YAML with line numbers, the environment on top, each channel by its own kind's settings."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import orjson
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from channels.base import AnyChannel
from channels.registry import BrokenKind, kinds
from channels.registry import load as load_kind
from channels.settings import ChannelSettings
from gateway.config import Config

Location = tuple[str | int, ...]
Lines = dict[Location, int]


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


class _Environment(BaseSettings):
    """Which sections the environment may override; used only to read it."""

    model_config = SettingsConfigDict(env_prefix="HOTLINE__", env_nested_delimiter="__")

    city: dict[str, Any] = {}
    server: dict[str, Any] = {}
    store: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    core: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    dedupe: dict[str, Any] = {}


class _Source(EnvSettingsSource):
    """Single values stay text, whatever they look like: a token may be all digits."""

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:
        """JSON of a whole section only; pydantic-settings would try it on every value."""
        if field is None:
            raise ValueError("left as text")
        return super().decode_complex_value(field_name, field, value)


def load_config(path: Path) -> tuple[Config, dict[str, AnyChannel]]:
    """The configuration and its channels, built. Raise ConfigFaults with every fault found."""
    document, lines = _read(path)
    document = _merged(document, _environment())
    context = {"base": str(path.parent)}
    settings, found = _channels(document.get("channels"), context)
    try:
        sections = {"store": {}, "keys": {}} | document | {"channels": settings}  # defaults hold paths: see context
        config = Config.model_validate(sections, context=context)
    except ValidationError as error:
        found += [(place, mend) for place, mend in _explained(error, Config) if place != ("channels",) or not found]
    if not found:
        channels = {name: load_kind(chosen.kind)(name, chosen) for name, chosen in settings.items()}
        found += _clashes(channels)
    if found:
        faults = [_fault(path, lines, place, mend) for place, mend in found]
        raise ConfigFaults(sorted(faults, key=lambda fault: (fault.line or 0, fault.key)))
    return config, channels


Complaint = tuple[Location, str]


def _channels(section: Any, context: dict[str, str]) -> tuple[dict[str, ChannelSettings], list[Complaint]]:
    """The settings of every channel that is right, and what is wrong with the others."""
    settings: dict[str, ChannelSettings] = {}
    found: list[Complaint] = []
    for name, values in section.items() if isinstance(section, dict) else ():
        place = ("channels", str(name))
        try:
            settings[str(name)] = _settings(values, context)
        except _Wrong as wrong:
            found += [((*place, *rest), mend) for rest, mend in wrong.complaints]
    return settings, found


class _Wrong(Exception):
    """A channel's settings cannot be used."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__()
        self.complaints = complaints


def _settings(values: Any, context: dict[str, str]) -> ChannelSettings:
    """One channel's settings, by its own kind's model. Raise _Wrong."""
    if not isinstance(values, dict):
        raise _Wrong(((), "settings are missing; write at least kind"))
    if values.get("kind") not in kinds():
        raise _Wrong((("kind",), _choose(values.get("kind"), kinds(), "kind")))
    try:
        chosen = load_kind(values["kind"]).Settings
    except BrokenKind as error:
        raise _Wrong((("kind",), str(error))) from None
    try:
        return chosen.model_validate(values, context=context)
    except ValidationError as error:
        raise _Wrong(*_explained(error, chosen)) from None


def _clashes(channels: dict[str, AnyChannel]) -> Iterator[Complaint]:
    """Two channels that want the same path."""
    owners: dict[str, str] = {}
    for name, channel in channels.items():
        for route in channel.routes():
            if owners.setdefault(route.path, name) != name:
                mend = f"channel {owners[route.path]} serves the same path; keep one of them, with the callers of both"
                yield ("channels", name), mend
                break


def _read(path: Path) -> tuple[dict[str, Any], Lines]:
    """The document, and the line of every key in it."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
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
        raise ConfigFaults(_fault(path, lines, place, "stands twice; keep one of them") for place in doubles)
    return document, lines


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


def _environment() -> dict[str, Any]:
    """What the environment overrides; a list is written as JSON."""
    sections = {name.split("__")[1].lower() for name in os.environ if name.upper().startswith("HOTLINE__")}
    if unknown := sorted(sections - set(_Environment.model_fields)):
        mend = _choose(unknown[0], sorted(_Environment.model_fields), "section")
        raise ConfigFaults([Fault("environment", None, f"HOTLINE__{unknown[0].upper()}", mend)])
    try:
        return {name: _opened(section) for name, section in _Source(_Environment)().items()}
    except SettingsError:
        mend = "a whole section must be a JSON object; better set one value, HOTLINE__SECTION__KEY"
        raise ConfigFaults([Fault("environment", None, "HOTLINE__…", mend)]) from None


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _opened(inner) for key, inner in value.items()}
    try:
        return orjson.loads(value) if isinstance(value, str) and value.startswith("[") else value
    except orjson.JSONDecodeError:
        return value


def _merged(document: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``document``, map by map."""
    merged = dict(document)
    for key, value in above.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


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


def _explained(error: ValidationError, model: type[BaseModel]) -> Iterator[Complaint]:
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
                yield place, _choose(str(place[-1]), _names(model, place[:-1]), "setting")
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


def _choose(given: object, known: list[str], noun: str) -> str:
    near = difflib.get_close_matches(str(given), known, n=1)
    if near:
        return f"unknown {noun} {given!r}; did you mean {near[0]}?"
    return f"unknown {noun} {given!r}; choose from {', '.join(known)}" if known else f"unknown {noun}; remove it"


def _fault(path: Path, lines: Lines, place: Location, mend: str) -> Fault:
    """The fault at the nearest line there is: a missing key stands at its section."""
    near = place
    while near and near not in lines:
        near = near[:-1]
    return Fault(str(path), lines.get(near), ".".join(map(str, place)), mend)
