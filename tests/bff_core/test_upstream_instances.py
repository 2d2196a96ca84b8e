"""An upstream whose instances come and go, as its source has it: what is called, what is let go of, what is left."""

import asyncio
import gc
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from bff_core.composition import Composition
from bff_core.discovery import Member, Source
from bff_core.edge.admin import admin_app
from bff_core.edge.health import Readiness
from bff_core.errors import BadStatus, NoInstance
from bff_core.gateway import _lifespan
from bff_core.services.catalog import Catalog
from bff_core.testing import SimulatedInternet
from bff_core.upstream import Upstream
from bff_core.upstream_settings import RetrySettings, UpstreamSettings
from bff_core.wire import Instance
from bff_core.wire.http1 import Http1Wire
from tests.bff_core.played import Played
from tests.bff_core.raw_server import RawServer, Script, said
from tests.bff_core.scripted import (
    Attempt,
    Book,
    ScriptedWire,
    Shop,
    Step,
    ask,
    failing,
    fine,
    now,
    shop,
    turns,
    well_known,
)
from tests.bff_core.small_gateway import Clients, Store, Visit, browser, settings, small_gateway
from tests.soak.holdings import alive
from tests.store import answer

ONCE = RetrySettings(attempts=0)


def member(name: str) -> Member:
    return Member(Instance("shop", "http", f"{name}.test", 80))


def name(attempt: Attempt) -> str:
    return attempt.instance.host.removesuffix(".test")


@asynccontextmanager
async def started(upstream: Upstream) -> AsyncIterator[None]:
    """When it is closed, nothing is left but the connections of servers."""
    before = asyncio.all_tasks()
    await upstream.start()
    try:
        yield
    finally:
        await upstream.close()
        left = asyncio.all_tasks() - before
        assert {task.get_coro().__qualname__ for task in left} <= {"RawServer._serve"}


@asynccontextmanager
async def found(wire: Any, *names: str, **how: Any) -> AsyncIterator[tuple[Shop, Upstream, Played]]:
    """An upstream whose source has said these."""
    source = Played()
    client, upstream = shop(wire, source=source, **{"coalesce": False, **how})
    async with started(upstream):
        source.say(*map(member, names))
        await upstream.found()
        yield client, upstream, source
    assert source.closed == 1


async def learn(source: Played, *names: str) -> None:
    source.say(*map(member, names))
    await turns()


async def asked(client: Shop, wire: ScriptedWire, number: int = 200) -> set[str]:
    """Who is asked."""
    before = len(wire.attempts)
    for _ in range(number):
        await client.book()
    return {name(attempt) for attempt in wire.attempts[before:]}


# what is called


async def test_what_is_found_is_called_and_what_is_gone_is_not() -> None:
    wire = ScriptedWire(fine())
    async with found(wire, "a", "b") as (client, upstream, source):
        assert await asked(client, wire) == {"a", "b"}
        await learn(source, "b", "c")
        assert await asked(client, wire) == {"b", "c"}
        assert [str(gone) for gone in wire.retired] == ["http://a.test:80"]
        await learn(source, "b", "c")
        await learn(source, "c", "b")
        assert len(wire.retired) == 1
        await learn(source, "d")
        assert await asked(client, wire, 10) == {"d"}
        assert Counter(gone.host for gone in wire.retired) == {"a.test": 1, "b.test": 1, "c.test": 1}
        assert upstream.facts()["source"]["changes"] == 3


async def test_what_is_in_flight_when_its_instance_goes_is_answered_and_counts() -> None:
    wire = ScriptedWire(play=lambda _: None)
    async with found(wire, "a", retry=ONCE) as (client, upstream, source):
        calls = [asyncio.create_task(ask(client.book())) for _ in range(2)]
        await turns()
        await learn(source, "b")
        draining, fresh = upstream.facts()["instances"][::-1]
        assert (draining["state"], draining["in_flight"], fresh["state"]) == ("draining", 2, "in use")
        wire.attempts[0].end(fine().outcome)
        wire.attempts[1].end(failing().outcome)
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert first == Book(id="pojos")
        assert isinstance(second, BadStatus)
        assert upstream.tally.counts() == {"success": 1, "failure": 1}
        assert [fact["address"] for fact in upstream.facts()["instances"]] == ["http://b.test:80"]


