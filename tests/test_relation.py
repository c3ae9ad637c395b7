"""What a message is to the matters before it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from dedupe import relation as module
from dedupe.relation import relation
from normalizer.model import HotlineMatter, KeptMessage, Message, Outcome, Past
from tests.store import conftest as build


def message(**more: Any) -> Message:
    return build.message(**more)


def matter() -> HotlineMatter:
    kept = KeptMessage(uuid4(), uuid4(), "app", "app", build.NOW, message())
    return build.matter(kept, uuid4())


def test_a_message_that_names_nothing_is_a_new_matter() -> None:
    verdict = relation(message(), Past())
    assert (verdict.outcome, verdict.matter_id) == (Outcome.FILED, None)


def test_a_message_that_names_its_callers_matter_adds_to_it() -> None:
    named = matter()
    verdict = relation(message(in_reply_to=str(named.matter_id)), Past(named=named))
    assert (verdict.outcome, verdict.matter_id) == (Outcome.ATTACHED, named.matter_id)


def test_a_matter_of_somebody_else_is_not_opened_by_its_number() -> None:
    verdict = relation(message(in_reply_to=str(matter().matter_id)), Past(named=None))
    assert (verdict.outcome, verdict.reason) == (Outcome.FILED, "names a matter that is not its caller's")


@pytest.mark.parametrize("limit", ["MOST_MESSAGES", "MOST_CHARACTERS"])
def test_a_full_matter_takes_no_more(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    named = matter()
    monkeypatch.setattr(module, limit, 1)
    verdict = relation(message(in_reply_to=str(named.matter_id)), Past(named=named))
    assert (verdict.outcome, verdict.matter_id) == (Outcome.FILED, None)
