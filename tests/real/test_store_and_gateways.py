"""The store and the gateways as they run: real processes, real sockets, real failures."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from tests.bff_core.kept_keys import PEPPER
from tests.processes import ask, bff, free_ports, gateway, listens, process, service
from tests.store import SECRETS, SERVICES

pytestmark = pytest.mark.real


@dataclass
class Running:
    web: str
    mobile: str
    public_api: str
    key: dict[str, str]
    """The headers of a partner."""
    ports: dict[str, int]
    data: Path

    def fault(self, service: str, **fault: object) -> None:
        status, _, _ = ask(f"http://127.0.0.1:{self.ports[service]}/_fault", method="PUT", content=fault)
        assert status == 200


@pytest.fixture(scope="module")
def data(databases: Path) -> Path:
    return databases


@pytest.fixture(scope="module")
def running(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The whole store but pricing in one process, pricing in another, and the three gateways."""
    free, folder = free_ports(len(SERVICES) + 3), tmp_path_factory.mktemp("keys")
    ports = dict(zip(SERVICES, free, strict=False))
    admins = dict(zip(("web", "mobile", "public_api"), free[len(SERVICES) :], strict=True))
    with ExitStack() as stack:
        for name in SERVICES:
            if name != "pricing":
                stack.enter_context(service(name, ports[name], data))
        env = {"BFF_PUBLIC_API__KEYS__DATABASE": f"sqlite+aiosqlite:///{folder}/keys.db"}
        addresses = {
            name: stack.enter_context(
                gateway(name, {**ports, "admin": admins[name]}, env if name == "public_api" else {})
            )
            for name in admins
        }
        words = ["keys", "create", "public_api", "--owner", "acme", "--scope", "products:read"]
        key = bff(*words, env={**env, "BFF_PUBLIC_API__KEYS__PEPPER": PEPPER})
        yield Running(
            **addresses,
            key={"x-api-key": key},
            ports={**ports, **{f"admin of {name}": port for name, port in admins.items()}},
            data=data,
        )


@pytest.fixture
def pricing(running: Running) -> Iterator[None]:
    with service("pricing", running.ports["pricing"], running.data):
        yield


@pytest.mark.usefixtures("pricing")
def test_each_kind_of_client_gets_its_own_answer(running: Running) -> None:
    _, page_headers, page = ask(f"{running.web}/products/pojos-in-action")
    _, screen_headers, screen = ask(f"{running.mobile}/v1/products/pojos-in-action")
    _, _, details = ask(f"{running.public_api}/v1/products/pojos-in-action", headers=running.key)

    assert page_headers["content-type"].startswith("text/html")
    assert b"POJOs in Action" in page
    assert "missing" not in page_headers["page-parts"] + screen_headers["page-parts"]
    assert screen["price"]["now"].startswith("$")
    assert details["price"]["price"]["currency"] == "USD"
    assert page_headers["server"] is None


@pytest.mark.usefixtures("pricing")
def test_a_partner_without_a_key_is_told_so_and_operators_see_how_many_are_known(running: Running) -> None:
    details = f"{running.public_api}/v1/products/pojos-in-action"
    assert ask(details)[0] == 401
    assert ask(details, headers={"x-api-key": "bff_live_nonsense"})[0] == 401
    assert ask(details, headers=running.key)[0] == 200

    facts = ask(f"http://127.0.0.1:{running.ports['admin of public_api']}/healthz")[2]["proofs"]
    assert (facts["keys"]["known"], facts["keys"]["failing_since"]) == (1, None)
    assert facts["bearer"]["issuer"] == "http://127.0.0.1:7008"


@pytest.mark.usefixtures("pricing")
def test_a_slow_reviews_service_costs_the_page_its_stars_and_nothing_else(running: Running) -> None:
    running.fault("reviews", latency=5)
    started = monotonic()
    status, headers, page = ask(f"{running.web}/api/products/pojos-in-action")
    took = monotonic() - started
    running.fault("reviews")

    assert (status, page["rating"], page["reviews"]) == (200, None, None)
    assert "rating;missing=timeout, reviews;missing=timeout" in headers["page-parts"]
    assert page["price"]
    assert took < 2.0  # the deadline of the web gateway

    assert ask(f"{running.web}/api/products/pojos-in-action")[2]["rating"]