async def test_what_fails_while_its_instance_goes_is_tried_on_another() -> None:
    wire = ScriptedWire(play=lambda attempt: failing(0.1) if name(attempt) == "a" else fine())
    async with found(wire, "a") as (client, _, source):
        call = asyncio.create_task(ask(client.book()))
        await turns()
        await learn(source, "b", "c")
        assert await call == Book(id="pojos")
        assert name(wire.attempts[1]) in "bc"


async def test_what_comes_back_is_called_again() -> None:
    wire = ScriptedWire(play=lambda attempt: fine(0.3) if attempt.at == 0 else fine())
    async with found(wire, "a", "b") as (client, upstream, source):
        calls = [asyncio.create_task(ask(client.book())) for _ in range(10)]
        await turns()
        await learn(source, "b")
        await learn(source, "a", "b")
        assert [fact["in_flight"] for fact in upstream.facts()["instances"]] == [5, 5]
        await asyncio.gather(*calls)
        assert await asked(client, wire) == {"a", "b"}
        await learn(source, "b")
        await asyncio.sleep(100)
        await learn(source, "a", "b")
        assert await asked(client, wire) == {"a", "b"}


async def test_a_list_is_called_before_anything_has_started() -> None:
    wire = ScriptedWire(fine())
    client, upstream = shop(wire)
    assert await asked(client, wire) == {"a", "b"}
    async with started(upstream):
        await upstream.found()
        assert await asked(client, wire) == {"a", "b"}
    assert not wire.retired
    assert upstream.facts()["source"]["of"] == "static"


async def test_who_is_in_the_zone_of_the_gateway_is_asked_first() -> None:
    places = [{"url": "http://a.test", "zone": "here"}, {"url": "http://b.test", "zone": "there"}]
    internet = SimulatedInternet(dict.fromkeys(["a.test", "b.test"], answer(b"", status=404)))
    app = small_gateway(router, internet, zone="here", upstreams={"catalog": {"instances": places}})
    for _ in range(50):
        await Visit(app, "/optional").end()
    assert {instance.host for instance, _ in internet.requests} == {"a.test"}


async def test_what_joins_gets_little_at_first() -> None:
    random.seed(1)
    wire = ScriptedWire(play=lambda _: fine())
    async with found(wire, "a", "b", slow_start="1m") as (client, _, source):
        await learn(source, "a", "b", "c")
        await asked(client, wire, 1000)
        assert 10 < Counter(map(name, wire.attempts))["c"] < 100
        await asyncio.sleep(60)
        wire.attempts.clear()
        await asked(client, wire, 900)
        assert Counter(map(name, wire.attempts))["c"] == pytest.approx(300, rel=0.2)


async def test_what_a_failure_asks_for_is_what_it_counts_as() -> None:
    wire = ScriptedWire(failing(retry_after=3))
    client, upstream = shop(wire, retry=ONCE)
    with pytest.raises(BadStatus):
        await client.book()
    assert sorted(fact["latency"] or 0 for fact in upstream.facts()["instances"]) == [0, 3.0]


async def test_when_one_is_left_alone_can_be_set() -> None:
    wire = ScriptedWire(failing())
    client, upstream = shop(wire, retry=ONCE, ejection={"failures": 1}, circuit={"enabled": False})
    with pytest.raises(BadStatus):
        await client.book()
    assert sorted(fact["state"] for fact in upstream.facts()["instances"]) == ["ejected", "in use"]


async def test_another_attempt_is_made_elsewhere_also_where_it_is_worse() -> None:
    def play(attempt: Attempt) -> Step:
        return fine(0.4) if name(attempt) == "slow" else failing(0.001, retry_after=0)

    wire = ScriptedWire(play=play)
    how = {"ejection": {"share": 0}, "circuit": {"enabled": False}, "retry": {"budget_floor": 100}}
    async with found(wire, "fast", "slow", **how) as (client, _, _):
        ways = set()
        for _ in range(20):
            wire.attempts.clear()
            assert await client.book() == Book(id="pojos")
            ways.add(tuple(name(attempt) for attempt in wire.attempts))
        assert ("fast", "slow") in ways <= {("slow",), ("fast", "slow")}


