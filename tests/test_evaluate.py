"""`gateway evaluate mail`: what is counted, what is written, and when it says no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import corpus
from gateway.cli import app
from gateway.mail_measure import Reading, Score, measure

GOOD = "From: a@b.example\r\nSubject: x\r\nDate: nonsense\r\n\r\n小区北门路灯不亮\r\n".encode()
BOMB = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(400))


def mails(folder: Path, **files: bytes) -> Path:
    (folder / "below").mkdir()
    for name, raw in files.items():
        (folder / "below" / name).write_bytes(raw)
    return folder


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["evaluate", "mail", *arguments])
    return done.exit_code, done.stdout


def test_every_file_below_is_read_and_counted(tmp_path: Path) -> None:
    long = "lamp " * 200_000  # so that its seconds can be measured
    code, printed = run(str(mails(tmp_path, one=GOOD, two=f"Subject: y\r\n\r\nok\ufffd {long}".encode())), "--json")
    told = json.loads(printed)
    counted = ("files", "read", "lost", "exceptions", "defects", "replacement_characters", "chinese")
    assert code == 0 and [told[name] for name in counted] == [2, 2, 0, 0, 2, 1, 1]
    assert 0 < told["slowest_seconds"] < 5 and 10 < told["peak_megabytes"] < 512


def test_what_was_understood_is_written_a_line_each(tmp_path: Path) -> None:
    lines = tmp_path / "understood.jsonl"
    folder = tmp_path / "mails"
    folder.mkdir()
    assert run(str(mails(folder, one=GOOD, two=BOMB)), "--out", str(lines))[0] == 1
    first, second = (json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines())
    assert (first["file"], first["text"], first["lost"]) == ("below/one", "小区北门路灯不亮", None)
    assert (second["file"], second["lost"]) == ("below/two", "nesting")


def test_a_lost_mail_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    code, printed = run(str(mails(tmp_path, one=GOOD, two=BOMB)))
    assert code == 1
    assert "below/two: nesting" in printed and "1 of 2 mails were lost" in printed


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    assert run(str(tmp_path))[0] == 1
    assert run(str(tmp_path / "missing"))[0] == 2


async def test_an_exception_of_ours_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    folder = mails(tmp_path, one=GOOD, two=GOOD)
    files = [folder / "below" / name for name in ("one", "vanished", "two")]
    score, steps = Score(), []
    async for one in measure(folder, files, lambda: steps.append(1)):
        score.add(one)
    assert (score.files, score.read, score.lost, score.exceptions) == (3, 2, 1, 1)
    assert score.lost_files == {"below/vanished": "FileNotFoundError"} and len(steps) == 3


WRONG = {
    "lost": Reading("x", lost="nesting"),
    "exception": Reading("x", lost="crash", own_fault=True),
    "replaced": Reading("x", characters=100, replaced=3, chinese=True),
    "slow": Reading("x", seconds=10.1),
    "large": Reading("x", megabytes=513),
}
RIGHT = {
    "replaced in another language": Reading("x", characters=100, replaced=50),
    "replaced a little": Reading("x", characters=100, replaced=2, chinese=True),
    "slow and large, but not too much": Reading("x", seconds=9.9, megabytes=511),
}


@pytest.mark.parametrize(
    ("one", "wrong"), [*((one, True) for one in WRONG.values()), *((one, False) for one in RIGHT.values())]
)
def test_promises_that_are_not_kept_are_said(one: Reading, wrong: bool) -> None:
    score = Score()
    score.add(one)
    assert bool(score.complaints()) == wrong


def test_the_corpus_is_our_own_and_what_lies_beside_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(corpus, "SHARED", tmp_path)
    assert corpus.folders(short=False) == [corpus.OWN, tmp_path / "other"]
    assert corpus.folders(short=True) == [corpus.OWN]
    assert len(list(corpus.OWN.glob("*.eml"))) >= 80
