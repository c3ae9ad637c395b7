"""Fifty ways to write as somebody else: nobody is told, joined or harmed by a name that anyone can write (T28).

The citizen writes by mail that our own server vouches for; the impostor does not. What we then send is looked at
whole: nothing of the citizen's - his number, his words, his name, how his matter stands - may go anywhere but to him, and
his matter must be as it was.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.testing import Start
from gateway.texts import STATES, standing
from normalizer.model import Assurance
from normalizer.reply import ReplyKind
from store.tables import CONTACTS, MATTERS, WINDOWS
from tests.channels.town import CITIZEN, MX, OURS, Town, town

EVIL = "evil@example.org"
PASS = f"{MX}; dmarc=pass header.from=example.net"
SECRET = "朝阳路九号三单元的路灯不亮，我叫张三丰，验证码是 884217。"
NUMBER = "{code}"  #: Stands for the citizen's tracking code.
HIS = "<his-first@example.net>"


def encoded(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


#: Label → words, sender, and headers of the impostor's mail.
SPOOFED: dict[str, tuple[str, str, dict[str, Any]]] = {
    # as the citizen, without proof
    "asks how it stands": ("进度", CITIZEN, {}),
    "asks by number": (f"进度 {NUMBER}", CITIZEN, {}),
    "sends the number alone": (NUMBER, CITIZEN, {}),
    "asks in English": (f"status {NUMBER}", CITIZEN, {}),
    "asks, to be told elsewhere": (f"进度 {NUMBER}", CITIZEN, {"reply_to": EVIL}),
    "writes, to be told elsewhere": ("井盖坏了。", CITIZEN, {"reply_to": EVIL}),
    "two addresses in Reply-To": (f"进度 {NUMBER}", CITIZEN, {"reply_to": f"{CITIZEN}, {EVIL}"}),
    "a Sender of his own": (f"进度 {NUMBER}", CITIZEN, {"sender": EVIL}),
    "a return path of his own": (f"进度 {NUMBER}", CITIZEN, {"mail_from": EVIL, "return_path": f"<{EVIL}>"}),
    "Errors-To and friends": (f"进度 {NUMBER}", CITIZEN, {"errors_to": EVIL, "disposition_notification_to": EVIL}),
    "withdraws": ("撤回诉求", CITIZEN, {}),
    "withdraws by number": (f"撤回 {NUMBER}", CITIZEN, {}),
    "evaluates": ("非常满意", CITIZEN, {}),
    "evaluates by figure": ("5", CITIZEN, {}),
    "objects": (f"{NUMBER} 我不同意这个结果，没有解决。", CITIZEN, {}),
    "chases": (f"{NUMBER} 催办", CITIZEN, {}),
    "adds by number": (f"补充 {NUMBER}：地址改为和平路一号。", CITIZEN, {}),
    "number in the subject": ("地址改为和平路一号。", CITIZEN, {"subject": f"Re: 路灯[{NUMBER}]"}),
    "asks in the subject": ("进度", CITIZEN, {"subject": f"进度 {NUMBER}"}),
    "in reply to the citizen's own mail": ("地址改为和平路一号。", CITIZEN, {"in_reply_to": HIS}),
    "withdraws in reply to it": ("撤回诉求", CITIZEN, {"in_reply_to": HIS}),
    "asks in reply to it": ("进度", CITIZEN, {"references": HIS}),
    "with the citizen's own Message-ID": ("地址改为和平路一号。", CITIZEN, {"message_id": HIS}),
    "a made-up Message-ID of ours": ("撤回诉求", CITIZEN, {"in_reply_to": f"<{'a' * 48}@example.gov.cn>"}),
    "in other letters": (f"进度 {NUMBER}", "ZHANG@EXAMPLE.NET", {}),
    "a name beside another address": (f"进度 {NUMBER}", EVIL, {"from": f'"{CITIZEN}" <{EVIL}>'}),
    "an encoded name": (f"进度 {NUMBER}", EVIL, {"from": f"{encoded(CITIZEN)} <{EVIL}>"}),
    "a comment": (f"进度 {NUMBER}", EVIL, {"from": f"({CITIZEN}) {EVIL}"}),
    "a group": (f"进度 {NUMBER}", CITIZEN, {"from": f"x: {CITIZEN};"}),
    "two addresses": (f"进度 {NUMBER}", CITIZEN, {"from": f"{CITIZEN}, {EVIL}"}),
    "two addresses, himself first": (f"进度 {NUMBER}", EVIL, {"from": f"{EVIL}, {CITIZEN}"}),
    "a letter that looks alike": (f"进度 {NUMBER}", "zhаng@example.net", {"mail_from": EVIL}),
    "a full width at sign": (f"进度 {NUMBER}", EVIL, {"from": f"zhang＠example.net <{EVIL}>"}),
    "a domain below": (f"进度 {NUMBER}", "zhang@mail.example.net", {}),
    "a longer domain": (f"进度 {NUMBER}", "zhang@example.net.example.org", {}),
    "a quoted address": (f"进度 {NUMBER}", CITIZEN, {"from": '"zhang@example.net"@example.org', "mail_from": EVIL}),
    "no From at all": (f"进度 {NUMBER}", CITIZEN, {"from": None}),
    # with proof that is none
    "another server vouches": (f"进度 {NUMBER}", CITIZEN, {"authentication_results": PASS.replace(MX, "mx.evil.example")}),
    "ours said no, and below it yes": (
        "撤回诉求",
        CITIZEN,
        {"authentication_results": f"{MX}; dmarc=fail header.from=example.net\r\nAuthentication-Results: {PASS}"},
    ),
    "vouched for, as another": (f"进度 {NUMBER}", CITIZEN, {"authentication_results": f"{MX}; dmarc=pass header.from=example.org"}),
    "spf alone": (f"进度 {NUMBER}", CITIZEN, {"authentication_results": f"{MX}; spf=pass smtp.mailfrom={CITIZEN}"}),
    "signed by another": ("撤回诉求", CITIZEN, {"authentication_results": f"{MX}; dkim=pass header.d=example.org"}),
    "signed below": ("撤回诉求", CITIZEN, {"authentication_results": f"{MX}; dkim=pass header.d=x.example.net"}),
    "a chain of others": (f"进度 {NUMBER}", CITIZEN, {"arc_authentication_results": f"i=1; {PASS}"}),
    "proof in a comment": (f"进度 {NUMBER}", CITIZEN, {"authentication_results": f"{MX}; none ({PASS})"}),
    "a signature nobody checked": ("撤回诉求", CITIZEN, {"dkim_signature": "v=1; a=rsa-sha256; d=example.net; s=s; b=x"}),
    "Received-SPF of his own": (f"进度 {NUMBER}", CITIZEN, {"received_spf": f"pass ({MX}) envelope-from={CITIZEN}"}),
    # as himself
    "the number, from elsewhere": (f"进度 {NUMBER}", EVIL, {}),
    "the number in his subject": ("补充材料。", EVIL, {"subject": f"Re: 路灯[{NUMBER}]"}),
    "withdraws by number, from elsewhere": (f"撤回 {NUMBER}", EVIL, {}),
    "in reply to the citizen, from elsewhere": ("进度", EVIL, {"in_reply_to": HIS}),
    "surely himself, to be told at the citizen's": (
        f"进度 {NUMBER}",
        EVIL,
        {"authentication_results": f"{MX}; dmarc=pass header.from=example.org", "reply_to": CITIZEN},
    ),
    "as the mayor": (f"进度 {NUMBER}", OURS, {}),
}  # fmt: skip


def test_there_are_fifty() -> None:
    assert len(SPOOFED) >= 50


@pytest.fixture
async def place(start_gateway: Start) -> AsyncIterator[Town]:
    """The citizen has written, and has heard from us; his matter waits for his mark."""
    async with town(start_gateway, trusted_authserv_ids=[MX]) as found:
        sure = found.mail(SECRET, message_id=HIS, authentication_results=PASS, subject="路灯")
        assert await found.takes(sure) == ["filed"]
        await found.told("张三丰家门口的路灯已修好。", ReplyKind.RESULT)
        over = update(WINDOWS).values(
            expires_at=datetime(2000, 1, 1, tzinfo=UTC)
        )  # a day later: all may be answered again
        await found.gateway.node.store._database.write(lambda connection: connection.execute(over))
        yield found


def with_number(value: Any, code: str) -> Any:
    return value.replace(NUMBER, code) if isinstance(value, str) else value


#: What only the citizen may read: his words, his name, his code, and how his matter stands.
PRIVATE = ("张三丰", "884217", "朝阳路", *(line["zh"] for state, line in STATES.items() if state != "unknown"))
PRIVATE += tuple(line["en"] for state, line in STATES.items() if state != "unknown")


@pytest.mark.parametrize(("words", "sender", "headers"), SPOOFED.values(), ids=SPOOFED)
async def test_a_spoofed_mail_learns_nothing_and_changes_nothing(
    place: Town, words: str, sender: str, headers: dict[str, Any]
) -> None:
    before, (row,) = await place.matter(), await place._read(select(MATTERS))
    ours, code = len(place.server.got), before.tracking_code
    given = {name: with_number(value, code) for name, value in headers.items()}
    letter = place.mail(with_number(words, code), sender, **given)
    await place.takes(letter)
    if len(await place.gateway.matters()) > 1:
        await place.told("办好了。", ReplyKind.RESULT)
    for got in place.server.got[ours:]:
        assert not [word for word in PRIVATE if word in got.text]
        assert code.encode() in letter.data or code not in got.text + got.header("Subject")
        assert got.recipients == (sender.rpartition("@")[0] + "@" + sender.rpartition("@")[2].lower(),), "only to From"
    after = next(one for one in await place.gateway.matters() if one.matter_id == before.matter_id)
    assert after == before
    assert [one for one in await place._read(select(MATTERS)) if one.id == row.id] == [row]


async def test_a_spoofed_sender_is_another_person_than_the_one_he_names(place: Town) -> None:
    await place.writes("井盖坏了。")
    first, second = await place.gateway.matters()
    assert first.caller_id != second.caller_id
    rows = await place._read(select(CONTACTS.c.assurance))
    assert sorted(row.assurance for row in rows) == sorted([Assurance.SPOOFABLE, Assurance.VERIFIED])
    assert (second.contacts_30d, second.matters_30d, second.last_contact_at) == (1, 1, None)


@pytest.mark.parametrize("sender", [CITIZEN, EVIL])
async def test_whoever_asks_without_proof_hears_what_he_would_hear_of_no_matter(place: Town, sender: str) -> None:
    code, before = (await place.matter()).tracking_code, len(place.server.got)
    await place.writes(f"进度 {code}", sender)
    (got,) = place.server.got[before:]
    assert got.text.strip() == standing(None, "zh", code) and got.recipients == (sender,)


async def test_the_citizen_himself_is_told_and_heard(place: Town) -> None:
    """So that the table above tests something."""
    code = (await place.matter()).tracking_code
    sure: dict[str, Any] = {"authentication_results": PASS}
    assert await place.writes("5", in_reply_to=HIS, **sure) == "answered"
    assert await place.writes("地址是和平路一号。", subject=f"[{code}]", **sure) == "attached"
    before = len(place.server.got)
    await place.writes("噪音扰民。", reply_to="zhang2@example.org", **sure)
    word = await place.told("已受理。")
    assert word.recipients == ("zhang2@example.org",), "whom our server vouches for may say where he is told"
    assert all(got.recipients == (CITIZEN,) for got in place.server.got[before:-1])
