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
from tests.bff_core.test_wire_replies import GOOD
from tests.bff_core.test_wire_strictness import AMBIGUOUS

REPLIES = {**{name: reply for name, (reply, _) in GOOD.items()}, **AMBIGUOUS}
REPLIES.pop("as long as is allowed")  # a thousand cuts of the same kind


class Wire(asyncio.Transport):
    """Takes what is written, and remembers whether it was closed."""

    closed = False

    def write(self, data: Any) -> None:
        """Nobody reads it."""

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


def outcome(pieces: list[bytes]) -> tuple[Reply | type[UpstreamError] | None, bool]:
    """What comes of a reply in these pieces and then the end; whether the connection may be used again before it."""

    async def main() -> tuple[Reply | type[UpstreamError] | None, bool]:
        pool, transport = Pool(), Wire()
        connection = Connection(Instance("shop", "http", "shop.test", 80), pool, asyncio.get_running_loop())
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
            return promise.result(), reusable
        except UpstreamError as error:
            return type(error), reusable

    return run(main())


async def test_a_connection_that_died_before_it_was_asked_says_so_at_once() -> None:
    connection = Connection(Instance("shop", "http", "shop.test", 80), Pool(), asyncio.get_running_loop())
    connection.connection_made(Wire())
    connection.connection_lost(None)
    with pytest.raises(Unreachable):
        await connection.ask(b"GET / HTTP/1.1\r\n\r\n", False, 1000)


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
