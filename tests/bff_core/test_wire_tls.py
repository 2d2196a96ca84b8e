"""Over TLS a service is who it says it is, and a reply is as long as the service made it."""

import asyncio
import gc
import os
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from fastapi import APIRouter

from bff_core.errors import TimedOut, Unreachable
from bff_core.gateway import gateway
from bff_core.wire import Reply, Request
from bff_core.wire.http1_connection import Connection
from bff_core.wire.terms import Terms
from tests.bff_core.authority import certificate, expired, files_of, serving, trusting
from tests.bff_core.raw_server import Conforming, RawServer, Script, after, open_wire, said, started
from tests.bff_core.small_gateway import Clients, Store, browser, settings

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/")
OK = b"HTTP/1.1 200 OK\r\n"
PLENTY = 10**9
WELL = said(b"well")


@pytest.fixture
def ours(tmp_path: Path) -> Terms:
    return trusting(tmp_path)


async def ask(tls: ssl.SSLContext, terms: Terms | None, script: bytes | Script = WELL) -> Reply:
    async with RawServer(script, tls=tls) as server, open_wire(terms=terms) as wire:
        return await wire.send(server.instance, GET, until=after(5), max_body=PLENTY)


async def test_a_service_that_proves_itself_is_called(ours: Terms) -> None:
    assert (await ask(serving(), ours)).body == b"well"


async def test_a_connection_over_tls_is_used_again(ours: Terms) -> None:
    async with RawServer(said(b"ok"), keeps_alive=True, tls=serving()) as server, open_wire(terms=ours) as wire:
        for method in ("GET", "POST", "GET", "POST"):
            await wire.send(server.instance, Request(method, "/"), until=after(5), max_body=100)
        assert server.accepted == 1


async def test_a_long_reply_over_tls_arrives_whole_both_ways(ours: Terms) -> None:
    body = bytes(range(256)) * 10_000
    async with RawServer(said(body), keeps_alive=True, tls=serving()) as server, open_wire(terms=ours) as wire:
        assert (await wire.send(server.instance, GET, until=after(5), max_body=PLENTY)).body == body
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
        assert b"".join([part async for part in stream]) == body
        await stream.close()


UNTRUSTED: dict[str, tuple[Callable[[], trustme.LeafCert], str]] = {
    "signed by a stranger": (lambda: certificate("127.0.0.1", by="strangers"), "unable to get local issuer"),
    "for another name": (lambda: certificate("other.test"), "127.0.0.1"),
    "for a name, where we have an address": (lambda: certificate("localhost"), "127.0.0.1"),
    "expired": (lambda: expired("127.0.0.1"), "expired"),
}


@pytest.mark.parametrize(("made", "reason"), UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a_service_that_cannot_prove_itself_is_unreachable_and_gets_nothing(
    made: Callable[[], trustme.LeafCert], reason: str, ours: Terms
) -> None:
    async with RawServer(said(b"secret"), tls=serving(made())) as server, open_wire(terms=ours) as wire:
        with pytest.raises(Unreachable, match=reason) as refused:
            await wire.send(server.instance, GET, until=after(5), max_body=100)
        assert "certificate" in str(refused.value)
        assert server.heads == []


async def test_an_authority_of_ours_is_not_trusted_by_who_did_not_name_it() -> None:
    with pytest.raises(Unreachable, match="certificate verify failed"):
        await ask(serving(), None)


async def test_a_service_is_asked_for_the_name_in_the_settings_and_must_be_it(tmp_path: Path) -> None:
    asked_for: list[str | None] = []
    for name, answers in (("shop.test", True), ("other.test", False)):
        tls = serving(certificate("shop.test"))
        tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)
        calling = ask(tls, trusting(tmp_path, server_name=name))
        if answers:
            assert (await calling).body == b"well"
        else:
            with pytest.raises(Unreachable, match=r"other\.test"):
                await calling
    assert asked_for == ["shop.test", "other.test"]


async def test_a_service_with_a_name_beside_its_address_is_asked_for_the_name_and_must_be_it(ours: Terms) -> None:
    asked_for: list[str | None] = []
    tls = serving(certificate("shop.test"))
    tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    async with RawServer(said(b"well"), keeps_alive=True, tls=tls) as server, open_wire(terms=ours) as wire:
        for name, answers in (("shop.test", True), ("other.test", False), ("shop.test", True)):
            sending = wire.send(server.instance._replace(name=name), GET, until=after(5), max_body=100)
            if answers:
                assert (await sending).body == b"well"
            else:
                with pytest.raises(Unreachable, match=r"other\.test"):
                    await sending
        assert asked_for == ["shop.test", "other.test"]
        assert len(server.heads) == 2


