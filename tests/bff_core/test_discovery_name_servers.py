"""A question to name servers is answered, or it is said what was asked of whom, and what came instead."""

import asyncio
import gc
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
import uvloop

from bff_core.discovery import SourceFailed
from bff_core.discovery.name_servers import Addresses, NameServers, Service
from bff_core.discovery_settings import DnsSettings
from tests.bff_core.name_server import SILENCE, NameServer
from tests.bff_core.raw_server import unused_port

pytestmark = pytest.mark.real_time

NAME = "catalog.test"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        running.say(NAME, "A", "10.0.0.1", "10.0.0.2", ttl=30)
        yield running


def asking(*servers: NameServer | str, timeout: str = "2s", machine: str | Path = "/nowhere") -> NameServers:
    addresses = [one if isinstance(one, str) else one.address for one in servers]
    return NameServers(DnsSettings(servers=addresses or None, timeout=timeout), str(machine))


async def test_addresses_come_with_the_time_for_which_they_hold(server: NameServer) -> None:
    server.say(NAME, "AAAA", "fd00::1", ttl=7)
    servers = asking(server)
    assert await servers.addresses(NAME, "A") == Addresses(("10.0.0.1", "10.0.0.2"), 30)
    assert await servers.addresses(NAME, "AAAA") == Addresses(("fd00::1",), 7)


async def test_nothing_is_remembered(server: NameServer) -> None:
    servers = asking(server)
    await servers.addresses(NAME, "A")
    server.say(NAME, "A", "10.0.0.3", ttl=30)
    assert (await servers.addresses(NAME, "A")).found == ("10.0.0.3",)


async def test_a_family_that_a_name_does_not_have_is_an_answer(server: NameServer) -> None:
    assert (await asking(server).addresses(NAME, "AAAA")).found == ()


async def test_an_alias_holds_as_long_as_the_shortest_of_its_steps(server: NameServer) -> None:
    server.say("a.test", "CNAME", "b.test.", ttl=50)
    server.say("b.test", "CNAME", f"{NAME}.", ttl=3)
    assert await asking(server).addresses("a.test", "A") == Addresses(("10.0.0.1", "10.0.0.2"), 3)


async def test_services_come_in_one_order_with_the_addresses_that_came_along(server: NameServer) -> None:
    server.say("_http._tcp.test", "SRV", "2 5 7002 B.test.", "1 10 7001 a.test.", ttl=20)
    server.say("a.test", "A", "10.0.0.1", ttl=9)
    found = await asking(server).services("_http._tcp.test")
    assert found.found == (Service(1, 10, 7001, "a.test."), Service(2, 5, 7002, "b.test."))
    assert found.ttl == 20
    assert found.along == {("a.test.", "A"): Addresses(("10.0.0.1",), 9)}


# how much, and to whom


async def test_an_answer_of_a_thousand_bytes_comes_in_one_datagram_and_a_longer_one_over_tcp(
    server: NameServer,
) -> None:
    for count, ways in ((60, ["udp"]), (200, ["udp", "tcp"])):
        addresses = [f"10.0.1.{one}" for one in range(count)]
        server.say(NAME, "A", *addresses)
        server.asked.clear()
        assert set((await asking(server).addresses(NAME, "A")).found) == set(addresses)
        assert [question.over for question in server.asked] == ways
        assert {question.payload for question in server.asked} == {1232}


async def test_a_datagram_that_is_lost_costs_a_part_of_the_time_and_not_the_answer(server: NameServer) -> None:
    server.loses = 1
    assert (await asking(server, timeout="1s").addresses(NAME, "A")).found


async def test_where_nobody_listens_the_next_one_is_asked_at_once(server: NameServer) -> None:
    servers = asking(f"127.0.0.1:{await unused_port()}", server, timeout="1h")
    async with asyncio.timeout(5):
        assert (await servers.addresses(NAME, "A")).found


async def test_where_nobody_answers_the_next_one_is_asked_within_the_time_of_one_question(server: NameServer) -> None:
    async with NameServer() as silent:
        silent.fail(how=SILENCE)
        assert (await asking(silent, server, timeout="300ms").addresses(NAME, "A")).found
        assert silent.asked


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
async def test_where_one_cannot_say_the_next_one_is_asked(code: str, server: NameServer) -> None:
    async with NameServer() as broken:
        broken.fail(how=code)
        assert (await asking(broken, server).addresses(NAME, "A")).found


async def test_a_name_server_may_have_an_ipv6_address() -> None:
    async with NameServer("::1") as server:
        server.say(NAME, "A", "10.0.0.1")
        assert server.address.startswith("[::1]:")
        assert (await asking(server).addresses(NAME, "A")).found == ("10.0.0.1",)
        server.fail()
        with pytest.raises(SourceFailed, match=re.escape(f"{server.address} says SERVFAIL")):
            await asking(server).addresses(NAME, "A")


async def test_so_many_questions_are_open_at_once_and_no_more(server: NameServer) -> None:
    server.delay = 0.02
    servers = asking(server)
    await asyncio.gather(*(servers.addresses(NAME, "A") for _ in range(50)))
    assert server.at_once == 16


