"""`gateway evaluate same-matter` and `incident`: what is measured, what is written, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.gathering import reason
from normalizer.model import Share

OWN = Path(__file__).parent / "data" / "pairs"
OURS = ("--messages", str(OWN / "messages.csv"), "--gold", str(OWN / "gold.csv"))
#: Of the contract.
KEYS = {"n", "precision", "recall", "f1", "flagged", "microseconds_per_message"}
LAMP = "粮库门口的路灯坏了半个月，晚上放学的孩子摸黑走路很不安全，请路灯管理所尽快派人来修。"
WAGE = "在城南安置房工地做木工四个月，包工头一分钱工资没有发，快过年了怎么办，请劳动监察来查。"
#: Id, sender, time, text; two citizens and one of them again, and a third about something else, three years later.
FOUR = [
    ("a", "s1", "2026-01-01T08:00", LAMP),
    ("b", "s2", "2026-01-03T08:00", LAMP),
    ("c", "s1", "2026-01-20T08:00", LAMP),
    ("d", "s3", "2029-01-01T08:00", WAGE),
]


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.stderr if code else done.stdout


def told(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def messages(folder: Path, written: Iterable[Sequence[str]] = FOUR) -> Path:
    path = folder / "M.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("id", "sender", "time", "title", "text"))
        lines.writerows((one, sender, at, "", text) for one, sender, at, text in written)
    return path


def gold(folder: Path, words: str) -> Path:
    path = folder / "G.csv"
    path.write_text(words, encoding="utf-8")
    return path


def pairs(folder: Path, *labelled: str) -> Path:
    return gold(folder, "id_a,id_b,label\n" + "".join(f"{one[0]},{one[1]},{one[2]}\n" for one in labelled))


# -- Same matter -------------------------------------------------------------------------------------------------------


def test_labelled_pairs_are_judged_and_counted(tmp_path: Path) -> None:
    whole = told("same-matter", "--messages", messages(tmp_path), "--gold", pairs(tmp_path, "ab1", "ca1", "ad0", "bd0"))
    assert whole.keys() >= KEYS
    assert (whole["n"], whole["precision"], whole["recall"], whole["f1"], whole["flagged"]) == (4, 1.0, 1.0, 1.0, 2)
    assert [whole["relations"][name]["n"] for name in ("same_caller", "different_callers")] == [1, 3]
    assert (whole["messages"], whole["left_out"], whole["errors"]) == (4, 0, [])
    assert whole["retrieval"]["index_recall"] == whole["retrieval"]["recall"] == 1.0
    spent = whole["microseconds"]
    assert all(spent[name] > 0 for name in ("fingerprint", "index", "comparing"))
    assert whole["microseconds_per_message"] == pytest.approx(sum(spent.values()), abs=0.5)


def test_what_people_say_otherwise_is_an_error_and_is_told_with_its_reason(tmp_path: Path) -> None:
    whole = told("same-matter", "--messages", messages(tmp_path), "--gold", pairs(tmp_path, "ab0", "ad1"))
    assert (whole["precision"], whole["recall"], whole["flagged"]) == (0.0, 0.0, 1)
    errors = {(one["id_a"], one["id_b"]): one for one in whole["errors"]}
    assert errors.keys() == {("a", "b"), ("a", "d")}
    assert errors["a", "d"]["verdict"] == "none" and errors["a", "b"]["verdict"] in {"link", "suggestion"}
    assert all(one["reason"] for one in errors.values())
    shown = run("same-matter", "--messages", messages(tmp_path), "--gold", pairs(tmp_path, "ab0", "ad1"))
    assert "missed: a d (none, " in shown and "not the same: a b (" in shown


def test_a_row_is_written_for_each_labelled_pair(tmp_path: Path) -> None:
    to = tmp_path / "F.csv"
    whole = told("same-matter", *OURS, "--out", to)
    written = rows(to)
    assert list(written[0]) == ["id_a", "id_b", "label", "verdict", "score", "reason"]
    assert len(written) == whole["n"] == 107 and {one["label"] for one in written} == {"0", "1"}
    assert {one["verdict"] for one in written} <= {"link", "suggestion", "none"}
    assert sum(one["verdict"] != "none" for one in written) == whole["flagged"]
    assert sum(one["verdict"] == "link" for one in written) == whole["link"]["flagged"]
    assert all(0 <= float(one["score"]) <= 1 for one in written)


def test_without_labels_every_pair_found_is_told(tmp_path: Path) -> None:
    to = tmp_path / "F.csv"
    whole = told("same-matter", "--messages", messages(tmp_path), "--out", to)
    assert (whole["n"], whole["precision"], whole["recall"], whole["f1"], whole["flagged"]) == (4, None, None, None, 3)
    found = rows(to)
    assert {(one["id_a"], one["id_b"]) for one in found if one["verdict"] != "none"} == {
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    }
    assert len({(one["id_a"], one["id_b"]) for one in found}) == len(found) and {one["label"] for one in found} == {""}


def test_a_pair_is_judged_alike_with_and_without_labels(tmp_path: Path) -> None:
    with_labels, without = tmp_path / "with.csv", tmp_path / "without.csv"
    run("same-matter", *OURS, "--out", with_labels)
    run("same-matter", *OURS[:2], "--out", without)
    found = {(one["id_a"], one["id_b"]): (one["verdict"], one["score"], one["reason"]) for one in rows(without)}
    labelled = {(one["id_a"], one["id_b"]): (one["verdict"], one["score"], one["reason"]) for one in rows(with_labels)}
    both = found.keys() & labelled.keys()
    assert len(both) > 50 and {pair: found[pair] for pair in both} == {pair: labelled[pair] for pair in both}


def test_only_pairs_that_are_near_enough_are_looked_at(tmp_path: Path) -> None:
    labelled = pairs(tmp_path, "ab1", "ac1", "ad0")
    whole = told("same-matter", "--messages", messages(tmp_path), "--gold", labelled, "--days", "14")
    assert (whole["n"], whole["left_out"], whole["flagged"]) == (1, 2, 1)
    assert told("same-matter", "--messages", messages(tmp_path), "--days", "14")["flagged"] == 1
    assert told("same-matter", "--messages", messages(tmp_path), "--days", "17")["flagged"] == 2


def test_times_and_senders_that_are_not_known(tmp_path: Path) -> None:
    unknown = messages(tmp_path, [("a", "", "", LAMP), ("b", "", "", LAMP), ("c", "", "2026-01-01", LAMP)])
    labelled = pairs(tmp_path, "ab1", "ac1")
    whole = told("same-matter", "--messages", unknown, "--gold", labelled)
    assert (whole["n"], whole["flagged"], whole["relations"]["same_caller"]["n"]) == (2, 2, 0)
    assert told("same-matter", "--messages", unknown, "--gold", labelled, "--days", "3")["left_out"] == 2


def test_what_one_sender_wrote_is_compared_though_the_index_does_not_find_it(tmp_path: Path) -> None:
    other = messages(tmp_path, [*FOUR, ("e", "s1", "2026-02-01T08:00", WAGE)])
    whole = told("same-matter", "--messages", other, "--gold", pairs(tmp_path, "ae1"))
    assert (whole["retrieval"]["index_recall"], whole["retrieval"]["candidates_recall"]) == (0.0, 1.0)


def test_the_reason_names_the_veto_and_what_each_feature_adds() -> None:
    shares = (
        Share(feature="in general", value=1, weight=-4),
        Share(feature="places", value=0.5, weight=20),
        Share(feature="years between", value=0.001, weight=-1),
    )
    assert reason(shares, None) == "places +10.00; in general -4.00"
    assert reason(shares, "another line: 2 / 6") == "veto: another line: 2 / 6; places +10.00; in general -4.00"


def test_pairs_are_drawn_for_people_to_label(tmp_path: Path) -> None:
    to = tmp_path / "G.csv"
    run("same-matter", *OURS[:2], "--out", to, "--draw", "30")
    drawn = rows(to)
    assert len(drawn) == 30 and {one["label"] for one in drawn} == {""}
    assert {one["verdict"] for one in drawn} == {"link", "suggestion", "none"}


# -- Incidents ---------------------------------------------------------------------------------------------------------

NEIGHBOURS = [(f"n{one}", f"s{one}", f"2026-01-0{one}T08:00", LAMP) for one in range(1, 7)]
WORKERS = [
    ("w1", "t1", "2026-01-02T09:00", WAGE),
    ("w2", "t1", "2026-01-05T09:00", WAGE),
    ("w3", "t2", "2026-01-06T09:00", WAGE),
]
OTHERS = [
    ("x1", "u1", "2026-01-03T10:00", "二十六路公交车早高峰半小时一班，希望增加班次。"),
    ("x2", "u2", "2026-01-04T10:00", "幼儿园开学收了八百元校服费，不给发票，请教育局查。"),
]


def test_neighbours_are_one_incident_and_workers_another(tmp_path: Path) -> None:
    told_of = [f"n{one},路灯" for one in range(1, 7)] + [f"w{one},工资" for one in (1, 2, 3)] + ["x1,", "x2,"]
    labelled = gold(tmp_path, "id,label\n" + "\n".join(told_of))
    whole = told("incident", "--messages", messages(tmp_path, NEIGHBOURS + WORKERS + OTHERS), "--gold", labelled)
    assert whole.keys() >= KEYS
    assert (whole["incidents"], whole["largest"], whole["joined_across"]) == (2, 6, 0)
    # Of 55 pairs one is of one sender; 15 are neighbours, and two are two workers.
    assert (whole["n"], whole["flagged"], whole["precision"], whole["recall"]) == (54, 17, 1.0, 1.0)
    assert whole["link"]["flagged"] == 17


def test_incidents_that_were_wrongly_joined_are_counted(tmp_path: Path) -> None:
    names = ("路灯", "路灯", "路灯", "路牌", "路牌", "")
    labelled = gold(tmp_path, "id,label\n" + "".join(f"n{one},{name}\n" for one, name in enumerate(names, 1)))
    whole = told("incident", "--messages", messages(tmp_path, NEIGHBOURS), "--gold", labelled)
    assert (whole["n"], whole["flagged"], whole["joined_across"]) == (15, 15, 11)
    assert (whole["precision"], whole["recall"]) == (0.2667, 1.0) and len(whole["errors"]) == 11


def test_pairs_of_one_sender_count_nowhere(tmp_path: Path) -> None:
    labelled = pairs(tmp_path, "ab1", "ac1", "bc1", "ad0")
    to = tmp_path / "F.csv"
    whole = told("incident", "--messages", messages(tmp_path), "--gold", labelled, "--out", to)
    assert (whole["n"], whole["flagged"], whole["joined_across"]) == (3, 2, 0)
    assert {(one["id_a"], one["id_b"]): one["verdict"] for one in rows(to)} == {
        ("a", "b"): "link",
        ("b", "c"): "link",
        ("a", "d"): "none",
    }
    assert told("incident", *OURS)["n"] == 89


def test_incidents_without_labels(tmp_path: Path) -> None:
    to = tmp_path / "F.csv"
    whole = told("incident", "--messages", messages(tmp_path, NEIGHBOURS + WORKERS + OTHERS), "--out", to)
    assert (whole["n"], whole["precision"], whole["flagged"], whole["incidents"], whole["largest"]) == (
        11,
        None,
        17,
        2,
        6,
    )
    assert ("w1", "w2") not in {(one["id_a"], one["id_b"]) for one in rows(to)}


def test_neighbours_who_write_too_late_are_not_joined(tmp_path: Path) -> None:
    whole = told("incident", "--messages", messages(tmp_path), "--days", "1")
    assert (whole["incidents"], whole["largest"], whole["flagged"]) == (0, 0, 0)


# -- What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["same-matter", "incident"])
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, command: str) -> None:
    said = run(command, "--messages", messages(tmp_path), "--gold", pairs(tmp_path, "ab1", "ax1"), code=2)
    assert said == "✗ G.csv line 3: there is no message with the id 'x'\n"
    said = run(command, "--messages", gold(tmp_path, "id,text\n"), code=2)
    assert said == "✗ G.csv line 1: no column sender, time, title\n"
    run(command, "--messages", tmp_path / "missing.csv", code=2)
    run(command, code=2)


def test_drawing_needs_a_file_and_no_labels(tmp_path: Path) -> None:
    assert "--draw needs --out" in run("same-matter", *OURS[:2], "--draw", "30", code=2)
    assert "--draw needs --out" in run("same-matter", *OURS, "--draw", "30", "--out", tmp_path / "F.csv", code=2)


@pytest.mark.parametrize("command", ["same-matter", "incident"])
def test_no_word_of_a_citizen_is_printed_or_written(tmp_path: Path, command: str) -> None:
    to = tmp_path / "F.csv"
    shown = run(command, *OURS, "--out", to) + run(command, *OURS, "--json") + to.read_text(encoding="utf-8")
    texts = [one["text"] + one["title"] for one in rows(OWN / "messages.csv")]
    assert not [text[i : i + 6] for text in texts for i in range(len(text) - 5) if text[i : i + 6] in shown]