async def test_a_hedge_goes_elsewhere_also_where_it_takes_longer() -> None:
    wire = ScriptedWire(play=lambda attempt: fine(0.3) if name(attempt) == "slow" else None)
    hedged = {"hedge": {"enabled": True}, "retry": ONCE, "timeout": "1s"}
    async with found(wire, "fast", "slow", **hedged) as (client, upstream, _):
        well_known(upstream, 0.1)
        standings = {str(standing.instance): standing for standing in upstream.balancer._all.values()}
        standings["http://slow.test:80"].slowed(5.0, now())
        standings["http://slow.test:80"].in_flight += 1
        assert await client.book() == Book(id="pojos")
        assert [name(attempt) for attempt in wire.attempts] == ["fast", "slow"]


async def test_weights_of_a_list_count() -> None:
    random.seed(1)
    wire = ScriptedWire(fine())
    client, _ = shop(wire, instances=[{"url": "http://a.test", "weight": 3}, "http://b.test"])
    await asked(client, wire, 2000)
    assert Counter(map(name, wire.attempts))["a"] == pytest.approx(1500, rel=0.1)


# nothing is known


async def test_where_no_instance_is_known_a_call_is_refused_and_is_ours() -> None:
    wire = ScriptedWire(fine())
    async with found(wire) as (client, upstream, source):
        for _ in range(50):
            with pytest.raises(NoInstance):
                await client.book()
        facts = upstream.facts()
        assert (facts["attempts"], facts["retried"], facts["circuit"]) == ({"ours": 50}, 0, "closed")
        assert (facts["in_flight"], facts["instances"], facts["panic"], now()) == (0, [], False, 0.0)
        assert not wire.attempts
        await learn(source, "a")
        assert await client.book() == Book(id="pojos")
        await learn(source)
        with pytest.raises(NoInstance):
            await client.book()


router = APIRouter()


@router.get("/required")
async def required(store: Store) -> str:
    async with Composition() as page:
        product = page.required("product", store.catalog.product("x"))
    return product.value.title


@router.get("/optional")
async def optional(store: Store) -> str:
    async with Composition() as page:
        product = page.optional("product", store.catalog.product("x"))
    return "nothing" if product.value is None else product.value.title


def looked_up(source: Source, wire: Any, **how: Any) -> Upstream:
    """The catalog, where this source says."""
    return Upstream(
        "catalog", UpstreamSettings(discover="dns:http://catalog.test", **how), wire, agent="x/1", source=source
    )


async def page_of(upstream: Upstream, path: str) -> Visit:
    app = small_gateway(router)
    app.state.store = Clients(Catalog(upstream))
    async with app.router.lifespan_context(app):
        return await Visit(app, path).end()


async def test_a_page_that_requires_what_nobody_can_find_is_503_and_says_when_to_ask_again() -> None:
    upstream = looked_up(Played(), ScriptedWire(fine()))
    page = await page_of(upstream, "/required")
    assert (page.status, page.values(b"retry-after")) == (503, [b"1"])
    assert json.loads(page.body)["type"].endswith("temporary-reduced-capacity")
    assert b"catalog" not in page.body


async def test_a_page_that_can_do_without_it_says_that_it_is_unavailable() -> None:
    page = await page_of(looked_up(Played(), ScriptedWire(fine())), "/optional")
    assert (page.status, page.body) == (200, b'"nothing"')
    assert page.values(b"page-parts") == [b"product;missing=unavailable"]


# the source fails


async def test_while_its_source_fails_it_is_called_as_before_and_operators_see_since_when() -> None:
    wire, source = ScriptedWire(play=lambda _: fine()), Played()
    upstream = looked_up(source, wire)
    admin = admin_app(settings(), Readiness(), {"catalog": upstream})

    async def seen(operator: Any) -> dict[str, Any]:
        found = (await operator.get("/healthz")).json()["upstreams"]["catalog"]
        assert [fact["state"] for fact in found["instances"]] == ["in use"]
        return found["source"]

    async with started(upstream), browser(admin) as operator:
        source.say(Member(Instance("catalog", "http", "a.test", 80)))
        await upstream.found()
        said = await seen(operator)
        assert (said["of"], said["failing_since"], said["failure"]) == ("dns:http://catalog.test", None, None)
        source.fail("no name server answers")
        await turns()
        said = await seen(operator)
        assert datetime.fromisoformat(said["failing_since"]).tzinfo
        assert said["failure"] == "no name server answers"
        upstream.balancer.pick(now())
        assert not wire.retired
        await asyncio.sleep(60)
        source.say(Member(Instance("catalog", "http", "a.test", 80)))
        await turns()
        said = await seen(operator)
        assert (said["failing_since"], said["failure"], said["changes"]) == (None, None, 1)


