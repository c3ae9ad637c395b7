"""What DNS says of a mail that just comes: keys, policies and SPF, by real DNS over loopback; and by every road."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dkim
import dns.resolver
import pytest
import time_machine

from channels import mail_lookup
from channels.base import Admission
from channels.imap import Imap, ImapSettings
from channels.mail_lookup import Names
from channels.mail_settings import Dkim
from channels.mail_trust import RECORDS, SPF, trust
from channels.smtp import Smtp, SmtpSettings
from normalizer.model import Assurance
from tests.channels.mailroom import dkim_record, rsa_pem
from tests.channels.names import Table, naming
from tests.channels.smtp_line import running, session
from tests.channels.test_mail_trust import CITIZEN, NOW, OURS, PASS, SPOOFABLE, VERIFIED, ar, mail, read_address

KEY, OTHER = rsa_pem(), rsa_pem(2049)
PEER, HELO = "11.22.33.44", "mx.example.net"
POLICY = "v=DMARC1; p=reject"


def signed(domain: str = "example.net", sender: str = CITIZEN, key: str = KEY, **more: Any) -> bytes:
    raw = b"From: " + sender.encode() + b"\r\nSubject: x\r\nMessage-ID: <1@example.net>\r\n\r\nwords\r\n"
    selector = more.pop("selector", b"s1")
    canonical = {"canonicalize": (b"relaxed", b"relaxed"), "linesep": b"\r\n"} | more
    signature: bytes = dkim.sign(raw, selector, domain.encode(), traditional(key), **canonical)
    return signature + raw


def traditional(pem: str) -> bytes:
    """As dkimpy reads it."""
    settings = Dkim.model_validate({"selector": "s", "domain": "x.y", "private_key": pem})
    return settings.private_key.get_secret_value().encode()


def keys(domain: str = "example.net", key: str = KEY, more: str = "") -> dict[tuple[str, str], list[str]]:
    return {(f"s1._domainkey.{domain}", "TXT"): [dkim_record(key) + more]}


def policy(domain: str = "example.net", text: str = POLICY) -> dict[tuple[str, str], list[str]]:
    return {(f"_dmarc.{domain}", "TXT"): [text]}


def spf(text: str = "v=spf1 ip4:11.22.33.44 -all", domain: str = "example.net") -> dict[tuple[str, str], list[str]]:
    return {(domain, "TXT"): ["some other text", text]}


PLAIN = mail()
BELOW = "li@mail.example.net"
Case = tuple[bytes, str, str, Mapping[tuple[str, str], list[str]], Assurance, tuple[str, ...]]
DNS: dict[str, Case] = {
    "his domain's signature": (signed(), "", PEER, keys(), VERIFIED, ("dkim_pass",)),
    "and a policy": (signed(), "", PEER, keys() | policy(), VERIFIED, ("dkim_pass", "dmarc_pass")),
    "the domain above": (signed(sender=BELOW), "", PEER, keys(), VERIFIED, ("dkim_pass",)),
    "the domain above, with a policy": (
        signed(sender=BELOW), "", PEER, keys() | policy(), VERIFIED, ("dkim_pass", "dmarc_pass"),
    ),
    "a domain below": (signed("mail.example.net"), "", PEER, keys("mail.example.net"), SPOOFABLE, ()),
    "a domain below, where the policy lets it": (
        signed("mail.example.net"), "", PEER, keys("mail.example.net") | policy(), VERIFIED, ("dmarc_pass",),
    ),
    "a domain below, where the policy is strict": (
        signed("mail.example.net"), "", PEER, keys("mail.example.net") | policy(text=POLICY + "; adkim=s"), SPOOFABLE,
        ("dmarc_fail",),
    ),
    "another domain": (signed("example.org"), "", PEER, keys("example.org"), SPOOFABLE, ()),
    "another domain, with a policy of his": (
        signed("example.org"), "", PEER, keys("example.org") | policy(), SPOOFABLE, ("dmarc_fail",),
    ),
    "a key that is not the one": (signed(), "", PEER, keys(key=OTHER), SPOOFABLE, ()),
    "a key that was taken back": (signed(), "", PEER, {("s1._domainkey.example.net", "TXT"): ["v=DKIM1; p="]}, SPOOFABLE, ()),
    "a key on trial": (signed(), "", PEER, keys(more="; t=y"), SPOOFABLE, ()),
    "two keys": (
        signed(), "", PEER, {("s1._domainkey.example.net", "TXT"): [dkim_record(KEY), dkim_record(OTHER)]}, SPOOFABLE, (),
    ),
    "no key": (signed(), "", PEER, policy(), SPOOFABLE, ("dmarc_fail",)),
    "a key that is no key": (signed(), "", PEER, {("s1._domainkey.example.net", "TXT"): ["hello"]}, SPOOFABLE, ()),
    "changed words": (signed().replace(b"words", b"swords"), "", PEER, keys(), SPOOFABLE, ()),
    "changed sender": (signed().replace(b"From: zhang@", b"From: li@"), "", PEER, keys(), SPOOFABLE, ()),
    "a second From before": (b"From: li@example.net\r\n" + signed(), "", PEER, keys(), SPOOFABLE, ()),
    "a second From behind": (
        signed().replace(b"Subject:", b"From: li@example.net\r\nSubject:"), "", PEER, keys(), SPOOFABLE, (),
    ),
    "only a part is signed": (signed(length=True) + b"more words\r\n", "", PEER, keys(), SPOOFABLE, ()),
    "a part, and nothing added": (signed(length=True), "", PEER, keys(), SPOOFABLE, ()),
    "From is not signed": (
        signed(include_headers=[b"subject", b"from"]).replace(b"h=subject : from", b"h=subject"), "", PEER, keys(),
        SPOOFABLE, (),
    ),
    "simple canonicalisation": (
        signed(canonicalize=(b"simple", b"simple")), "", PEER, keys(), VERIFIED, ("dkim_pass",),
    ),
    "simple, with a blank more": (
        signed(canonicalize=(b"simple", b"simple")).replace(b"Subject: x", b"Subject:  x"), "", PEER, keys(), SPOOFABLE, (),
    ),
    "the second signature": (
        signed(key=OTHER, selector=b"s9") [: signed(key=OTHER, selector=b"s9").index(b"From:")] + signed(), "", PEER, keys(),
        VERIFIED, ("dkim_pass",),
    ),
    "the sixth signature": (
        signed(selector=b"s9")[: signed(selector=b"s9").index(b"From:")] * 5 + signed(), "", PEER, keys(), SPOOFABLE, (),
    ),
    "a signature of nothing": (b"DKIM-Signature: v=1\r\n" + PLAIN, "", PEER, keys() | policy(), SPOOFABLE, ("dmarc_fail",)),
    "odd tags": (b"DKIM-Signature: d=example.net; s=s1; b=;;;h=;\r\n" + PLAIN, "", PEER, keys(), SPOOFABLE, ()),
    "spf and a policy": (PLAIN, CITIZEN, PEER, spf() | policy(), VERIFIED, ("dmarc_pass",)),
    "spf without a policy": (PLAIN, CITIZEN, PEER, spf(), SPOOFABLE, ()),
    "spf of another address": (PLAIN, CITIZEN, "11.22.33.45", spf() | policy(), SPOOFABLE, ("dmarc_fail",)),
    "spf of another domain": (
        PLAIN, "evil@example.org", PEER, spf(domain="example.org") | policy(), SPOOFABLE, ("dmarc_fail",),
    ),
    "spf from inside": (PLAIN, CITIZEN, "127.0.0.1", spf() | policy(), SPOOFABLE, ("dmarc_fail",)),
    "spf from our own network": (PLAIN, CITIZEN, "10.1.2.3", spf("v=spf1 ip4:10.0.0.0/8 -all") | policy(), SPOOFABLE, ("dmarc_fail",)),
    "spf of a domain below": (
        PLAIN, "b@news.example.net", PEER, spf(domain="news.example.net") | policy(), VERIFIED, ("dmarc_pass",),
    ),
    "spf below, where the policy is strict": (
        PLAIN, "b@news.example.net", PEER, spf(domain="news.example.net") | policy(text=POLICY + "; aspf=s"), SPOOFABLE,
        ("dmarc_fail",),
    ),
    "spf softfail": (PLAIN, CITIZEN, PEER, spf("v=spf1 ~all") | policy(), SPOOFABLE, ("dmarc_fail",)),
    "spf that goes round": (
        PLAIN, CITIZEN, PEER, spf("v=spf1 include:example.net -all") | policy(), SPOOFABLE, ("dmarc_fail",),
    ),
    "spf by mx": (
        PLAIN, CITIZEN, PEER,
        spf("v=spf1 mx -all") | policy() | {("example.net", "MX"): ["10 mx.example.net."], ("mx.example.net", "A"): [PEER]},
        VERIFIED, ("dmarc_pass",),
    ),
    "spf by include": (
        PLAIN, CITIZEN, PEER, spf("v=spf1 include:spf.example.org -all") | spf(domain="spf.example.org") | policy(), VERIFIED,
        ("dmarc_pass",),
    ),
    "spf over IPv6": (
        PLAIN, CITIZEN, "2400:cb00::1", spf("v=spf1 ip6:2400:cb00::/32 -all") | policy(), VERIFIED, ("dmarc_pass",),
    ),
    "null sender": (PLAIN, "", PEER, spf() | policy(), SPOOFABLE, ("dmarc_fail",)),
    "two policies": (PLAIN, CITIZEN, PEER, spf() | {("_dmarc.example.net", "TXT"): [POLICY, POLICY + "; pct=50"]}, SPOOFABLE, ()),
    "a policy beside another text": (
        PLAIN, CITIZEN, PEER, spf() | {("_dmarc.example.net", "TXT"): ["hello", POLICY]}, VERIFIED, ("dmarc_pass",),
    ),
    "a policy that is none": (PLAIN, CITIZEN, PEER, spf() | policy(text="v=DMARC1; hello"), SPOOFABLE, ()),
    "nothing at all": (PLAIN, CITIZEN, PEER, {}, SPOOFABLE, ()),
}  # fmt: skip


async def judged(raw: bytes, mail_from: str, peer: str, table: Table, at: datetime | None = None) -> Any:
    context = {"mail_from": mail_from, "peer": peer, "helo": HELO}
    async with naming(table) as (resolver, _):
        names = Names(resolver)
        context |= await names.looked_up(raw, context)
        names.close()
    return trust(raw, read_address(raw), (), context, at or datetime.now(UTC))


@pytest.mark.parametrize(("raw", "mail_from", "peer", "table", "assurance", "flags"), DNS.values(), ids=DNS)
async def test_what_dns_says(
    raw: bytes, mail_from: str, peer: str, table: Table, assurance: Assurance, flags: tuple[str, ...]
) -> None:
    found = await judged(raw, mail_from, peer, table)
    assert (found.assurance, found.flags) == (assurance, flags)


async def test_a_kept_mail_is_judged_next_year_as_it_was_when_it_came() -> None:
    with time_machine.travel(NOW, tick=False):
        raw = signed(selector=b"s1")
    records = {RECORDS: json.dumps({"s1._domainkey.example.net": dkim_record(KEY)}), SPF: "none"}
    for clock in (NOW - timedelta(days=300), NOW, NOW + timedelta(days=300)):
        with time_machine.travel(clock, tick=False):
            assert trust(raw, CITIZEN, (), records, NOW).assurance is VERIFIED
            assert trust(raw, CITIZEN, (), records, NOW - timedelta(days=1)).assurance is SPOOFABLE, (
                "signed in the future"
            )


async def test_a_name_server_that_says_nothing_delays_a_mail_by_no_more_than_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_lookup, "ALL_SECONDS", 0.4)
    async with naming({}, silent=True) as (resolver, asked):
        names, started = Names(resolver), time.monotonic()
        assert await names.looked_up(signed(), {"mail_from": CITIZEN, "peer": PEER, "helo": HELO}) == {}
        assert time.monotonic() - started < 1.5 and asked
        names.close()


async def test_what_need_not_be_asked_is_not_asked() -> None:
    async with naming({}) as (resolver, asked):
        names = Names(resolver)
        await names.looked_up(mail("From: x@y.z"), {})
        assert asked == [], "two From: nothing can be proven"
        await names.looked_up(signed("example.org"), {"mail_from": "a@example.org", "peer": PEER, "helo": HELO})
        assert asked == ["TXT _dmarc.example.net"]
        names.close()


async def test_a_resolver_that_fails_proves_nothing_and_loses_nothing() -> None:
    class Broken(dns.resolver.Resolver):
        def resolve(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("broken")

    names = Names(Broken(configure=False))
    assert await names.looked_up(signed(), {}) == {}
    names.close()


# -- By every road -----------------------------------------------------------------------------------------------------


async def test_a_mail_that_just_comes_is_looked_up_and_then_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = signed()
    async with naming(keys() | policy()) as (resolver, asked):
        monkeypatch.setattr(mail_lookup, "_system", lambda: resolver)
        async with running(check_here=True) as mailbox, session(mailbox) as line:
            await line.say(f"MAIL FROM:<{CITIZEN}>", f"RCPT TO:<{mailbox.channel.settings.recipients[0]}>")
            assert (await line.data(raw)).startswith("250")
        (envelope,) = mailbox.kept
        await mailbox.channel.close()
    assert asked == ["TXT s1._domainkey.example.net", "TXT _dmarc.example.net"]
    (message,) = mailbox.channel.parse(envelope)
    assert message.sender.assurance is VERIFIED and message.flags == ("dkim_pass", "dmarc_pass")


async def test_a_silent_name_server_does_not_keep_a_mail_from_being_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_lookup, "ALL_SECONDS", 0.3)
    async with naming({}, silent=True) as (resolver, _):
        monkeypatch.setattr(mail_lookup, "_system", lambda: resolver)
        async with running(check_here=True) as mailbox, session(mailbox) as line:
            await line.say(f"MAIL FROM:<{CITIZEN}>", f"RCPT TO:<{mailbox.channel.settings.recipients[0]}>")
            started = time.monotonic()
            assert (await line.data(signed())).startswith("250")
            assert time.monotonic() - started < 1.5
        (message,) = mailbox.channel.parse(mailbox.kept[0])
        await mailbox.channel.close()
    assert message.sender.assurance is SPOOFABLE


async def test_the_same_mail_by_smtp_and_by_imap_is_one_message_and_as_sure() -> None:
    """What identifies it, and what it leads to, does not depend on the road."""
    address = "mayor@example.gov.cn"
    ours: dict[str, Any] = {"trusted_authserv_ids": OURS, "recipients": [address]}
    box = {
        "host": "x",
        "port": 993,
        "username": address,
        "password": "geheim-4711",
        "folder": "INBOX",
        "done_folder": "Done",
    }
    by_imap = Imap("letters", ImapSettings.model_validate(box | ours))
    by_smtp = Smtp("mailbox", SmtpSettings.model_validate({"listen": "127.0.0.1:0"} | ours))
    tagged = f"mayor+{'a' * 48}@example.gov.cn"
    raw = mail(ar(PASS), f"To: {tagged}", "Message-ID: <1@example.net>", "Return-Path: <zhang@example.net>")
    admission = Admission(context={"mail_from": CITIZEN, "recipients": tagged, "peer": "127.0.0.1", "helo": "x"})
    (one,) = by_smtp.parse(by_smtp.envelope(raw, NOW, admission=admission))
    (other,) = by_imap.parse(by_imap.mail(raw, (), "1/1"))
    assert one == other and one.thread == (f"<{'a' * 48}@example.gov.cn>",) and one.sender.assurance is VERIFIED
