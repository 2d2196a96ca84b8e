"""What ``bff check`` says of the policies of each upstream, and of settings that cannot be meant."""

import inspect
import re
from collections.abc import Callable
from dataclasses import make_dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from bff_core.cli.calls import Calls, calls_of, look
from bff_core.cli.check import show
from bff_core.cli.doubts import doubts
from bff_core.cli.found import FoundGateway
from bff_core.gateway import gateway
from bff_core.services.catalog import Catalog
from bff_core.services.client import Answer, ServiceClient, in_bulk
from bff_core.settings import GatewaySettings, load
from bff_core.testing import SimulatedInternet
from bff_core.upstream import Call
from bff_core.wire import http1, httpx

HEAD = """
name = "web"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"

[upstreams.catalog]
instances = ["http://a.test", "http://b.test"]
"""

Loaded = Callable[[str], GatewaySettings]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Settings, from what stands below the instances of the catalog."""

    def read(below: str) -> GatewaySettings:
        file = tmp_path / "settings.toml"
        lines = HEAD.splitlines(keepends=True)
        file.write_text("".join(lines[:-1] if below.startswith("instances") else lines) + below)
        return load(file)

    return read


class Thing(Answer):
    id: str


class Wish(BaseModel):
    id: str


class Writes(ServiceClient):
    service = "catalog"

    def wish(self, wish: str) -> Call[Thing]:
        return self.post("/wishes", content=Wish(id=wish), returns=Thing)


class WritesAndReads(Writes):
    def things(self) -> Call[list[Thing]]:
        return self.get("/things", returns=list[Thing])

    @in_bulk("things_of", by="id")
    def thing(self, one: str) -> Call[Thing]:
        return self.get("/things/{one}", one=one, returns=Thing)

    def things_of(self, ids: list[str]) -> Call[list[Thing]]:
        return self.get("/things", query={"id": ids}, returns=list[Thing])


class Removes(Writes):
    def gone(self, one: str) -> Call[None]:
        return self.delete("/things/{one}", one=one)


class Hedges(ServiceClient):
    service = "catalog"

    @in_bulk("things", by="id")
    def thing(self, one: str) -> Call[Thing]:
        def ask() -> Call[Thing]:
            return self.get("/things/{one}", one=one, returns=Thing, hedged=True)

        return ask()


class HedgesToo(Hedges):
    pass


# what a client's calls are


@pytest.mark.parametrize(
    ("client", "seen"),
    [
        (Writes, Calls(unsafe_alone=True)),
        (WritesAndReads, Calls()),
        (Removes, Calls()),
        (Hedges, Calls(hedged=True)),
        (HedgesToo, Calls(hedged=True)),
        (Catalog, Calls()),
        (ServiceClient, Calls()),
    ],
)
def test_what_kinds_of_calls_a_client_makes_is_seen_in_its_code(client: type[ServiceClient], seen: Calls) -> None:
    assert look([client]) == seen


def test_an_upstream_with_two_clients_has_the_calls_of_both() -> None:
    both = make_dataclass("Clients", [("one", Writes), ("two", Hedges)])

    assert calls_of(both) == {"catalog": Calls(unsafe_alone=False, hedged=True)}


# what cannot be meant: settings, the calls of the client, and what is said


NOTHING = Calls()
WRITING = Calls(unsafe_alone=True)
HEDGED = Calls(hedged=True)
NEVER_PAID = "0, with a retry.budget_floor of 0: "

FIVE = 'instances = ["http://a.test", "http://b.test", "http://c.test", "http://d.test", "http://e.test"]'
FOUND = 'instances = []\ndiscover = "dns:http://catalog.test"\n'

DOUBTFUL = {
    "a timeout at the deadline": (
        'timeout = "2s"',
        NOTHING,
        "timeout: 2 s is not below the deadline of 2 s, so that this timeout never counts",
    ),
    "retries that nothing pays for": (
        "retry = { budget = 0, budget_floor = 0 }",
        NOTHING,
        f"retry.budget: {NEVER_PAID}no retry can ever be paid for",
    ),
    "hedges that nothing pays for": (
        "retry = { attempts = 0, budget = 0, budget_floor = 0 }",
        HEDGED,
        f"retry.budget: {NEVER_PAID}no hedge can ever be paid for",
    ),
    "neither paid for": (
        "retry = { budget = 0, budget_floor = 0 }\nhedge.enabled = true",
        NOTHING,
        f"retry.budget: {NEVER_PAID}no retry and no hedge can ever be paid for",
    ),
    "a budget for nothing": (
        "retry = { attempts = 0, budget = 0.2 }",
        NOTHING,
        "retry.budget: is never read, because nothing is tried again and nothing is hedged",
    ),
    "a floor for nothing": (
        "retry = { attempts = 0, budget_floor = 1 }",
        NOTHING,
        "retry.budget_floor: is never read, because nothing is tried again and nothing is hedged",
    ),
    "a first pause above the longest": (
        'retry.first_pause = "1s"',
        NOTHING,
        "retry.first_pause: 1 s is above retry.longest_pause, 250 ms, which every pause is cut to",
    ),
    "a pause as long as the deadline": (
        'retry = { attempts = 10, longest_pause = "2s" }',
        NOTHING,
        "retry.longest_pause: 2 s is not below the deadline of 2 s: no call has time for such a pause",
    ),
    "a longest pause that is never reached": (
        'retry.longest_pause = "60ms"',
        NOTHING,
        "retry.longest_pause: 60 ms is never reached: from 25 ms on, the last of 2 pauses is 50 ms",
    ),
    "a first pause before nothing": (
        'retry = { attempts = 0, first_pause = "10ms" }',
        NOTHING,
        "retry.first_pause: is never read, because retry.attempts is 0",
    ),
    "a longest pause before nothing": (
        'retry = { attempts = 0, longest_pause = "5s" }',
        NOTHING,
        "retry.longest_pause: is never read, because retry.attempts is 0",
    ),
    "a circuit that is off and set": (
        'circuit = { enabled = false, rest = "9s" }',
        NOTHING,
        "circuit.rest: is never read, because circuit.enabled is false",
    ),
    "a share of slow ones, and none is slow": (
        "circuit.slow_share = 0.2",
        NOTHING,
        "circuit.slow_share: is never read, because circuit.slow is not set",
    ),
    "slow is what has failed": (
        'circuit.slow = "500ms"',
        NOTHING,
        "circuit.slow: 500 ms is not below the timeout of 500 ms: what takes as long has failed by then",
    ),
    "a least limit of a fixed bulkhead": (
        "bulkhead.least = 10",
        NOTHING,
        "bulkhead.least: is never read, because bulkhead.adaptive is false",
    ),
    "a highest limit of a fixed bulkhead": (
        "bulkhead.most = 200",
        NOTHING,
        "bulkhead.most: is never read, because bulkhead.adaptive is false",
    ),
    "more room than connections": (
        "bulkhead.limit = 2001",
        NOTHING,
        "bulkhead.limit: 2001 is never reached: the wire has at most 2000 connections to its 2 instances",
    ),
    "more room than connections to one": (
        'instances = ["http://a.test"]\nbulkhead = { adaptive = true, most = 1001 }',
        NOTHING,
        "bulkhead.most: 1001 is never reached: the wire has at most 1000 connections to its one instance",
    ),
    "more room than connections of the other wire": (
        'wire = "httpx"\nbulkhead.limit = 201',
        NOTHING,
        "bulkhead.limit: 201 is never reached: the wire has at most 200 connections to all the upstreams it carries",
    ),
    "a hedge to the same instance": (
        'instances = ["http://a.test"]\nhedge.enabled = true',
        NOTHING,
        "hedge.enabled: there is one instance, so that the second attempt waits where the first one does",
    ),
    "a hedge of nothing that is safe": (
        "hedge.enabled = true",
        WRITING,
        "hedge.enabled: no call of its service client is safe, and no other is ever hedged",
    ),
    "a hedge that would come too late": (
        'hedge = { enabled = true, soonest = "500ms" }',
        NOTHING,
        "hedge.soonest: 500 ms is not below the timeout of 500 ms: the first attempt is over by then",
    ),
    "a hedge asked for that would come too late": (
        'hedge.soonest = "1s"',
        HEDGED,
        "hedge.soonest: 1 s is not below the timeout of 500 ms: the first attempt is over by then",
    ),
    "a moment for hedges that nobody asks for": (
        'hedge.soonest = "20ms"',
        NOTHING,
        "hedge.soonest: is never read, because hedge.enabled is false and no call asks for a hedge",
    ),
    "an ejection of the only instance": (
        'instances = ["http://a.test"]\nejection.failures = 3',
        NOTHING,
        "ejection.failures: is never read, because there is one instance, which is never left alone",
    ),
    "a share of one instance": (
        'instances = ["http://a.test"]\nejection.share = 0.0',
        NOTHING,
        "ejection.share: is never read, because there is one instance, which is never left alone",
    ),
    "an ejection of none": (
        'ejection = { share = 0, rest = "1m" }',
        NOTHING,
        "ejection.rest: is never read, because ejection.share is 0",
    ),
    "a share that is none": (
        "ejection.share = 0.4",
        NOTHING,
        "ejection.share: 40 % of 2 instances is none: nothing is ever left alone",
    ),
    "a rest above the longest": (
        'ejection.rest = "10m"',
        NOTHING,
        "ejection.rest: 10 min is above ejection.longest, 300 s, which every rest is cut to",
    ),
    "calls of too few": (
        "ejection.calls = 50",
        NOTHING,
        "ejection.calls: is never read, because 2 instances are too few to compare",
    ),
    "deviations of too few": (
        "ejection.deviations = 1.5",
        NOTHING,
        "ejection.deviations: is never read, because 2 instances are too few to compare",
    ),
    "deviations that none reaches": (
        f"{FIVE}\nejection.deviations = 3",
        NOTHING,
        "ejection.deviations: 3 is never reached: of 5, none is more than 2 below the mean",
    ),
    "a check that takes longer than its interval": (
        'check = { path = "/health", interval = "1s", timeout = "2s" }',
        NOTHING,
        "check.timeout: 2 s is above check.interval, 1 s: who hangs is asked less often than that",
    ),
    "a check of the only instance": (
        'instances = ["http://a.test"]\ncheck.path = "/health"',
        NOTHING,
        "check: there is one instance, which gets the calls whether it is well or not",
    ),
    "a slow start of what is listed": (
        'slow_start = "1m"',
        NOTHING,
        "slow_start: is never read, because what is listed is there from the start, and nothing joins it",
    ),
    "a weight beside none": (
        'instances = [{ url = "http://a.test", weight = 3 }]',
        NOTHING,
        "instances: a weight is never read, because there is one instance",
    ),
    "zones of a gateway that is in none": (
        'instances = [{ url = "http://a.test", zone = "eu-1" }, "http://b.test"]',
        NOTHING,
        "instances: zones are never read, because the gateway's own zone is not set",
    ),
    "no room for a hedge": (
        "hedge.enabled = true\nbulkhead.limit = 1",
        NOTHING,
        "bulkhead.limit: 1 leaves no room for a hedge beside the attempt that it is for",
    ),
}


@pytest.mark.parametrize(("below", "calls", "line"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_cannot_be_meant_is_one_line_with_its_key(below: str, calls: Calls, line: str, loaded: Loaded) -> None:
    settings = loaded(below)

    assert doubts(settings, {"catalog": calls}) == [f"upstreams.catalog.{line}"]


def test_a_zone_that_no_instance_is_in_is_doubted_unless_somebody_else_may_say_so(loaded: Loaded) -> None:
    def doubted(below: str) -> list[str]:
        return doubts(loaded(below).model_copy(update={"zone": "eu-1"}), {})

    said = ["zone: is never read, because no instance says in which zone it is"]
    assert doubted("") == said
    assert doubted('instances = [{ url = "http://a.test", zone = "eu-1" }, "http://b.test"]') == []
    assert doubted('instances = [{ url = "http://a.test", zone = "eu-2" }, "http://b.test"]') == []
    assert doubted(FOUND) == []
    assert doubted('[upstreams.stock]\ndiscover = "consul:stock"') == []


def test_every_setting_of_an_ejection_of_the_only_instance_is_named(loaded: Loaded) -> None:
    below = 'failures = 3\ncalls = 9\ndeviations = 1.5\nrest = "1s"\nlongest = "9s"\nshare = 0.3'
    found = doubts(loaded(f'instances = ["http://a.test"]\n[upstreams.catalog.ejection]\n{below}'), {})

    assert [line.split(": ")[0].rpartition(".")[2] for line in found] == [
        *("calls", "deviations", "failures", "longest", "rest", "share"),
    ]


MEANT = {
    "as it comes": ("", NOTHING),
    "every policy off": (
        "coalesce = false\nretry.attempts = 0\ncircuit.enabled = false\nbulkhead.limit = 1000\nhedge.enabled = false",
        NOTHING,
    ),
    "retries that take longer than the deadline": ('timeout = "1s"\nretry.attempts = 5', NOTHING),
    "no budget but its floor": ("retry = { budget = 0, budget_floor = 5 }", NOTHING),
    "no floor but a budget": ("retry.budget_floor = 0", NOTHING),
    "a budget for hedges alone": ("retry = { attempts = 0, budget = 0.02 }\nhedge.enabled = true", NOTHING),
    "a longest pause that is reached": ('retry = { attempts = 4, longest_pause = "200ms" }', NOTHING),
    "slow before the timeout": ('circuit = { slow = "200ms", slow_share = 0.8 }', NOTHING),
    "an adaptive bulkhead": ("bulkhead = { adaptive = true, least = 10, most = 500 }", NOTHING),
    "as much room as connections": ("bulkhead.limit = 2000", NOTHING),
    "hedges": ('hedge = { enabled = true, soonest = "50ms" }', NOTHING),
    "hedges of one instance that its client asks for": ('instances = ["http://a.test"]\nhedge.soonest = "5ms"', HEDGED),
    "writing without hedges": ("", WRITING),
    "one instance": ('instances = ["http://a.test"]', NOTHING),
    "a weight of one of two": ('instances = [{ url = "http://a.test", weight = 3 }, "http://b.test"]', NOTHING),
    "an ejection": ('ejection = { failures = 3, rest = "5m", longest = "5m", share = 1.0 }', NOTHING),
    "no ejection": ("ejection.share = 0", NOTHING),
    "a check of what is found": (f"{FOUND}check.path = '/health'", NOTHING),
    "an ejection of as many as there are": (f"{FOUND}ejection = {{ calls = 20, deviations = 3 }}", NOTHING),
    "an ejection of five": (f"{FIVE}\nejection = {{ calls = 20, deviations = 1.99, share = 0.2 }}", NOTHING),
    "a check": ('check = { path = "/health", interval = "1s", timeout = "1s" }', NOTHING),
    "everything of what is found": (
        f"{FOUND}bulkhead.limit = 5000\nhedge.enabled = true\nslow_start = '1m'\nejection.share = 0.1",
        NOTHING,
    ),
}


@pytest.mark.parametrize(("below", "calls"), MEANT.values(), ids=MEANT)
def test_what_can_be_meant_is_not_doubted(below: str, calls: Calls, loaded: Loaded) -> None:
    assert doubts(loaded(below), {"catalog": calls}) == []


def test_an_upstream_whose_client_was_not_looked_at_is_doubted_by_its_settings_alone(loaded: Loaded) -> None:
    assert doubts(loaded("hedge.enabled = true"), {}) == []


def test_every_setting_of_a_circuit_that_is_off_is_named(loaded: Loaded) -> None:
    below = 'enabled = false\nfailures = 0.1\nattempts = 9\nwindow = "1s"\nslow = "9s"\nrest = "1s"\nsuccesses = 1'
    found = doubts(loaded(f"[upstreams.catalog.circuit]\n{below}"), {})

    assert [line.split(": ")[0].rpartition(".")[2] for line in found] == [
        *("attempts", "failures", "rest", "slow", "successes", "window"),
    ]


def test_the_wires_have_as_many_connections_as_they_are_said_to() -> None:
    assert inspect.signature(http1.Http1Wire).parameters["connections"].default == http1.CONNECTIONS
    assert inspect.signature(httpx.HttpxWire).parameters["connections"].default == httpx.CONNECTIONS


# what is shown


def small(*clients: type[ServiceClient]) -> FoundGateway:
    """A gateway of these clients."""
    store = make_dataclass("Clients", [(f"client{place}", client) for place, client in enumerate(clients)])

    class Small(FoundGateway):
        __slots__ = ()

        def create(self, settings: GatewaySettings) -> FastAPI:
            return gateway(settings, store, [], wire=SimulatedInternet())

    return Small("web", "shops.web", Path())


def shown(settings: GatewaySettings, capsys: pytest.CaptureFixture[str], *clients: type[ServiceClient]) -> str:
    """What is printed, the words of a cell with one space between them and no borders."""
    show(small(*clients), settings)
    return re.sub(r"[\s│┃]+", " ", capsys.readouterr().out)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def test_the_policies_are_shown_as_they_come(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(loaded(""), capsys, Catalog)

    assert "web listens on 127.0.0.1:8000 without TLS, for operators on 127.0.0.1:9000" in said
    assert "answers within 2 s for localhost, 127.0.0.1, [::1]" in said
    assert "1 worker, each with at most 10000 connections and 1000 requests drains for 5 s" in said
    assert "catalog http://a.test http1" in said
    assert "coalesce equal calls in flight share one attempt" in said
    assert "timeout 500 ms for an attempt; a reply of at most 8 MiB" in said
    assert "bulkhead 100 attempts at once" in said
    assert "circuit opens when 50 % failed, of 20 attempts or more in 10 s; rests 5 s, and closes after 3 good" in said
    assert "balance the better of two instances that chance chooses ejection" in said
    assert "ejection after 5 failures in a row, or 1.9 deviations below the success of all, of 100 calls;" in said
    assert "100 calls; for 30 s to 300 s; at most 50 % of all instances, and never the last" in said
    assert "check off" in said
    assert "retry 2 more, after pauses of up to 25 ms, 50 ms" in said
    assert "hedge off" in said
    assert "budget 10 % of the calls of 10 s, 10 at least, for retries and hedges" in said
    assert said.endswith("ok ")


def test_the_policies_are_shown_as_they_are_set(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    below = """
        wire = "httpx"
        compressed = true
        coalesce = false
        timeout = "1.5s"
        max_reply = 524288
        retry = { attempts = 4, first_pause = "10ms", longest_pause = "60ms", budget = 0.02, budget_floor = 3 }
        circuit = { slow = "1s", slow_share = 0.8, failures = 0.25, attempts = 5, window = "1m", successes = 1 }
        bulkhead = { adaptive = true, limit = 20, least = 5, most = 50 }
        hedge = { enabled = true, soonest = "5ms" }
    """
    said = shown(loaded(below), capsys, Catalog)

    assert "catalog http://a.test httpx http://b.test compressed" in said
    assert "coalesce off" in said
    assert "timeout 1.5 s for an attempt; a reply of at most 0.5 MiB" in said
    assert "bulkhead 20 attempts at once to begin with, then 5 to 50 by latency" in said
    assert "circuit opens when 25 % failed, or 80 % took 1 s, of 5 attempts or more in 60 s; rests 5 s, and" in said
    assert "retry 4 more, after pauses of up to 10 ms, 20 ms, 40 ms, ..." in said
    assert "hedge every safe call, after its p95, 5 ms at least" in said
    assert "budget 2 % of the calls of 10 s, 3 at least" in said


def test_instances_that_are_looked_up_are_not_counted(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    below = 'instances = []\ndiscover = "dns:https://catalog.test"\nbulkhead.limit = 2001\nhedge.enabled = true\n'
    said = shown(loaded(below), capsys, Catalog)

    assert "catalog dns:https://catalog.test http1 TLS" in said
    assert "warning" not in said


def test_how_instances_are_chosen_is_shown_as_it_is_set(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    below = """
        slow_start = "30s"
        ejection = { failures = 3, calls = 20, deviations = 1.5, rest = "10s", longest = "1m", share = 0.25 }
        check = { path = "/health", interval = "5s", timeout = "200ms", unhealthy = 2, healthy = 1 }
    """
    found = loaded(f"{FOUND}{below}").model_copy(update={"zone": "eu-1"})
    said = shown(found, capsys, Catalog)

    assert "drains for 5 s asks instances in zone eu-1 first" in said
    assert "balance the better of two instances that chance chooses; what joins works up to its share in 30 s" in said
    assert "ejection after 3 failures in a row, or 1.5 deviations below the success of all, of 20 calls;" in said
    assert "20 calls; for 10 s to 60 s; at most 25 % of all instances, and never the last" in said
    assert "check GET /health every 5 s, answered in 200 ms; unhealthy after 2 failed, healthy after 1 good" in said


def test_weights_are_said_to_count(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(loaded('instances = [{ url = "http://a.test", weight = 3 }, "http://b.test"]'), capsys, Catalog)

    assert "balance the better of two instances that chance and weight choose" in said


def test_what_is_off_is_said_to_be(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(loaded("retry.attempts = 0\ncircuit.enabled = false\nejection.share = 0"), capsys, Catalog)

    assert "circuit off" in said
    assert "ejection off" in said
    assert "retry off" in said
    assert "budget nothing to pay for" in said


def test_upstreams_that_are_called_alike_share_a_table(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    below = '[upstreams.stock]\ninstances = ["http://s.test", "http://t.test"]\n'
    below += '[upstreams.far]\ninstances = ["https://f.test"]\n'

    class Stock(ServiceClient):
        service = "stock"

    class Far(ServiceClient):
        service = "far"

    said = shown(loaded(below + 'timeout = "1s"'), capsys, Catalog, Stock, Far)

    assert "policy catalog, stock " in said
    assert "policy far " in said
    assert "far https://f.test http1 TLS" in said


def test_the_calls_of_the_clients_are_looked_at(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    assert "hedge a call that asks for it, after its p95, 10 ms at least" in shown(loaded(""), capsys, Hedges)
    assert (
        "warning: upstreams.catalog.hedge.enabled: no call of its service client is safe, and no other is ever hedged"
        in shown(loaded("hedge.enabled = true"), capsys, Writes)
    )


def test_all_of_it_fits_a_narrow_terminal_and_a_warning_is_one_line(
    loaded: Loaded, capsys: pytest.CaptureFixture[str]
) -> None:
    below = 'timeout = "2s"\ncircuit.slow = "3s"\nhedge.enabled = true\n'
    show(small(Catalog), loaded(below))
    lines = capsys.readouterr().out.splitlines()

    assert all(len(line) <= 80 for line in lines if not line.startswith("warning: "))
    assert sum(line.startswith("warning: upstreams.catalog.") for line in lines) == 2
    assert lines[-1] == "ok"


def test_an_app_of_another_kind_is_checked_by_its_settings(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    class Other(FoundGateway):
        __slots__ = ()

        def create(self, settings: GatewaySettings) -> FastAPI:
            return FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    show(Other("web", "shops.web", Path()), loaded(""))
    assert capsys.readouterr().out.endswith("ok\n")
