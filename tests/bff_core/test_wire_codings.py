"""A coded reply means what it meant before it was coded, and never takes more memory than it may."""

import asyncio
import gzip
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from random import Random

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff_core.errors import BadReply
from bff_core.wire import Reply, Request, header
from bff_core.wire.coding import Decoding
from tests.bff_core.raw_server import RawServer, after, open_wire, said
from tests.bff_core.test_wire_replies import both_ways

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

Ask = Callable[..., Awaitable[Reply]]
TEXT = b"a book is a book is a book. " * 20
NOISE = Random(1).randbytes(300_000)
MUCH = bytes(Random(1).choices(b"abcdefgh", k=500_000))
PLENTY = 10**9


def bare(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
WAYS = {**CODERS, "deflate without zlib's header": bare}
each_coding = pytest.mark.parametrize("way", WAYS)


def coded(way: str, body: bytes) -> bytes:
    return said(WAYS[way](body), headers=b"content-encoding: %s\r\n" % way.split(maxsplit=1)[0].encode())


@both_ways
@each_coding
@pytest.mark.parametrize("body", [TEXT, NOISE, b"", MUCH], ids=["text", "noise", "nothing", "much"])
async def test_a_coded_reply_is_decoded(ask: Ask, way: str, body: bytes) -> None:
    assert (await ask(coded(way, body), max_body=PLENTY)).body == body


@both_ways
async def test_a_decoded_reply_says_nothing_of_its_coding_or_its_length_on_the_wire(ask: Ask) -> None:
    reply = await ask(coded("gzip", TEXT))
    assert {name for name, _ in reply.headers} & {b"content-encoding", b"content-length"} == set()


@both_ways
async def test_what_is_not_coded_keeps_its_headers(ask: Ask) -> None:
    reply = await ask(said(b"body", headers=b"content-encoding: identity\r\n"))
    assert (header(reply.headers, b"content-length"), reply.body) == ("4", b"body")


@both_ways
@pytest.mark.parametrize(
    "headers",
    [
        b"content-encoding: deflate, gzip\r\n",
        b"content-encoding: Deflate\r\ncontent-encoding: X-GZIP\r\n",
        b"content-encoding: ,deflate,, identity ,gzip,\r\n",
    ],
)
async def test_codings_in_a_row_are_undone_from_the_last_to_the_first(ask: Ask, headers: bytes) -> None:
    body = gzip.compress(zlib.compress(TEXT))
    assert (await ask(said(body, headers=headers))).body == TEXT


@both_ways
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
async def test_no_bytes_at_all_are_no_body_whatever_their_coding(ask: Ask, status: bytes) -> None:
    assert (await ask(said(b"", status=status, headers=b"content-encoding: gzip\r\n"))).body == b""


async def test_the_reply_to_head_has_no_body_that_could_be_decoded() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ncontent-encoding: br\r\n\r\n"
    async with RawServer(head, keeps_alive=True) as server, open_wire() as wire:
        for _ in range(2):
            reply = await wire.send(server.instance, Request("HEAD", "/"), until=after(5), max_body=100)
            assert (reply.status, reply.body) == (200, b"")


@both_ways
@each_coding
async def test_a_coded_reply_that_breaks_off_is_bad(ask: Ask, way: str) -> None:
    body = WAYS[way](TEXT)
    for end in (1, len(body) // 2, len(body) - 1):
        reply = said(body[:end], headers=b"content-encoding: %s\r\n" % way.split(maxsplit=1)[0].encode())
        with pytest.raises(BadReply, match="breaks off"):
            await ask(reply)


@both_ways
@each_coding
async def test_something_behind_a_coded_body_is_bad(ask: Ask, way: str) -> None:
    name = way.split(maxsplit=1)[0].encode()
    for behind in (b"\0", b"evil", WAYS[way](TEXT)):
        with pytest.raises(BadReply):
            await ask(said(WAYS[way](TEXT) + behind, headers=b"content-encoding: %s\r\n" % name), max_body=PLENTY)


@both_ways
@pytest.mark.parametrize("coding", CODERS)
async def test_a_body_that_is_not_what_its_coding_says_is_bad(ask: Ask, coding: str) -> None:
    with pytest.raises(BadReply, match=coding):
        await ask(said(b"\x07 no such thing", headers=b"content-encoding: %s\r\n" % coding.encode()))


@both_ways
async def test_a_body_whose_checksum_is_wrong_is_bad(ask: Ask) -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-5] ^= 1
    with pytest.raises(BadReply):
        await ask(said(bytes(body), headers=b"content-encoding: gzip\r\n"))


@both_ways
@pytest.mark.parametrize("named", [b"compress", b"gzip;q=1", b"*", b"g\xe9zip", b"gzip, gzip, gzip, gzip"])
async def test_a_coding_that_is_not_known_or_one_too_many_is_bad(ask: Ask, named: bytes) -> None:
    with pytest.raises(BadReply):
        await ask(said(gzip.compress(TEXT), headers=b"content-encoding: %s\r\n" % named))


@both_ways
@each_coding
async def test_what_a_body_expands_to_is_what_counts_against_its_limit(ask: Ask, way: str) -> None:
    reply = coded(way, NOISE)
    assert len(reply) > 300_000 * 0.99
    assert (await ask(reply, max_body=300_000)).body == NOISE  # though it is longer where it is coded
    with pytest.raises(BadReply, match="over 299999 bytes"):
        await ask(reply, max_body=299_999)


@both_ways
@each_coding
async def test_a_reply_that_expands_more_than_a_hundredfold_is_bad(ask: Ask, way: str) -> None:
    assert (await ask(coded(way, bytes(64 * 1024)), max_body=PLENTY)).body == bytes(64 * 1024)  # small enough to pass
    with pytest.raises(BadReply, match="100 : 1"):
        await ask(coded(way, bytes(1_000_000)), max_body=PLENTY)


@each_coding
@pytest.mark.parametrize("twice", [False, True], ids=["once", "and gzip"])
def test_a_bomb_never_gets_into_memory(way: str, twice: bool) -> None:
    body = WAYS[way](bytes(50_000_000))
    codings = [way.split(maxsplit=1)[0]]
    if twice:
        body, codings = gzip.compress(body), [*codings, "gzip"]
    list(Decoding("shop", codings, PLENTY).feed(b""))  # the package is there
    tracemalloc.start()
    try:
        with pytest.raises(BadReply):
            for _ in Decoding("shop", codings, PLENTY).feed(body):
                pass
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


async def test_a_body_that_is_long_in_the_middle_alone_is_bad() -> None:
    nothing = zlib.compressobj(wbits=-15)
    empty_blocks = b"".join(nothing.flush(zlib.Z_FULL_FLUSH) for _ in range(2)) + b"\0\0\0\xff\xff" * 100_000 + b"\3\0"
    with pytest.raises(BadReply, match="100 : 1"):
        list(Decoding("shop", ["deflate", "gzip"], PLENTY).feed(gzip.compress(empty_blocks)))
    with pytest.raises(BadReply, match="over"):
        list(Decoding("shop", ["deflate"], 1000).feed(empty_blocks))


def test_a_window_larger_than_a_server_may_ask_for_is_bad() -> None:
    options = {zstd.CompressionParameter.window_log: 24}
    coder = zstd.ZstdCompressor(options=options)
    body = coder.compress(NOISE) + coder.flush()
    with pytest.raises(BadReply, match="too much memory"):
        list(Decoding("shop", ["zstd"], PLENTY).feed(body))


async def test_what_expands_arrives_in_pieces_of_bounded_size() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(coded("gzip", MUCH))
        await writer.drain()

    async with RawServer(script) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, Request("GET", "/"), until=after(5), max_body=PLENTY)
        parts = [part async for part in stream]
        assert b"".join(parts) == MUCH
        assert max(map(len, parts)) < 200_000
        await stream.close()


