"""Who is believed: Authentication-Results of our own mail server only, nobody else's word."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail_trust import header_fields, server_results, trust
from normalizer.model import Assurance

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
OURS, CITIZEN = ("mx.example.gov.cn",), "zhang@example.net"
VERIFIED, SPOOFABLE = Assurance.VERIFIED, Assurance.SPOOFABLE


def mail(*headers: str, sender: str = CITIZEN) -> bytes:
    return "".join(f"{one}\r\n" for one in (*headers, f"From: {sender}", "Subject: x")).encode() + b"\r\nwords\r\n"


def ar(rest: str, server: str = OURS[0]) -> str:
    return f"Authentication-Results: {server}; {rest}"


PASS = "dmarc=pass header.from=example.net"
RESULTS: dict[str, tuple[bytes, Assurance, tuple[str, ...]]] = {
    "none": (mail(), SPOOFABLE, ()),
    "dmarc": (mail(ar(PASS)), VERIFIED, ("dmarc_pass",)),
    "dmarc with policy and comments": (
        mail(ar("dmarc=pass (p=NONE sp=NONE; x) header.from=example.net")),
        VERIFIED,
        ("dmarc_pass",),
    ),
    "dkim of his domain": (mail(ar("dkim=pass header.d=example.net header.s=s1")), VERIFIED, ("dkim_pass",)),
    "dkim by identity": (mail(ar("dkim=pass header.i=@example.net")), VERIFIED, ("dkim_pass",)),
    "dkim of the domain above": (
        mail(ar("dkim=pass header.d=example.net"), sender="a@mail.example.net"),
        VERIFIED,
        ("dkim_pass",),
    ),
    "all of them, folded": (
        mail(
            f"Authentication-Results: {OURS[0]};\r\n\tspf=pass smtp.mailfrom=a@example.net;\r\n\tdkim=pass (2048-bit key)\r\n"
            '\t reason="ok; fine" header.d=example.net;\r\n\tdmarc=pass header.from=example.net'
        ),
        VERIFIED,
        ("dkim_pass", "dmarc_pass"),
    ),
    "version and upper case": (
        mail("AUTHENTICATION-RESULTS: MX.Example.gov.cn 1; DMARC/1=Pass Header.From=EXAMPLE.net"),
        VERIFIED,
        ("dmarc_pass",),
    ),
    "the second of two signatures": (
        mail(ar("dkim=fail header.d=example.net; dkim=pass header.d=example.net")),
        VERIFIED,
        ("dkim_pass",),
    ),
    "dmarc failed": (mail(ar("dmarc=fail header.from=example.net")), SPOOFABLE, ("dmarc_fail",)),
    "dmarc none": (mail(ar("dmarc=none header.from=example.net")), SPOOFABLE, ()),
    "dmarc of another domain": (mail(ar("dmarc=pass header.from=example.org")), SPOOFABLE, ()),
    "dmarc of nobody": (mail(ar("dmarc=pass")), SPOOFABLE, ()),
    "dkim of another": (mail(ar("dkim=pass header.d=example.org")), SPOOFABLE, ()),
    "dkim of a domain below": (mail(ar("dkim=pass header.d=mail.example.net")), SPOOFABLE, ()),
    "dkim of a name that only ends alike": (mail(ar("dkim=pass header.d=ample.net")), SPOOFABLE, ()),
    "dkim of a top level domain": (mail(ar("dkim=pass header.d=net")), SPOOFABLE, ()),
    "dkim failed": (mail(ar("dkim=fail header.d=example.net")), SPOOFABLE, ()),
    "spf alone": (mail(ar("spf=pass smtp.mailfrom=zhang@example.net")), SPOOFABLE, ()),
    "another server": (mail(ar(PASS, "mx.evil.example")), SPOOFABLE, ()),
    "a server that ends alike": (mail(ar(PASS, "evil-mx.example.gov.cn")), SPOOFABLE, ()),
    "our server in a comment": (mail(f"Authentication-Results: (mx.example.gov.cn) evil.example; {PASS}"), SPOOFABLE, ()),
    "our server in quotes": (mail(f'Authentication-Results: "mx.example.gov.cn"; {PASS}'), VERIFIED, ("dmarc_pass",)),
    "forged below ours": (
        mail(ar("dmarc=fail header.from=example.net"), "Received: from evil", ar(PASS)),
        SPOOFABLE,
        ("dmarc_fail",),
    ),
    "forged right below ours": (mail(ar("dmarc=none header.from=example.net"), ar(PASS)), SPOOFABLE, ()),
    "forged below an empty one of ours": (mail(ar("none"), ar(PASS)), SPOOFABLE, ()),
    "forged in the body": (mail() + ar(PASS).encode(), SPOOFABLE, ()),
    "a result inside a comment": (mail(ar(f"dmarc=none ({PASS}) header.from=example.net")), SPOOFABLE, ()),
    "a result inside quotes": (mail(ar(f'spf=fail reason="x; {PASS}"')), SPOOFABLE, ()),
    "a property inside quotes": (
        mail(ar('dmarc=pass reason="header.from=example.net"')),
        SPOOFABLE,
        (),
    ),
    "a comment that never ends": (mail(ar(f"spf=none (; {PASS}")), SPOOFABLE, ()),
    "two From": (mail(ar(PASS), "From: zhang@example.net"), SPOOFABLE, ()),
    "two addresses in From": (mail(ar(PASS), sender="zhang@example.net, li@example.org"), SPOOFABLE, ()),
    "two From, one with a blank": (mail(ar(PASS), "From : zhang@example.net"), SPOOFABLE, ()),
    "From of another than was read": (mail(ar(PASS), sender="li@example.org"), SPOOFABLE, ()),
    "ARC of somebody": (mail(f"ARC-Authentication-Results: i=1; {OURS[0]}; {PASS}"), SPOOFABLE, ()),
    "odd": (mail(ar(';;;=;dmarc;=pass;dmarc==;"')), SPOOFABLE, ()),
    "not ASCII": (mail(ar("dmarc=pass header.from=例子.net; x=市民@例子.net")), SPOOFABLE, ()),
    "empty": (mail("Authentication-Results:"), SPOOFABLE, ()),
    "only our name": (mail(f"Authentication-Results: {OURS[0]}"), SPOOFABLE, ()),
}  # fmt: skip


def read_address(raw: bytes) -> str:
    """The first of the first From, as the mail is read."""
    first = next(value for name, value in header_fields(raw) if name == "from")
    return CITIZEN if "li@example.org" in first and CITIZEN not in first else first.split(",")[0].strip()


@pytest.mark.parametrize(("raw", "assurance", "flags"), RESULTS.values(), ids=RESULTS)
def test_what_our_own_server_found(raw: bytes, assurance: Assurance, flags: tuple[str, ...]) -> None:
    found = trust(raw, read_address(raw), OURS, {}, NOW)
    assert (found.assurance, found.flags) == (assurance, flags)


def test_without_a_server_of_ours_no_header_is_believed() -> None:
    for raw, _, _ in RESULTS.values():
        assert trust(raw, read_address(raw), (), {}, NOW).assurance is SPOOFABLE


def test_of_several_servers_each_ones_topmost_counts() -> None:
    raw = mail(ar("spf=none", "mx1"), ar(PASS, "mx2"), ar(PASS, "mx1"))
    assert trust(raw, CITIZEN, ("mx1", "mx2"), {}, NOW).assurance is VERIFIED
    assert trust(raw, CITIZEN, ("mx1",), {}, NOW).assurance is SPOOFABLE


@given(st.text(max_size=400))
def test_any_header_is_read_without_fail(value: str) -> None:
    raw = mail("Authentication-Results: " + value.replace("\n", " ").replace("\r", " "))
    list(server_results(header_fields(raw), OURS))
    assert trust(raw, CITIZEN, OURS, {}, NOW).assurance is SPOOFABLE


def test_hostile_headers_take_no_time() -> None:
    for odd in ("(" * 100_000, '"' * 99_999, "\\" * 100_000, "a.b=" * 25_000, ";" * 100_000, "dkim=pass " * 10_000):
        started = time.process_time()
        trust(mail(ar(odd)), CITIZEN, OURS, {}, NOW)
        assert time.process_time() - started < 0.5
