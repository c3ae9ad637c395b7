"""The city's rules as the configuration names them; small, so that they travel to the worker processes by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.config import City
from gateway.profile import load_profile
from normalizer.fields import Fields, Rules
from normalizer.model import KeptMessage, Message


@dataclass(frozen=True, slots=True)
class CityRules:
    """What names a city's rules."""

    #: One of ours, or the path of a file.
    profile: str
    #: GB/T 2260.
    division_code: str
    #: IANA name.
    timezone: str

    @classmethod
    def of(cls, city: City) -> CityRules:
        """Those of the configuration."""
        return cls(city.profile, city.division_code, city.timezone)


@lru_cache(8)
def rules_of(named: CityRules) -> Rules:
    """The rules, read once a process. Raise ProfileError: the file cannot be used."""
    return Rules(load_profile(named.profile, Path()), named.division_code, ZoneInfo(named.timezone))


def read(kept: KeptMessage, named: CityRules) -> Fields:
    """What a kept message says, by the city's rules."""
    return reading(kept.message, kept.id, rules_of(named), kept.received_at)


def reading(
    message: Message, message_id: UUID, rules: Rules | None = None, received_at: datetime | None = None
) -> Fields:
    """``normalizer.normalize``, loaded when the first message is read: its words take a second, and a node itself reads none."""
    from normalizer.normalize import normalize  # noqa: PLC0415 - as said

    return normalize(message, message_id, rules, received_at)
