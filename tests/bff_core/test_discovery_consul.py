"""Instances that Consul knows are found at once, and a Consul that is not well loses none of them."""

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import combinations, count
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bff_core.cli.check import show
from bff_core.cli.found import FoundGateway
from bff_core.discovery import Member, SourceFailed, Watch, source_of
from bff_core.discovery.consul import Consul
from bff_core.discovery.consul_entries import Entries
from bff_core.discovery.rate import Rate
from bff_core.discovery_settings import ConsulSettings, DiscoverySettings
from bff_core.lookups import ConsulLookup
from bff_core.settings import GatewaySettings, SettingsError, UpstreamSettings, load
from bff_core.wire import Instance
from bff_core.wire.encoding import fixed_lines
from bff_core.wire.terms import Terms
from tests.bff_core.authority import certificate, files_of, serving
from tests.bff_core.consul_server import Answer, ConsulServer, registration
from tests.bff_core.raw_server import RawServer, unused_port

ANSWERS = Path(__file__).parent / "shapes"
CATALOG = ConsulLookup.parse("consul:catalog")
TOKEN = "0d6f6e6c-secret-4c55-b5a1-7c201f1fb7c2"
SOON = 0.5  # seconds, far below a wait: what takes as long was polled for


def at(port: int, host: str = "127.0.0.1", *, zone: str = "", weight: float = 1.0, scheme: str = "http") -> Member:
    return Member(Instance("catalog", scheme, host, port), zone, weight)


def read(body: Any, scheme: str = "http") -> Entries:
    return Entries.read("catalog", scheme, body if isinstance(body, bytes) else json.dumps(body).encode())


# what an answer says


@pytest.mark.parametrize(
    ("file", "members"),
    [
        ("consul_documented", [at(7001, "10.20.1.7", weight=10)]),
        ("consul_0_7", [at(7001, "10.40.0.1")]),
        (
            "consul_1_21",
            [at(7001, "10.30.0.21", zone="eu-1a"), at(7001, "catalog-b.internal", zone="eu-1c", weight=3)],
        ),
        (
            "consul_localities",
            [at(7001, "2001:db8:30::60", zone="us-east-1a"), at(7001, "2001:db8:30::7", zone="us-east-1b")],
        ),
    ],
)
def test_what_versions_of_consul_answer_is_understood(file: str, members: list[Member]) -> None:
    assert read((ANSWERS / f"{file}.json").read_bytes()) == Entries(members, [])


def test_the_address_of_the_node_counts_where_the_service_has_none() -> None:
    assert read([registration("catalog", 1, address="", node_address="10.0.0.1")]).members == [at(1, "10.0.0.1")]
    assert read([registration("catalog", 1, address="10.0.0.2", node_address="10.0.0.1")]).members == [
        at(1, "10.0.0.2")
    ]


def test_a_name_in_capitals_is_the_same_instance() -> None:
    assert read([registration("catalog", 1, address="Catalog-1.Internal")]).members == [at(1, "catalog-1.internal")]


def test_instances_are_spoken_to_with_the_scheme_that_was_asked_for() -> None:
    assert read([registration("catalog", 1)], scheme="https").members == [at(1, scheme="https")]


ZONES = {
    "of the service": (["a", "b", "c", "d"], "a"),
    "of the node": (["", "b", "c", "d"], "b"),
    "by the service's locality": (["", "", "c", "d"], "c"),
    "by the node's locality": (["", "", "", "d"], "d"),
    "unknown": (["", "", "", ""], ""),
}


@pytest.mark.parametrize(("zones", "zone"), ZONES.values(), ids=ZONES)
def test_a_zone_is_what_the_service_says_or_else_its_node(zones: list[str], zone: str) -> None:
    entry = registration("catalog", 1, meta={"zone": zones[0]}, node_meta={"zone": zones[1]})
    entry["Service"]["Locality"] = {"Region": "r", "Zone": zones[2]}
    entry["Node"]["Locality"] = {"Region": "r", "Zone": zones[3]}

    assert read([entry]).members == [at(1, zone=zone)]


