"""Instances that are looked up in the DNS: which they are, for how long, and what is left of them when it fails."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from bff_core.discovery import Member, SourceFailed, Watch, source_of
from bff_core.discovery.dns import Dns
from bff_core.discovery.name_servers import Addresses, NameServers
from bff_core.discovery_settings import DiscoverySettings, DnsSettings
from bff_core.errors import Unreachable
from bff_core.lookups import DnsLookup
from bff_core.settings import UpstreamSettings
from bff_core.wire import Instance, Request, Wire
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.httpx import HttpxWire
from bff_core.wire.terms import Terms
from tests.bff_core.authority import certificate, serving, trusting
from tests.bff_core.name_server import SILENCE, NameServer
from tests.bff_core.raw_server import RawServer, after, said

real_time = pytest.mark.real_time

NAME = "catalog.test"
BY_NAME = f"dns:http://{NAME}:7001"
SRV = "_http._tcp.catalog.test"
BY_SRV = f"dns:http://{SRV}"

Sets = AsyncGenerator[Sequence[Member], None]


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running


def dns(server: NameServer, lookup: str, *, floor: str = "1ms", timeout: str = "2s") -> Dns:
    settings = DnsSettings(servers=[server.address], floor=floor, timeout=timeout)
    return Dns("catalog", DnsLookup.parse(lookup), settings)


@asynccontextmanager
async def sets_of(dns: Dns) -> AsyncIterator[Sets]:
    async with asyncio.timeout(10), aclosing(dns.sets()) as sets:
        yield sets


async def first(dns: Dns) -> Sequence[Member]:
    async with sets_of(dns) as sets:
        return await anext(sets)


def hosts(members: Sequence[Member]) -> list[str]:
    return sorted(member.instance.host for member in members)


def shares(members: Sequence[Member]) -> dict[str, float]:
    return {f"{member.instance.host}:{member.instance.port}": member.weight for member in members}


# which they are


@real_time
@pytest.mark.parametrize("along", [("A", "AAAA"), ()], ids=["along", "asked for"])
async def test_what_no_host_can_be_called_is_no_target(along: tuple[str, ...], server: NameServer) -> None:
    server.along = along
    targets = (r"x:80.test.", r"b\013\010x.test.", "a/b.test.", r"\@b.test.", "10.0.0.9.")
    server.say(SRV, "SRV", "0 1 7001 a.test.", *(f"0 1 7001 {target}" for target in targets))
    for name in ("a.test", *targets):
        server.say(name.removesuffix("."), "A", "10.0.0.1")
    assert {member.instance.name for member in await first(dns(server, BY_SRV))} == {"a.test"}
    server.say(SRV, "SRV", "0 1 7001 x:80.test.")
    with pytest.raises(SourceFailed, match=r"^x:80\.test: no host can be called that$"):
        await first(dns(server, BY_SRV))


@real_time
async def test_each_address_of_a_name_is_an_instance_that_is_called_by_the_name(server: NameServer) -> None:
    server.say(NAME, "A", "10.0.0.1")
    server.say(NAME, "AAAA", "fd00::1")
    for lookup, scheme, port in ((BY_NAME, "http", 7001), (f"dns:https://{NAME}", "https", 443)):
        assert await first(dns(server, lookup)) == [
            Member(Instance("catalog", scheme, address, port, NAME)) for address in ("10.0.0.1", "fd00::1")
        ]


@real_time
async def test_both_families_are_asked_for_at_once(server: NameServer) -> None:
    server.say(NAME, "A", "10.0.0.1")
    server.delay = 0.05
    await first(dns(server, BY_NAME))
    assert server.at_once == 2


@real_time
async def test_the_last_dot_of_a_name_is_no_part_of_what_an_instance_is_called(server: NameServer) -> None:
    server.say(NAME, "A", "10.0.0.1")
    (member,) = await first(dns(server, f"dns:https://{NAME}."))
    assert member.instance.called == NAME


@real_time
async def test_srv_records_name_host_and_port_and_the_share_of_each(server: NameServer) -> None:
    server.say(SRV, "SRV", "5 30 7001 a.test.", "5 10 7002 b.test.", "9 10 7003 later.test.")
    server.say("a.test", "A", "10.0.0.1")
    server.say("b.test", "A", "10.0.0.2")
    server.say("later.test", "A", "10.0.0.3")
    members = await first(dns(server, BY_SRV))
    assert members == [
        Member(Instance("catalog", "http", "10.0.0.2", 7002, "b.test"), weight=10),
        Member(Instance("catalog", "http", "10.0.0.1", 7001, "a.test"), weight=30),
    ]


@real_time
async def test_the_weight_of_a_target_is_shared_by_its_addresses_and_none_is_a_small_one(server: NameServer) -> None:
    server.say(SRV, "SRV", "0 0 7001 small.test.", "0 1 7001 large.test.")
    server.say("small.test", "A", "10.0.0.1")
    server.say("large.test", "A", "10.0.0.2")
    server.say("large.test", "AAAA", "fd00::2")
    assert shares(await first(dns(server, BY_SRV))) == {
        "10.0.0.1:7001": 0.1,
        "10.0.0.2:7001": 0.5,
        "fd00::2:7001": 0.5,
    }


@real_time
async def test_addresses_that_came_along_are_not_asked_for(server: NameServer) -> None:
    server.say(SRV, "SRV", "0 1 7001 a.test.", "0 1 7001 b.test.")
    server.say("a.test", "A", "10.0.0.1")
    server.say("b.test", "A", "10.0.0.2")
    server.say("b.test", "AAAA", "fd00::2")
    assert hosts(await first(dns(server, BY_SRV))) == ["10.0.0.1", "10.0.0.2", "fd00::2"]
    assert [question.kind for question in server.asked] == ["SRV"]


@real_time
async def test_addresses_that_did_not_come_along_are_asked_for(server: NameServer) -> None:
    server.along = ()
    server.say(SRV, "SRV", "0 1 7001 a.test.", "0 1 7001 b.test.")
    server.say("a.test", "A", "10.0.0.1")
    server.say("b.test", "CNAME", "a.test.")
    assert {(one.instance.host, one.instance.name) for one in await first(dns(server, BY_SRV))} == {
        ("10.0.0.1", "a.test"),
        ("10.0.0.1", "b.test"),
    }
    assert len(server.asked) == 5


@real_time
async def test_a_family_that_an_answer_leaves_out_now_and_then_does_not_come_and_go(server: NameServer) -> None:
    server.say(SRV, "SRV", "0 1 7001 a.test.")
    server.say("a.test", "A", "10.0.0.1")
    server.say("a.test", "AAAA", "fd00::1")
    async with sets_of(dns(server, BY_SRV)) as sets:
        for along in (("A", "AAAA"), ("A",), ("AAAA",), ()):
            server.along = along
            await anext(sets)
            assert hosts(await anext(sets)) == ["10.0.0.1", "fd00::1"]
        server.along = ("A",)
        server.say("a.test", "AAAA")
        await anext(sets)
        assert hosts(await anext(sets)) == ["10.0.0.1"]


@real_time
async def test_a_service_that_is_said_to_be_nowhere_has_no_instances(server: NameServer) -> None:
    server.say(SRV, "SRV", "0 0 0 .")
    assert await first(dns(server, BY_SRV)) == []
    server.say(SRV, "SRV", "0 0 0 .", "5 0 7001 a.test.")
    server.say("a.test", "A", "10.0.0.1")
    assert hosts(await first(dns(server, BY_SRV))) == ["10.0.0.1"]


# for how long


class Scripted:
    """Name servers that say the same whenever they are asked."""

    asked = "nobody"

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl

    async def addresses(self, name: str, family: str) -> Addresses:
        return Addresses(("10.0.0.1",), self._ttl) if family == "A" else Addresses((), 1)


@pytest.mark.parametrize(
    ("ttl", "floor", "pause"),
    [(0, "5s", 5), (4, "5s", 5), (6, "5s", 6), (299, "5s", 299), (86400, "5s", 300), (1, "10m", 600)],
)
async def test_a_name_is_asked_for_again_when_its_records_expire_but_neither_too_often_nor_too_seldom(
    ttl: int, floor: str, pause: float
) -> None:
    lookup = Dns("catalog", DnsLookup.parse(BY_NAME), DnsSettings(floor=floor), lambda _: Scripted(ttl))
    loop = asyncio.get_running_loop()
    async with aclosing(lookup.sets()) as sets:
        await anext(sets)
        for _ in range(3):
            before = loop.time()
            await anext(sets)
            assert loop.time() - before == pytest.approx(pause)


@real_time
async def test_the_shortest_of_all_that_was_needed_counts(server: NameServer) -> None:
    async def ttl(lookup: str) -> float:
        members, found = await dns(server, lookup)._look_up(NameServers(DnsSettings(servers=[server.address])))
        assert members
        return found

    server.say("alias.test", "CNAME", f"{NAME}.", ttl=20)
    server.say(NAME, "A", "10.0.0.1", ttl=100)
    server.say(NAME, "AAAA", "fd00::1", ttl=90)
    assert await ttl(BY_NAME) == 90
    assert await ttl("dns:http://alias.test") == 20
    server.say(SRV, "SRV", "0 1 7001 catalog.test.", "0 1 7001 alias.test.", "9 1 7001 later.test.", ttl=110)
    server.say("later.test", "A", "10.0.0.3", ttl=5)
    assert await ttl(BY_SRV) == 20
    server.say(SRV, "SRV", "0 1 7001 catalog.test.", ttl=110)
    assert await ttl(BY_SRV) == 90
    server.say(SRV, "SRV", "0 1 7001 catalog.test.", ttl=80)
    assert await ttl(BY_SRV) == 80


@real_time
async def test_what_changes_is_seen(server: NameServer) -> None:
    server.say(NAME, "A", "10.0.0.1")
    async with sets_of(dns(server, BY_NAME)) as sets:
        for addresses in (["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]):
            server.say(NAME, "A", *addresses)
            assert hosts(await anext(sets)) == addresses


# when it fails


@real_time
@pytest.mark.parametrize(
    ("a", "aaaa", "message"),
    [
        ("", "", "catalog.test: {} says that it has no address"),
        ("SERVFAIL", "SERVFAIL", "A of catalog.test: {0} says SERVFAIL; AAAA of catalog.test: {0} says SERVFAIL"),
        ("", "SERVFAIL", "AAAA of catalog.test: {} says SERVFAIL"),
        ("REFUSED", "", "A of catalog.test: {} says REFUSED"),
        ("", SILENCE, "AAAA of catalog.test: {} says nothing in time"),
    ],
)
async def test_a_name_without_any_address_is_a_failure_and_never_an_empty_set(
    a: str, aaaa: str, message: str, server: NameServer
) -> None:
    server.say(NAME, "TXT", "here")
    for kind, how in (("A", a), ("AAAA", aaaa)):
        if how:
            server.fail(NAME, kind, how)
    with pytest.raises(SourceFailed) as failed:
        await first(dns(server, BY_NAME, timeout="200ms"))
    assert str(failed.value) == message.format(server.address)


@real_time
@pytest.mark.parametrize(("lookup", "kind"), [(BY_NAME, "A"), (BY_SRV, "SRV")])
async def test_a_name_that_is_not_there_is_a_failure(lookup: str, kind: str, server: NameServer) -> None:
    with pytest.raises(SourceFailed, match=rf"^{kind} of .*: {server.address} says NXDOMAIN, there is no such name"):
        await first(dns(server, lookup))


@real_time
@pytest.mark.parametrize("how", ["SERVFAIL", "NXDOMAIN", SILENCE])
async def test_a_family_that_fails_from_the_start_keeps_no_service_from_being_found(
    how: str, server: NameServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.say(NAME, "A", "10.0.0.1")
    server.fail(NAME, "AAAA", how)
    with caplog.at_level(logging.WARNING, "bff.discovery"):
        async with sets_of(dns(server, BY_NAME, timeout="100ms")) as sets:
            for _ in range(2):
                assert hosts(await anext(sets)) == ["10.0.0.1"]
    (line,) = caplog.messages
    assert line.startswith(
        "catalog: a part of what it is looked up by fails, and stays as it was: AAAA of catalog.test"
    )


@real_time
async def test_a_family_that_fails_now_and_then_makes_no_instance_come_or_go(server: NameServer) -> None:
    server.say(NAME, "A", "10.0.0.1")
    server.say(NAME, "AAAA", "fd00::1")
    async with sets_of(dns(server, BY_NAME)) as sets:
        await anext(sets)
        server.fail(NAME, "AAAA")
        assert hosts(await anext(sets)) == ["10.0.0.1", "fd00::1"]
        server.say(NAME, "A", "10.0.0.2")
        assert hosts(await anext(sets)) == ["10.0.0.2", "fd00::1"]
        server.mend()
        server.fail(NAME, "A")
        assert hosts(await anext(sets)) == ["10.0.0.2", "fd00::1"]
        server.mend()
        server.say(NAME, "AAAA", "fd00::2")
        assert hosts(await anext(sets)) == ["10.0.0.2", "fd00::2"]
        server.say(NAME, "AAAA")
        assert hosts(await anext(sets)) == ["10.0.0.2"]
        server.fail(NAME, "AAAA")
        assert hosts(await anext(sets)) == ["10.0.0.2"]


async def test_what_has_failed_in_part_is_asked_for_again_soon() -> None:
    class Half(Scripted):
        async def addresses(self, name: str, family: str) -> Addresses:
            if family == "AAAA":
                raise SourceFailed("broken")
            return await super().addresses(name, family)

    lookup = Dns("catalog", DnsLookup.parse(BY_NAME), DnsSettings(), lambda _: Half(3600))
    async with aclosing(lookup.sets()) as sets:
        await anext(sets)
        await anext(sets)
        assert asyncio.get_running_loop().time() == 30


@real_time
async def test_a_target_that_fails_beside_others_stays_as_it_was_until_it_is_no_longer_named(
    server: NameServer,
) -> None:
    server.along = ()
    server.say(SRV, "SRV", "0 1 7001 a.test.", "0 1 7001 b.test.", "0 1 7001 never.test.")
    server.say("a.test", "A", "10.0.0.1")
    server.say("b.test", "A", "10.0.0.2")
    async with sets_of(dns(server, BY_SRV)) as sets:
        assert hosts(await anext(sets)) == ["10.0.0.1", "10.0.0.2"]
        server.fail("b.test")
        assert hosts(await anext(sets)) == ["10.0.0.1", "10.0.0.2"]
        server.forget("b.test")
        server.mend()
        assert hosts(await anext(sets)) == ["10.0.0.1", "10.0.0.2"]
        server.say(SRV, "SRV", "0 1 7001 a.test.")
        assert hosts(await anext(sets)) == ["10.0.0.1"]
        server.say(SRV, "SRV", "0 1 7001 a.test.", "0 1 7001 b.test.")
        assert hosts(await anext(sets)) == ["10.0.0.1"]
        server.fail("a.test")
        with pytest.raises(SourceFailed, match=r"^A of a\.test: .* says SERVFAIL; .*; and 1 more of its names$"):
            await anext(sets)


@real_time
async def test_a_name_server_that_is_down_changes_nothing_and_one_that_is_back_is_heard() -> None:
    server, changes = NameServer(), asyncio.Queue[Sequence[Member]]()
    server.say(NAME, "A", "10.0.0.1")
    async with server:
        watch = Watch("catalog", dns(server, BY_NAME, timeout="100ms"), changes.put_nowait)
        running = asyncio.create_task(watch.run())
        assert hosts(await changes.get()) == ["10.0.0.1"]
    async with asyncio.timeout(5):
        while watch.facts()["failing_since"] is None:
            await asyncio.sleep(0.001)
    assert changes.empty()
    assert str(watch.facts()["failure"]).startswith(f"A of catalog.test: {server.address} says ")
    server.say(NAME, "A", "10.0.0.2")
    async with server, asyncio.timeout(5):
        assert hosts(await changes.get()) == ["10.0.0.2"]
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()


# who they prove to be


@pytest.fixture(params=[Http1Wire, HttpxWire], ids=["http1", "httpx"])
def wire(request: pytest.FixtureRequest) -> Callable[[Terms], Wire]:
    return lambda terms: request.param(terms={"catalog": terms})


async def ask_over_tls(server: NameServer, lookup: str, wire: Wire, known_as: str) -> str:
    """What a service that has a certificate for this name answers, and what it was asked for in ``Host``."""
    async with RawServer(said(b"well"), tls=serving(certificate(known_as))) as shop:
        port = shop.instance.port
        server.say(SRV, "SRV", f"0 1 {port} {NAME}.")
        (member,) = await first(dns(server, lookup.format(port)))
        try:
            await wire.send(member.instance, Request("GET", "/"), until=after(5), max_body=100)
        finally:
            await wire.close()
        (head,) = shop.heads
        return head.lower().split(b"\r\nhost: ")[1].split(b"\r\n")[0].decode().removesuffix(f":{port}")


@real_time
@pytest.mark.parametrize("lookup", [f"dns:https://{NAME}:{{}}", f"dns:https://{SRV}"], ids=["by name", "by service"])
async def test_an_instance_over_tls_must_be_who_it_was_looked_up_as(
    lookup: str, wire: Callable[[Terms], Wire], server: NameServer, tmp_path: Path
) -> None:
    server.say(NAME, "A", "127.0.0.1")
    assert await ask_over_tls(server, lookup, wire(trusting(tmp_path)), NAME) == NAME
    for other in ("other.test", "127.0.0.1"):
        with pytest.raises(Unreachable, match=r"catalog\.test"):
            await ask_over_tls(server, lookup, wire(trusting(tmp_path)), other)
    terms = trusting(tmp_path, server_name="other.test")
    assert await ask_over_tls(server, lookup, wire(terms), "other.test") == NAME


# around it


@real_time
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_it_works_on_either_loop_and_leaves_no_task_behind(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    server = NameServer()
    server.say(SRV, "SRV", "0 1 7001 a.test.")
    server.say("a.test", "A", *(f"10.0.1.{one}" for one in range(200)))
    server.along = ()
    server.start()

    async def main() -> None:
        async with sets_of(dns(server, BY_SRV)) as sets:
            for _ in range(3):
                assert len(await anext(sets)) == 200
            server.fail(how=SILENCE)
            waiting = asyncio.ensure_future(anext(sets))
            count = len(server.asked)
            while len(server.asked) == count:
                await asyncio.sleep(0.001)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(main())
    finally:
        server.stop()


def test_settings_name_it_and_nobody_else_pays_for_it() -> None:
    upstream = UpstreamSettings(discover=BY_NAME)
    assert isinstance(source_of("catalog", upstream, DiscoverySettings()), Dns)
    code = "import sys, bff_core.gateway, bff_core.discovery.chosen; sys.exit('dns' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=True, timeout=60)
