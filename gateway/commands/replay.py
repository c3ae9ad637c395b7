"""`gateway replay --dry-run` and `--diff`: what a replay would change."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from channels.base import AnyChannel
from gateway.config import Config
from gateway.difference import Preview
from gateway.opening import open_books
from gateway.replay import Rereading, Selection, preview
from gateway.rules import CityRules

#: Lines printed for a person; a program gets all (``--json``).
SHOWN = 200


@contextlib.contextmanager
def progress_bar(err: Console) -> Iterator[tuple[Console | None, Callable[[int, int], None]]]:
    """A progress bar on stderr, and the console to print beside it; none, and nothing moves, when it is no terminal."""
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    # stdout may be a file while stderr is a terminal: what is printed there must not be caught by the bar.
    shown = Progress(*columns, console=err, disable=not err.is_terminal, redirect_stdout=False, redirect_stderr=False)
    with shown as bar:
        task = bar.add_task("replay", total=None)
        yield err if err.is_terminal else None, lambda done, of: bar.update(task, completed=done, total=of)


async def preview_on(
    config: Config,
    channels: Mapping[str, AnyChannel],
    selection: Selection,
    out: Console,
    err: Console,
    *,
    fields: bool,
    as_json: bool = False,
) -> int:
    """Say what a replay would change, a line each and a summary; nothing is written. 1 when it was stopped half-way."""
    tally = Tally(out, out, as_json=as_json, fields=fields)
    store = await open_books(config, owner=False)
    try:
        with progress_bar(err) as (beside, progress):
            tally.of = await store.count_ended(selection.outcomes, selection.since)
            tally.lines_to = beside if beside and out.is_terminal else out
            kinds = {channel.kind for channel in channels.values()}
            async with (
                Rereading(kinds) as rereading,
                contextlib.aclosing(preview(store, channels, rereading, selection, CityRules.of(config.city))) as found,
            ):
                async for one in found:
                    tally.add(one)
                    progress(tally.read, tally.of)
    except asyncio.CancelledError:  # Ctrl-C: this is the outermost coroutine, nobody else waits for it
        tally.stopped = True
    finally:
        await store.close()
    tally.sum_up()
    return 1 if tally.stopped else 0


@dataclass(slots=True)
class Tally:
    """Prints what would change as it is found, counts it, and sums up."""

    out: Console
    #: Where single lines go: beside a progress bar, what prints the bar.
    lines_to: Console
    as_json: bool
    #: Whether names of fields are told, and matters.
    fields: bool
    of: int = 0
    read: int = 0
    changed: int = 0
    matters: int = 0
    by_field: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    _lines: int = 0

    def add(self, one: Preview) -> None:
        """Count one envelope and print a line if it would come out differently, and one for each such matter."""
        self.read += 1
        if one.changed:
            self.changed += 1
            said = {"envelope": str(one.envelope_id), "channel": one.channel, "was": one.was, "would_be": one.would_be}
            self._print(said | ({"fields": one.changes} if self.fields else {}))
        for matter in one.matters if self.fields else ():
            self.matters += 1
            self.by_field.update(matter.fields)
            self._print({"matter": str(matter.matter_id), "envelope": str(one.envelope_id), "fields": matter.fields})

    def _print(self, said: dict[str, Any]) -> None:
        self._lines += 1
        if self.as_json:
            print(json.dumps(said, ensure_ascii=False), file=self.out.file)
        elif self._lines <= SHOWN:
            self.lines_to.print(_plain(said), markup=False)

    def sum_up(self) -> None:
        """The last line, or object."""
        if self.as_json:
            total = {"read": self.read, "of": self.of, "envelopes": self.changed, "matters": self.matters}
            print(json.dumps(total | {"fields": self.by_field, "stopped": self.stopped}), file=self.out.file)
            return
        if self._lines > SHOWN:
            self.out.print(f"… and {self._lines - SHOWN} more; --json prints all")
        if self.stopped:
            self.out.print(f"stopped after {self.read} of {self.of} envelopes")
        counts = f"{self.read} envelopes read again, {self.changed} would come out differently"
        self.out.print(f"{counts}; nothing was written")
        if self.fields:
            named = ", ".join(f"{name} {number}" for name, number in self.by_field.most_common())
            self.out.print(f"{self.matters} matters would differ" + (f": {named}" if named else ""))


def _plain(said: dict[str, Any]) -> str:
    fields = ", ".join(said.get("fields", ()))
    if "matter" in said:
        return f"matter {said['matter']}: {fields}"
    came = f"envelope {said['envelope']} {said['channel']}: {', '.join(said['was'])} → {said['would_be']}"
    return f"{came}: {fields}" if fields else came