async def test_a_coded_stream_that_is_bad_in_its_middle_fails_where_it_is_read() -> None:
    body = bytearray(gzip.compress(NOISE))
    body[200_000:200_100] = bytes(100)
    async with RawServer(said(bytes(body), headers=b"content-encoding: gzip\r\n")) as server, open_wire() as wire:
        stream = await wire.stream(server.instance, Request("GET", "/"), until=after(5), max_body=PLENTY)
        with pytest.raises(BadReply):
            async for _ in stream:
                pass
        await stream.close()


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.sampled_from(sorted(CODERS)), min_size=1, max_size=3), st.integers(1, 50))
def test_any_body_comes_back_from_any_codings_however_it_is_cut(body: bytes, codings: list[str], size: int) -> None:
    meant = body
    for coding in codings:
        body = CODERS[coding](body)
    decoding = Decoding("shop", codings, PLENTY)
    cuts = (body[start : start + size] for start in range(0, len(body), size))
    assert b"".join(piece for cut in cuts for piece in decoding.feed(cut)) == meant
    decoding.end()


@settings(deadline=None)
@given(st.binary(max_size=100), st.sampled_from(sorted(CODERS)))
def test_any_bytes_are_a_body_or_a_bad_reply(body: bytes, coding: str) -> None:
    decoding = Decoding("shop", [coding], 1000)
    try:
        assert sum(map(len, decoding.feed(body))) <= 1000
        decoding.end()
    except BadReply:
        pass


def test_a_decoder_is_imported_when_its_coding_is_first_met() -> None:
    packages = {"brotli", "backports.zstd", "compression.zstd"}
    code = f"import sys, bff_core.wire.http1; sys.exit(bool({packages} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
