"""How fast is an acknowledgement, and is it kept? Run: make bench (SHORT=1 for CI). bench/README.md explains the table.

Every gateway is killed in mid-load, its store is opened again, and each acknowledged message must be in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO

import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import messages
from bench.contenders import ROOT, Contender, circumstances, kill, serving, settings
from bench.load import MEASURED, Job, Report
from channels.base import AnyChannel
from channels.simulated.app import AppPeer
from channels.simulated.wechat import WeChatPeer
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from store.opening import open_store

RESULTS = ROOT / "bench" / "results" / "ack.json"
#: Requests built for each second of load; when a quicker gateway has used them up, measuring ends early.
REQUESTS_A_SECOND = 16_000
#: The edge must reach this share of the bare handler's requests per second.
TARGET = 0.5
#: One round: bare stands in front of each pair, so that it is compared with its neighbours in time.
ORDER = (
    Contender("bare", "app"),
    Contender("edge", "app"),
    Contender("edge", "wechat"),
    Contender("bare", "app"),
    Contender("whole", "app"),
    Contender("whole", "wechat"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look."""

    rounds: int
    warm_up: float
    seconds: float


FULL, SHORT = Plan(rounds=3, warm_up=0.7, seconds=3), Plan(rounds=1, warm_up=0.4, seconds=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """One contender in one round."""

    contender: str
    requests: int
    seconds: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float
    generator_cpu_share: float
    bytes_per_request: int
    #: Requests per second, as a share of the bare handler's just before.
    ratio: float
    #: The bare handler's CPU time per request, as a share of this one's.
    cpu_ratio: float
    refused: int = 0
    acknowledged: int = 0
    kept: int = 0
    missing: int = 0


class Bench:
    """The folder, the requests and the channels that all rounds share."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        make_secrets(folder / "secrets")
        self.channels = channels_of(folder / "any")
        app_key = (folder / "secrets" / "app-key").read_text(encoding="ascii")
        how_many = int(REQUESTS_A_SECOND * (plan.warm_up + plan.seconds))
        wechat = messages.build(WeChatPeer("wechat", self.channels["wechat"].settings), how_many)
        app = AppPeer("app", self.channels["app"].settings, key=app_key)
        self.requests = {"wechat": wechat, "app": messages.build(app, how_many, len(wechat[0]))}

    def measure(self, contender: Contender, name: str, bare: Figures | None) -> Figures:
        """Start, load, kill, count what is left; ``bare`` is the yardstick."""
        folder = self.folder / name
        folder.mkdir()
        with serving(contender, folder) as (process, port):
            requests = self.requests[contender.channel]
            plan, again = self.plan, contender.kind == "bare"
            report = load(
                Job(port, process.pid, folder / "report", requests, plan.warm_up, plan.seconds, again=again), process
            )
        found = _figures(contender, report, len(requests[0]), bare)
        return found if again else self._books(contender, found, report, folder)

    def _books(self, contender: Contender, found: Figures, report: Report, folder: Path) -> Figures:
        channel = self.channels[contender.channel]
        acknowledged = messages.acknowledged(channel.kind, report.answers)
        kept = asyncio.run(reopened(channel, folder))
        counts = {
            "refused": messages.refused(channel.kind, report.answers),
            "acknowledged": len(acknowledged),
            "kept": len(kept),
            "missing": len(messages.missing(acknowledged, kept)),
        }
        return Figures(**asdict(found) | counts)


def channels_of(folder: Path) -> dict[str, AnyChannel]:
    """The channels of the common configuration."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings(0)), encoding="utf-8")
    return load_config(config)[1]


def load(job: Job, server: subprocess.Popen[bytes]) -> Report:
    """Run the generator, and kill the server under load as soon as the figures are complete."""
    command = [sys.executable, "-c", "from bench.load import main; main()"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as generator:
        to, back = _pipes(generator)
        pickle.dump(job, to)
        to.close()
        measured = back.readline() == MEASURED
        kill(server)
    if not measured or generator.returncode:
        raise RuntimeError("the load generator failed, see above")
    report: Report = pickle.loads(job.report.read_bytes())
    return report


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _figures(contender: Contender, report: Report, size: int, bare: Figures | None) -> Figures:
    requests = len(report.measured())
    rate, cpu = requests / report.seconds, 1e6 * report.server_cpu / requests
    p50, p99 = report.latencies()
    return Figures(
        contender=contender.name,
        requests=requests,
        seconds=report.seconds,
        requests_per_second=rate,
        p50_ms=p50,
        p99_ms=p99,
        server_cpu_us=cpu,
        generator_cpu_share=report.own_cpu / report.seconds,
        bytes_per_request=size,
        ratio=rate / bare.requests_per_second if bare else 1,
        cpu_ratio=bare.server_cpu_us / cpu if bare else 1,
    )


async def reopened(channel: AnyChannel, folder: Path) -> set[str]:
    """What the store holds, opened anew with the same keys."""
    store = await open_store(f"sqlite:///{folder / 'gateway.db'}", folder / "keys.json")
    try:
        return messages.kept(channel, await store.envelopes())
    finally:
        await store.close()


def run(plan: Plan) -> list[Figures]:
    """All rounds, interleaved."""
    found: list[Figures] = []
    bare: Figures | None = None
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
        bench = Bench(Path(folder), plan)
        for turn, contender in enumerate(track(ORDER * plan.rounds, "measuring", transient=True)):
            found.append(bench.measure(contender, f"{turn:02}", None if contender.kind == "bare" else bare))
            if contender.kind == "bare":
                bare = found[-1]
    return found


def names() -> list[str]:
    """The contenders in the order of the table."""
    return list(dict.fromkeys(contender.name for contender in ORDER))


def of(found: Iterable[Figures], contender: str) -> list[Figures]:
    """The rounds of one contender."""
    return [figures for figures in found if figures.contender == contender]


def table(found: Sequence[Figures]) -> Table:
    """Medians of the rounds; of the ratio also the least and the most."""
    shown = Table(title=f"Acknowledgements, {found[0].bytes_per_request} bytes a request, times in ms", box=SIMPLE)
    shown.add_column("contender", no_wrap=True)
    for column in ("req/s", "p50", "p99", "CPU µs", "CPU ratio", "load", "ratio"):
        shown.add_column(column, justify="right", no_wrap=True)
    for name in names():
        rounds = of(found, name)
        ratios = [figures.ratio for figures in rounds]
        shown.add_row(
            name,
            f"{median(f.requests_per_second for f in rounds):,.0f}",
            f"{median(f.p50_ms for f in rounds):.1f}",
            f"{median(f.p99_ms for f in rounds):.1f}",
            f"{median(f.server_cpu_us for f in rounds):.0f}",
            f"{median(f.cpu_ratio for f in rounds):.2f}",
            f"{median(f.generator_cpu_share for f in rounds):.0%}",
            f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        )
    return shown


def books(found: Sequence[Figures]) -> Table:
    """What became of the acknowledged messages after SIGKILL."""
    shown = Table(title="Killed in mid-load, opened again (all rounds)", box=SIMPLE)
    shown.add_column("contender", no_wrap=True)
    for column in ("acknowledged", "kept", "missing", "refused"):
        shown.add_column(column, justify="right", no_wrap=True)
    for name in names()[1:]:
        rounds = of(found, name)
        counts = [(f.acknowledged, f.kept, f.missing, f.refused) for f in rounds]
        shown.add_row(name, *(f"{sum(column):,}" for column in zip(*counts, strict=True)))
    return shown


def complaints(found: Sequence[Figures]) -> list[str]:
    """What makes the run fail whatever the machine: a lost acknowledgement, a refusal, nothing acknowledged."""
    lost = [f"{f.contender}: {f.missing} acknowledged messages are not in the store" for f in found if f.missing]
    refused = [f"{f.contender}: {f.refused} requests were refused" for f in found if f.refused]
    idle = [f"{f.contender}: nothing was acknowledged" for f in found if f.contender != "bare" and not f.acknowledged]
    return lost + refused + idle


def slow(found: Sequence[Figures]) -> list[str]:
    """Where the edge misses the target."""
    ratios = {name: median(f.ratio for f in of(found, name)) for name in names() if name.startswith("edge")}
    return [f"{name}: ratio {ratio:.2f} is below {TARGET}" for name, ratio in ratios.items() if ratio < TARGET]


def write(found: Sequence[Figures], *, short: bool) -> None:
    """bench/results/ack.json."""
    document = {
        **circumstances(),
        "short": short,
        "ratio_to_bare": {name: median(f.ratio for f in of(found, name)) for name in names()},
        "cpu_ratio_to_bare": {name: median(f.cpu_ratio for f in of(found, name)) for name in names()},
        "rounds": [{k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(f).items()} for f in found],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, write; 1 when something was lost, or the full run finds the edge too slow."""
    short = os.environ.get("SHORT") == "1"
    out = Console(width=100)
    found = run(SHORT if short else FULL)
    out.print(table(found), books(found))
    if "BENCH_PROFILE" not in os.environ:
        write(found, short=short)
    lost, late = complaints(found), slow(found)
    for sentence in lost + late:
        out.print(f"[red]✗[/red] {sentence}")
    return 1 if lost or (late and not short) else 0


if __name__ == "__main__":
    sys.exit(main())
