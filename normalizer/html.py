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
#: Classes and ids by which clients wrap what they quote: Gmail, NetEase (its web page and Mail Master), QQ, Sina, 139, Yahoo,
#: Proton, Tuta, Zoho, Outlook, Thunderbird. Gmail's outer ``div`` is none of them: who answers between the lines writes into it.
_QUOTING = {
    *("gmail_attr", "ntes-mailmaster-quote", "isreplycontent", "isforwardcontent", "yahoo_quoted", "iosymail"),
    *("protonmail_quote", "tutanota_quote", "zmail_extra", "reply139content", "orimsghtmlseperator", "moz-cite-prefix"),
    *(
        "moz-forward-container",
        "mail-editor-reference-message-container",
        "xm_compose_origin_mail_container",
        "origbody",
    ),
}
#: Elements behind which all is quoted: Outlook on the web, Hotmail.
_QUOTING_ON = {"divrplyfwdmsg", "replysplit", "stopspelling"}
_NAME = re.compile(r"[\w-]+")
#: Characters of a tag in which such names are looked for, and elements that carry them.
_LOOKED, _WRAPPERS = 1000, {"div", "blockquote", "hr", "span", "table", "section"}
_OPENED = re.compile(r"<[a-z]", re.IGNORECASE)
#: Line ends by their kind, until white space has been folded: a block's edge, ``br``, a paragraph's end.
_EDGE, _BREAK, _CELL = "\x02", "\x03", "\x04"
#: Where a quotation begins and ends, and where one begins that goes on to the end; no text of ours holds them otherwise.
QUOTE, UNQUOTE, QUOTE_ON = "\x05", "\x06", "\x07"
_EDGES = re.compile(f"[ {_EDGE}{_BREAK}]*[{_EDGE}{_BREAK}][ {_EDGE}{_BREAK}]*+")
_MARKS = dict.fromkeys(_BLOCKS.split(","), _EDGE) | {"br": _BREAK, "p": _BREAK * 2, "td": _CELL, "th": _CELL}


def html_text(html: str) -> str:
    """What a browser would show, with its paragraphs; where it would show nothing, whatever is there.

    ``QUOTE`` and its like stand where the client marked a quotation.
    """
    html = _ATTRIBUTES.sub(_bare, re.sub(f"[\0{_EDGE}{_BREAK}{_CELL}{QUOTE}{UNQUOTE}{QUOTE_ON}]", "", html))
    text = _tree_text(html) if len(_OPENED.findall(html)) <= MAX_ELEMENTS else ""
    shown = text.strip(f" \n{_EDGE}{_BREAK}{_CELL}{QUOTE}{UNQUOTE}{QUOTE_ON}")
    text = re.sub(r"\s+", " ", text if shown else _tagless(html))
    return _EDGES.sub(lambda run: "\n" * min(2, max(1, run[0].count(_BREAK))), text).replace(_CELL, " ")


def _bare(tag: re.Match[str]) -> str:
    """The tag without its attributes; with one of ours if it wraps a quotation."""
    name = tag[1].lower()
    if name in _WRAPPERS and len(tag[0]) > len(name) + 2:
        names = set(_NAME.findall(tag[0][:_LOOKED].lower()))
        if names & _QUOTING_ON:
            return f"<{name} q=on>"
        cited = name == "blockquote" and ("gmail_quote" in names or {"type", "cite"} <= names)
        if cited or names & _QUOTING:
            return f"<{name} q>"
    return f"<{tag[1]}>"


def _tree_text(html: str) -> str:
    tree = LexborHTMLParser(html)
    tree.strip_tags(list(_UNSEEN))
    for node in tree.css(f"{_BLOCKS},td,th"):
        tag = node.tag or ""
        node.insert_after(_MARKS[tag])
        if tag not in ("br", "td", "th"):
            node.insert_before(_EDGE)
    for node in tree.css("[q]"):
        on = node.attributes.get("q") == "on"
        node.insert_before(QUOTE_ON if on else QUOTE)
        if not on:
            node.insert_after(UNQUOTE)
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
