"""The parser under every split of its input: where the network cuts a reply changes nothing."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.errors import Unreachable, UpstreamError
from bff_core.testing import run
from bff_core.wire import Instance, Reply
from bff_core.wire.http1_connection import Connection
from bff_core.wire.known_heads import KnownHeads
from bff_core.wire.reply_body import _AHEAD as AHEAD
from tests.bff_core.raw_server import said
from tests.bff_core.test_wire_replies import GOOD
from tests.bff_core.test_wire_strictness import AMBIGUOUS

REPLIES = {**{name: reply for name, (reply, _) in GOOD.items()}, **AMBIGUOUS}
REPLIES.pop("as long as is allowed")  # a thousand cuts of the same kind


class Wire(asyncio.Transport):
    """Takes what is written, and remembers whether it was closed."""

    closed = False
    reading = True

    def write(self, data: Any) -> None:
        """Nobody reads it."""

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.closed = True

    close = abort

    def get_write_buffer_size(self) -> int:
        return 0


class Pool:
    """Counts what comes back."""

    def __init__(self) -> None:
        self.free: list[Connection] = []

    def released(self, connection: Connection) -> None:
        self.free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Gone."""


def outcome(pieces: list[bytes], heads: KnownHeads | None = None) -> tuple[Reply | type[UpstreamError] | None, bool]:
    """What comes of a reply in these pieces and then the end; whether the connection may be used again before it."""

    async def main() -> tuple[Reply | type[UpstreamError] | None, bool]:
        pool, transport = Pool(), Wire()
        connection = Connection(Instance("shop", "http", "shop.test", 80), pool, asyncio.get_running_loop(), heads)
        connection.connection_made(transport)
        promise = connection.ask(b"GET / HTTP/1.1\r\n\r\n", False, 1000)
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
        reusable = bool(pool.free) and not transport.closed
        if not transport.closed:
            connection.eof_received()
            connection.connection_lost(None)
        try:
            reply = promise.result()
            return Reply(reply.status, list(reply.headers), reply.body), reusable
        except UpstreamError as error:
            return type(error), reusable

    return run(main())


async def test_a_connection_that_died_before_it_was_asked_says_so_at_once() -> None:
    connection = Connection(Instance("shop", "http", "shop.test", 80), Pool(), asyncio.get_running_loop())
    connection.connection_made(Wire())
    connection.connection_lost(None)
    with pytest.raises(Unreachable):
        await connection.ask(b"GET / HTTP/1.1\r\n\r\n", False, 1000)


@pytest.fixture
async def free() -> tuple[Connection, Wire, Pool]:
    """A connection that may be asked."""
    pool, transport = Pool(), Wire()
    connection = Connection(Instance("shop", "http", "shop.test", 80), pool, asyncio.get_running_loop())
    connection.connection_made(transport)
    return connection, transport, pool


async def test_a_connection_that_was_given_up_before_it_was_asked_says_so_at_once(
    free: tuple[Connection, Wire, Pool],
) -> None:
    connection, _, _ = free
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")  # nobody asked
    with pytest.raises(Unreachable):
        await connection.ask(b"GET / HTTP/1.1\r\n\r\n", False, 1000)


async def test_a_connection_without_a_socket_is_not_open(free: tuple[Connection, Wire, Pool]) -> None:
    """As uvloop leaves one over TLS in the turn before it says that it is lost."""
    connection, _, _ = free
    assert not connection.is_open()


MUCH = said(bytes(AHEAD + 1))


async def test_a_reply_that_nobody_has_read_yet_holds_up_nobody_who_comes_next(
    free: tuple[Connection, Wire, Pool],
) -> None:
    connection, transport, pool = free
    promise = connection.ask_for_stream(b"GET / HTTP/1.1\r\n\r\n", False, 10**6)
    connection.data_received(MUCH[:-1])
    assert transport.reading
    connection.data_received(MUCH[-1:])  # with which it is too much, and whole
    assert pool.free == [connection]
    assert transport.reading
    assert b"".join([piece async for piece in promise.result()]) == bytes(AHEAD + 1)


