"""What makes the mail benchmark fail, and that it can be run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench import mail
from bench.mail import WAYS, Figures, complaints, flood, sink
from bench.mail_large import Citizen, Delays, letter, mailbox
from tests.conftest import missing

GOOD = [Figures("mailbox", way, 900.0, 900.0, 0.9, 1.0) for way in WAYS]
QUICK = [Delays(0.02, 0.3, 0.1, 0.4)]


@pytest.mark.parametrize(
    ("found", "delays", "short", "full"),
    [
        (GOOD, QUICK, 0, 0),
        ([*GOOD, replace(GOOD[0], missing=3)], QUICK, 1, 1),
        ([replace(one, ratio=0.7) for one in GOOD], QUICK, 0, 2),
        (GOOD, [*QUICK, replace(QUICK[0], ack_beside=1.1)], 0, 1),
        (GOOD, [*QUICK, replace(QUICK[0], matter_behind=1.2)], 0, 1),
    ],
    ids=["good", "a lost mail", "slow", "an acknowledgement held up", "a matter held up"],
)
def test_the_run_fails_on_it(found: list[Figures], delays: list[Delays], short: int, full: int) -> None:
    assert (len(complaints(found, delays, short=True)), len(complaints(found, delays, short=False))) == (short, full)


@pytest.mark.parametrize("way", WAYS)
def test_both_take_what_smtp_source_sends(tmp_path: Path, way: str) -> None:
    if mail.smtp_source() is None:
        missing("smtp-source")
    for name, server in (("sink", sink(tmp_path)), ("mailbox", mailbox(tmp_path, "edge"))):
        with server as (process, port):
            rate, _ = flood(process, port, 40, way)
            assert rate > 1, name


def test_a_mail_goes_all_the_way(tmp_path: Path) -> None:
    with mailbox(tmp_path, "edge") as (_, port), closing(Citizen(port)) as citizen:
        assert citizen.send(letter("one", 100_000)) < 30