@pytest.mark.parametrize(
    ("weight", "counts"),
    [
        (1, 1),
        (10, 10),
        (65535, 65535),
        (0, 1),
        (-1, 1),
        (65536, 1),
        (10**30, 1),
        ("9", 1),
        (2.5, 1),
        (None, 1),
        (True, 1),
    ],
)
def test_a_weight_that_consul_would_not_take_is_one(weight: Any, counts: float) -> None:
    assert read([registration("catalog", 1, weight=weight)]).members == [at(1, weight=counts)]


BROKEN = {
    "no port": ({"port": 0}, "port 0"),
    "a port beyond all ports": ({"port": 65536}, "port 65536"),
    "a port below them": ({"port": -1}, "port -1"),
    "no address at all": ({"address": "", "node_address": ""}, "address ''"),
    "a NUL": ({"address": "10.0.0.1\0"}, r"address '10.0.0.1\x00'"),
    "a line break": ({"address": "10.0.0.1\r\nx: y"}, r"address '10.0.0.1\r\nx: y'"),
    "a path": ({"address": "10.0.0.1/admin"}, "address '10.0.0.1/admin'"),
    "a user": ({"address": "me@10.0.0.1"}, "address 'me@10.0.0.1'"),
    "a port in the address": ({"address": "10.0.0.1:80"}, "address '10.0.0.1:80'"),
    "no IPv4 address": ({"address": "10.0.0.999"}, "address '10.0.0.999'"),
    "an interface": ({"address": "fe80::1%eth0"}, "address 'fe80::1%eth0'"),
    "a break behind an interface": ({"address": "fe80::1%e\n0"}, r"address 'fe80::1%e\n0'"),
    "letters that only look like others": ({"address": "\u212aatalog"}, "address '\u212aatalog'"),
    "a name without end": ({"address": "a" * 254}, f"address '{'a' * 253}'"),
}


@pytest.mark.parametrize(("how", "fault"), BROKEN.values(), ids=BROKEN)
def test_a_registration_that_cannot_be_an_instance_hides_no_other(how: dict[str, Any], fault: str) -> None:
    broken = registration("catalog", **{"port": 1, "id": "broken", **how})
    found = read([registration("catalog", 7001), broken, registration("catalog", 7002)])

    assert found == Entries([at(7001), at(7002)], [f"'broken' ({fault})"])


def test_nothing_but_registrations_that_cannot_be_instances_is_no_empty_set() -> None:
    with pytest.raises(SourceFailed, match=r"nothing that can be an instance among 2: 'catalog-0' \(port 0\)"):
        read([registration("catalog", 0), registration("catalog", -1)])


SHAPES = {
    "no JSON": (b"", "no list of instances: Invalid JSON"),
    "half of it": (b'[{"Node": {', "no list of instances: Invalid JSON"),
    "no UTF-8": (b'["\xff"]', "no list of instances: Invalid JSON"),
    "a page": (b"<html>Bad gateway</html>", "no list of instances: Invalid JSON"),
    "a depth without end": (b"[" * 100_000, "no list of instances: Invalid JSON"),
    "nothing": (b"null", "no list of instances: Input should be a valid array"),
    "one, and no list": (b"{}", "no list of instances: Input should be a valid array"),
    "a list of other things": (b"[7]", "no list of instances: 0: Input should be an object"),
    "no service": (b'[{"Node": {}}]', "no list of instances: 0.Service: Field required"),
    "a port that is no number": (b'[{"Node": {}, "Service": {"Port": "80"}}]', "0.Service.Port: Input should be"),
    "an address that is no text": (b'[{"Node": {}, "Service": {"Address": 7}}]', "0.Service.Address: Input should be"),
    "a zone that is no text": (b'[{"Node": {"Meta": {"zone": 7}}, "Service": {}}]', "0.Node.Meta.zone: Input"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "why"), SHAPES.values(), ids=SHAPES)
