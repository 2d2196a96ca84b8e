"""What people see of a line that something else wrote."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.cli.child import lines
from bff_core.cli.log_line import plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
LOGGED = st.fixed_dictionaries({}, optional=dict.fromkeys(("message", "ms", "parts", "traceback", "more"), JSON))


def is_harmless(shown: str) -> bool:
    first, *below = shown.split("\n")
    return first.isprintable() and all(row.isprintable() and row.startswith("  | ") for row in below)


@given(st.text() | JSON.map(json.dumps) | LOGGED.map(json.dumps))
def test_no_line_moves_the_cursor_or_looks_like_another(line: str) -> None:
    assert is_harmless(plain(line))


def test_a_logged_line_is_what_it_says() -> None:
    line = {"message": "GET / 200", "ms": 12.5, "parts": {"price": "?timeout"}, "level": "info"}

    assert plain(json.dumps(line)) == "GET / 200  12.5 ms  price?timeout"


def test_what_a_client_sent_is_escaped() -> None:
    assert plain('{"message": "GET /\\u001b[2J\\nbff: all is well\\u202e \\ud800"}') == (
        "GET /\\x1b[2J\\nbff: all is well\\u202e \\ud800"
    )
    assert plain("\x1b[31mred\r") == "\\x1b[31mred\\r"


def test_a_traceback_is_below_its_line_and_behind_a_bar() -> None:
    line = {"message": "a bug", "traceback": "Traceback:\n  ValueError: what\nweb GET / 200"}

    assert plain(json.dumps(line)) == "a bug\n  | Traceback:\n  |   ValueError: what\n  | web GET / 200"


@pytest.mark.parametrize(
    "line",
    ["", "3", "[]", "null", '{"message"', '{"level": "info"}', "[" * 100_000, "9" * 5000],
    ids=lambda line: line[:12],
)
def test_what_is_no_line_of_a_log_is_shown_as_it_is(line: str) -> None:
    assert plain(line)[:2000] == line[:2000]


def test_only_the_beginning_of_a_line_is_shown() -> None:
    assert plain("x" * 2001) == "x" * 2000 + " …"
    assert plain(json.dumps({"message": "x" * 2001})) == "x" * 2000 + " …"


@given(st.lists(st.binary(max_size=20)))
async def test_lines_are_the_same_however_they_arrive(chunks: list[bytes]) -> None:
    whole = b"".join(chunks).decode(errors="replace")
    expected = [line.rstrip() for line in whole.split("\n")]

    assert await read(chunks) == expected[: None if whole and not whole.endswith("\n") else -1]


async def test_a_very_long_line_is_cut_and_the_next_one_is_whole() -> None:
    first, second = await read([b"x" * 2**20, b"\n", b"next\n"])

    assert 256 * 1024 <= len(first) <= 320 * 1024
    assert second == "next"


async def read(chunks: list[bytes]) -> list[str]:
    reader = asyncio.StreamReader()
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return [line async for line in lines(reader)]