# what went wrong


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("SERVFAIL", "A of catalog.test: {} says SERVFAIL"),
        ("REFUSED", "A of catalog.test: {} says REFUSED"),
        ("NXDOMAIN", "A of catalog.test: {} says NXDOMAIN, there is no such name"),
        (SILENCE, "A of catalog.test: {} says nothing in time"),
    ],
)
async def test_what_was_asked_of_whom_and_what_came(how: str, said: str, server: NameServer) -> None:
    server.fail(how=how)
    began = monotonic()
    with pytest.raises(SourceFailed) as failed:
        await asking(server, timeout="200ms").addresses(NAME, "A")
    assert str(failed.value) == said.format(server.address)
    assert monotonic() - began < 2


async def test_every_one_that_was_asked_is_named(server: NameServer) -> None:
    nobody = f"127.0.0.1:{await unused_port()}"
    server.fail()
    with pytest.raises(SourceFailed) as failed:
        await asking(nobody, server).addresses(NAME, "A")
    assert str(failed.value).startswith(f"A of catalog.test: {nobody} says ")
    assert str(failed.value).endswith(f"; {server.address} says SERVFAIL")


async def test_a_service_that_is_not_there_is_a_failure(server: NameServer) -> None:
    with pytest.raises(SourceFailed) as failed:
        await asking(server).services(NAME)
    assert str(failed.value) == f"SRV of catalog.test: {server.address} says that there is none"


# this machine


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "resolv.conf"
        file.write_text(text)
        return file

    return write


async def test_a_name_without_a_dot_is_looked_for_where_this_machine_looks(
    server: NameServer, machine: Callable[[str], Path]
) -> None:
    file = machine("search store.svc.test svc.test\noptions ndots:5\n")
    server.say("catalog.svc.test", "A", "10.0.0.9")
    assert (await asking(server, machine=file).addresses("catalog", "A")).found == ("10.0.0.9",)
    assert [question.name for question in server.asked] == ["catalog.store.svc.test.", "catalog.svc.test."]


@pytest.mark.parametrize("name", ["catalog.test", "catalog."])
async def test_a_name_with_a_dot_is_asked_for_as_it_is_and_no_other(
    name: str, server: NameServer, machine: Callable[[str], Path]
) -> None:
    file = machine("search svc.test\noptions ndots:5\n")
    server.forget(NAME)
    with pytest.raises(SourceFailed, match="NXDOMAIN"):
        await asking(server, machine=file).addresses(name, "A")
    assert [question.name for question in server.asked] == [f"{name.rstrip('.')}."]


async def test_every_name_that_was_tried_is_named(server: NameServer, machine: Callable[[str], Path]) -> None:
    file = machine("search a.test b.test\n")
    with pytest.raises(SourceFailed, match=r"^A of stock\.a\.test, stock\.b\.test, stock: "):
        await asking(server, machine=file).addresses("stock", "A")


def test_without_settings_the_name_servers_of_this_machine_are_asked(machine: Callable[[str], Path]) -> None:
    assert asking(machine=machine("nameserver 127.0.0.53\nnameserver ::1\n")).asked == "127.0.0.53:53 or [::1]:53"


@pytest.mark.parametrize("text", ["", "search a.test\n", "nameserver none\n", "nameserver\n"])
def test_a_machine_that_is_not_set_up_is_a_failure_that_names_the_file(
    text: str, machine: Callable[[str], Path]
) -> None:
    file = machine(text)
    with pytest.raises(SourceFailed, match=re.escape(str(file))):
        asking(machine=file)
    with pytest.raises(SourceFailed, match="/nowhere"):
        asking()


# what is left


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def at_every_step(loop: Callable[[], asyncio.AbstractEventLoop], server: NameServer) -> None:
    """Cancel one question at once, another a little later, until one is through with it."""

    async def main() -> None:
        servers = asking(server)
        before = open_sockets()
        for steps in range(150):
            task = asyncio.create_task(servers.addresses(NAME, "A"))
            for _ in range(min(steps, 20)):
                await asyncio.sleep(0)
            if steps > 20:
                await asyncio.sleep(1e-5 * 1.1**steps)
            task.cancel()
            await asyncio.wait([task])
            async with asyncio.timeout(5):
                while open_sockets() != before:  # those of the server are there until it notices
                    await asyncio.sleep(0.001)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            if not task.cancelled():
                assert task.result().found
                return
        raise AssertionError("it was never through")

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())
    gc.collect()  # and what was not closed would be warned of


def open_sockets() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            found.add(str(link.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("count", [2, 200], ids=["udp", "tcp"])
def test_a_question_that_is_cancelled_at_any_step_leaves_nothing_behind(
    count: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    server = NameServer()
    server.say(NAME, "A", *(f"10.0.1.{one}" for one in range(count)))
    server.start()
    try:
        at_every_step(loop, server)
        assert {question.over for question in server.asked} == ({"udp"} if count == 2 else {"udp", "tcp"})
    finally:
        server.stop()


async def test_a_datagram_of_somebody_else_is_not_taken_for_an_answer(server: NameServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(5)
        servers = asking(f"127.0.0.1:{silent.getsockname()[1]}", timeout="100ms")
        question = asyncio.create_task(servers.addresses(NAME, "A"))
        data, whence = await asyncio.to_thread(silent.recvfrom, 2000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(data[:2] + b"\x81\x80" + data[4:], whence)
        silent.sendto(b"\0\0\x81\x80" + data[4:], whence)
        with pytest.raises(SourceFailed, match="nothing in time"):
            await question
