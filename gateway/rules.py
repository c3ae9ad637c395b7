"""The city's rules as the configuration names them; small, so that they travel to the worker processes by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.config import City
from gateway.profile import load_profile
from normalizer.model import KeptMessage
from normalizer.normalize import Fields, normalize
from normalizer.triage import Rules


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
    return normalize(kept.message, kept.id, rules_of(named), kept.received_at)