async def test_the_name_in_the_settings_is_over_that_of_the_instance(tmp_path: Path) -> None:
    terms = trusting(tmp_path, server_name="shop.test")
    tls = serving(certificate("shop.test"))
    async with RawServer(said(b"well"), tls=tls) as server, open_wire(terms=terms) as wire:
        named = server.instance._replace(name="other.test")
        assert (await wire.send(named, GET, until=after(5), max_body=100)).body == b"well"


async def test_http_1_1_is_what_is_offered(ours: Terms) -> None:
    offered = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        offered.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.write(said(b"ok"))

    tls = serving()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    await ask(tls, ours, script)
    assert offered == ["http/1.1"]


async def test_a_service_that_asks_who_calls_is_told(tmp_path: Path) -> None:
    callers = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        callers.append(writer.get_extra_info("peercert")["subjectAltName"])
        writer.write(said(b"ok"))

    assert (await ask(serving(asks=True), trusting(tmp_path, known_as="gateway.test"), script)).body == b"ok"
    assert callers == [(("DNS", "gateway.test"),)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_service_that_asks_who_calls_and_is_not_told_is_unreachable(
    version: ssl.TLSVersion, ours: Terms
) -> None:
    tls = serving(asks=True)
    tls.minimum_version = tls.maximum_version = version
    with pytest.raises(Unreachable, match=r"(?i)alert|handshake|certificate|reset|closed|disconnect|ConnectError"):
        await ask(tls, ours)


async def test_tls_1_1_is_not_spoken(ours: Terms) -> None:
    tls = serving()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which is the point
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(Unreachable):
        await ask(tls, ours)


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_handshake_that_hangs_is_given_up_in_time_and_leaves_room(ours: Terms) -> None:
    async with RawServer(never) as hanging, open_wire(connections=1, terms=ours) as wire:
        instance = hanging.instance._replace(scheme="https")
        for _ in range(2):
            until = after(0.1)
            with pytest.raises(TimedOut):
                await wire.send(instance, GET, until=until, max_body=10)
            assert after(-2) < until
            while hanging.open:
                await asyncio.sleep(0.005)


async def test_connecting_that_is_given_up_at_any_step_leaves_nothing_behind_its_moment(ours: Terms) -> None:
    if Conforming.kind == "httpx":
        pytest.skip("it never gives up connecting")
    before = connections()
    async with RawServer(said(b"ok"), tls=serving()) as server, open_wire(terms=ours) as wire:
        for steps in range(1, 40):
            run = started(wire.send(server.instance, GET, until=after(0.3), max_body=10))
            for _ in range(steps):
                await asyncio.sleep(0)
            run.cancel()
            await asyncio.wait([run])
    async with asyncio.timeout(5):
        while connections() > before:
            await asyncio.sleep(0.05)


def connections() -> int:
    """How many there are in this process, whatever keeps them."""
    gc.collect()
    return sum(isinstance(one, Connection) for one in gc.get_objects())


async def test_a_connection_that_the_service_ends_is_at_no_step_taken_for_an_open_one(ours: Terms) -> None:
    leave = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said(b"ok"))
        await leave.wait()

    async with RawServer(script, tls=serving()) as server, open_wire(terms=ours) as wire:
        await wire.send(server.instance, GET, until=after(5), max_body=10)
        if Conforming.kind == "httpx":
            pytest.skip("it looks for itself")
        (pool,) = wire._pools.values()
        (connection,) = pool._idle
        assert connection.is_open()
        leave.set()
        async with asyncio.timeout(5):
            while not connection.closed:
                connection.is_open()
                await asyncio.sleep(0)


async def test_a_service_that_says_goodbye_ends_a_body_without_a_length(ours: Terms) -> None:
    assert (await ask(serving(), ours, OK + b"\r\nwhole")).body == b"whole"


