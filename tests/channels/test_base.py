"""What every webhook is handed: a request whose parts pass no check by being doubled or odd."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import MOST_PARAMETERS, Request, read_query_string

PIECES = st.text(st.sampled_from("ab1=%+&;#\u4e2d\x00\ud800é"), max_size=12)


def request(query: str = "", *headers: tuple[bytes, bytes]) -> Request:
    return Request("POST", "/channels/c", query, headers, b"", "192.0.2.1", "https://h.example", datetime.now(UTC))


@given(st.lists(PIECES, max_size=60).map("&".join) | st.text(max_size=80))
def test_a_query_string_is_read_as_by_the_standard_library(query: str) -> None:
    try:
        expected = parse_qs(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        expected = {}
    assert read_query_string(query) == expected


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("a=1&b=2", "1"),
        ("a=", ""),
        ("a", ""),
        ("a=%31+%E4%B8%AD", "1 中"),
        ("b=2", None),
        ("a=1&a=1", None),
        ("a=1&%61=2", None),
        ("a=1" + "&b=2" * MOST_PARAMETERS, None),
    ],
)
def test_a_parameter_that_is_missing_or_doubled_is_none(query: str, value: str | None) -> None:
    assert request(query).parameter("a") == value


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([(b"x-key", b"1")], "1"),
        ([], None),
        ([(b"x-key", b"1"), (b"x-key", b"1")], None),
        ([(b"x-key", "é".encode())], None),
    ],
)
def test_a_header_that_is_missing_doubled_or_odd_is_none(headers: Any, value: str | None) -> None:
    assert request("", *headers).header("X-Key") == value
