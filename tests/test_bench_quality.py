"""make quality: the plain methods, how their thresholds are chosen, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import plain, quality
from gateway.labelled import Pair, Written
from gateway.measure_pairs import Figures

LAMP = Written("a", "s1", None, "石塔路路灯不亮", "粮库到铁道口这一段的路灯灭了半个月，晚上漆黑一片。")
AGAIN = Written("b", "s2", None, "石塔路晚上太黑", "粮库往铁道口方向的路灯一盏都没有亮，请派人来修。")
WAGE = Written("c", "s3", None, "拖欠工资", "在安置房工地做木工四个月，一分钱没有发。")
EMPTY = Written("d", "s4", None, "", "")


@pytest.mark.parametrize("method", plain.METHODS)
def test_a_plain_method_tells_likeness_whichever_comes_first(method: str) -> None:
    score = plain.METHODS[method]([LAMP, AGAIN, WAGE, EMPTY, LAMP])
    assert score(0, 4) == pytest.approx(1) and score(0, 2) < score(0, 1) < 1
    assert score(0, 1) == pytest.approx(score(1, 0)) and score(0, 3) < 0.2


SCORED = [(0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.2, False)]
PAIRS = [Pair(0, 1, same=same) for _, same in SCORED]
SCORES = [score for score, _ in SCORED]


def test_a_method_gets_the_threshold_that_is_best_for_it() -> None:
    assert quality.best(SCORES, PAIRS) == 0.6
    found = quality.at(0.6, zip(SCORES, PAIRS, strict=True))
    assert (found.right, found.wrong, found.missed) == (3, 1, 0)


def test_the_most_that_it_finds_while_it_is_sure() -> None:
    found = quality.surest(SCORES, PAIRS)
    assert (found.right, found.wrong, found.missed) == (2, 0, 1)
    assert quality.surest([0.1, 0.9], [Pair(0, 1, same=True), Pair(0, 2, same=False)]).flagged == 0


def row(method: str, right: int, texts: str = "our own") -> quality.Row:
    figures = Figures(right, 0, 10 - right)
    return quality.Row(texts, method, 0.5, figures, figures, figures, 1.0)


def test_the_run_fails_when_a_plain_method_does_as_well() -> None:
    assert not quality.complaints([row(quality.OURS, 8), row("plain", 7)])
    assert quality.complaints([row(quality.OURS, 8), row("plain", 8)])
    others = [row(quality.OURS, 8), row("plain", 7), row(quality.OURS, 5, "others"), row("plain", 6, "others")]
    assert quality.complaints(others) == ["plain is as good as the gateway on the others texts"]


def test_our_own_pairs_suffice_and_no_text_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "SHARED", tmp_path / "absent")
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "quality.json")
    assert quality.main() == 0
    told = json.loads((tmp_path / "quality.json").read_text(encoding="utf-8"))
    assert [one["method"] for one in told["our own"]["methods"]] == ["the gateway", *plain.METHODS]
    assert "development" not in told and "../shared/data is absent" in capsys.readouterr().out
    assert "翠湖" not in json.dumps(told, ensure_ascii=False)


def test_our_own_pairs_are_many_and_of_every_kind() -> None:
    texts = quality.own_texts()
    same = [pair for pair in texts.pairs if pair.same]
    assert len(texts.pairs) >= 60 and len(same) >= 40
    assert 10 < sum(texts.different()) < len(texts.pairs) - 10
