"""How long does `gateway replay --diff` take, and how much does it hold? Run: .venv/bin/python -m bench.replay (SHORT=1).

A store is filled by the bulk insert, not over HTTP; every tenth matter is filed under a title that another rule would have
given, as after a change of that rule. The command must read every envelope and name exactly these matters.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import uuid_utils.compat
import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Shown
from sqlalchemy import Connection, Table

from bench.contenders import ROOT, circumstances
from bench.messages import TEXT
from channels.base import Admission, AnyChannel
from gateway.demo.secrets import make_secrets
from gateway.loading import load_config
from gateway.rules import CityRules, read
from normalizer.matter import amend, compose
from normalizer.model import Envelope, HotlineMatter, KeptMessage, Notice
from normalizer.title import title
from normalizer.tracking import tracking_code
from store.bulk import insert_rows
from store.opening import open_store
from store.tables import CALLERS, ENVELOPES, MATTERS, MESSAGES, UNPACKED

RESULTS = ROOT / "bench" / "results" / "replay.json"
#: Envelopes in the store: the small one shows that memory does not grow with the large.
FULL, SHORT = (10_000, 100_000), (500, 3_000)
#: Every so many matters have another rule's title, and every so many messages add to the matter before.
CHANGED, AMENDED = 10, 20
#: Rows of one transaction.
BATCH = 2_000
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
CALLER = uuid_utils.compat.uuid7()


@dataclass(frozen=True, slots=True)
class Run:
    """One `gateway replay --diff`."""

    envelopes: int
    #: Matters whose title another rule gave.
    expected: int
    read: int
    matters: int
    seconds: float
    envelopes_per_second: float
    #: Of the largest process.
    peak_megabytes: float


def settings() -> dict[str, Any]:
    """Three channels: short JSON, JSON with more fields, whole mails."""

    def secret(name: str) -> dict[str, str]:
        return {"file": f"secrets/{name}"}

    client = {"id": "city-app", "key_hash": secret("app-key-hash"), "scopes": ["messages:write"]}
    return {
        "server": {"public_url": "https://hotline.example"},
        "store": {"url": "sqlite:///gateway.db", "files": "files"},
        "keys": {"file": "keys.json"},
        "core": {"sink": "file", "path": "events.jsonl"},
        "channels": {
            "telegram": {
                "kind": "telegram",
                "bot_token": secret("telegram-bot-token"),
                "secret_token": secret("telegram-secret-token"),
            },
            "app": {"kind": "app", "clients": [client]},
            "mailbox": {"kind": "smtp", "listen": "127.0.0.1:0", "recipients": ["mayor@example.gov.cn"]},
        },
    }


def envelope(channels: dict[str, AnyChannel], number: int) -> Envelope:
    """Six of ten by Telegram, three by the app, one by mail with 20 KB beside the words."""
    at, words = STARTED + timedelta(seconds=number), f"{number}号：{TEXT}"
    if number % 10 < 6:
        person = {"id": 10**8 + number % 5_000, "is_bot": False, "first_name": "市民"}
        message = {"message_id": number + 1, "from": person, "chat": person | {"type": "private"}, "text": words}
        update = {"update_id": number + 1, "message": message | {"date": int(at.timestamp())}}
        return channels["telegram"].envelope(json.dumps(update).encode(), at)
    if number % 10 < 9:
        body = {"text": words, "user": {"id": str(number % 5_000), "phone": "+8613800138000"}}
        context = {"client": "city-app", "key": str(number)}
        return channels["app"].envelope(json.dumps(body).encode(), at, "", Admission(context))
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = "a@example.org", "mayor@example.gov.cn", f"<{number}@example.org>"
    mail["Subject"] = f"{number}号路灯"
    mail.set_content(words)
    mail.add_attachment(bytes(15_000), maintype="image", subtype="jpeg", filename="a.jpg")
    context = {"mail_from": "a@example.org", "recipients": "mayor@example.gov.cn"}
    return channels["mailbox"].envelope(mail.as_bytes(), at, "", Admission(context))


class Filling:
    """Makes the rows of a store, as the pipeline would have written them."""

    def __init__(self, channels: dict[str, AnyChannel], rules: CityRules) -> None:
        self._channels, self._rules = channels, rules
        self._last: HotlineMatter | None = None
        self._matters = 0
        #: Matters with another rule's title.
        self.changed = 0

    def rows(self, numbers: range) -> list[tuple[Table, list[dict[str, Any]]]]:
        """The rows of these envelopes, table by table."""
        made = list(self._made(numbers))
        matters = {matter.matter_id: matter for _, _, matter in made}
        return [
            (ENVELOPES, [_envelope_row(kept) for kept, _, _ in made]),
            (UNPACKED, [_unpacked_row(kept) for kept, _, _ in made]),
            (MESSAGES, [_message_row(kept, said, matter.matter_id) for kept, said, matter in made]),
            (MATTERS, [_matter_row(matter) for matter in matters.values()]),
        ]

    def _made(self, numbers: range) -> Iterator[tuple[Envelope, KeptMessage, HotlineMatter]]:
        self._last = None  # a matter stays within one batch
        for number in numbers:
            kept = envelope(self._channels, number)
            parsed = self._channels[kept.channel].parse(kept)
            assert not isinstance(parsed, Notice)
            said = KeptMessage(uuid_utils.compat.uuid7(), kept.id, kept.channel, kept.kind, kept.received_at, parsed[0])
            self._last = self._matter(said, number)
            yield kept, said, self._last

    def _matter(self, said: KeptMessage, number: int) -> HotlineMatter:
        fields = read(said, self._rules)
        if self._last is not None and number % AMENDED == 1:
            return amend(self._last, said, fields)
        code = tracking_code(STARTED.date(), number)
        matter = compose(said, fields, matter_id=uuid_utils.compat.uuid7(), tracking_code=code, caller_id=CALLER)
        self._matters += 1
        if self._matters % CHANGED:
            return matter
        self.changed += 1
        return matter.model_copy(update={"title": title(None, said.message.text, limit=12)[0]})


def _envelope_row(kept: Envelope) -> dict[str, Any]:
    context = {"query": kept.query, "context": dict(kept.context)}
    plain = {name: getattr(kept, name) for name in ("id", "channel", "kind", "received_at", "body")}
    return plain | {"flags": "", "context": context}


def _unpacked_row(kept: Envelope) -> dict[str, Any]:
    return {"envelope_id": kept.id, "at": kept.received_at, "messages": 1, "outcome": None, "reason": None}


def _message_row(kept: Envelope, said: KeptMessage, matter_id: UUID) -> dict[str, Any]:
    first = {"id": said.id, "envelope_id": kept.id, "position": 0, "channel": kept.channel, "flags": ""}
    content = {"content": said.message.model_dump(mode="json"), "account": said.message.account}
    return first | content | {"received_at": kept.received_at, "matter_id": matter_id, "outcome": "filed"}


def _matter_row(matter: HotlineMatter) -> dict[str, Any]:
    plain = {"id": matter.matter_id, "tracking_code": matter.tracking_code, "revision": matter.revision}
    document = {"document": matter.model_dump(mode="json")}
    return plain | document | {"caller_id": CALLER, "filed_at": matter.received_at}


def insert(connection: Connection, tables: Sequence[tuple[Table, list[dict[str, Any]]]]) -> None:
    for table, rows in tables:
        insert_rows(connection, table, rows)


async def fill(config: Path, how_many: int) -> int:
    """Make the store of ``config`` with so many envelopes; how many matters have another rule's title."""
    loaded, channels = load_config(config)
    store = await open_store(loaded.store.url, Path(loaded.keys.file))
    filling = Filling(channels, CityRules.of(loaded.city))

    database = store._database  # noqa: SLF001 - no verb of the store writes what others decided
    try:
        await database.write(partial(insert, tables=[(CALLERS, [{"id": CALLER, "created_at": STARTED}])]))
        for first in range(0, how_many, BATCH):
            tables = filling.rows(range(first, min(first + BATCH, how_many)))
            await database.write(partial(insert, tables=tables))
    finally:
        await store.close()
    return filling.changed