async def test_a_source_that_failed_has_been_waited_for() -> None:
    source = Played()
    upstream = looked_up(source, ScriptedWire(fine()))
    async with started(upstream):
        waiting = asyncio.create_task(upstream.found())
        await turns()
        assert not waiting.done()
        source.fail("refused")
        await waiting


class Breaking(Played):
    """Has a bug at its end."""

    async def close(self) -> None:
        raise ValueError("a bug of ours")


async def test_what_ends_by_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with started(looked_up(Breaking(), ScriptedWire(fine()))):
        await turns()
    (record,) = caplog.records
    assert record.getMessage() == "instances of catalog has ended by a bug"
    assert record.exc_info
    assert isinstance(record.exc_info[1], ValueError)


# the life of a gateway


def living(readiness: Readiness, *upstreams: Upstream, wires: Iterable[Any] = ()) -> Any:
    return _lifespan(upstreams, list(wires), readiness)(FastAPI())


async def test_a_gateway_is_ready_when_every_source_has_answered_or_failed() -> None:
    one, other, readiness = Played(), Played(), Readiness()
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, one.say)
    loop.call_later(0.3, other.fail, "refused")
    async with living(readiness, looked_up(one, ScriptedWire()), looked_up(other, ScriptedWire())):
        assert readiness.ready
        assert now() == pytest.approx(0.3)
    assert not readiness.ready
    assert (one.closed, other.closed) == (1, 1)


async def test_a_gateway_is_ready_after_a_second_though_a_source_never_answers() -> None:
    silent, readiness = Played(), Readiness()
    async with living(readiness, looked_up(silent, ScriptedWire())):
        assert readiness.ready
        assert now() == pytest.approx(1.0)
        assert {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}} == {"instances of catalog"}
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert silent.closed == 1


async def test_a_gateway_that_only_has_lists_is_ready_at_once_and_leaves_nothing() -> None:
    app = small_gateway(router)
    async with app.router.lifespan_context(app):
        assert now() == 0.0
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Closing(ScriptedWire):
    """Knows whether it was closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


async def test_a_start_that_fails_half_way_leaves_nothing() -> None:
    one, wire, readiness = Played(), Closing(fine()), Readiness()

    class Failing(Upstream):
        async def start(self) -> None:
            raise OSError("no file is left")

    settings_ = UpstreamSettings(discover="dns:http://catalog.test", check={"path": "/"})
    upstreams = [
        looked_up(one, wire, check={"path": "/"}),
        Failing("catalog", settings_, wire, agent="x/1", source=Played()),
    ]
    with pytest.raises(OSError, match="no file is left"):
        async with living(readiness, *upstreams, wires=[wire]):
            pytest.fail("it has started")
    assert not readiness.ready
    assert wire.closed == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_start_that_is_given_up_leaves_nothing() -> None:
    silent, wire, readiness = Played(), Closing(fine()), Readiness()

    async def begin() -> None:
        async with living(readiness, looked_up(silent, wire, check={"path": "/"}), wires=[wire]):
            pytest.fail("it has started")

    beginning = asyncio.create_task(begin())
    await asyncio.sleep(0.5)
    beginning.cancel()
    await asyncio.wait({beginning})
    assert (beginning.cancelled(), readiness.ready, silent.closed, wire.closed) == (True, False, 1, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# one of three fails


async def test_one_of_three_that_fails_is_left_alone_its_calls_go_to_the_others_and_the_circuit_stays_closed() -> None:
    random.seed(1)
    wire = ScriptedWire(play=lambda attempt: failing(0.01) if name(attempt) == "a" else fine(0.01))
    async with found(wire, "a", "b", "c") as (client, upstream, _):
        calls = await asyncio.gather(*(ask(client.book()) for _ in range(24)))
        assert calls == [Book(id="pojos")] * 24
        assert Counter(map(name, wire.attempts[:24])) == pytest.approx({"a": 8, "b": 8, "c": 8}, abs=3)
        assert {name(attempt) for attempt in wire.attempts[24:]} == {"b", "c"}
        facts = upstream.facts()
        assert [fact["state"] for fact in facts["instances"]] == ["ejected", "in use", "in use"]
        assert (facts["circuit"], facts["circuit_opened"], facts["panic"]) == ("closed", 0, False)
        assert await asked(client, wire, 1000) == {"b", "c"}
        for _ in range(300):
            await asyncio.sleep(0.5)
            assert await client.book() == Book(id="pojos")
        facts = upstream.facts()
        assert (facts["circuit_opened"], facts["instances"][0]["ejections"] >= 1) == (0, True)


async def test_when_all_three_fail_the_circuit_opens_as_ever() -> None:
    wire = ScriptedWire(failing(0.01))
    async with found(wire, "a", "b", "c", retry=ONCE) as (client, upstream, _):
        await asyncio.gather(*(ask(client.book()) for _ in range(24)), return_exceptions=True)
        facts = upstream.facts()
        assert facts["circuit"] == "open"
        assert sum(fact["state"] == "ejected" for fact in facts["instances"]) == 1


# ten thousand changes


KINDS = ("Standing", "Task", "Flight", "Attempt")


class Forgetful(ScriptedWire):
    """Remembers nothing that has ended."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        attempt = super().send(*args, **kwargs)
        self.attempts.clear()
        self.retired.clear()
        return attempt