async def test_who_reads_an_older_reply_does_not_speed_up_a_newer_one(free: tuple[Connection, Wire, Pool]) -> None:
    connection, transport, _ = free
    older = connection.ask_for_stream(b"GET / HTTP/1.1\r\n\r\n", False, 10**6).result
    connection.data_received(MUCH)
    connection.ask_for_stream(b"GET / HTTP/1.1\r\n\r\n", False, 10**6)
    connection.data_received(said(bytes(2 * AHEAD))[:-1])
    assert not transport.reading
    assert b"".join([piece async for piece in older()]) == bytes(AHEAD + 1)
    assert not transport.reading


@pytest.mark.parametrize("what", REPLIES)
def test_one_cut_anywhere_changes_nothing_but_what_is_seen_too_late(what: str) -> None:
    reply = REPLIES[what][:2000]
    whole = outcome([reply])
    for place in range(1, len(reply)):
        assert_same(outcome([reply[:place], reply[place:]]), whole)


@given(st.sampled_from(sorted(REPLIES)), st.lists(st.integers(0, 400), max_size=12))
def test_any_cuts_change_nothing_but_what_is_seen_too_late(what: str, cuts: list[int]) -> None:
    reply = REPLIES[what][:2000]
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    pieces = [reply[start:end] for start, end in pairwise(places)]
    assert_same(outcome(pieces), outcome([reply]))


def assert_same(cut: tuple[Any, bool], whole: tuple[Any, bool]) -> None:
    """The same reply or error. What stands behind a whole reply may come after it was believed: then the reply
    counts, and the connection is not used again all the same.
    """
    if isinstance(whole[0], Reply) or not isinstance(cut[0], Reply):
        assert cut == whole
    else:
        assert not cut[1]


@given(st.sampled_from(list(REPLIES.values())), st.sampled_from(list(REPLIES.values())), st.data())
def test_replies_that_came_before_change_nothing(before: bytes, reply: bytes, data: st.DataObject) -> None:
    heads = KnownHeads()
    outcome([before], heads)
    after = data.draw(st.sampled_from([b"", reply, b"x", b"HTTP/1.1 200 OK\r\n"]))
    said = reply + after if data.draw(st.booleans()) else reply[: data.draw(st.integers(0, len(reply)))]
    cut = data.draw(st.integers(0, len(said)))
    pieces = [piece for piece in (said[:cut], said[cut:]) if piece]
    assert outcome(pieces, heads) == outcome(pieces)


def test_a_reply_with_a_known_head_is_not_parsed_again() -> None:
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    heads = KnownHeads()
    assert heads.reply(reply, 10) is None
    outcome([reply], heads)
    known = heads.reply(reply, 10)
    assert known is not None
    assert (known.status, known.headers, known.body) == (200, ((b"content-length", b"2"),), b"ok")
    assert heads.reply(reply, 1) is None
    assert heads.reply(reply + b"x", 10) is None
    assert heads.reply(reply[:-1], 10) is None


def test_heads_that_do_not_come_again_are_not_kept_for_ever() -> None:
    heads = KnownHeads()
    for number in range(5000):
        heads.keep(b"HTTP/1.1 200 OK\r\nx-id: %d\r\ncontent-length: 0\r\n\r\n" % number, 200, [])
        assert len(heads._heads) <= 512
    assert heads._kept < 1100


def test_a_line_break_before_a_reply_is_no_head_that_could_be_known() -> None:
    heads = KnownHeads()
    first = b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    second = b"\r\n\r\nHTTP/1.1 500 NO\r\ncontent-length: 2\r\n\r\nno"
    outcome([first], heads)
    assert outcome([second], heads) == (Reply(500, [(b"content-length", b"2")], b"no"), True)
