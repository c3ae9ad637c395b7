"""Messages and labels from CSV files: what is read, and how a bad line is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.labelled import Pair, Unusable, read_groups, read_labels, read_messages, read_pairs

HEAD = "id,sender,time,title,text\n"
THREE = HEAD + "c,s,,无时间,路灯\nb,s,2026-11-02T08:00:00+08:00,标题,路灯\na,,2026-11-01,标题,井盖\n"


def written(folder: Path, name: str, words: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(words.encode() if isinstance(words, str) else words)
    return path


def test_messages_are_in_order_of_time_and_those_without_one_last(tmp_path: Path) -> None:
    found = read_messages(written(tmp_path, "M.csv", THREE))
    assert [one.id for one in found] == ["a", "b", "c"]
    assert [one.sender for one in found] == ["", "s", "s"] and found[2].at is None


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-11-28T09:30:05", datetime(2026, 11, 28, 1, 30, 5, tzinfo=UTC)),
        ("2026-11-28 09:30:05.123", datetime(2026, 11, 28, 1, 30, 5, tzinfo=UTC)),
        ("2026/1/2 9:30", datetime(2026, 1, 2, 1, 30, tzinfo=UTC)),
        ("2026-11-28", datetime(2026, 11, 27, 16, tzinfo=UTC)),
        ("2026-11-28T09:30:05Z", datetime(2026, 11, 28, 9, 30, 5, tzinfo=UTC)),
        ("2026-11-28T09:30:05+0100", datetime(2026, 11, 28, 8, 30, 5, tzinfo=UTC)),
        ("", None),
    ],
)
def test_times_as_programs_and_as_excel_write_them(tmp_path: Path, told: str, at: datetime | None) -> None:
    (found,) = read_messages(written(tmp_path, "M.csv", f"{HEAD}a,s,{told},x,y\n"))
    assert found.at == at


def test_a_byte_order_mark_further_columns_in_any_order_and_quoted_lines(tmp_path: Path) -> None:
    rows = '\ufefftext,place,id,district,time,sender,title\n"第一行\n第二行, ""引"" ",石塔路,a,x,,s,t\n\n'
    (found,) = read_messages(written(tmp_path, "M.csv", rows))
    assert (found.text, found.place) == ('第一行\n第二行, "引"', "石塔路")


def test_a_very_long_text_is_read(tmp_path: Path) -> None:
    (found,) = read_messages(written(tmp_path, "M.csv", f"{HEAD}a,s,,x,{'路' * 200_000}\n"))
    assert len(found.text) == 200_000


REFUSED = {
    "M.csv line 1: no column title, text": "id,sender,time\na,s,\n",
    "M.csv: there is no message in it": HEAD,
    "M.csv line 3: the id is empty": HEAD + "a,s,,x,y\n,s,,x,y\n",
    "M.csv line 5: the id a stands in line 2 too": HEAD + 'a,s,,x,"1\n2"\nb,s,,x,y\na,s,,x,y\n',
    "M.csv line 2: the time '昨天' cannot be read": HEAD + "a,s,昨天,x,y\n",
    "M.csv line 2: there is no time '2026-02-30'": HEAD + "a,s,2026-02-30,x,y\n",
    "M.csv line 2: 6 fields, but the header has 5": HEAD + "a,s,,x,y,z\n",
    "M.csv line 2: 4 fields, but the header has 5": HEAD + "a,s,,x\n",
    "M.csv is not UTF-8": (HEAD + "a,s,,x,路灯不亮\n").encode("gb18030"),
    "M.csv line 2: ": HEAD + 'a,s,,x,"never closed\n',
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_messages_that_are_refused(tmp_path: Path, sentence: str) -> None:
    with pytest.raises(Unusable, match=sentence):
        read_messages(written(tmp_path, "M.csv", REFUSED[sentence]))


def test_pairs_are_read_once_the_earlier_message_first(tmp_path: Path) -> None:
    messages = read_messages(written(tmp_path, "M.csv", THREE))
    gold = written(tmp_path, "G.csv", "id_a,id_b,label,note\nc,a,1,x\na,c,1,\nb,c,0,\n")
    assert read_pairs(gold, messages) == [Pair(0, 2, same=True), Pair(1, 2, same=False)]


WRONG_PAIRS = {
    "G.csv line 1: no column label": "id_a,id_b\na,b\n",
    "G.csv line 3: there is no message with the id 'x'": "id_a,id_b,label\na,b,1\na,x,0\n",
    "G.csv line 2: the label must be 1 or 0, not 'yes'": "id_a,id_b,label\na,b,yes\n",
    "G.csv line 2: the label must be 1 or 0, not ''": "id_a,id_b,label\na,b,\n",
    "G.csv line 2: a message is paired with itself": "id_a,id_b,label\na,a,1\n",
    "G.csv line 3: the same pair has the other label in line 2": "id_a,id_b,label\na,b,1\nb,a,0\n",
}


@pytest.mark.parametrize("sentence", WRONG_PAIRS)
def test_pairs_that_are_refused(tmp_path: Path, sentence: str) -> None:
    messages = read_messages(written(tmp_path, "M.csv", THREE))
    with pytest.raises(Unusable, match=sentence):
        read_pairs(written(tmp_path, "G.csv", WRONG_PAIRS[sentence]), messages)


def test_an_incident_is_labelled_by_pairs_or_by_its_name(tmp_path: Path) -> None:
    messages = read_messages(written(tmp_path, "M.csv", THREE))
    assert read_labels(written(tmp_path, "G.csv", "id,label\na,停水\nb,\n"), messages) == {0: "停水", 1: ""}
    assert read_labels(written(tmp_path, "P.csv", "id_a,id_b,label\na,b,1\n"), messages) == [Pair(0, 1, same=True)]
    with pytest.raises(Unusable, match=r"N.csv line 1: the columns must be id_a,id_b,label or id,label"):
        read_labels(written(tmp_path, "N.csv", "name\na\n"), messages)
    with pytest.raises(Unusable, match=r"T.csv line 3: the same message has another label in line 2"):
        read_groups(written(tmp_path, "T.csv", "id,label\na,停水\na,\n"), messages)
