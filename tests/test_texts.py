"""What citizens are told: one catalogue, every text in Chinese and English, alike in what it holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import gateway
from gateway.texts import LABELS, NEUTRAL, PROVING, STATES, TEXTS, language_of, neutral, written
from normalizer.reply import ReplyKind

CODE = "2611230000000014"
CATALOGUE: dict[str, dict[Any, str]] = {
    **{f"text {kind}": words for kind, words in TEXTS.items()},
    **{f"state {name}": words for name, words in STATES.items()},
    **{f"proving {name}": words for name, words in PROVING.items()},
    "neutral": NEUTRAL,
}
HAN = re.compile("[\u4e00-\u9fff]")


def places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("words", CATALOGUE.values(), ids=CATALOGUE)
def test_a_text_stands_in_both_languages_with_the_same_places(words: dict[Any, str]) -> None:
    assert list(words) == ["zh", "en"]
    assert places(words["zh"]) == places(words["en"])
    assert set(places(words["zh"])) <= {"code", "text", "state"}
    assert HAN.search(words["zh"]) and not HAN.search(words["en"])


def test_every_kind_has_its_text_and_its_label() -> None:
    assert set(LABELS) == set(ReplyKind)
    assert set(TEXTS) == set(ReplyKind) - {ReplyKind.CODE, ReplyKind.BINDING}, "those stand in PROVING"
    assert all(re.fullmatch("[\u4e00-\u9fff]{2,5}", label) for label in LABELS.values())


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind is not ReplyKind.STATUS])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_number_and_the_cores_words_are_in_it(kind: ReplyKind, language: Any) -> None:
    found = written(kind, language, CODE, "已修好{code}")
    assert CODE in found
    assert ("已修好{code}" in found) == (kind is not ReplyKind.ACKNOWLEDGEMENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("已修好", "已修好。请回复"), ("已修好！ ", "已修好！请回复"), ("{code}{}%s", "{code}{}%s。请回复")],
)
def test_the_cores_words_stand_as_they_are(text: str, expected: str) -> None:
    assert expected in written(ReplyKind.RESULT, "zh", CODE, text)


def test_the_neutral_words_say_nothing_of_the_matter() -> None:
    assert neutral("zh", CODE).replace(CODE, "") == NEUTRAL["zh"].replace("{code}", "")


@pytest.mark.parametrize(
    ("code", "language"), [("en", "en"), ("zh", "zh"), ("ja", "zh"), ("fr", "zh"), (None, "zh"), ("", "zh")]
)
def test_who_writes_english_is_answered_in_english(code: str | None, language: str) -> None:
    assert language_of(code) == language


#: They write for others than citizens: invented citizens, the test help, what an operator or the core reads, the labels of
#: letters that are measured on, and the sentence on which the parent of workers warms up.
NOT_TO_CITIZENS = {
    "texts.py", "testing.py", "demo", "stories", "measure_labels.py", "subjects.py", "zygote.py"
}  # fmt: skip


def test_no_word_to_a_citizen_stands_elsewhere() -> None:
    """Chinese in the gateway's own code is either in the catalogue or in a docstring."""
    folder = Path(gateway.__file__).parent
    found = [
        f"{file.name}: {words}"
        for file in folder.rglob("*.py")
        if not NOT_TO_CITIZENS & set(file.relative_to(folder).parts)
        for words in _strings(ast.parse(file.read_text(encoding="utf-8")))
        if HAN.search(words)
    ]
    assert found == []


def _strings(tree: ast.AST) -> Iterator[str]:
    """String constants that are no docstring and no attribute's docstring."""
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value
