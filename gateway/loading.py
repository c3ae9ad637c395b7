"""Reading config.yaml: YAML with line numbers, the environment on top, each channel by its own kind's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from channels.base import AnyChannel
from channels.registry import BrokenKind, kinds
from channels.registry import load as load_kind
from channels.settings import ChannelSettings
from gateway.config import Config
from gateway.faults import Complaint, ConfigFaults, Fault, choose, explained, fault_at, read
from gateway.profile import load_profile

__all__ = ["ConfigFaults", "Fault", "load_config"]


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
    document, lines = read(path)
    document = _merged(document, _environment())
    context = {"base": str(path.parent)}
    settings, found = _channels(document.get("channels"), context)
    try:
        sections = {"store": {}, "keys": {}} | document | {"channels": settings}  # defaults hold paths: see context
        config = Config.model_validate(sections, context=context)
    except ValidationError as error:
        found += [(place, mend) for place, mend in explained(error, Config) if place != ("channels",) or not found]
    if not found:
        channels = {name: load_kind(chosen.kind)(name, chosen) for name, chosen in settings.items()}
        found += _clashes(channels)
    if found:
        faults = [fault_at(path, lines, place, mend) for place, mend in found]
        raise ConfigFaults(sorted(faults, key=lambda fault: (fault.line or 0, fault.key)))
    load_profile(config.city.profile, Path())  # its own faults are told with its own lines
    return config, channels


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
        raise _Wrong((("kind",), choose(values.get("kind"), kinds(), "kind")))
    try:
        chosen = load_kind(values["kind"]).Settings
    except BrokenKind as error:
        raise _Wrong((("kind",), str(error))) from None
    try:
        return chosen.model_validate(values, context=context)
    except ValidationError as error:
        raise _Wrong(*explained(error, chosen)) from None


def _clashes(channels: dict[str, AnyChannel]) -> Iterator[Complaint]:
    """Two channels that want the same path."""
    owners: dict[str, str] = {}
    for name, channel in channels.items():
        for route in channel.routes():
            if owners.setdefault(route.path, name) != name:
                mend = f"channel {owners[route.path]} serves the same path; keep one of them, with the callers of both"
                yield ("channels", name), mend
                break


def _environment() -> dict[str, Any]:
    """What the environment overrides; a list is written as JSON."""
    sections = {name.split("__")[1].lower() for name in os.environ if name.upper().startswith("HOTLINE__")}
    if unknown := sorted(sections - set(_Environment.model_fields)):
        mend = choose(unknown[0], sorted(_Environment.model_fields), "section")
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
