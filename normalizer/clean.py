"""What people see and what programs compare: one text, two forms.

:func:`clean` keeps what the citizen wrote and removes what only disguises it; :func:`for_matching` keeps what two
writings have in common. Both are idempotent and total over ``str``, lone surrogates included.
"""

from __future__ import annotations

import re
import unicodedata

#: Alone they are half a character: no encoding can store them (Unicode section 3.8).
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Not characters, and refused by XML (XML 1.0 section 2.2).
_NONCHARACTER = re.compile("[\ufffe\uffff]")
#: Line ends of every system (Unicode section 5.8), and Excel's way to write a carriage return (ECMA-376 ST_Xstring).
_NEWLINE = re.compile("(?:_x000[dD]_[\ufe00-\ufe0f\U000e0100-\U000e01ef]?|\r)\n?|[\x0b\x0c\x85\u2028\u2029]")
#: C0 and C1 controls but for the tab and the line ends above.
_CONTROL = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
#: Bidi_Control (UAX #9 section 2): they make a text read otherwise than it is stored.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
#: Default_Ignorable_Code_Point (UAX #44) without a use in a letter to the city: soft hyphen, combining grapheme joiner,
#: zero-width space, word joiner, invisible operators, byte order mark, annotation marks, and the Hangul fillers, which
#: look like a space and count as a letter.
_ZERO_WIDTH = "\u00ad\u034f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
_JUNK = re.compile(f"[{_CONTROL}{_BIDI}{_ZERO_WIDTH}]+")

#: Marks that Python sorts when it normalises, in quadratic time: 80,000 in a row take five seconds (measured).
_MARK = "".join(re.escape(chr(code)) for code in range(0x300, 0x1E94B) if unicodedata.combining(chr(code)))
#: The Stream-Safe Text Format allows 30 in a row (UAX #15 section 13); no word of any language has more.
_HEAP = re.compile(f"([{_MARK}][{_MARK}]{{29}})[{_MARK}]+")
#: Where the marks lie, roughly: a heap is as many characters outside Latin, Chinese and Korean. Seen ten times as fast.
_FOREIGN = "[\u0300-\u33ff\ua000-\uabff\ufb1e\ufe20-\ufe2f\U00010000-\U0001e94a]"
_PERHAPS_HEAP = re.compile(f"{_FOREIGN}{_FOREIGN}{{30}}")

_JOINER = "\u200c\u200d"
_SELECTOR = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAG = "\U000e0000-\U000e007f"
_UNSEEN = re.compile(f"[{_JOINER}{_SELECTOR}{_TAG}]")
#: Scripts whose letters join or stack, so that a joiner changes the word (RFC 5892 appendix A): Arabic (Uyghur, Kazakh,
#: Persian), Syriac, N'Ko, the Indic scripts, Tibetan, Myanmar, Khmer, Mongolian.
_JOINING = f"(?![{_MARK}])[\u0600-\u07ff\u0840-\u0fff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]"
#: What emoji sequences are built of, skin tones included (UTS #51, emoji-zwj-sequences.txt).
_PICTURE = "[\u2194-\u21aa\u231a-\u2328\u23cf-\u23fa\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\U0001f000-\U0001faff]"
#: Invisible signs in the one place where each means something (group 1), and anywhere else, where they only hide things:
#: tags that name a region behind the black flag (UTS #51 section 4.4), a joiner between two pictures, a joiner behind a
#: letter that joins, one variation selector behind its sign (Unicode section 23.4).
_ATTACHED = re.compile(
    f"(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,8}}\U000e007f"
    f"|{_PICTURE}\ufe0f?\u200d(?={_PICTURE})"
    f"|{_JOINING}[{_MARK}]*+[{_JOINER}]"
    f"|(?<=[^\\s{_JOINER}{_SELECTOR}{_TAG}])[{_SELECTOR}])|[{_JOINER}{_SELECTOR}{_TAG}]"
)

_BLANK_LINES = re.compile("\n{4,}")
#: White space, and every Default_Ignorable_Code_Point that ``clean`` lets stand.
_INKLESS = re.compile(f"[\\s\u115f\u1160\u17b4\u17b5\u180b-\u180f{_JOINER}{_SELECTOR}{_TAG}]+")


def clean(text: str) -> str:
    r"""Return ``text`` as it is stored and shown: NFC (UAX #15), ``\n`` for every line end, nothing invisible.

    NUL and the other controls (tab excepted), bidi controls and zero-width signs without a use go; lone surrogates
    become U+FFFD; outer blank lines, trailing spaces and blank lines beyond two in a row go. The wording stays.
    """
    text = _compose(_storable(text))
    if _UNSEEN.search(text):
        text = _compose(_ATTACHED.sub(r"\1", text))
    return _trim(_NEWLINE.sub("\n", text))


def single_line(text: str) -> str:
    """Return ``text`` cleaned, with every run of white space folded to one space: a title, a name, a file name."""
    return " ".join(clean(text).split())


def for_matching(text: str) -> str:
    """Return the form in which two cleaned texts are compared, never shown: NFKC (UAX #15), caseless, no white space.

    Full-width and half-width, capital and small letters fall together. NFKC twice, because case folding can undo it and
    it can bring forth a space (Unicode section 3.13, NFKC_Casefold). At most 18 times as long as ``text`` (UAX #15,
    U+FDFA); Chinese keeps its length.
    """
    text = unicodedata.normalize("NFKC", _level(_INKLESS.sub("", _storable(text)))).casefold()
    return _level(unicodedata.normalize("NFKC", _level(_INKLESS.sub("", text))))


def _storable(text: str) -> str:
    """Mend what no encoding holds - a split pair becomes its character - and remove what nobody sees."""
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _JUNK.sub("", _NONCHARACTER.sub("\ufffd", text))


def _compose(text: str) -> str:
    """NFC without heaps of marks: cut before for the time it takes, and after because NFC can part one sign into two."""
    cut = _level(text)
    return cut if unicodedata.is_normalized("NFC", cut) else _level(unicodedata.normalize("NFC", cut))


def _level(text: str) -> str:
    """Cut heaps of marks to what the Stream-Safe Text Format allows."""
    return _HEAP.sub(r"\1", text) if _PERHAPS_HEAP.search(text) else text


def _trim(text: str) -> str:
    """Remove trailing spaces, outer blank lines, and blank lines beyond two in a row."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n\n", lines.strip("\n"))
