"""The gateway's edge alone: what `gateway serve` runs, without pipeline and hand-off. Run: python -m bench.edge CONFIG.

On SQLite the command line refuses this split, because nobody else could work off what was kept; here nobody needs to.
With BENCH_PROFILE=PATH the event loop's thread is profiled for two seconds into PATH.<pid>.prof (see bench/README.md).
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import sys
from pathlib import Path

import uvloop

from gateway.commands.serve import serve_until_stopped
from gateway.loading import load_config
from gateway.logs import set_up_logging
from gateway.node import Role


async def serve(config: Path) -> int:
    """Serve until stopped."""
    if wanted := os.environ.get("BENCH_PROFILE"):
        _profile(Path(f"{wanted}.{os.getpid()}.prof"))
    return await serve_until_stopped(*load_config(config), [Role.EDGE])


def _profile(path: Path) -> None:
    profiler = cProfile.Profile()

    def write() -> None:
        profiler.disable()
        profiler.dump_stats(path)

    loop = asyncio.get_running_loop()
    loop.call_later(1, profiler.enable)
    loop.call_later(3, write)


if __name__ == "__main__":
    set_up_logging("INFO")
    uvloop.run(serve(Path(sys.argv[1])))