def test_pricing_dies_and_comes_back_and_no_gateway_is_restarted(running: Running) -> None:
    screen = f"{running.mobile}/v1/products/pojos-in-action"
    details = f"{running.public_api}/v1/products/pojos-in-action"
    with service("pricing", running.ports["pricing"], running.data) as child:
        assert ask(screen)[2]["price"]
        child.kill()
        child.wait()

        status, headers, body = ask(screen)
        assert (status, body["price"]) == (200, None)
        assert "price;missing=unavailable" in headers["page-parts"]
        status, headers, problem = ask(details, headers=running.key)
        assert (status, problem["type"]) == (502, "/problems/bad-upstream")

    with service("pricing", running.ports["pricing"], running.data):
        assert ask(screen)[2]["price"]
        assert ask(details, headers=running.key)[0] == 200


@pytest.mark.usefixtures("pricing")
@pytest.mark.parametrize("fault", [{"down": True}, {"malformed": True}, {"error_rate": 1.0}])
def test_a_broken_service_is_missing_with_a_reason_and_whole_again_after(running: Running, fault: dict) -> None:
    screen = f"{running.mobile}/v1/products/pojos-in-action"
    for _ in range(4):  # nonsense comes in four kinds
        running.fault("inventory", **fault)
        status, headers, body = ask(screen)
        assert (status, body["availability"]) == (200, None)
        assert "availability;missing=" in headers["page-parts"]
    running.fault("inventory")

    within = monotonic() + 12  # its circuit may have opened, and rests for five seconds
    while not ask(screen)[2]["availability"]:
        assert monotonic() < within


@pytest.mark.usefixtures("pricing")
def test_covers_are_streamed_and_revalidated(running: Running) -> None:
    cover = f"{running.web}/covers/pojos-in-action/spread.svg"
    status, headers, picture = ask(cover)
    again, _, nothing = ask(cover, headers={"if-none-match": headers["etag"]})

    assert (status, headers["content-type"]) == (200, "image/svg+xml")
    assert picture.startswith(b"<svg")
    assert (again, nothing) == (304, b"")


@pytest.mark.usefixtures("pricing")
@pytest.mark.parametrize("tag", [b'"x" ', b'"x"\t', b' \t "x"', b"", b" ", b"\xff"])
def test_any_entity_tag_a_client_may_send_is_answered(running: Running, tag: bytes) -> None:
    raw = b"GET /covers/pojos-in-action/front.svg HTTP/1.1\r\nHost: localhost\r\nIf-None-Match:%s\r\n\r\n" % tag
    host, _, port = running.web.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(raw)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_health_is_one_word_for_clients_and_facts_for_operators(running: Running) -> None:
    assert ask(f"{running.web}/livez")[2] == b"ok\n"
    assert ask(f"{running.web}/readyz")[2] == b"ok\n"
    assert ask(f"{running.web}/healthz")[0] == 404

    facts = ask(f"http://127.0.0.1:{running.ports['admin of web']}/healthz")[2]
    assert (facts["gateway"], facts["ready"]) == ("web", True)
    assert set(facts["upstreams"]) == set(SERVICES)


RAW = {
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "an empty host": b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
    "a host with a user": b"GET /livez HTTP/1.1\r\nHost: a@localhost\r\n\r\n",
    "a host with a path": b"GET /livez HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
    "a list of hosts": b"GET /livez HTTP/1.1\r\nHost: localhost,evil.test\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
def test_nonsense_on_the_socket_is_a_400(running: Running, raw: bytes) -> None:
    host, _, port = running.web.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(raw)
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_foreign_host_is_misdirected(running: Running) -> None:
    assert ask(f"{running.web}/", headers={"host": "evil.test"})[0] == 421


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with process("-m", "bff_core.cli", "run", "web", env={"BFF_WEB__LISTEN": address, **SECRETS}) as child:
            said, _ = child.communicate(timeout=20)

    assert (child.returncode, said) == (1, f"bff: cannot listen on {address}: Address already in use\n")


def test_a_gateway_ends_when_it_is_told_to_and_says_nothing_bad(running: Running) -> None:
    front, admin = free_ports(2)
    env = {"BFF_WEB__LISTEN": f"127.0.0.1:{front}", "BFF_WEB__ADMIN": f"127.0.0.1:{admin}", **SECRETS}
    with process("-m", "bff_core.cli", "run", "web", env=env) as child:
        listens(front)
        child.terminate()
        said, _ = child.communicate(timeout=20)

    assert child.returncode == 0
    assert "Traceback" not in said