async def test_a_thousand_changes_a_second_fail_no_call_and_leave_nothing() -> None:
    chance = random.Random(1)
    random.seed(1)
    ends = Counter[str]()
    blocks: list[int] = []
    wire = Forgetful(play=lambda _: fine(chance.choice([0.0, 0.001, 0.005, 0.05])))
    names = [f"i{number}" for number in range(20)]

    async def change(source: Played) -> None:
        for number in range(10_000):
            source.say(*map(member, chance.sample(names, chance.randint(1, 20))))
            await asyncio.sleep(0.001)
            if number % 1000 == 999:
                gc.collect()
                blocks.append(sys.getallocatedblocks())

    async def call(client: Shop, changing: asyncio.Task[None]) -> None:
        while not changing.done():
            assert await client.book() == Book(id="pojos")
            ends["answered"] += 1
            await asyncio.sleep(0.001)

    before = alive(KINDS) + Counter(Task=3)  # of the upstream and of the test
    async with found(wire, *names, check={"path": "/", "interval": "50ms"}) as (client, upstream, source):
        changing = asyncio.create_task(change(source))
        await asyncio.gather(changing, *(call(client, changing) for _ in range(20)))
        assert upstream.facts()["source"]["changes"] > 9_900
        assert [fact["in_flight"] for fact in upstream.facts()["instances"]] == [0] * len(upstream.balancer.instances)
        assert upstream.tally.counts() == {"success": ends["answered"]}
        assert ends["answered"] > 9_000
        known = len(upstream.balancer.instances)
        assert (alive(KINDS) - before)["Standing"] == known
        await learn(source)
        await turns()
        assert alive(KINDS) - before == Counter()
    assert max(blocks[5:]) - max(blocks[2:5]) < 1000


# real sockets

JSON = b"content-type: application/json\r\n"


def slightly_slow(seed: int) -> Script:
    """Answers every request after a moment."""

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waits = random.Random(seed)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(waits.uniform(0, 0.01))
            writer.write(said(b'{"id": "pojos"}', headers=JSON))
            await writer.drain()

    return answering


@asynccontextmanager
async def farm(number: int, script: Script | None = None) -> AsyncIterator[tuple[list[RawServer], Http1Wire]]:
    """So many servers, and a wire to them that is closed at the end."""
    async with AsyncExitStack() as stack:
        wire = Http1Wire()
        servers = [await stack.enter_async_context(RawServer(script or slightly_slow(seed))) for seed in range(number)]
        try:
            yield servers, wire
        finally:
            async with asyncio.timeout(10):
                await wire.close()


def told(servers: Iterable[RawServer]) -> list[Member]:
    return [Member(server.instance) for server in servers]


async def until_closed(*servers: RawServer) -> None:
    async with asyncio.timeout(5):
        while any(server.open for server in servers):
            await asyncio.sleep(0.001)


