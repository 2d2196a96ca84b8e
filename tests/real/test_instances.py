"""Instances that die, freeze and arrive while a gateway is asked for pages: nobody who looks at one notices."""

import http.client
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Protocol

import pytest

from tests.bff_core.authority import serving
from tests.bff_core.consul_server import ConsulServer
from tests.bff_core.kubernetes_server import KubernetesServer, endpoint, endpoint_slice, kubeconfig
from tests.bff_core.name_server import NameServer
from tests.processes import ask, free_ports, gateway, service, until
from tests.store import SERVICES

pytestmark = pytest.mark.real

NAME = "catalog.store.test"
FIRST, SECOND, THIRD, LATER = (f"127.0.0.{number}" for number in (2, 3, 4, 5))
PATH = "/api/products/pojos-in-action"


class Registry(Protocol):
    """Where the gateway looks for the instances of the catalog."""

    env: Mapping[str, str]

    def are(self, port: int, *hosts: str) -> None:
        """These, from now on."""

    def die(self) -> None:
        """It answers nobody any more."""


class InDns:
    def __init__(self, _: Path) -> None:
        self._server = NameServer()
        self._server.start()
        servers = json.dumps([self._server.address])
        self.env = {"DISCOVERY__DNS__SERVERS": servers, "DISCOVERY__DNS__FLOOR": "200ms"}

    def are(self, port: int, *hosts: str) -> None:
        self._server.say(NAME, "A", *hosts)
        self._server.say(NAME, "AAAA")
        self.env = {**self.env, "DISCOVER": f"dns:http://{NAME}:{port}"}

    def die(self) -> None:
        self._server.stop()


class InConsul:
    def __init__(self, _: Path) -> None:
        self._server = ConsulServer().start()
        self.env = {"DISCOVER": "consul:catalog", "DISCOVERY__CONSUL__URL": self._server.url}
        self._known: set[str] = set()

    def are(self, port: int, *hosts: str) -> None:
        for host in hosts:
            if host not in self._known:
                self._server.register("catalog", port, id=host, address=host)
        self._server.deregister(*(self._known - set(hosts)))
        self._known = set(hosts)

    def die(self) -> None:
        self._server.stop()


class InKubernetes:
    def __init__(self, folder: Path) -> None:
        self._server = KubernetesServer(tls=serving(), tokens={"ours"})
        self._server.start()
        self.env = {
            "DISCOVER": "kubernetes:store/catalog",
            "DISCOVERY__KUBERNETES__KUBECONFIG": kubeconfig(folder, self._server.url, token="ours"),
        }

    def are(self, port: int, *hosts: str) -> None:
        ports = [{"name": "http", "protocol": "TCP", "port": port}]
        self._server.put(endpoint_slice("catalog-1", *(endpoint(host) for host in hosts), ports=ports))

    def die(self) -> None:
        self._server.stop()


class Once:
    """Done when it is called, or else when the block is left."""

    def __init__(self, what: Callable[[], None]) -> None:
        self._what: Callable[[], None] | None = what

    def __call__(self) -> None:
        what, self._what = self._what, None
        if what is not None:
            what()

    def __enter__(self) -> "Once":
        return self

    def __exit__(self, *_: object) -> None:
        self()


