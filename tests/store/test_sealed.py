"""Promise 9: what a citizen tells us stands nowhere in the clear - not in the database, its files, the logs or errors."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, inspect, select, text
from uuid_utils.compat import uuid7

from normalizer.heard import Judged
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Binding,
    Contact,
    ContactType,
    Envelope,
    Message,
    Notice,
    Outcome,
    Place,
)
from normalizer.model.matter import Flag
from normalizer.reply import Limit, ReplyKind
from store.codes import send_code
from store.envelopes import StateWrite
from store.errors import BindingReused, KeyFileError, StateChanged
from store.identities import queue_identity
from store.keys import Keyring
from store.media import Held, queue_media
from store.messages import Unpacking
from store.people import Word
from store.persons import Person
from store.store import Store
from store.tables import MESSAGES, METADATA
from store.updates import Update
from store.uploads import Upload
from store.values import CODE_PLACE, Asking, Draft, Filing, Stage, Way
from tests.counter import Counter
from tests.store.conftest import (
    NOW,
    Open,
    amendment,
    due,
    envelope,
    filed,
    message,
    new_matter,
    run,
    sqlite_url,
    unpacking,
    work_of,
)
from tests.store.test_conduct import UNTIL, digest, say
from tests.store.test_incidents import DUST

KEY = base64.b64encode(bytes(32)).decode()

# -- values that were tampered with ------------------------------------------------------------------------------------


async def test_a_sealed_value_names_its_key_and_differs_each_time(store: Store) -> None:
    for _ in range(2):
        await store.keep(envelope(b"said"))
    one, two = [bytes(row.body) for row in await run(store, text("SELECT body FROM envelopes"))]
    assert one[:4] == two[:4] == b"\0\0\0\1" and one != two
    assert len(one) == 4 + 12 + len(b"said") + 16


async def test_a_value_moved_to_another_column_cannot_be_read(store: Store) -> None:
    matter = await filed(store)
    await run(store, text("UPDATE matters SET document = (SELECT payload FROM events)"))
    with pytest.raises(KeyFileError, match=r"a value in matters\.document was changed, moved"):
        await store.matter(matter.matter_id)


async def test_a_flipped_bit_in_the_database_is_noticed(store: Store) -> None:
    one = envelope(b"said")
    await store.keep(one)
    (row,) = await run(store, text("SELECT body FROM envelopes"))
    changed = bytes(row.body)[:-1] + bytes([row.body[-1] ^ 1])
    await run(store, text("UPDATE envelopes SET body = :body").bindparams(body=changed))
    with pytest.raises(KeyFileError):
        await store.envelope(one.id)


async def test_a_store_beside_another_key_file_cannot_be_read(store: Store, opened: Open, key_file: Path) -> None:
    one = envelope()
    await store.keep(one)
    change_keys(key_file, sealing={"1": KEY})
    with pytest.raises(KeyFileError, match="another key file"):
        await (await opened(owner=False)).envelope(one.id)


async def test_after_rotation_the_store_reads_old_and_new_values(opened: Open, key_file: Path) -> None:
    before = await opened()
    old = envelope(b"old", binding=Binding("key", bytes(32)))
    await before.keep(old)
    await before.close()
    change_keys(key_file, sealing=sealing_keys(key_file) | {"2": KEY}, active=2)
    store = await opened()
    new = envelope(b"new")
    await store.keep(new)
    assert [one.body for one in await store.envelopes()] == [b"old", b"new"]
    prefixes = await run(store, text("SELECT body FROM envelopes ORDER BY id"))
    assert [bytes(row.body[:4])[-1] for row in prefixes] == [1, 2]
    assert (await store.keep(envelope(binding=Binding("key", bytes(32))))).receipt == old.id, "marks do not rotate"


async def test_a_filled_store_without_its_key_file_is_refused_and_gets_no_new_one(opened: Open, key_file: Path) -> None:
    await (await opened()).close()
    remove(key_file)
    for owner in (True, False):
        with pytest.raises(KeyFileError, match=r"missing but the store holds|No such file"):
            await opened(owner=owner)
    assert names(key_file.parent).isdisjoint({key_file.name})


def remove(path: Path) -> None:
    path.unlink()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def sealing_keys(key_file: Path) -> dict[str, str]:
    return json.loads(key_file.read_text())["sealing"]


def change_keys(key_file: Path, **change: Any) -> None:
    key_file.write_text(json.dumps(json.loads(key_file.read_text()) | change))


# -- canaries ----------------------------------------------------------------------------------------------------------

CANARIES = {
    "sender": "canary-openid-8f31",
    "phone": "+8613912345678",
    "mail": "canary.zhang@example.com",
    "address": "金丝雀路七号",
    "name": "金丝雀张三",
    "unit": "金丝雀有限公司",
    "text": "金丝雀说路灯坏了",
    "title": "金丝雀标题",
    "place": "金丝雀广场北门",
    "file name": "金丝雀身份证.jpg",
    "reference": "canary-media-77ab",
    "query": "openid=canary-query-55cd",
    "context": "canary-header-1b2c",
    "body": "canary-body-9e8d",
    "state": "canary-state-4f5a",
    "binding": "canary-idempotency-6c7d",
    "thread": "<canary-thread@example.com>",
    "provider id": "canary-provider-id-3e4f",
}


def forms(canary: str) -> Iterator[bytes]:
    """What a canary looks like when it was written in another way, but not encrypted."""
    escaped = canary.encode("unicode_escape")
    for raw in {canary.encode(), canary.encode("utf-16-le"), canary.encode("utf-16-be"), escaped}:
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        for shift in range(3):  # as it stands inside a longer base64 text, without its edges
            yield base64.b64encode(bytes(shift) + raw)[4:-4]
    for fingerprint in (hashlib.sha256, hashlib.sha1, hashlib.md5):
        yield fingerprint(canary.encode()).digest()
        yield fingerprint(canary.encode()).hexdigest().encode()


def leaked(dump: bytes) -> set[str]:
    """The canaries that stand in the dump, in any form; its numbers and letters may be told in hex."""
    return {name for name, canary in CANARIES.items() if any(form in dump for form in forms(canary))}


def contact(kind: ContactType, name: str, assurance: Assurance = Assurance.VERIFIED) -> Contact:
    return Contact(type=kind, value=CANARIES[name], assurance=assurance)


def said(provider_id: str, sender: Contact) -> Message:
    return message(
        CANARIES["text"],
        provider_id,
        sender=sender,
        title=CANARIES["title"],
        name=CANARIES["name"],
        unit=CANARIES["unit"],
        place=Place(text=CANARIES["place"]),
        contacts=(
            contact(ContactType.PHONE, "phone", Assurance.ASSERTED),
            contact(ContactType.MAIL, "mail", Assurance.ASSERTED),
        ),
        attachments=(
            Attachment(
                id="0", kind=AttachmentKind.IMAGE, file_name=CANARIES["file name"], reference=CANARIES["reference"]
            ),
        ),
        thread=(CANARIES["thread"],),
        reply_to=CANARIES["mail"],
    )


def raw(**more: Any) -> Envelope:
    digest = hashlib.sha256(CANARIES["body"].encode()).digest()
    return envelope(
        CANARIES["body"].encode(),
        query=CANARIES["query"],
        context={"client": "desk", "from": CANARIES["context"]},
        **{"binding": Binding(CANARIES["binding"], digest)} | more,
    )


async def whole_day(store: Store) -> list[BaseException]:
    """Every method that is given something personal, also where it fails; the errors."""
    await belongs_together(store)
    await noticed_and_opened(store)
    errors: list[BaseException] = []
    senders = [
        contact(ContactType.APP, "sender"),
        contact(ContactType.PHONE, "phone"),
        contact(ContactType.MAIL, "mail", Assurance.SPOOFABLE),
        contact(ContactType.WECHAT, "address"),
    ]
    first = raw()
    await store.keep(first, StateWrite("letters", "cursor", None, CANARIES["state"]))
    for fault, write in (
        (BindingReused, {"binding": Binding(CANARIES["binding"], bytes(32))}),
        (Exception, {"received_at": NOW.replace(tzinfo=None)}),
        (Exception, {"query": CANARIES["query"] + "\ud800"}),
    ):
        with pytest.raises(fault) as error:
            await store.keep(raw(**write))
        errors.append(error.value)
    with pytest.raises(StateChanged) as changed:
        await store.keep(raw(), StateWrite("letters", "cursor", CANARIES["text"], CANARIES["state"]))
    errors.append(changed.value)

    messages = tuple(said(f"{CANARIES['provider id']}-{number}", one) for number, one in enumerate(senders))
    work = await work_of(store, first.id)
    with pytest.raises(Exception, match="timezone") as naive:
        await store.unpack(Unpacking(work, first, messages, NOW.replace(tzinfo=None)))
    errors.append(naive.value)
    await store.unpack(Unpacking(work, first, messages, NOW))
    again = raw()
    await store.keep(again)
    await store.unpack(Unpacking(await work_of(store, again.id), again, messages, NOW))

    opened, amends, fails, waits = await store.claim(Stage.DIGEST, NOW, 10)
    kept = await store.message(opened.subject)
    filing = await store.file_matter(
        opened, kept, new_matter(kept, place=kept.message.place, attachments=kept.message.attachments), NOW
    )
    kept = await store.message(amends.subject)
    await store.file_matter(amends, kept, amendment(filing.matter, content=CANARIES["text"]), NOW)
    await store.postpone(waits, "core_busy", NOW, NOW + timedelta(seconds=5))
    await store.give_up(fails, Outcome.FAILED, "bug", NOW)
    await store.requeue(first.id, NOW)

    await told_and_fetched(store, filing)

    event, *_ = await due(store)
    await store.outbox().postponed(event, "core_down", NOW, NOW)
    await store.outbox().delivered((await due(store))[0], NOW, "2026-117")
    await store.outbox().parked((await due(store))[0], "refused", NOW)
    broken = raw(binding=None)
    await store.keep(broken)
    await store.give_up(await work_of(store, broken.id), Outcome.MALFORMED, "xml", NOW)
    assert (await store.reconcile()).balanced
    return errors


async def told_and_fetched(store: Store, filing: Filing) -> None:
    """The way back, and what he sent beside words."""
    matter, to = filing.matter, contact(ContactType.PHONE, "phone")
    assert matter is not None
    (row,) = await run(store, select(MESSAGES.c.id).where(MESSAGES.c.matter_id == matter.matter_id).limit(1))
    picture = Attachment(id="0", kind=AttachmentKind.IMAGE, reference=CANARIES["reference"])
    await store._database.write(lambda connection: queue_media(connection, "letters", row.id, (picture,), NOW))
    ways = (Way("letters", "desk", to, CANARIES["text"]), Way("letters", "desk", to, CANARIES["title"]))
    content = {"text": CANARIES["text"], "reason": CANARIES["title"], "unit": CANARIES["unit"]}
    kind = ReplyKind.QUESTION
    asked = Update(uuid7(), matter.matter_id, kind, "core", Binding(CANARIES["binding"], bytes(32)), NOW, content)
    await store.tell(asked, lambda *_: Draft(uuid7(), kind, ways, "zh", matter_id=matter.matter_id, update_id=asked.id))
    notice = Notice(reason="follow", account="desk", sender=to, opens="menu")
    steps = (notice, notice.model_copy(update={"reachable": False, "opens": None}))
    for seconds, parsed in enumerate(steps):
        ready = await unpacking(store, parsed=parsed, received_at=NOW + timedelta(seconds=seconds))
        await store.unpack(replace(ready, limits={"menu": Limit(60, 3)}))
    held = Held("a" * 64, 10, "image/png", CANARIES["file name"])
    await store.uploads().add(Upload("upload-1", "letters", "desk", held), NOW)


async def noticed_and_opened(store: Store) -> None:
    """What is held for its words and goes on with them, sealed; two persons open who it was."""
    flag = Flag(kind="threat", score=0.95, evidence=(CANARIES["text"],))
    grave = Judged((flag,), until=UNTIL, review=True)
    await say(store, CANARIES["text"], CANARIES["sender"])
    assert await digest(store, grave) == f"{CANARIES['text']} aside"
    assert await digest(store, grave, UNTIL, confidential=True) == f"{CANARIES['text']} filed"
    (sealed,) = [matter for matter in await store.matters() if matter.confidential]
    request = await store.breakglass().request(sealed.tracking_code, "Li Hua", CANARIES["title"], UNTIL)
    await store.breakglass().approve(request, "Wang Fang", UNTIL)


async def belongs_together(store: Store) -> None:
    """Two who write of one cause, what an operator says of them, and who is asked whether he is somebody else."""
    counter = Counter(store)
    neighbours = (contact(ContactType.WECHAT, "address"), contact(ContactType.PHONE, "phone"))
    texts = [CANARIES["text"] + one for one in DUST[:2]]
    filings = [await counter.tell(text, who) for text, who in zip(texts, neighbours, strict=True)]
    first, second = [await counter.matter(filing) for filing in filings]
    assert first.incident_id is not None and second.incident_id is not None
    names, why = (str(first.matter_id), str(second.matter_id)), CANARIES["title"]
    people, links = store.people(), store.links()
    await people.undo(await people.join(*names, Word("Li Hua", why, NOW)), Word("Li Hua", why, NOW))
    await people.reveal(names[0], Word("Li Hua", why, NOW))
    await links.unlink(second.matter_id, second.incident_id.id, "Li Hua", why, NOW)
    await links.texts([second.messages[0].message_id], "Li Hua", why, NOW)

    def asked(connection: Connection) -> None:
        message = said(CANARIES["provider id"], neighbours[0])
        way = Way("letters", "desk", neighbours[1], CANARIES["text"] + CODE_PLACE)
        draft = Draft(uuid7(), ReplyKind.CODE, (way,), "zh")
        assert send_code(connection, store._keyring, message, Asking(CANARIES["phone"], draft), NOW)
        whose = Person(first.caller_id, first.caller_id, (first.caller_id,))
        queue_identity(connection, store._keyring, "letters", message, whose, NOW)

    await store._database.write(asked)


def dumped(connection: Connection) -> bytes:
    """Every value of every column of every table, as it stands there."""
    values: list[bytes] = []
    for table in inspect(connection).get_table_names():
        for row in connection.execute(text(f"SELECT * FROM {table}")):
            values += [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row]
    return b"\n".join(values)


async def everything_written(store: Store, folder: Path, output: str) -> bytes:
    dump = [await store._database.read(dumped), output.encode("utf-8", "backslashreplace")]
    return b"\n".join([*dump, *raw_files(folder)])


def raw_files(folder: Path) -> list[bytes]:
    """SQLite's file, its write-ahead log and the rest beside it."""
    return [path.read_bytes() for path in sorted(folder.glob("gateway.db*"))]


