"""`gateway evaluate conduct`, `emergency`, `kind`: figures by hand, labels as people write them, files that are refused."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.commands.evaluate_labels import Asked, evaluate_labels
from gateway.labelled import Unusable
from gateway.measure_labels import CHINESE_KINDS, NOTHING, Judged, Said, Subject, gold_of, hardest, measured
from gateway.subjects import CONDUCT, EMERGENCY, KIND


def toy(title: str, text: str) -> Said:
    """Says what the text says, as surely as it has characters in its title."""
    return Said(text, len(title) / 10, "toy") if text else Said(NOTHING)


TOY = Subject("Toy", toy, frozenset({"red", "green"}), {"红": "red"})
#: What is said, and what is true.
JUDGED = [
    Judged("1", Said("red", 0.9), "red"),
    Judged("2", Said("red", 0.8), "green"),
    Judged("3", Said("green", 0.7), NOTHING),
    Judged("4", Said(NOTHING), "red"),
    Judged("5", Said(NOTHING), NOTHING),
]


def test_a_wrong_label_is_flagged_wrongly_and_missed() -> None:
    told = measured(JUDGED)
    assert (told["n"], told["flagged"], told["precision"], told["recall"]) == (5, 3, 0.3333, 0.3333)
    assert told["accuracy"] == 0.4
    assert told["labels"]["red"] == {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5, "flagged": 2}
    assert told["labels"]["green"] == {"n": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0, "flagged": 1}


def test_where_people_only_say_that_it_is_something_any_label_is_right() -> None:
    told = measured(
        [Judged("1", Said("red"), "1"), Judged("2", Said(NOTHING), "1"), Judged("3", Said("green"), NOTHING)]
    )
    assert (told["precision"], told["recall"]) == (0.5, 0.5)
    assert told["labels"] == {"1": {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5, "flagged": 2}}


def test_the_surest_errors_come_first() -> None:
    assert [one.id for one in hardest(JUDGED)] == ["2", "3", "4"]
    assert hardest([Judged("1", Said("red"))]) == [], "nobody has looked"


@pytest.mark.parametrize(
    ("subject", "told", "label"),
    [
        (TOY, "红", "red"),
        (TOY, "RED", "red"),
        (TOY, "1", "1"),
        (TOY, "0", "0"),
        (TOY, "blue", None),
        (KIND, "投诉", "complaint"),
        (KIND, "意见", "suggestion"),
        (KIND, "report", "report"),
        (EMERGENCY, "119", "119"),
        (EMERGENCY, "Crisis", "crisis"),
        (CONDUCT, "threat", "threat"),
        (CONDUCT, "119", None),
    ],
)
def test_labels_as_people_write_them(subject: Subject, told: str, label: str | None) -> None:
    assert subject.label(told) == label


def test_every_chinese_kind_is_one_of_ours() -> None:
    assert set(CHINESE_KINDS.values()) <= KIND.labels


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    messages = write(tmp_path / "M.csv", "id,sender,time,title,text", "a,,,123456789,red", "b,,,12,green", "c,,,1,")
    return messages, write(tmp_path / "G.csv", "id,label,note", "a,红,x", "b,0,y", "c,,z")


def evaluated(asked: Asked) -> dict[str, Any]:
    out = StringIO()
    assert evaluate_labels(TOY, asked, Console(file=out), Console(file=StringIO())) == 0
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_the_command_says_what_the_figures_say_and_names_the_errors(files: tuple[Path, Path], tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    told = evaluated(Asked(*files, to, as_json=True))
    assert told.pop("microseconds_per_message") >= 0
    assert (told["n"], told["flagged"], told["precision"], told["recall"], told["accuracy"]) == (3, 2, 0.5, 1.0, 0.6667)
    assert told["errors"] == [{"id": "b", "label": "0", "verdict": "green", "score": 0.2, "reason": "toy"}]
    with to.open(encoding="utf-8-sig") as file:
        assert [tuple(row.values()) for row in csv.DictReader(file)] == [
            ("a", "red", "red", "0.9", "toy"),
            ("b", "0", "green", "0.2", "toy"),
            ("c", "0", "0", "0.0", ""),
        ]


def test_without_labels_it_says_how_many_are_flagged(files: tuple[Path, Path]) -> None:
    told = evaluated(Asked(files[0], as_json=True))
    assert (told["n"], told["flagged"], told["precision"]) == (3, 2, None)


def test_a_person_is_shown_a_table_and_no_words(files: tuple[Path, Path]) -> None:
    out = StringIO()
    evaluate_labels(TOY, Asked(*files), Console(file=out, width=100), Console(file=StringIO()))
    assert "told right: 0.667" in out.getvalue() and "b: 0, said green (toy)" in out.getvalue()


def test_a_label_that_nobody_knows_is_refused_with_the_message(files: tuple[Path, Path], tmp_path: Path) -> None:
    gold = write(tmp_path / "G2.csv", "id,label", "a,blue")
    with pytest.raises(Unusable, match="message a: there is no label 'blue'; write 1, 0 or one of green, red"):
        evaluated(Asked(files[0], gold, as_json=True))
    assert gold_of(TOY, {}, []) == {}
