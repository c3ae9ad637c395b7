"""Sealed matters under test: a citizen with everything that leads to him, and where it would be seen."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator

NAME, UNIT = "欧阳若澜", "澜庭花艺工作室"
PHONE, MAIL, ID_CARD = "13800000077", "ruolan.ouyang@example.net", "370100199001010017"
ADDRESS = "文心路77号3单元501室"
#: Whatever must not be seen of her.
SECRETS = (NAME, UNIT, PHONE, MAIL, ID_CARD, "501室", "ouyang")
#: What she writes.
WORDS = (
    f"我要举报东湖饭店使用过期食材。我叫{NAME}，身份证号{ID_CARD}，电话{PHONE}，邮箱{MAIL}，家住{ADDRESS}。请为我保密！"
)


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