def test_an_answer_of_another_shape_is_a_failure_and_says_where(body: bytes, why: str) -> None:
    with pytest.raises(SourceFailed) as failed:
        read(body)
    assert why in str(failed.value)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PLACE = {
    "Address": st.text() | st.ip_addresses().map(str) | st.sampled_from(["", "a.test", "fe80::1%x\n", "::1"]) | ANY,
    "Port": st.integers(-5, 70_000) | ANY,
    "Meta": st.none() | st.fixed_dictionaries({}, optional={"zone": st.text() | ANY}) | ANY,
    "Locality": st.none() | st.fixed_dictionaries({}, optional={"Zone": st.text() | ANY}) | ANY,
    "Weights": st.none() | st.fixed_dictionaries({}, optional={"Passing": st.integers() | ANY}) | ANY,
    "ID": st.text() | ANY,
}
ALMOST = st.lists(
    st.fixed_dictionaries({"Node": st.fixed_dictionaries({}, optional=PLACE), "Service": st.fixed_dictionaries(PLACE)}),
    max_size=3,
)


@given(ANY | ALMOST)
def test_any_json_is_a_set_that_can_be_called_or_a_failure(body: Any) -> None:
    try:
        members = read(body).members
    except SourceFailed:
        return
    assert bool(members) == bool(body)
    for member in members:
        assert 1 <= member.instance.port <= 65535
        assert member.weight >= 1
        assert fixed_lines(member.instance, Terms())  # raises for what no Host can hold


@given(st.binary())
def test_any_bytes_are_a_set_or_a_failure(body: bytes) -> None:
    with suppress(SourceFailed):
        assert read(body).members == []


# how it is asked


@pytest.fixture
def consul() -> Iterator[ConsulServer]:
    with ConsulServer() as server:
        yield server


def asking(consul: ConsulServer, lookup: str = "consul:catalog", **settings: Any) -> Consul:
    return Consul("catalog", ConsulLookup.parse(lookup), ConsulSettings(url=consul.url, **settings))


@asynccontextmanager
async def sets_of(consul: Consul) -> AsyncIterator[AsyncIterator[Sequence[Member]]]:
    """What it finds, closed at the end."""
    try:
        async with aclosing(consul.sets()) as sets, asyncio.timeout(10):
            yield sets
    finally:
        await consul.close()


async def first(consul: Consul) -> Sequence[Member]:
    async with sets_of(consul) as sets:
        return await anext(sets)


async def failure(consul: Consul) -> str:
    with pytest.raises(SourceFailed) as failed:
        await first(consul)
    return str(failed.value)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.real_time
