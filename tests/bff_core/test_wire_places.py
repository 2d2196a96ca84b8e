"""Where an instance may be: behind a Unix socket, at an IPv6 address, at any of the addresses of a name."""

import asyncio
import socket
from pathlib import Path

import pytest

from bff_core.errors import TimedOut, Unreachable
from bff_core.wire import Instance, Request
from tests.bff_core.raw_server import RawServer, after, open_wire, said, unused_port

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("each_wire")]

GET = Request("GET", "/x")


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path that is short enough for a socket."""
    return str(tmp_path_factory.mktemp("s") / "shop.sock")


async def test_a_service_behind_a_socket_is_called_and_its_connection_used_again(place: str) -> None:
    async with RawServer(said(b"ok"), keeps_alive=True, host=place) as server, open_wire() as wire:
        for method in ("GET", "POST", "GET"):
            reply = await wire.send(server.instance, Request(method, "/x"), until=after(5), max_body=10)
            assert reply.body == b"ok"
        stream = await wire.stream(server.instance, GET, until=after(5), max_body=10)
        assert [part async for part in stream] == [b"ok"]
        assert server.accepted == 1
        assert b"\r\nhost: localhost\r\n" in server.heads[0].lower()
        assert server.heads[0].startswith(b"GET /x HTTP/1.1\r\n")


async def test_each_socket_is_a_service_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("s")
    async with (
        RawServer(said(b"one"), host=str(folder / "1")) as one,
        RawServer(said(b"two"), host=str(folder / "2")) as two,
        open_wire() as wire,
    ):
        for server, body in ((one, b"one"), (two, b"two"), (one, b"one")):
            assert (await wire.send(server.instance, GET, until=after(5), max_body=10)).body == body


async def test_a_socket_that_is_not_there_is_unreachable(place: str) -> None:
    async with open_wire() as wire:
        for where in (place, str(Path(place).parent)):
            with pytest.raises(Unreachable):
                await wire.send(Instance("shop", "unix", where, 0), GET, until=after(5), max_body=10)


async def test_a_socket_at_which_nobody_answers_is_given_up_in_time(place: str) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with RawServer(never, host=place) as server, open_wire() as wire:
        with pytest.raises(TimedOut):
            await wire.send(server.instance, GET, until=after(0.1), max_body=10)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: nothing can listen at ::1")
async def test_a_service_at_an_ipv6_address_is_called() -> None:
    async with RawServer(said(b"ok"), host="::1") as server, open_wire() as wire:
        instance = Instance.parse("shop", f"http://[::1]:{server.instance.port}")
        assert instance == server.instance
        assert (await wire.send(instance, GET, until=after(5), max_body=10)).body == b"ok"
        assert b"\r\nhost: [::1]:%d\r\n" % instance.port in server.heads[0].lower()


class TwoAddresses(asyncio.SelectorEventLoop):
    """Every name has two addresses, at the first of which nothing listens."""

    async def getaddrinfo(self, host: object, port: object, **_: object) -> list:
        """What resolving ``host`` comes to."""
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]


def test_where_the_first_address_of_a_name_refuses_the_next_one_is_tried() -> None:
    async def main() -> None:
        async with RawServer(said(b"ok")) as server, open_wire() as wire:
            instance = Instance("shop", "http", "shop.test", server.instance.port)
            assert (await wire.send(instance, GET, until=after(5), max_body=10)).body == b"ok"

    with asyncio.Runner(loop_factory=TwoAddresses) as runner:
        runner.run(main())


async def test_a_name_that_has_an_address_of_each_family_is_reached_at_either() -> None:
    found = {place[4][0] for place in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    if len(found) < 2 or not has_ipv6():
        pytest.skip("this machine knows localhost by one address alone")
    for host in found:
        async with RawServer(said(b"ok"), host=str(host)) as server, open_wire() as wire:
            instance = Instance("shop", "http", "localhost", server.instance.port)
            assert (await wire.send(instance, GET, until=after(5), max_body=10)).body == b"ok"


async def test_where_every_address_of_a_name_refuses_the_service_is_unreachable() -> None:
    async with open_wire() as wire:
        with pytest.raises(Unreachable):
            await wire.send(
                Instance("shop", "http", "localhost", await unused_port()), GET, until=after(5), max_body=10
            )
