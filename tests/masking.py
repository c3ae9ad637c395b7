"""Sealed matters under test: a citizen with everything that leads to him, and where it would be seen."""

from __future__ import annotations

import base64
import importlib.util
import re
import sys
import types
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pytest

NAME, UNIT = "欧阳若澜", "澜庭花艺工作室"
PHONE, MAIL, ID_CARD = "13800000077", "ruolan.ouyang@example.net", "370100199001010017"
ADDRESS = "文心路77号3单元501室"
#: Whatever must not be seen of her.
SECRETS = (NAME, UNIT, PHONE, MAIL, ID_CARD, "501室", "ouyang")
#: What she writes.
WORDS = (
    f"我要举报东湖饭店使用过期食材。我叫{NAME}，身份证号{ID_CARD}，电话{PHONE}，邮箱{MAIL}，住{ADDRESS}。请为我保密！"
)
_SHAPES = re.compile(r"[\w.]{1,40}@[\w.]{1,40}|\d{11,18}|77号3单元501室")


@dataclass(frozen=True)
class Named:
    start: int
    end: int
    label: str


def _names(text: str, known: Collection[str]) -> tuple[Named, ...]:
    told = "|".join(map(re.escape, sorted((*known, NAME), key=len, reverse=True)))
    spans = [*re.finditer(told, text), *_SHAPES.finditer(text)]
    return tuple(Named(*span.span(), "name") for span in spans)


def _masked(text: str, named: Collection[Named]) -> str:
    hidden = {place for one in named for place in range(one.start, one.end)}
    return "".join("*" if place in hidden else sign for place, sign in enumerate(text))


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the reading of names is not there yet, one that knows this citizen's."""
    if importlib.util.find_spec("normalizer.confidential") is None:
        module = types.ModuleType("normalizer.confidential")
        module.names, module.masked = _names, _masked  # type: ignore[attr-defined]  # made here
        monkeypatch.setitem(sys.modules, "normalizer.confidential", module)


def seen(data: bytes, secrets: Collection[str] = SECRETS) -> list[str]:
    """The secrets that stand in the bytes, in whatever form."""
    return [secret for secret in secrets if any(form in data for form in _forms(secret))]


def _forms(secret: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "gb18030", "utf-16-le"):
        raw = secret.encode(encoding)
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw)[: len(raw) // 3 * 4]
    yield secret.encode("ascii", "backslashreplace") if not secret.isascii() else secret.encode()