@pytest.fixture(params=[InDns, InConsul, InKubernetes], ids=["dns", "consul", "kubernetes"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    found: Registry = request.param(tmp_path)
    with Once(found.die) as found.die:
        yield found


class Shop:
    """A web gateway, its store, of whose catalog there are three instances, and a fourth that nobody knows yet."""

    def __init__(self, registry: Registry, others: Mapping[str, int], data: Path) -> None:
        self._registry, self._others, self._data, self._stack = registry, others, data, ExitStack()

    def __enter__(self) -> "Shop":
        admin, self.port = free_ports(2)
        ports = {**self._others, "catalog": self.port, "admin": admin}
        self.catalog = {
            host: self._stack.enter_context(service("catalog", self.port, self._data, host=host))
            for host in (FIRST, SECOND, THIRD, LATER)
        }
        self._registry.are(self.port, FIRST, SECOND, THIRD)
        env = {"BFF_WEB__UPSTREAMS__CATALOG__INSTANCES": "[]"}
        for key, value in self._registry.env.items():
            env[f"BFF_WEB__UPSTREAMS__CATALOG__{key}" if key == "DISCOVER" else f"BFF_WEB__{key}"] = value
        self.address = self._stack.enter_context(gateway("web", ports, env))
        self._admin = f"http://127.0.0.1:{admin}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def catalog_facts(self) -> dict[str, Any]:
        """What operators see of it."""
        _, _, seen = ask(f"{self._admin}/healthz")
        found: dict[str, Any] = seen["upstreams"]["catalog"]
        return found

    def instances(self) -> dict[str, dict[str, Any]]:
        """Those of the catalog, by host."""
        return {one["address"].split("/")[2].split(":")[0]: one for one in self.catalog_facts()["instances"]}


class Visitors:
    """Four of them, who ask for a page again as soon as they have one."""

    def __init__(self, address: str) -> None:
        self._host, self._port = address.removeprefix("http://").split(":")
        self._over, self._lock = Event(), Lock()
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self._threads = [Thread(target=self._visit) for _ in range(4)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def get(self, pages: int) -> None:
        """Return when they have got so many more."""
        wanted = len(self.seconds) + pages
        until(lambda: len(self.seconds) >= wanted, within=60)

    def _visit(self) -> None:
        connection = http.client.HTTPConnection(self._host, int(self._port), timeout=20)
        while not self._over.is_set():
            begun = monotonic()
            connection.request("GET", PATH)
            reply = connection.getresponse()
            body, parts = reply.read(), reply.headers["page-parts"]
            whole = reply.status == 200 and b'"id":"pojos-in-action"' in body and "missing" not in parts
            with self._lock:
                self.seconds.append(monotonic() - begun)
                self.outcomes["whole" if whole else f"{reply.status}: {parts}"] += 1
        connection.close()


@pytest.fixture(scope="module")
def others(databases: Path) -> Iterator[dict[str, int]]:
    """The ports of all services but the catalog."""
    names = [name for name in SERVICES if name != "catalog"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(service(name, port, databases))
        yield ports


@pytest.fixture
def shop(registry: Registry, others: dict[str, int], databases: Path) -> Iterator[Shop]:
    with Shop(registry, others, databases) as found:
        yield found


def test_one_is_killed_one_freezes_one_arrives_who_knew_them_dies_and_every_page_is_whole(
    shop: Shop, registry: Registry, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    until(lambda: len(shop.instances()) == 3)
    with Visitors(shop.address) as visitors:
        visitors.get(100)
        shop.catalog[FIRST].kill()
        visitors.get(100)
        shop.catalog[SECOND].send_signal(signal.SIGSTOP)
        visitors.get(200)
        registry.are(shop.port, FIRST, SECOND, THIRD, LATER)
        until(lambda: shop.instances().get(LATER, {"calls": 0})["calls"])
        registry.are(shop.port, SECOND, THIRD, LATER)
        until(lambda: FIRST not in shop.instances())
        shop.catalog[SECOND].send_signal(signal.SIGCONT)
        visitors.get(100)
        registry.die()
        until(lambda: shop.catalog_facts()["source"]["failing_since"])
        visitors.get(100)
    instances = shop.instances()
    calls = {host: one["calls"] for host, one in sorted(instances.items())}
    hundredths = quantiles(visitors.seconds, n=100)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{request.node.callspec.id}: {len(visitors.seconds)} pages, p50 {hundredths[49] * 1000:.0f} ms, "
            f"p99 {hundredths[98] * 1000:.0f} ms, longest {max(visitors.seconds) * 1000:.0f} ms; calls {calls}\n"
        )
    assert set(visitors.outcomes) == {"whole"}, visitors.outcomes
    assert set(instances) == {SECOND, THIRD, LATER}