@pytest.fixture
def output(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """All that was logged or printed so far, at every level; SQL and its parameters would be logged too."""
    loggers = [logging.getLogger(name) for name in ("", "sqlalchemy.engine", "sqlalchemy.pool", "asyncpg", "alembic")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    with structlog.testing.capture_logs() as entries:
        yield lambda: "\n".join([*map(str, entries), caplog.text, *capsys.readouterr()])
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


async def test_nothing_personal_stands_in_the_clear_anywhere(
    output: Any, opened: Open, url: str, tmp_path: Path
) -> None:
    store = await opened()
    errors = await whole_day(store)
    quoted = "\n".join(str(error) for error in errors)
    dump = await everything_written(store, tmp_path, output() + quoted)
    assert b"INSERT INTO" in dump, "the log was meant to be looked at too"
    assert (url == sqlite_url(tmp_path)) is (b"SQLite format 3" in dump)
    assert [table.name for table in METADATA.sorted_tables if not await run(store, select(table).limit(1))] == []
    assert leaked(dump) == set()


async def test_the_canaries_are_found_where_sealing_is_switched_off(
    output: Any, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keyring, "seal", lambda _self, plain, _place: plain)
    monkeypatch.setattr(Keyring, "unseal", lambda _self, sealed, _place: sealed)
    monkeypatch.setattr(Keyring, "mark", lambda _self, *parts: repr(parts).encode())
    store = await opened()
    await whole_day(store)
    assert leaked(await everything_written(store, tmp_path, "")) == set(CANARIES)


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_found_in_every_form(name: str) -> None:
    canary = CANARIES[name]
    written = [
        f"x{canary}y".encode(),
        f"x{canary}y".encode("utf-16-le"),
        f"x{canary}y".encode().hex().encode(),
        base64.b64encode(f"{{'text': '{canary}'}}".encode()),
        base64.b64encode(f"xx{canary}xx".encode("utf-16-be")),
        hashlib.sha256(canary.encode()).digest(),
    ]
    assert [leaked(one) for one in written] == [{name}] * len(written)
