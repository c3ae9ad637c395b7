"""Backup and restore of a SQLite store: whole or not there, whatever happens in between."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import sqlite3
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import archive, backup
from store.backup import Place, Saved
from store.errors import BackupRefused, KeyFileError, NoStore, SchemaMismatch, StoreLocked
from store.opening import open_store
from tests.killed import Step, killed_at
from tests.store.conftest import envelope
from tests.store.test_database import keeper

#: Every step is tried with FAULTS=full; else some, spread from the first to the last.
STRIDE = 1 if os.environ.get("FAULTS") == "full" else 12


def place_in(folder: Path) -> Place:
    return Place(folder / "var" / "gateway.db", folder / "var" / "files", folder / "keys.json")


def url(place: Place) -> str:
    return f"sqlite:///{place.database}"


async def fill(place: Place, *bodies: bytes) -> None:
    """Keep an envelope of each body in the store."""
    store = await open_store(url(place), place.keys)
    for body in bodies:
        await store.keep(envelope(body))
    await store.close()


async def bodies(place: Place) -> list[bytes]:
    store = await open_store(url(place), place.keys)
    try:
        assert (await store.reconcile()).balanced
        return [one.body for one in await store.envelopes()]
    finally:
        await store.close()


def save(place: Place, target: Path) -> Saved:
    return backup.back_up(place, target, lambda *_: None)


def put_back(source: Path, place: Place) -> Saved:
    return backup.restore(source, place, lambda *_: None)


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    """A store with two envelopes and two attachments."""
    found = place_in(tmp_path)
    await fill(found, "路灯坏了".encode(), b"second")
    (found.files / "ab").mkdir(parents=True)
    (found.files / "ab" / "photo").write_bytes(bytes(range(256)) * 40)
    (found.files / "empty").write_bytes(b"")
    return found


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Place:
    """An empty place with the same key file."""
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(place.keys, tmp_path / "elsewhere" / "keys.json")
    return place_in(tmp_path / "elsewhere")


@pytest.fixture
def saved(place: Place, tmp_path: Path) -> Path:
    save(place, tmp_path / "backup")
    return tmp_path / "backup"


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


# -- what is saved -----------------------------------------------------------------------------------------------------


async def test_what_was_saved_is_put_back(saved: Path, place: Place, elsewhere: Place) -> None:
    restored = put_back(saved, elsewhere)
    assert restored.books is not None and restored.books.balanced
    assert (restored.books.envelopes, restored.files, restored.size) == (2, 2, saved.stat().st_size)
    assert await bodies(elsewhere) == await bodies(place)
    assert (elsewhere.files / "ab" / "photo").read_bytes() == (place.files / "ab" / "photo").read_bytes()
    assert (elsewhere.files / "empty").read_bytes() == b""
    assert hidden(saved.parent) == []


async def test_a_store_without_attachments_is_saved_too(place: Place, elsewhere: Place, tmp_path: Path) -> None:
    shutil.rmtree(place.files)
    assert save(place, tmp_path / "backup").files == 0
    assert put_back(tmp_path / "backup", elsewhere).files == 0
    assert await bodies(elsewhere) == await bodies(place)
    assert not elsewhere.files.exists()


def test_only_its_owner_can_read_a_backup_and_what_comes_out_of_it(saved: Path, elsewhere: Place) -> None:
    put_back(saved, elsewhere)
    for path in (saved, elsewhere.database, elsewhere.files / "ab" / "photo"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_backup_holds_no_key_and_nothing_a_citizen_wrote(saved: Path, place: Place) -> None:
    raw, keys = saved.read_bytes(), json.loads(place.keys.read_text())
    assert "路灯".encode() not in raw
    for key in (*keys["sealing"].values(), keys["matching"]):
        assert key.encode() not in raw and base64.b64decode(key) not in raw


def test_any_tar_program_reads_a_backup(saved: Path) -> None:
    with tarfile.open(saved) as tar:
        assert tar.getnames() == ["gateway.db", "files/ab/photo", "files/empty"]


# -- beside a node that works ------------------------------------------------------------------------------------------


async def test_a_busy_node_neither_stops_a_backup_nor_is_stopped(
    place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    await fill(place, *[os.urandom(200_000) for _ in range(80)])  # several steps of copying
    done: list[int] = []
    with keeper(url(place), place.keys) as receipts:
        before = [next(receipts) for _ in range(20)]

        def progress(stage: str, of_it: int, _of: int) -> None:
            if stage == "copy":
                done.append(of_it)
                next(receipts)  # the node acknowledges between two steps

        backup.back_up(place, tmp_path / "backup", progress)
    assert done == sorted(done) and len(done) > 3, "a copy that begins anew may never end"
    put_back(tmp_path / "backup", elsewhere)
    store = await open_store(url(elsewhere), elsewhere.keys)
    kept = {one.id for one in await store.envelopes()}
    await store.close()
    assert set(before) <= kept


# -- refused -----------------------------------------------------------------------------------------------------------


def test_a_backup_is_never_overwritten(saved: Path, place: Place) -> None:
    raw = saved.read_bytes()
    with pytest.raises(BackupRefused, match="is there already: name another file"):
        save(place, saved)
    assert saved.read_bytes() == raw


def test_without_a_folder_or_a_store_nothing_is_made(place: Place, elsewhere: Place, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="no folder: make it first"):
        save(place, tmp_path / "nowhere" / "backup")
    with pytest.raises(NoStore, match="nothing to save"):
        save(elsewhere, tmp_path / "backup")
    assert not elsewhere.database.parent.exists() and not (tmp_path / "backup").exists()


async def test_a_store_of_another_key_file_is_not_saved(place: Place, elsewhere: Place, tmp_path: Path) -> None:
    elsewhere.keys.unlink()
    await fill(elsewhere, b"other")
    with pytest.raises(KeyFileError, match="does not belong to this store"):
        save(Place(place.database, place.files, elsewhere.keys), tmp_path / "backup")
    assert not (tmp_path / "backup").exists() and hidden(tmp_path) == []


def test_a_damaged_store_is_not_saved(place: Place, tmp_path: Path) -> None:
    connection = sqlite3.connect(place.database)
    connection.executescript("PRAGMA writable_schema=ON; DELETE FROM sqlite_master WHERE name = 'messages_caller';")
    connection.close()
    with pytest.raises(BackupRefused, match="damaged"):
        save(place, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def flipped(raw: bytes) -> Iterator[bytes]:
    """The bytes with one bit turned over, at some hundred places and everywhere in the last block."""
    for at in [*range(0, len(raw) - archive.BLOCK, 1009), *range(len(raw) - archive.BLOCK, len(raw))]:
        yield raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]


def test_a_backup_with_a_flipped_bit_is_refused(saved: Path) -> None:
    for raw in flipped(saved.read_bytes()):
        saved.write_bytes(raw)
        with pytest.raises(BackupRefused, match="cut short or changed"):
            archive.check(saved, lambda _: None)


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 10_240, 100_000])
def test_a_backup_cut_short_or_added_to_is_refused_and_nothing_is_left(saved: Path, elsewhere: Place, cut: int) -> None:
    raw = saved.read_bytes()
    for changed in (raw[:-cut], raw + bytes(cut), raw[:cut]):
        saved.write_bytes(changed)
        with pytest.raises(BackupRefused, match="cut short or changed, use another"):
            put_back(saved, elsewhere)
        assert [path.name for path in elsewhere.database.parent.iterdir()] == ["gateway.db.lock"]


def test_what_is_no_backup_is_refused(place: Place, elsewhere: Place, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for other in (tmp_path / "empty", place.database):
        with pytest.raises(BackupRefused, match="no whole backup"):
            put_back(other, elsewhere)
    for other in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BackupRefused, match="is no file"):
            put_back(other, elsewhere)


@pytest.mark.parametrize("name", ["files/../../escaped", "/escaped", "escaped"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    name: str, saved: Path, elsewhere: Place, tmp_path: Path
) -> None:
    with saved.open("rb") as file:
        archive.pack(tmp_path / "bad", [(name, file)], lambda _: None)
    with pytest.raises(BackupRefused, match="something else"):
        put_back(tmp_path / "bad", elsewhere)
    assert not list(tmp_path.rglob("escaped"))


async def test_another_key_file_is_refused(saved: Path, elsewhere: Place) -> None:
    elsewhere.keys.unlink()
    await fill(elsewhere, b"other")
    elsewhere.database.unlink()
    with pytest.raises(KeyFileError, match="does not belong to this store"):
        put_back(saved, elsewhere)
    elsewhere.keys.unlink()
    with pytest.raises(KeyFileError, match="cannot read the key file"):
        put_back(saved, elsewhere)
    assert not elsewhere.database.exists() and not elsewhere.files.exists()


def set_revision(place: Place, revision: str) -> None:
    connection = sqlite3.connect(place.database)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_a_newer_store_is_neither_saved_nor_put_back(
    place: Place, elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_revision(place, "9999")
    with pytest.raises(SchemaMismatch, match="newer than this program: install the version that made it"):
        save(place, tmp_path / "backup")
    with monkeypatch.context() as newer_program:
        newer_program.setattr(backup.schema, "is_older", lambda _: False)
        save(place, tmp_path / "backup")
    with pytest.raises(SchemaMismatch, match="newer than this program"):
        put_back(tmp_path / "backup", elsewhere)
    assert not elsewhere.database.exists() and not elsewhere.files.exists()


def test_an_older_store_is_saved_and_put_back_without_reading_its_books(
    place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    set_revision(place, "0001")
    assert save(place, tmp_path / "backup").books is None
    assert put_back(tmp_path / "backup", elsewhere).books is None


async def test_nothing_is_put_where_something_is(saved: Path, place: Place, elsewhere: Place) -> None:
    store = await open_store(url(elsewhere), elsewhere.keys)
    with pytest.raises(StoreLocked, match="in use by a running gateway"):
        put_back(saved, elsewhere)
    await store.close()
    with pytest.raises(BackupRefused, match=r"gateway.db is there already: move it away first"):
        put_back(saved, elsewhere)
    elsewhere.database.rename(elsewhere.database.with_name("gateway.db-wal"))
    with pytest.raises(BackupRefused, match=r"gateway.db-wal is there already"):
        put_back(saved, elsewhere)
    elsewhere.database.with_name("gateway.db-wal").unlink()
    elsewhere.files.mkdir()
    (elsewhere.files / "one").touch()
    with pytest.raises(BackupRefused, match="is not empty: move it away first"):
        put_back(saved, elsewhere)
    (elsewhere.files / "one").unlink()
    put_back(saved, elsewhere)
    assert await bodies(elsewhere) == await bodies(place)


# -- killed ------------------------------------------------------------------------------------------------------------


def stepping(count: Step) -> None:
    """Count each call of the system that may change a file, and each of the database."""
    names = {"open", "write", "sendfile", "fsync", "replace", "link", "unlink", "mkdir", "rmdir", "execute", "backup"}
    sys.setprofile(lambda _, kind, called: count() if kind == "c_call" and called.__name__ in names else None)


def saving(count: Step, place: Place, target: Path) -> None:
    stepping(count)
    backup.back_up(place, target, count)


def putting_back(count: Step, source: Path, place: Place) -> None:
    stepping(count)
    backup.restore(source, place, count)


def test_a_backup_killed_at_any_step_leaves_nothing_half_under_its_name(place: Place, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    target, states = tmp_path / "backups" / "backup", set()
    for step in itertools.count(1, STRIDE):
        killed = killed_at(step, saving, place, target)
        states.add((killed, target.exists()))
        if target.exists():
            archive.check(target, lambda _: None)
            target.unlink()
        save(place, target)
        assert hidden(target.parent) == []
        target.unlink()
        if not killed:
            break
    assert (True, False) in states and (False, True) in states and step > 20


async def test_a_restore_killed_at_any_step_leaves_a_whole_store_or_none(saved: Path, elsewhere: Place) -> None:
    there = 0
    for step in itertools.count(1, STRIDE):
        killed = killed_at(step, putting_back, saved, elsewhere)
        if elsewhere.database.exists():
            there += 1
        else:
            shutil.rmtree(elsewhere.files, ignore_errors=True)  # as the sentence tells when they were in place already
            put_back(saved, elsewhere)
        assert len(await bodies(elsewhere)) == 2
        assert (elsewhere.files / "ab" / "photo").stat().st_size == 10_240
        shutil.rmtree(elsewhere.database.parent)
        if not killed:
            break
    assert there and step > 20