async def test_news_comes_while_a_question_is_open_and_not_when_it_is_time_to_ask_again(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with sets_of(asking(consul)) as sets:
        assert await anext(sets) == [at(7001)]
        for port in (7002, 7003):
            news = asyncio.ensure_future(anext(sets))
            await until(lambda: consul.held)
            before = now()
            consul.register("catalog", port)
            assert at(port) in await news
            assert now() - before < SOON
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.check("catalog-7002", "critical")
        assert await news == [at(7001), at(7003)]

    plain, *waiting = consul.questions
    assert (plain.value("index"), plain.value("wait")) == (None, None)
    assert [question.value("index") for question in waiting] == ["101", "102", "103"]
    assert {question.value("wait") for question in waiting} == {"60s"}
    assert consul.accepted == 1


@pytest.mark.real_time
async def test_without_news_the_same_set_comes_when_consul_has_waited_even_where_it_is_late(
    consul: ConsulServer,
) -> None:
    consul.register("catalog", 7001)
    consul.change(late=1.0)
    async with sets_of(asking(consul, wait="1s")) as sets:
        before = now()
        assert await anext(sets) == await anext(sets) == [at(7001)]
        assert now() - before >= 2
    assert [question.value("wait") for question in consul.questions] == [None, "1s"]


@pytest.mark.parametrize(("index", "patience"), [(0, 10), (7, 60 + 60 / 16 + 10)])
async def test_a_question_is_given_up_well_after_consul_should_have_answered(index: int, patience: float) -> None:
    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with RawServer(silence) as server:
        source = Consul("catalog", CATALOG, ConsulSettings(url=str(server.instance)))
        before = now()
        with pytest.raises(SourceFailed, match=r"Consul at http://127.0.0.1:\d+: no "):
            await source._ask(index)
        assert now() - before == pytest.approx(patience, abs=0.01)
        await source.close()


@pytest.mark.real_time
async def test_only_what_passes_and_has_every_tag_in_that_datacenter_is_found(consul: ConsulServer) -> None:
    consul.register("catalog", 7001, tags=["v2", "eu"])
    consul.register("catalog", 7002, tags=["v2"])
    consul.register("catalog", 7003, tags=["v2", "eu"], status="critical")
    consul.register("catalog", 7004, tags=["v2", "eu"], status="warning")
    consul.register("catalog", 7005, tags=["v2", "eu"], datacenter="dc2")
    consul.register("pricing", 7006, tags=["v2", "eu"])

    assert await first(asking(consul, "consul:catalog?tag=v2&tag=eu")) == [at(7001)]
    assert await first(asking(consul, "consul:catalog?tag=eu&datacenter=dc2&scheme=https")) == [
        at(7005, scheme="https")
    ]


@pytest.mark.real_time
async def test_no_name_and_no_tag_can_leave_its_place_in_the_question(consul: ConsulServer) -> None:
    odd = "a/../b?c=d&e#f g%h+\u00e9\r\n"
    lookup = ConsulLookup(text=odd, scheme="http", service=odd, tags=(odd, "x&passing=false"), datacenter="dc2")
    consul.register(odd, 7001, tags=[odd, "x&passing=false"], datacenter="dc2")

    assert await first(Consul("catalog", lookup, ConsulSettings(url=consul.url))) == [at(7001)]
    (question,) = consul.questions
    assert question.target.startswith(
        "/v1/health/service/a%2F..%2Fb%3Fc%3Dd%26e%23f%20g%25h%2B%C3%A9%0D%0A?passing=true&tag="
    )
    assert question.query == [("passing", "true"), ("tag", odd), ("tag", "x&passing=false"), ("dc", "dc2")]


@pytest.mark.real_time
async def test_a_thousand_instances_come_in_one_answer(consul: ConsulServer) -> None:
    consul.put(*[registration("catalog", 10_000 + number) for number in range(1000)])

    assert await first(asking(consul)) == [at(10_000 + number) for number in range(1000)]
    assert (len(consul.questions), consul.accepted) == (1, 1)


# rates


@given(st.lists(st.floats(0, 3), max_size=40), st.integers(1, 5), st.floats(0.1, 5))
def test_a_rate_is_kept_over_any_time_and_costs_nothing_below_it(
    gaps: list[float], burst: int, interval: float
) -> None:
    rate, asked = Rate(burst=burst, interval=interval), [0.0]
    assert rate.delay(0.0) == 0
    for gap in gaps:
        moment = asked[-1] + gap
        delay = rate.delay(moment)
        if gap >= interval or len(asked) < burst:
            assert delay == pytest.approx(0, abs=1e-6)
        asked.append(moment + delay)
    for start, end in combinations(range(len(asked)), 2):
        assert end - start + 1 <= burst + (asked[end] - asked[start]) / interval + 1e-6


@pytest.mark.real_time
async def test_a_service_that_changes_all_the_time_is_asked_for_four_times_and_then_once_a_second(
    consul: ConsulServer,
) -> None:
    consul.register("catalog", 7001)
    consul.change(says=Answer(json.dumps([registration("catalog", 7001)]).encode(), headers=(("X-Consul-Index", "7"),)))
    async with sets_of(asking(consul)) as sets:
        before = now()
        for _ in range(4):
            await anext(sets)
        assert now() - before < SOON
        for _ in range(2):
            await anext(sets)
        assert now() - before >= 1.9


# the index


@pytest.mark.real_time
async def test_an_index_that_goes_backwards_is_forgotten(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with sets_of(asking(consul)) as sets:
        await anext(sets)
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.restore(5, registration("catalog", 7002))
        assert await news == [at(7002)]
        assert await anext(sets) == [at(7002)]
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.register("catalog", 7003)
        assert await news == [at(7002), at(7003)]
    assert [question.value("index") for question in consul.questions] == [None, "101", None, "5"]


@pytest.mark.real_time
async def test_an_index_of_zero_is_taken_as_one(consul: ConsulServer) -> None:
    consul.change(says=Answer(json.dumps([registration("catalog", 7001)]).encode(), headers=(("X-Consul-Index", "0"),)))
    async with sets_of(asking(consul)) as sets:
        for _ in range(3):
            await anext(sets)
    assert [question.value("index") for question in consul.questions] == [None, "1", "1"]


@pytest.mark.real_time
@pytest.mark.parametrize("text", [None, "", "-1", "1.5", "seven", "1" * 21, "9" * 5000, "\xb2"])
async def test_an_answer_without_an_index_is_a_failure(text: str | None, consul: ConsulServer) -> None:
    headers = () if text is None else (("X-Consul-Index", text),)
    consul.change(says=Answer(json.dumps([registration("catalog", 7001)]).encode(), headers=headers))

    assert "answered without an index" in await failure(asking(consul))


# nothing


@pytest.mark.real_time
@pytest.mark.parametrize("streaming", [False, True], ids=["from servers", "from a stream"])
async def test_a_service_that_is_registered_nowhere_has_no_instances(streaming: bool, consul: ConsulServer) -> None:
    consul.change(streaming=streaming)
    async with sets_of(asking(consul)) as sets:
        assert await anext(sets) == []
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.register("catalog", 7001)
        assert await news == [at(7001)]
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.deregister("catalog-7001")
        assert await news == []
    # the last one again without an index, because an agent's own view is not believed
    assert [question.value("index") for question in consul.questions] == [None, "1", "101", None]


@pytest.mark.real_time
async def test_an_empty_answer_without_a_leader_is_not_believed_and_one_with_instances_is(
    consul: ConsulServer,
) -> None:
    consul.change(leader=False, stale_reads=True)
    assert "answered with no instance, which is not believed: X-Consul-KnownLeader is false" in await failure(
        asking(consul)
    )
    consul.register("catalog", 7001)
    assert await first(asking(consul)) == [at(7001)]


@pytest.mark.real_time
@pytest.mark.parametrize(("contact", "believed"), [(0, True), (10_000, True), (10_001, False), ("long ago", False)])
async def test_an_empty_answer_of_a_server_that_has_not_heard_of_its_leader_for_long_is_not_believed(
    contact: object, believed: bool, consul: ConsulServer
) -> None:
    consul.change(last_contact=contact)
    if believed:
        assert await first(asking(consul)) == []
    else:
        assert f"not believed: X-Consul-LastContact is '{contact}'" in await failure(asking(consul))


@pytest.mark.real_time
async def test_an_empty_answer_that_names_no_leader_at_all_is_not_believed(consul: ConsulServer) -> None:
    consul.change(says=Answer(b"[]", headers=(("X-Consul-Index", "7"),)))

    assert "not believed: X-Consul-KnownLeader is None" in await failure(asking(consul))


@pytest.mark.real_time
async def test_a_token_that_may_not_see_anything_any_more_empties_nothing() -> None:
    with ConsulServer(token=TOKEN) as consul:
        consul.register("catalog", 7001)
        async with sets_of(asking(consul, token=TOKEN)) as sets:
            assert await anext(sets) == [at(7001)]
            news = asyncio.ensure_future(anext(sets))
            await until(lambda: consul.held)
            consul.change(blinded=True)
            consul.touch("catalog")
            with pytest.raises(
                SourceFailed, match="not believed: the token may not see what there is; it needs service"
            ):
                await news


@pytest.mark.real_time
async def test_who_has_no_token_where_acls_deny_does_not_take_nothing_for_an_answer() -> None:
    with ConsulServer(token=TOKEN) as consul:
        consul.register("catalog", 7001)

        assert "not believed: its ACLs hide from who has no token" in await failure(asking(consul))
        consul.deregister("catalog-7001")
        assert await first(asking(consul, token=TOKEN)) == []


# failures


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "No cluster leader"), (403, "Permission denied"), (404, "404 page not found"), (429, "Too many requests")],
)
async def test_what_consul_says_went_wrong_is_told(status: int, said: str, consul: ConsulServer) -> None:
    consul.change(says=Answer(said.encode(), status))

    assert await failure(asking(consul)) == (
        f"Consul at {consul.url}: answered {status} to /v1/health/service/catalog?passing=true: {said}"
    )