def replay(folder: Path, how_many: int) -> Run:
    """Fill a store and let the command read it."""
    make_secrets(folder / "secrets")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings()), encoding="utf-8")
    expected = asyncio.run(fill(config, how_many))
    command = [sys.executable, "-m", "gateway.cli", "replay", "--diff", "--json", "--config", str(config)]
    started = time.perf_counter()
    with (folder / "found").open("wb") as found:
        process = subprocess.Popen(command, cwd=ROOT, stdout=found)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("gateway replay failed, see above")
    told = json.loads((folder / "found").read_bytes().splitlines()[-1])
    return Run(
        envelopes=how_many,
        expected=expected,
        read=told["read"],
        matters=told["matters"],
        seconds=round(seconds, 2),
        envelopes_per_second=round(how_many / seconds),
        peak_megabytes=round(used.ru_maxrss / 1024, 1),
    )


def complaints(runs: Sequence[Run]) -> list[str]:
    """What makes the bench fail whatever the machine."""
    unread = [f"{run.read} of {run.envelopes} envelopes were read" for run in runs if run.read != run.envelopes]
    missed = [f"{run.matters} matters named, not {run.expected}" for run in runs if run.matters != run.expected]
    first, last = runs[0], runs[-1]
    grown = last.peak_megabytes > 1.5 * first.peak_megabytes
    return unread + missed + ([f"memory grows with the store: {last.peak_megabytes} MB"] if grown else [])


def write(runs: Sequence[Run], *, short: bool) -> None:
    """bench/results/replay.json."""
    document = {
        **circumstances(),
        "short": short,
        "runs": [asdict(run) for run in runs],
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, write; 1 when something was not read or not named."""
    short = os.environ.get("SHORT") == "1"
    out = Console(width=100)
    shown = Shown("envelopes", "seconds", "envelopes/s", "peak MB", "matters named", box=SIMPLE)
    runs = []
    (ROOT / "var").mkdir(exist_ok=True)
    for how_many in SHORT if short else FULL:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
            run = replay(Path(folder), how_many)
        runs.append(run)
        rate = f"{run.envelopes_per_second:,}"
        shown.add_row(f"{run.envelopes:,}", str(run.seconds), rate, str(run.peak_megabytes), f"{run.matters:,}")
    out.print(shown)
    write(runs, short=short)
    for sentence in (found := complaints(runs)):
        out.print(f"[red]✗[/red] {sentence}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
