"""The language of a text: by its script where that decides, by letter sequences (py3langid) where it does not.

A message is short and full of place names, on which statistics fail; its script does not.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

#: Characters looked at: more than a letter has, little enough for a mail of a megabyte.
READ = 20_000
#: Letters given to the model: it is sure long before.
_MODEL_READ = 2_000
#: Links and addresses are in no language (RFC 3986 schemes, RFC 5322 addr-spec).
_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]+|[a-z0-9._%+-]{1,64}@[a-z0-9.-]+", re.IGNORECASE)

#: Script → its letters, as ranges (Unicode Scripts.txt, the blocks in present use).
_SCRIPTS = {
    "Han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af〇々",
    "Kana": "\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d",
    "Hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "Tibetan": "\u0f40-\u0fbc",
    "Mongolian": "\u1820-\u18aa",
    "Yi": "\ua000-\ua48c",
    "Thai": "\u0e01-\u0e4e",
    "Lao": "\u0e81-\u0edf",
    "Khmer": "\u1780-\u17d3",
    "Myanmar": "\u1000-\u104f",
    "Hebrew": "\u05d0-\u05ea",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Georgian": "\u10a0-\u10ff",
    "Armenian": "\u0531-\u0587",
    "Bengali": "\u0985-\u09df",
    "Tamil": "\u0b82-\u0bd7",
    "Devanagari": "\u0904-\u0963\u0970-\u097f",
    "Cyrillic": "\u0400-\u052f",
    "Arabic": "\u0620-\u064a\u066e-\u06d3\u06d5\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdfb\ufe70-\ufefc",
    "Latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
}
#: Letters of one script in a row: a group per script, in the order above.
_RUN = re.compile("|".join(f"(?P<{script}>[{letters}]+)" for script, letters in _SCRIPTS.items()))
#: A sign that is a word weighs as much as the four letters of one; a syllable as much as two.
_WEIGHT = {"Han": 4, "Kana": 2, "Hangul": 2, "Tibetan": 2, "Yi": 4}
#: Scripts of one language here (ISO 639-1).
_DECISIVE = {
    "Han": "zh",
    "Kana": "ja",
    "Hangul": "ko",
    "Tibetan": "bo",
    "Mongolian": "mn",
    "Yi": "ii",
    "Thai": "th",
    "Lao": "lo",
    "Khmer": "km",
    "Myanmar": "my",
    "Hebrew": "he",
    "Greek": "el",
    "Georgian": "ka",
    "Armenian": "hy",
    "Bengali": "bn",
    "Tamil": "ta",
}
#: Which languages of the other scripts a Chinese city meets: of its neighbours, its guests, its trade.
_CANDIDATES = {
    "Latin": ("en", "fr", "de", "es", "pt", "it", "nl", "vi", "id", "ms", "tr", "pl", "uz"),
    "Cyrillic": ("ru", "kk", "mn", "uk", "ky", "tg"),
    "Arabic": ("ar", "ug", "fa", "ur"),
    "Devanagari": ("hi", "ne", "mr"),
}
#: Fewer Latin letters than this, all of them ASCII, are English: ``ok``, ``hello``, a shop's name. The model calls them
#: Italian, German, Polish.
_FEW_LETTERS = 20
#: U+0674 opens a Kazakh word in Arabic script, as written in Xinjiang; the model knows Kazakh in Cyrillic only.
_KAZAKH = "\u0674"
#: Japanese is at least this share kana; a Chinese text with a shop called 鲜の味 is less.
_KANA_SHARE = 0.15


def language(text: str) -> str | None:
    """Return the ISO 639-1 code of the first 20,000 characters of ``text``; None where there is no letter."""
    return identify(text)[0]


def identify(text: str) -> tuple[str | None, str]:
    """Return what :func:`language` does and the rule that told it, ``language.script`` or ``language.model``."""
    words = _ADDRESS.sub(" ", text[:READ])
    script = _script(words)
    if script is None:
        return None, "language.script"
    if told := _DECISIVE.get(script) or _told_by_letters(script, words):
        return told, "language.script"
    return _told_by_model(script, words), "language.model"


def _script(text: str) -> str | None:
    """Return the script that says most of the text, None where there is no letter."""
    count = Counter[str]()
    for run in _RUN.finditer(text):
        count[run.lastgroup or ""] += len(run[0])
    if count["Kana"] and count["Kana"] >= _KANA_SHARE * (count["Kana"] + count["Han"]):
        count["Kana"] += count.pop("Han", 0)
    else:
        del count["Kana"]
    return max(count, key=lambda script: count[script] * _WEIGHT.get(script, 1), default=None)


def _told_by_letters(script: str, text: str) -> str | None:
    """Decide what single letters decide."""
    if script == "Arabic" and _KAZAKH in text:
        return "kk"
    return "en" if script == "Latin" and _is_scrap(text) else None


def _is_scrap(text: str) -> bool:
    """Tell whether there are few Latin letters and none with a mark; full-width ones are plain too."""
    letters = "".join(run[0] for run in _RUN.finditer(text) if run.lastgroup == "Latin")
    return len(letters) < _FEW_LETTERS and all(letter.isascii() or letter > "\uff00" for letter in letters)


def _told_by_model(script: str, text: str) -> str:
    """Return the likeliest of the languages that are written so."""
    ranked: list[tuple[str, float]] = _model().rank(text[:_MODEL_READ])
    return next(code for code, _ in ranked if code in _CANDIDATES[script])


@cache
def _model() -> LanguageIdentifier:
    """Load the model: numpy and 0.8 s, which a process that meets only Chinese never spends."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - loaded at first use, see above

    return LanguageIdentifier.from_model_file(MODEL_FILE)