@pytest.mark.real_time
async def test_a_leader_that_is_lost_while_a_question_is_open_is_a_failure_at_once(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with sets_of(asking(consul)) as sets:
        await anext(sets)
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.change(leader=False)
        with pytest.raises(SourceFailed, match=r"answered 500 .*: No cluster leader"):
            await news


@pytest.mark.real_time
async def test_a_body_that_does_not_fit_says_who_answered(consul: ConsulServer) -> None:
    consul.change(says=Answer(b'{"error": 7}', headers=(("X-Consul-Index", "7"),)))

    assert await failure(asking(consul)) == (
        f"Consul at {consul.url}: answered no list of instances: Input should be a valid array"
    )


@pytest.mark.real_time
async def test_an_agent_that_is_not_there_is_a_failure() -> None:
    settings = ConsulSettings(url=f"http://127.0.0.1:{await unused_port()}")

    assert "no connection" in await failure(Consul("catalog", CATALOG, settings))


@pytest.mark.real_time
async def test_what_is_left_out_is_in_the_log_once(consul: ConsulServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "bff.discovery")
    consul.put(registration("catalog", 7001), registration("catalog", 0, id="portless"))
    async with sets_of(asking(consul)) as sets:
        assert await anext(sets) == [at(7001)]
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.touch("catalog")
        await news
        assert caplog.messages == [f"catalog: Consul at {consul.url}: 1 left out, no instances: 'portless' (port 0)"]
        news = asyncio.ensure_future(anext(sets))
        await until(lambda: consul.held)
        consul.register("catalog", 7002, id="nameless", address="n a m e")
        assert await news == [at(7001)]
    assert caplog.messages[1].endswith("2 left out, no instances: 'nameless' (address 'n a m e'), 'portless' (port 0)")


# watched


@asynccontextmanager
async def watched(consul: Consul) -> AsyncIterator[tuple[Watch, list[Sequence[Member]]]]:
    changes: list[Sequence[Member]] = []
    watch = Watch("catalog", consul, changes.append)
    task = asyncio.create_task(watch.run())
    try:
        yield watch, changes
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.real_time
async def test_an_agent_that_dies_and_comes_back_changes_nothing(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with watched(asking(consul)) as (watch, changes):
        await until(lambda: consul.held)
        consul.stop()
        await until(lambda: watch.facts()["failing_since"])
        assert "no connection" in watch.facts()["failure"] or "closed" in watch.facts()["failure"]
        consul.start()
        await until(lambda: watch.facts()["failing_since"] is None)
        assert changes == [(at(7001),)]


@pytest.mark.real_time
async def test_a_consul_whose_index_starts_anew_brings_its_news_at_once(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with watched(asking(consul)) as (watch, changes):
        await until(lambda: consul.held)
        consul.stop()
        consul.restore(3, registration("catalog", 7002))
        consul.start()
        await until(lambda: consul.held)
        before = now()
        consul.register("catalog", 7003)
        await until(lambda: changes[-1] == (at(7002), at(7003)))
        assert now() - before < SOON
        assert watch.facts()["failing_since"] is None
    assert changes == [(at(7001),), (at(7002),), (at(7002), at(7003))]


@pytest.mark.real_time
async def test_a_cluster_without_a_leader_empties_nothing(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    async with watched(asking(consul)) as (watch, changes):
        await until(lambda: consul.held)
        consul.change(leader=False)
        await until(lambda: watch.facts()["failing_since"])
        assert "No cluster leader" in watch.facts()["failure"]
        consul.change(leader=True)
        await until(lambda: watch.facts()["failing_since"] is None)
        assert changes == [(at(7001),)]


# leaving


@pytest.mark.real_time
async def test_whoever_leaves_at_any_step_leaves_nothing_behind(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    before = asyncio.all_tasks()
    reached = False
    for steps in count():
        source = asking(consul)
        sets = source.sets()

        async def read_on(sets: AsyncIterator[Any] = sets) -> None:
            async for _ in sets:
                pass

        reading = asyncio.create_task(read_on())
        for _ in range(steps):
            await asyncio.sleep(0)
        reached = steps > 30
        if reached:
            await until(lambda: consul.held == 1)
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()
        await sets.aclose()
        async with asyncio.timeout(1):
            await source.close()
        await until(lambda: not consul.connections and not consul.held)
        await until(lambda: asyncio.all_tasks() == before)
        if reached:
            return


@pytest.mark.real_time
async def test_whoever_leaves_while_it_waits_for_its_turn_leaves_nothing_behind(consul: ConsulServer) -> None:
    consul.change(says=Answer(json.dumps([registration("catalog", 7001)]).encode(), headers=(("X-Consul-Index", "7"),)))
    source = asking(consul)
    async with sets_of(source) as sets:
        for _ in range(4):
            await anext(sets)
        turn = asyncio.ensure_future(anext(sets))
        await asyncio.sleep(0)
        turn.cancel()
        await asyncio.wait({turn})
    assert len(consul.questions) == 4
    await until(lambda: not consul.connections)


# secrets and TLS


@pytest.mark.real_time
async def test_the_token_is_sent_and_is_never_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ConsulServer(token=TOKEN) as consul:
        consul.register("catalog", 7001)
        known = asking(consul, token=TOKEN)
        assert await first(known) == [at(7001)]
        assert consul.questions[0].headers["x-consul-token"] == TOKEN
        assert "ACL not found" in await failure(asking(consul, token="another"))
        for says in (
            Answer(f"you sent X-Consul-Token: {TOKEN}".encode(), 500),
            Answer(b"you sent X-Consul-Token: ".rjust(200 - len(TOKEN) // 2) + TOKEN.encode(), 500),  # cut in its midst
            Answer(b"[]", headers=(("X-Consul-Index", TOKEN),)),
            Answer(TOKEN.encode(), headers=(("X-Consul-Index", "7"),)),
            Answer(b"[]", headers=(("X-Consul-Index", "7"), ("X-Consul-Knownleader", TOKEN))),
        ):
            consul.change(says=says)
            async with watched(asking(consul, token=TOKEN)) as (watch, _):
                await until(lambda watch=watch: watch.facts()["failure"])
                assert TOKEN[:8] not in str(watch.facts())
        settings = ConsulSettings(token=TOKEN)
        for shown in (repr(known), repr(vars(known)), str(settings), repr(settings), settings.model_dump_json()):
            assert TOKEN not in shown
    assert caplog.records
    assert TOKEN[:8] not in caplog.text


@pytest.mark.parametrize("token", ["", "two words", f"{TOKEN}\r\nx: y", f"{TOKEN}\0", f"{TOKEN}\u00e9", [TOKEN]])
def test_what_no_header_can_hold_is_no_token_and_is_not_shown(token: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        ConsulSettings(token=token)
    assert TOKEN not in str(refused.value)


@pytest.mark.real_time
async def test_consul_is_asked_over_tls_and_must_prove_itself_to_its_own_authority(tmp_path: Path) -> None:
    files = files_of(tmp_path, "gateway.test")
    with ConsulServer(token=TOKEN, tls=serving(asks=True)) as consul:
        consul.register("catalog", 7001)

        assert await first(asking(consul, token=TOKEN, tls=files)) == [at(7001)]
        assert "certificate" in await failure(asking(consul, token=TOKEN))
        await failure(asking(consul, token=TOKEN, tls={"ca": files["ca"]}))
        assert len(consul.questions) == 1
    with ConsulServer(tls=serving(certificate("127.0.0.1", by="theirs"))) as stranger:
        assert "certificate verify failed" in await failure(asking(stranger, token=TOKEN, tls=files))
        assert stranger.questions == []
    with ConsulServer(tls=serving(certificate("server.dc1.consul"))) as consul:
        assert "certificate verify failed" in await failure(asking(consul, tls={"ca": files["ca"]}))
        assert await first(asking(consul, tls={"ca": files["ca"], "server_name": "server.dc1.consul"})) == []


# settings


HEAD = """
name = "web"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"

[upstreams.catalog]
discover = "consul:catalog"

"""


def settings_in(folder: Path, consul: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(f"{HEAD}[discovery.consul]\n{consul}")
    return file


class _Web(FoundGateway):
    __slots__ = ()

    def create(self, settings: GatewaySettings) -> FastAPI:
        return FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})


def test_consul_is_where_it_usually_is_and_waits_a_minute() -> None:
    settings = ConsulSettings()
    assert (settings.url, settings.token, settings.wait, settings.tls) == ("http://127.0.0.1:8500", None, 60.0, None)


@pytest.mark.parametrize(
    ("consul", "why"),
    [
        ('tls = { server_name = "a.test" }', "discovery.consul.tls: http://127.0.0.1:8500 is not reached over https"),
        ('url = "HTTP://a.test"\ntls = {}', "discovery.consul.tls: HTTP://a.test is not reached over https"),
        ('wait = "999ms"', "discovery.consul.wait: Input should be greater"),
        ('wait = "11m"', "discovery.consul.wait: Input should be less"),
        (f'token = "{TOKEN} "', "discovery.consul.token: is no token"),
        (f'tokens = "{TOKEN}"', "discovery.consul.tokens: there is no such setting"),
    ],
)
def test_a_setting_of_consul_that_is_wrong_stops_the_start(consul: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(settings_in(tmp_path, consul))
    assert why in str(refused.value)
    assert TOKEN not in str(refused.value) + str(refused.value.__cause__)


def test_the_token_comes_from_the_environment_and_check_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BFF_WEB__DISCOVERY__CONSUL__TOKEN", TOKEN)
    settings = load(settings_in(tmp_path, 'wait = "1m"'))
    assert settings.discovery.consul.token is not None
    assert settings.discovery.consul.token.get_secret_value() == TOKEN

    show(_Web("web", "shops.web", tmp_path), settings)

    shown = capsys.readouterr()
    assert "consul:catalog" in shown.out
    assert TOKEN not in shown.out + shown.err


@pytest.mark.real_time
async def test_an_upstream_that_names_consul_is_looked_up_there(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    chosen = source_of(
        "catalog",
        UpstreamSettings(discover="consul:catalog"),
        DiscoverySettings(consul=ConsulSettings(url=consul.url)),
    )
    assert isinstance(chosen, Consul)
    assert chosen.known == ()
    assert await first(chosen) == [at(7001)]


# the server of these tests, as tests without an event loop use it


def test_a_test_without_a_loop_can_ask_it(consul: ConsulServer) -> None:
    consul.register("catalog", 7001)
    address = f"{consul.url}/v1/health/service/catalog"
    with urllib.request.urlopen(address, timeout=5) as reply:
        assert reply.headers["X-Consul-Index"] == "101"
        assert [entry["Service"]["Port"] for entry in json.load(reply)] == [7001]
    with urllib.request.urlopen(f"{address}?index=101&wait=100ms", timeout=5) as reply:
        assert len(json.load(reply)) == 1
    consul.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)
    consul.start()
    consul.change(leader=False)
    with pytest.raises(urllib.error.HTTPError, match="500") as refused:
        urllib.request.urlopen(address, timeout=5)
    refused.value.close()
