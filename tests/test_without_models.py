"""The rules stand alone: without the files of what was learned, plain words are read as ever, and nothing fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from normalizer import conduct_advert, conduct_model, conduct_staff, emergency_model
from normalizer.conduct import said
from normalizer.crisis import crisis
from normalizer.emergency import alarm

LEARNED = (conduct_advert, conduct_model, conduct_staff, emergency_model)
#: All of it may be so large, bytes.
MOST = 5_000_000


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No file of weights."""
    for module in LEARNED:
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "none")
        module.weights.cache_clear()
    yield
    for module in LEARNED:
        module.weights.cache_clear()


@pytest.mark.usefixtures("without")
def test_danger_is_read_by_rules_alone() -> None:
    assert all(module.weights() is None for module in LEARNED)
    found = {text: alarm(text) for text in ("着火了，快来人", "有人持刀抢劫，快报警", "路灯坏了", "去年着过火")}
    assert [one and one.line for one in found.values()] == ["119", "110", None, None]
    own = crisis("我不想活了，准备从楼上跳下去")
    assert own is not None and own.explicit
    assert crisis("路灯坏了") is None


@pytest.mark.usefixtures("without")
def test_conduct_is_read_by_rules_alone() -> None:
    found = {text: {sign.kind for sign in said(text) if sign.score >= 0.5} for text in TOLD}
    assert found == TOLD


#: What each says.
TOLD = {
    "接线员你就是个傻逼": {"insult"},
    "再不解决我就拿刀砍死你们接线员": {"threat"},
    "低息贷款，无抵押，当天放款，加微信dk8866": {"spam"},
    "路灯坏了三天没人修，气死我了": set(),
}


def test_what_was_learned_is_small() -> None:
    assert sum(module.WEIGHTS.stat().st_size for module in LEARNED) < MOST
