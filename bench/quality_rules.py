"""How well are the city's rules read, each beside a plain method, and what do they cost together? Run: make quality.

On messages of our own always, on the letters of ../shared/data where these are present. Whoever reads the figures must know:
the rules were widened by what our own messages had shown, so what counts are the readings at first sight and the letters.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console

from bench import quality_acceptance, quality_conduct, quality_emergency, quality_fields, quality_kind
from bench.contenders import ROOT, circumstances
from gateway.profile import load_profile
from normalizer.clean import clean
from normalizer.fields import Rules
from normalizer.model import Assurance, Contact, ContactType, Message
from normalizer.triage import Words, triage

RESULTS = ROOT / "bench" / "results" / "rules.json"
BOARD = ROOT.parent / "shared" / "data" / "tipdm"
OWN = ROOT / "tests" / "data" / "pairs" / "messages.csv"
#: Letters that are timed, and how often.
TIMED, ROUNDS = 400, 3
NOW = datetime(2026, 11, 29, tzinfo=UTC)
SENDER = Contact(type=ContactType.APP, value="1", assurance=Assurance.VERIFIED)


def letters() -> list[tuple[str, str]]:
    """Title and text of ordinary letters: the board's, or our own."""
    files = sorted(BOARD.glob("*.csv"))
    columns = ("subject", "body") if files else ("title", "text")
    found = list[tuple[str, str]]()
    for path in files or [OWN]:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            found += [(row[columns[0]], row[columns[1]]) for row in csv.DictReader(lines)]
    return found


def words(title: str, text: str) -> Words:
    """A letter as the rules read it."""
    message = Message(key_space="bench", account="us", sender=SENDER, provider_id="1", title=title, text=text)
    return Words(message, UUID(int=1), clean(title), clean(text), None)


def cost(chosen: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Microseconds of a processor for all rules together: of an average letter, and of one of middle length."""
    rules = Rules(load_profile("jinan", Path()), "370100", ZoneInfo("Asia/Shanghai"))
    read = [words(*one) for one in chosen]
    middle = statistics.median(len(one.text) for one in read)
    near = [one for one in read if abs(len(one.text) - middle) <= middle / 10]
    return {
        "average_letter": _spent(read, rules),
        "middle_letter": _spent(near, rules),
        "characters": round(statistics.mean(len(one.text) for one in read)),
        "middle_characters": middle,
        "letters": len(read),
    }


def _spent(read: Sequence[Words], rules: Rules) -> float:
    least = float("inf")
    for _ in range(ROUNDS + 1):  # the first makes tables
        began = time.process_time()
        for one in read:
            triage(one, rules, NOW)
        least = min(least, time.process_time() - began)
    return round(1e6 * least / len(read), 1)


def _named(told: Any) -> Any:
    """The same with names for keys, as JSON has them."""
    if isinstance(told, dict):
        return {
            "/".join(map(str, key)) if isinstance(key, tuple) else str(key): _named(one) for key, one in told.items()
        }
    return [_named(one) for one in told] if isinstance(told, list | tuple) else told


def main() -> int:
    """Measure, print, and write the results."""
    out = Console(width=150)
    told: dict[str, Any] = {}
    for name, part in (("emergency", quality_emergency), ("conduct", quality_conduct), ("kind", quality_kind)):
        told[name] = part.measure()
        out.rule(name)
        part.show(told[name], out)
    fields = quality_fields.measure()
    out.rule("place, time, party")
    quality_fields.show(fields, out)
    admissible = quality_acceptance.measure(load_profile("weifang", Path()), "370700")
    out.rule("acceptance, confidentiality")
    quality_acceptance.show(admissible, out)
    chosen = letters()
    told |= {"fields": asdict(fields), "acceptance": asdict(admissible)}
    told["cost"] = cost(chosen[:: max(1, len(chosen) // TIMED)])
    out.rule("all rules together")
    out.print(
        f"{told['cost']['average_letter']} µs an average letter, {told['cost']['middle_letter']} µs one of middle length"
    )
    written = json.dumps(circumstances() | _named(told), indent=1, ensure_ascii=False, default=str)
    RESULTS.write_text(written + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
