"""What every fault needs: the compiled shim, the parent of all gateways, and a world on each database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults import shim
from tests.faults.world import World, inhabited
from tests.faults.zygote import Zygote
from tests.postgres import postgresql

__all__ = ["postgresql"]

FULL = os.environ.get("FAULTS") == "full"


@pytest.fixture(scope="session")
def shim_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shim.c, compiled once."""
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def zygote(shim_library: Path) -> Iterator[Zygote]:
    """Forks the gateways of this test run."""
    started = Zygote(shim_library)
    yield started
    started.close()


@pytest.fixture
async def world(tmp_path: Path, zygote: Zygote) -> AsyncIterator[World]:
    """A gateway on SQLite, not started yet."""
    async with inhabited(tmp_path, zygote) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
async def either_world(request: pytest.FixtureRequest, tmp_path: Path, zygote: Zygote) -> AsyncIterator[World]:
    """A gateway on each database, not started yet."""
    url = "sqlite:///data/gateway.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").fresh_database()
    async with inhabited(tmp_path, zygote, url=url) as made:
        yield made