@pytest.mark.real_time
async def test_instances_come_and_go_under_load_and_no_call_fails_and_no_healthy_connection_moves() -> None:
    chance, calls = random.Random(1), count()
    async with farm(6) as (servers, wire):
        source = Played()
        client, upstream = shop(wire, source=source, retry=ONCE, timeout="5s", coalesce=False)
        async with started(upstream):
            source.say(*told(servers))
            await upstream.found()
            ending = asyncio.Event()

            async def call() -> None:
                while not ending.is_set():
                    assert await client.book(f"b{next(calls)}") == Book(id="pojos")

            callers = [asyncio.create_task(call()) for _ in range(20)]
            for _ in range(40):
                await asyncio.sleep(0.02)
                source.say(*told([*servers[:2], *chance.sample(servers[2:], chance.randint(0, 4))]))
            stayed = [(server.accepted, server.open) for server in servers[:2]]
            source.say(*told(servers[:2]))
            await turns()
            known = {fact["address"] for fact in upstream.facts()["instances"] if fact["state"] != "draining"}
            assert known == {str(server.instance) for server in servers[:2]}
            await until_closed(*servers[2:])
            await asyncio.sleep(0.1)
            ending.set()
            await asyncio.gather(*callers)
            assert next(calls) > 300
            assert upstream.tally.counts().keys() == {"success"}
            for server, (accepted, open_) in zip(servers, stayed, strict=False):
                assert accepted == open_ <= 20  # none was ever closed
                assert server.accepted == server.open <= 20
            assert all(server.accepted > 2 for server in servers[2:])
            assert set(wire._pools) == {server.instance for server in servers[:2]}


@pytest.mark.real_time
async def test_idle_connections_of_what_goes_are_closed_at_once_and_calls_in_flight_are_answered() -> None:
    answer, held = asyncio.Event(), asyncio.Event()

    async def holding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if b"/held " in await reader.readuntil(b"\r\n\r\n"):
                held.set()
                await answer.wait()
            writer.write(said(b'{"id": "pojos"}', headers=JSON))
            await writer.drain()

    async with farm(2, holding) as ([going, staying], wire):
        source = Played()
        client, upstream = shop(wire, source=source, retry=ONCE, timeout="5s", coalesce=False)
        async with started(upstream):
            source.say(Member(going.instance))
            await upstream.found()
            await asyncio.gather(*(ask(client.book()) for _ in range(5)))
            call = asyncio.create_task(ask(client.book("held")))
            await held.wait()
            assert going.open == 5
            source.say(Member(staying.instance))
            async with asyncio.timeout(5):
                while going.open > 1:
                    await asyncio.sleep(0.001)
            assert await client.book("other") == Book(id="pojos")
            assert (going.open, staying.accepted, call.done()) == (1, 1, False)
            answer.set()
            assert await call == Book(id="pojos")
            await until_closed(going)
            source.say(Member(going.instance), Member(staying.instance))
            await turns()
            await asyncio.gather(*(ask(client.book(f"b{number}")) for number in range(10)))
            assert going.accepted > 5
            assert upstream.tally.counts() == {"success": 17}


@pytest.mark.real_time
async def test_checks_over_real_sockets_find_who_is_ill_and_use_the_connections_that_are_there() -> None:
    ill = True

    async def perhaps_ill(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked_for = await reader.readuntil(b"\r\n\r\n")
            status = b"503 Ill" if ill and b"GET /health " in asked_for else b"200 OK"
            writer.write(said(b'{"id": "pojos"}', status=status, headers=JSON))
            await writer.drain()

    async with farm(2) as ([_, well], wire), RawServer(perhaps_ill) as patient:
        places = [str(patient.instance), str(well.instance)]
        check = {"path": "/health", "interval": "10ms", "timeout": "5s"}
        client, upstream = shop(wire, instances=places, check=check)
        async with started(upstream), asyncio.timeout(5):
            while upstream.facts()["instances"][0]["state"] != "unhealthy":
                await asyncio.sleep(0.001)
            for _ in range(5):
                await client.book()
            assert upstream.facts()["instances"][1]["calls"] == 5
            ill = False
            while upstream.facts()["instances"][0]["state"] != "in use":
                await asyncio.sleep(0.001)
            assert patient.accepted == 1
