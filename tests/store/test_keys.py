from __future__ import annotations

import base64
import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import keys
from store.errors import KeyFileError
from store.keys import Keyring, load, load_or_create

PLACE = b"envelopes.body"
OLD, NEW, MATCHING = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "keys.json"


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def content(**change: object) -> dict[str, object]:
    return {"active": 1, "sealing": {"1": encoded(OLD)}, "matching": encoded(MATCHING)} | change


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_fresh_store_gets_a_key_file_for_its_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create(path, fresh=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_every_key_file_has_keys_of_its_own(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        load_or_create(file, fresh=True)
    made = [json.loads(file.read_text()) for file in files]
    secrets = [key for one in made for key in (*one["sealing"].values(), one["matching"])]
    assert len(set(secrets)) == len(secrets) == 4


def test_the_key_file_appears_whole_and_on_disk_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, str]] = []

    def fsync(handle: int) -> None:
        seen.append((path.exists(), "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"))

    monkeypatch.setattr(os, "fsync", fsync)
    load_or_create(path, fresh=True)
    assert seen == [(False, "file"), (True, "folder")]


def test_a_draft_left_by_a_killed_process_does_not_stop_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Path, "hardlink_to", lambda *_: None)
        killed.setattr(Path, "unlink", lambda *_: None)
        keys._create(path)
    assert not path.exists() and len(list(path.parent.iterdir())) == 1
    load_or_create(path, fresh=True)


def _mark_made_by(path: Path) -> bytes:
    return load_or_create(path, fresh=True).mark("same")


def test_processes_that_start_together_use_one_key_file(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for number in range(20):
            file = path.with_name(f"{number}.json")
            assert len(set(pool.map(_mark_made_by, [file] * 4, chunksize=1))) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o660, 0o666, 0o602])
def test_a_key_file_that_others_may_read_or_change_is_refused(path: Path, mode: int) -> None:
    write(path, json.dumps(content()), mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load(path)


def test_a_missing_key_file_beside_a_filled_store_is_refused_and_not_replaced(path: Path) -> None:
    with pytest.raises(KeyFileError, match="restore it from its backup"):
        load_or_create(path, fresh=False)
    assert not path.exists()


def test_a_key_file_that_is_not_there_cannot_be_loaded(path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\x00" * 100,
        json.dumps(content())[:-20],
        json.dumps(content(active=2)),
        json.dumps(content(active="one")),
        json.dumps(content(active=None)),
        json.dumps(content(active=-1, sealing={"-1": encoded(OLD)})),
        json.dumps(content(active=2**32, sealing={str(2**32): encoded(OLD)})),
        json.dumps(content(sealing={})),
        json.dumps(content(sealing=[])),
        json.dumps(content(sealing={"1": "not base64!"})),
        json.dumps(content(sealing={"1": encoded(OLD[:-1])})),
        json.dumps(content(matching=encoded(MATCHING + b"x"))),
        json.dumps(content(matching=None)),
        json.dumps({"active": 1}),
    ],
)
def test_a_damaged_key_file_is_refused_in_a_sentence(path: Path, text: str) -> None:
    with pytest.raises(KeyFileError, match="damaged"):
        load(write(path, text))


def test_a_key_file_that_is_no_text_is_damaged(path: Path) -> None:
    write(path, "").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeyFileError, match="damaged"):
        load(path)


def test_after_rotation_old_values_are_read_and_new_ones_carry_the_new_key(path: Path) -> None:
    before = load(write(path, json.dumps(content())))
    sealed_before = before.seal(b"said", PLACE)
    rotated = content(active=2, sealing={"1": encoded(OLD), "2": encoded(NEW)})
    after = load(write(path, json.dumps(rotated)))
    sealed_after = after.seal(b"said", PLACE)

    assert after.unseal(sealed_before, PLACE) == after.unseal(sealed_after, PLACE) == b"said"
    assert (sealed_before[:4], sealed_after[:4]) == (b"\0\0\0\1", b"\0\0\0\2")
    assert before.mark("x") == after.mark("x")
    with pytest.raises(KeyFileError, match="sealing key 2 is not in the key file"):
        before.unseal(sealed_after, PLACE)


def ring(sealing: bytes = OLD, matching: bytes = MATCHING) -> Keyring:
    return Keyring({1: sealing}, 1, matching)


@given(st.binary(max_size=200))
def test_sealing_hides_and_returns_any_bytes(plain: bytes) -> None:
    sealed = ring().seal(plain, PLACE)
    assert ring().unseal(sealed, PLACE) == plain
    assert len(sealed) == 4 + 12 + len(plain) + 16
    assert sealed != ring().seal(plain, PLACE), "a nonce was used twice"


def test_any_flipped_bit_is_noticed() -> None:
    sealed = ring().seal("张伟".encode(), PLACE)
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(KeyFileError):
            ring().unseal(bytes(changed), PLACE)


def test_a_value_cut_anywhere_is_noticed() -> None:
    sealed = ring().seal(b"said", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(KeyFileError):
            ring().unseal(sealed[:length], PLACE)


def test_a_value_is_bound_to_its_column_and_its_key() -> None:
    sealed = ring().seal(b"said", PLACE)
    with pytest.raises(KeyFileError, match="moved"):
        ring().unseal(sealed, b"matters.document")
    with pytest.raises(KeyFileError, match="another key file"):
        ring(sealing=NEW).unseal(sealed, PLACE)


def test_marks_are_equal_for_equal_parts_only_and_need_the_matching_key() -> None:
    assert ring().mark("a", "b") == ring(sealing=NEW).mark("a", "b")
    different = [
        ring().mark("a", "b"),
        ring().mark("ab"),
        ring().mark("ab", ""),
        ring().mark("", "ab"),
        ring().mark("b", "a"),
        ring(matching=NEW).mark("a", "b"),
    ]
    assert len(set(different)) == len(different)


def test_a_mark_takes_what_a_broken_client_sends() -> None:
    assert ring().mark("\ud800") != ring().mark("\ud801")