def cut_off(sent: bytes) -> Script:
    """The connection ends below TLS, without a word: the service's own end, or that of someone in between."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
            below.shutdown(socket.SHUT_WR)
        await reader.read()

    return script


@pytest.mark.parametrize(
    "sent",
    [OK + b"\r\nhalf", OK + b"content-length: 9\r\n\r\nhalf", OK + b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ids=["to the end of the connection", "of a length", "in chunks"],
)
async def test_a_reply_that_somebody_cut_off_is_not_whole(sent: bytes, ours: Terms) -> None:
    async with RawServer(cut_off(sent), tls=serving()) as server, open_wire(terms=ours) as wire:
        if Conforming.kind == "httpx" and sent.endswith(b"OK\r\n\r\nhalf"):
            # httpcore asks anyio not to tell this end from an announced one: named in docs/decisions/0001
            assert (await wire.send(server.instance, GET, until=after(5), max_body=100)).body == b"half"
            return
        with pytest.raises(Unreachable):
            await wire.send(server.instance, GET, until=after(5), max_body=100)
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=100)
        with pytest.raises(Unreachable):
            async for _ in stream:
                pass
        await stream.close()


@pytest.mark.parametrize("waits", [True, False], ids=["with a goodbye", "at once"])
async def test_a_reader_who_is_slower_than_a_service_that_leaves_gets_all_of_its_reply(
    waits: bool, ours: Terms
) -> None:
    body = bytes(range(256)) * 4000
    left, read = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
            writer.write(said(body))
            await writer.drain()
            writer.close()
            if not waits:
                await asyncio.sleep(0.02)
                below.shutdown(socket.SHUT_WR)
                left.set()
                await read.wait()

    async with RawServer(script, tls=serving()) as server, open_wire(terms=ours) as wire:
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=PLENTY)
        if not waits:
            await left.wait()
            await asyncio.sleep(0.02)
        got = b"".join([part async for part in stream])
        read.set()
        assert got == body
        await stream.close()


async def test_what_was_called_by_a_name_of_its_own_leaves_nothing_when_it_is_retired(tmp_path: Path) -> None:
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"content-length: 2\r\n\r\no")
            await more.wait()
            writer.write(b"k")
        await reader.read()

    terms, tls = trusting(tmp_path, server_name="shop.test"), serving(certificate("shop.test"))
    async with RawServer(script, tls=tls) as server, open_wire(terms=terms) as wire:
        idle, busy = (server.instance._replace(name=name) for name in ("idle.test", "busy.test"))
        more.set()
        await wire.send(idle, GET, until=after(5), max_body=100)
        more.clear()
        stream = await wire.stream(busy, GET, until=after(5), max_body=100)
        for instance in (idle, busy):
            wire.retire(instance)
        await are_open(server, 1)
        more.set()
        assert b"".join([piece async for piece in stream]) == b"ok"
        await stream.close()
        await are_open(server, 0)
        assert (await wire.send(busy, GET, until=after(5), max_body=100)).body == b"ok"


async def are_open(server: RawServer, connections: int) -> None:
    async with asyncio.timeout(5):
        while server.open != connections:
            await asyncio.sleep(0.001)


async def test_what_is_called_by_one_name_is_reached_as_long_as_one_of_it_is_left(tmp_path: Path) -> None:
    terms, tls = trusting(tmp_path, server_name="shop.test"), serving(certificate("shop.test"))
    async with (
        RawServer(WELL, keeps_alive=True, tls=tls) as server,
        RawServer(WELL, keeps_alive=True, tls=tls) as other,
        open_wire(terms=terms) as wire,
    ):
        here, there = (one.instance._replace(name="shop.test") for one in (server, other))
        for instance in (here, there):
            await wire.send(instance, GET, until=after(5), max_body=100)
        wire.retire(here)
        await wire.send(there, GET, until=after(5), max_body=100)
        assert (other.accepted, other.open) == (1, 1)


@pytest.mark.parametrize("wire", ["http1", "httpx"])
async def test_a_gateway_calls_its_services_on_the_terms_of_its_settings(wire: str, tmp_path: Path) -> None:
    router = APIRouter()

    @router.get("/books")
    async def books(store: Store) -> int:
        return len(await store.catalog.products(["x"]))

    json = said(b"[]", headers=b"content-type: application/json\r\n")
    async with RawServer(json, tls=serving(certificate("catalog.test"), asks=True)) as server:
        tls = files_of(tmp_path, "gateway.test") | {"server_name": "catalog.test"}
        upstream = {"instances": [str(server.instance)], "wire": wire, "tls": tls, "compressed": True}
        app = gateway(settings(upstreams={"catalog": upstream}), Clients, [router])
        async with app.router.lifespan_context(app), browser(app) as client:
            assert (await client.get("/books")).text == "0"
        assert b"\r\naccept-encoding: gzip, br, zstd\r\n" in server.heads[0].lower()
