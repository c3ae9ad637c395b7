"""The words of an HTML text, with its paragraphs: pure, and bounded in time whatever comes in."""

from __future__ import annotations

import re
from html import unescape

from selectolax.lexbor import LexborHTMLParser

#: Elements opened; with more, tags are removed without a tree, whose depth costs its square.
MAX_ELEMENTS = 20_000

_UNSEEN = ("head", "script", "style", "template", "title")
_BLOCKS = "p,div,br,hr,tr,table,ul,ol,li,dl,dt,dd,blockquote,pre,h1,h2,h3,h4,h5,h6,section,article,header,footer,form"
_TAG = re.compile(r"<(/?)([a-z!?][a-z0-9]*)[^<>]*>", re.IGNORECASE)
#: We need none, and the parser compares every attribute of an element with every other; without them no more than three
#: formatting elements of a kind are opened again in each paragraph (WHATWG HTML section 13.2.4.3).
_ATTRIBUTES = re.compile(r"""<([a-z][a-z0-9]*)(?:[^<>"']|"[^"]{0,500}"|'[^']{0,500}'|["'])*+>?""", re.IGNORECASE)
_OPENED = re.compile(r"<[a-z]", re.IGNORECASE)
#: Line ends by their kind, until white space has been folded: a block's edge, ``br``, a paragraph's end.
_EDGE, _BREAK, _CELL = "\x02", "\x03", "\x04"
_EDGES = re.compile(f"[ {_EDGE}{_BREAK}]*[{_EDGE}{_BREAK}][ {_EDGE}{_BREAK}]*+")
_MARKS = dict.fromkeys(_BLOCKS.split(","), _EDGE) | {"br": _BREAK, "p": _BREAK * 2, "td": _CELL, "th": _CELL}


def html_text(html: str) -> str:
    """What a browser would show, with its paragraphs; where it would show nothing, whatever is there."""
    html = _ATTRIBUTES.sub(r"<\1>", re.sub(f"[{_EDGE}{_BREAK}{_CELL}\0]", "", html))
    text = _tree_text(html) if len(_OPENED.findall(html)) <= MAX_ELEMENTS else ""
    text = re.sub(r"\s+", " ", text if text.strip(f" \n{_EDGE}{_BREAK}{_CELL}") else _tagless(html))
    return _EDGES.sub(lambda run: "\n" * min(2, max(1, run[0].count(_BREAK))), text).replace(_CELL, " ")


def _tree_text(html: str) -> str:
    tree = LexborHTMLParser(html)
    tree.strip_tags(list(_UNSEEN))
    for node in tree.css(f"{_BLOCKS},td,th"):
        tag = node.tag or ""
        node.insert_after(_MARKS[tag])
        if tag not in ("br", "td", "th"):
            node.insert_before(_EDGE)
    return tree.root.text() if tree.root else ""


def _tagless(html: str) -> str:
    """``html`` without its tags, in one go; a script or style goes too if it ends at all."""
    lower = html.lower()
    ends = {name: lower.rfind(f"</{name}") for name in _UNSEEN}
    shown: list[str] = []
    hidden, after = "", 0
    for tag in _TAG.finditer(html):
        closing, name = tag[1], tag[2].lower()
        shown += ("" if hidden else html[after : tag.start()]), _MARKS.get(name, "")
        after = tag.end()
        if hidden:
            hidden = "" if closing and name == hidden else hidden
        elif not closing and after <= ends.get(name, -1):
            hidden = name
    return unescape("".join(shown) + ("" if hidden else html[after:]))
