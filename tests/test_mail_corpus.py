"""Each mail of tests/data/mail is read as the file beside it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from normalizer.mail import Mail, read

FOLDER = Path(__file__).parent / "data" / "mail"
MAILS = sorted(FOLDER.glob("*.eml"))


def seen(mail: Mail) -> dict[str, Any]:
    """What an expectation may name."""
    return {
        "subject": mail.subject,
        "sender": mail.sender and mail.sender.address,
        "shown": mail.sender and mail.sender.name,
        "date": mail.date and mail.date.isoformat(),
        "message_id": mail.message_id,
        "thread": list(mail.thread),
        "text": mail.text,
        "attachments": [one.file_name for one in mail.attachments],
        "flags": list(mail.flags),
        "automatic": mail.automatic,
        "answerable": mail.answerable,
        "loops": list(mail.loops),
        "reports": [[one.provider_id, one.state, one.reason] for one in mail.reports],
    }


def folded(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_a_mail_is_read_as_it_was_meant(path: Path) -> None:
    expected = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
    assert expected.pop("trap")
    loose, contains, begins = (expected.pop(name, None) for name in ("loose", "contains", "quoted_begins"))
    mail = read(path.read_bytes())
    found = seen(mail)
    if loose:
        expected["text"], found["text"] = folded(expected["text"]), folded(found["text"])
    assert {name: found[name] for name in expected} == expected
    assert all(words in mail.text for words in contains or ())
    assert (mail.quoted[: len(begins)] if begins else mail.quoted) == (begins or "")


def test_there_is_a_mail_for_each_trap_and_an_expectation_for_each_mail() -> None:
    assert len(MAILS) >= 80
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {path.stem for path in MAILS}
