"""What smuggling lives on. The hot path refuses all of it; what httpx cannot be strict about is a named list.

A reply that two readers may understand differently is no reply: the connection is closed, because nobody knows where
the next one begins.
"""

import asyncio

import pytest

from bff_core.errors import BadReply, Unreachable
from bff_core.wire import Reply, Request
from tests.bff_core.raw_server import Conforming, RawServer, after, open_wire, said

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

AMBIGUOUS = {
    "a length and chunks": OK + b"content-length: 4\r\n" + CHUNKED + b"\r\n4\r\nbody\r\n0\r\n\r\n",
    "chunks and a length": OK + CHUNKED + b"content-length: 4\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 4\r\ncontent-length: 5\r\n\r\nbody",
    "the same length twice": OK + b"content-length: 4\r\ncontent-length: 4\r\n\r\nbody",
    "a list of lengths": OK + b"content-length: 4, 4\r\n\r\nbody",
    "a length with a sign": OK + b"content-length: +4\r\n\r\nbody",
    "a length in hexadecimal": OK + b"content-length: 0x4\r\n\r\nbody",
    "a negative length": OK + b"content-length: -4\r\n\r\nbody",
    "a folded header": OK + b"a: b\r\n c\r\ncontent-length: 4\r\n\r\nbody",
    "a bare LF behind a header": OK + b"a: b\ncontent-length: 4\r\n\r\nbody",
    "a bare LF behind the status": b"HTTP/1.1 200 OK\ncontent-length: 4\r\n\r\nbody",
    "a bare CR in a header": OK + b"a: b\rc\r\ncontent-length: 4\r\n\r\nbody",
    "a NUL in a header": OK + b"a: b\0c\r\ncontent-length: 4\r\n\r\nbody",
    "white space before the colon": OK + b"content-length : 4\r\n\r\nbody",
    "a header without a name": OK + b": b\r\ncontent-length: 4\r\n\r\nbody",
    "a transfer coding that hides chunks": OK + b"transfer-encoding: chunked, gzip\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "a transfer coding nobody knows": OK + b"transfer-encoding: xchunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "a chunk ended by LF": OK + CHUNKED + b"\r\n4\nbody\r\n0\r\n\r\n",
    "a chunk longer than it says": OK + CHUNKED + b"\r\n3\r\nbody\r\n0\r\n\r\n",
    "a chunk size with a sign": OK + CHUNKED + b"\r\n+4\r\nbody\r\n0\r\n\r\n",
    "a second reply behind the first": said(b"body") + said(b"evil"),
    "something behind the reply": said(b"body") + b"evil",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "more hints than any server sends": b"HTTP/1.1 100 Continue\r\n\r\n" * 500 + said(b"body"),
}

ACCEPTED_BY_HTTPX = {
    "a length and chunks",
    "chunks and a length",
    "the same length twice",
    "a list of lengths",
    "a folded header",
    "a bare LF behind a header",
    "a bare LF behind the status",
    "a second reply behind the first",
    "something behind the reply",
    "more hints than any server sends",
}


@pytest.mark.parametrize("what", AMBIGUOUS)
async def test_what_may_be_read_in_two_ways_is_not_read(what: str) -> None:
    async with RawServer(AMBIGUOUS[what], keeps_alive=True) as server, open_wire() as wire:
        asking = wire.send(server.instance, GET, until=after(5), max_body=100)
        if Conforming.kind == "httpx" and what in ACCEPTED_BY_HTTPX:
            assert isinstance(await asking, Reply)
            return
        with pytest.raises(BadReply):
            await asking
        server.script = said(b"well")
        assert (await wire.send(server.instance, GET, until=after(5), max_body=100)).body == b"well"
        assert server.accepted == 2  # nothing was sent on the connection that is in doubt


async def test_a_connection_is_used_again() -> None:
    async with RawServer(said(b"ok"), keeps_alive=True) as server, open_wire() as wire:
        for _ in range(5):
            await wire.send(server.instance, GET, until=after(5), max_body=100)
        assert server.accepted == 1


@pytest.mark.parametrize("status", [b"200 OK", b"304 Not Modified", b"404 Not Found"])
async def test_the_reply_to_head_has_no_body_whatever_it_says(status: bytes) -> None:
    head = b"HTTP/1.1 %s\r\ncontent-length: 1000\r\n\r\n" % status
    async with RawServer(head, keeps_alive=True) as server, open_wire() as wire:
        for _ in range(2):
            reply = await wire.send(server.instance, Request("HEAD", "/"), until=after(5), max_body=100)
            assert (reply.status, reply.body) == (int(status[:3]), b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_kept_connection_that_the_service_closed_costs_a_safe_call_nothing(method: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said(b"ok"))
        await reader.readuntil(b"\r\n\r\n")  # and closes without a word, as if it had been idle for too long

    async with RawServer(once) as server, open_wire() as wire:
        asked = [await wire.send(server.instance, Request(method, "/"), until=after(5), max_body=100)]
        if Conforming.kind == "httpx":  # it cannot tell this from a failure
            with pytest.raises(Unreachable):
                await wire.send(server.instance, Request(method, "/"), until=after(5), max_body=100)
            return
        asked += [await wire.send(server.instance, Request(method, "/"), until=after(5), max_body=100) for _ in "abc"]
        assert [reply.body for reply in asked] == [b"ok"] * 4


async def test_a_call_that_is_not_safe_is_never_sent_twice() -> None:
    heads = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said(b"ok"))
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with RawServer(once) as server, open_wire() as wire:
        await wire.send(server.instance, Request("POST", "/"), until=after(5), max_body=100)
        with pytest.raises(Exception, match="shop"):
            await wire.send(server.instance, Request("POST", "/"), until=after(5), max_body=100)
        assert len(heads) == 2
