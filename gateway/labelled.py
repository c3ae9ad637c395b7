"""Messages and labels of one's own, read from CSV files: what ``gateway evaluate`` measures on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

MESSAGES = ("id", "sender", "time", "title", "text")
PAIRS = ("id_a", "id_b", "label")
GROUPS = ("id", "label")
#: A time without a zone is China's.
_ZONE = timezone(timedelta(hours=8))
#: As programs write it, and as Excel does: 2026-11-28T09:30:00+08:00, 2026/11/28 9:30.
_TIME = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?"
)
#: Characters of one field; the module's own limit is 131,072.
_LONGEST = 1_000_000
_LATEST = datetime.max.replace(tzinfo=UTC)


class Unusable(Exception):
    """A file that cannot be measured on; the sentence names the file, the line and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message of M.csv."""

    id: str
    #: Whoever wrote it; empty: not known, hence nobody else's.
    sender: str
    #: None: not known.
    at: datetime | None
    title: str
    text: str
    #: What was told of the place in a field of its own.
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two messages by their places in the list, the earlier first, and what people say of them."""

    a: int
    b: int
    #: None: nobody has looked.
    same: bool | None = None


#: Pairs, or the incident that people name for a message, by its place in the list; empty: none.
Labels = list[Pair] | dict[int, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file, with where it stands, for the complaint about it."""

    path: Path
    line: int
    fields: Mapping[str, str]

    def wrong(self, what: str) -> Unusable:
        """The complaint."""
        return Unusable(f"{self.path.name} line {self.line}: {what}")


def read_messages(path: Path) -> list[Written]:
    """The messages in order of time, those without one last.

    Raises Unusable: no such columns, an id that is empty or stands twice, a time nobody can read, no UTF-8.
    """
    lines: dict[str, int] = {}
    found = []
    for row in _rows(path, MESSAGES):
        key = row.fields["id"]
        if not key:
            raise row.wrong("the id is empty")
        if key in lines:
            raise row.wrong(f"the id {key} stands in line {lines[key]} too")
        lines[key] = row.line
        words = (row.fields["title"], row.fields["text"], row.fields.get("place") or None)
        found.append(Written(key, row.fields["sender"], _time(row), *words))
    if not found:
        raise Unusable(f"{path.name}: there is no message in it")
    return sorted(found, key=lambda one: one.at or _LATEST)


def read_labels(path: Path, messages: Sequence[Written]) -> Labels:
    """What people say of incidents: pairs, or the incident of each message. Raises Unusable like both."""
    header = set(_header(path))
    if header.issuperset(PAIRS):
        return read_pairs(path, messages)
    if header.issuperset(GROUPS):
        return read_groups(path, messages)
    raise Unusable(f"{path.name} line 1: the columns must be {','.join(PAIRS)} or {','.join(GROUPS)}")


def read_pairs(path: Path, messages: Sequence[Written]) -> list[Pair]:
    """The labelled pairs, each once.

    Raises Unusable: no such columns, an id that is no message's, another label than 0 and 1, both of them for one pair.
    """
    places = {one.id: place for place, one in enumerate(messages)}
    found: dict[tuple[int, int], tuple[bool, int]] = {}
    for row in _rows(path, PAIRS):
        ends = sorted((_place(row, "id_a", places), _place(row, "id_b", places)))
        if ends[0] == ends[1]:
            raise row.wrong("a message is paired with itself")
        if row.fields["label"] not in {"0", "1"}:
            raise row.wrong(f"the label must be 1 or 0, not {row.fields['label']!r}")
        same = row.fields["label"] == "1"
        known, line = found.setdefault((ends[0], ends[1]), (same, row.line))
        if known != same:
            raise row.wrong(f"the same pair has the other label in line {line}")
    return [Pair(*ends, same) for ends, (same, _) in found.items()]


def read_groups(path: Path, messages: Sequence[Written]) -> dict[int, str]:
    """The incident that people name for a message, by the message's place in the list; empty: none.

    Raises Unusable: no such columns, an id that is no message's, two incidents for one message.
    """
    places = {one.id: place for place, one in enumerate(messages)}
    found: dict[int, tuple[str, int]] = {}
    for row in _rows(path, GROUPS):
        known, line = found.setdefault(_place(row, "id", places), (row.fields["label"], row.line))
        if known != row.fields["label"]:
            raise row.wrong(f"the same message has another label in line {line}")
    return {place: label for place, (label, _) in found.items()}


def _place(row: Row, column: str, places: Mapping[str, int]) -> int:
    if row.fields[column] not in places:
        raise row.wrong(f"there is no message with the id {row.fields[column]!r}")
    return places[row.fields[column]]


def _time(row: Row) -> datetime | None:
    told = row.fields["time"]
    if not told:
        return None
    if (match := _TIME.fullmatch(told)) is None:
        raise row.wrong(f"the time {told!r} cannot be read: write 2026-11-28T09:30:00, or nothing")
    *figures, zone = match.groups()
    try:
        at = datetime(*(int(figure or 0) for figure in figures), tzinfo=_ZONE)  # type: ignore[misc, arg-type]
        return at if zone is None else at.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00{zone}").tzinfo)
    except ValueError:
        raise row.wrong(f"there is no time {told!r}") from None


# -- Lines -------------------------------------------------------------------------------------------------------------


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The lines behind the header, each with all of its fields, without spaces around them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _Lines(path, file)
        header = [name.strip() for name in lines.next() or ()]
        if missing := [name for name in columns if name not in header]:
            raise Unusable(f"{path.name} line 1: no column {', '.join(missing)}")
        while (fields := lines.next()) is not None:
            if not fields:
                continue
            if len(fields) != len(header):
                raise Unusable(f"{path.name} line {lines.line}: {len(fields)} fields, but the header has {len(header)}")
            yield Row(path, lines.line, dict(zip(header, map(str.strip, fields), strict=True)))


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip() for name in _Lines(path, file).next() or ()]


class _Lines:
    """A CSV file's records, and the line at which the present one begins."""

    def __init__(self, path: Path, file: Iterator[str]) -> None:
        csv.field_size_limit(_LONGEST)
        self._path, self._reader, self.line = path, csv.reader(file, strict=True), 1

    def next(self) -> list[str] | None:
        """The next record; None: there is none."""
        self.line = self._reader.line_num + 1
        try:
            return next(self._reader, None)
        except UnicodeDecodeError:
            raise Unusable(f"{self._path.name} is not UTF-8: save it as CSV UTF-8") from None
        except csv.Error as error:
            raise Unusable(f"{self._path.name} line {self.line}: {error}") from None
