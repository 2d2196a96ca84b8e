"""``bff run``: a gateway and its operators' listener live and end together."""

import asyncio
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from subprocess import Popen
from time import monotonic

import pytest
import trustme
from starlette.applications import Starlette

from bff_core.server.door import Door
from bff_core.server.listener import bind
from bff_core.server.process import ListenerLost, _both, _Server
from bff_core.settings import SizeLimits
from tests.processes import addresses, ask, environment, free_ports, listens, process, service, small_project, until
from tests.store import SERVICES

pytestmark = pytest.mark.real


async def test_a_gateway_does_not_live_without_its_operators_listener() -> None:
    front, back = bind("127.0.0.1:0"), bind("127.0.0.1:0")
    back.close()
    main = _Server(Starlette(), Door(SizeLimits(), 10, 10))
    clock = asyncio.get_running_loop()
    late = clock.call_later(10, main.handle_exit, SIGTERM, None)

    with pytest.raises(ListenerLost, match=r"^the operators' server ended by itself: .*Bad file descriptor"):
        await _both(main, front, _Server(Starlette(), Door(SizeLimits(), 10, 10)), back)
    assert clock.time() < late.when()
    late.cancel()


@pytest.mark.parametrize("admin", ["127.0.0.1", "localhost"])
def test_a_gateway_without_room_for_its_operators_does_not_start(tmp_path: Path, admin: str) -> None:
    (port,) = free_ports(1)
    small_project(tmp_path, shop=addresses(f"0.0.0.0:{port}", f"{admin}:{port}"))
    with process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child:
        said, _ = child.communicate(timeout=20)

    assert (child.returncode, said) == (1, f"bff: cannot listen on {admin}:{port}: Address already in use\n")


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_who_listens_can_be_told_to_stop_and_ends_well(tmp_path: Path, number: int) -> None:
    front, back = free_ports(2)
    small_project(tmp_path, shop=addresses(front, back))
    with process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child:
        listens(front)
        child.send_signal(number)
        said, _ = child.communicate(timeout=20)

    assert child.returncode == 0
    assert "Traceback" not in said


def test_a_gateway_that_was_told_to_stop_is_unready_and_ends_what_is_in_flight(databases: Path) -> None:
    front, back, *ports = free_ports(2 + len(SERVICES))
    upstreams = dict(zip(SERVICES, ports, strict=True))
    env = environment("mobile", front, back, upstreams)
    env |= {"BFF_MOBILE__DEADLINE": "10s", "BFF_MOBILE__UPSTREAMS__CATALOG__TIMEOUT": "9s"}

    def health() -> dict:
        return ask(f"http://127.0.0.1:{back}/healthz")[2]

    with (
        service("catalog", upstreams["catalog"], databases),
        process("-m", "bff_core.cli", "run", "mobile", env=env) as child,
        ThreadPoolExecutor() as pool,
    ):
        ask(f"http://127.0.0.1:{upstreams['catalog']}/_fault", method="PUT", content={"latency": 1})
        listens(front)
        assert health()["ready"]
        asked = pool.submit(ask, f"http://127.0.0.1:{front}/v1/products/pojos-in-action")
        until(lambda: health()["upstreams"]["catalog"]["in_flight"])
        child.terminate()
        until(lambda: not health()["ready"])
        still_in_flight = not asked.done()
        status, _, screen = asked.result(timeout=20)

        assert still_in_flight
        assert (status, screen["product"]["title"]) == (200, "POJOs in Action")
        assert child.wait(timeout=20) == 0


SLOW_APP = """
import asyncio
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bff_core.edge.health import Health, Readiness


async def slow(request):
    print("asked", flush=True)
    await asyncio.sleep(float(request.query_params["seconds"]))
    return PlainTextResponse("answered")


async def fast(request):
    return PlainTextResponse("answered")


@asynccontextmanager
async def lifespan(app):
    app.state.readiness.ready = True
    yield
    print("ended", flush=True)


def create(settings):
    app = Starlette(routes=[Route("/slow", slow), Route("/fast", fast)], lifespan=lifespan)
    app.state.readiness, app.state.admin = Readiness(), Starlette()
    app.add_middleware(Health, readiness=app.state.readiness)
    return app
"""
FAILING_APP = SLOW_APP.replace("app.state.readiness.ready = True", 'raise RuntimeError("the database is not there")')


def a_shop(folder: Path, front: int | str, back: int | str, *, app: str = SLOW_APP, more: str = "") -> None:
    small_project(folder, shop=f"{addresses(front, back)}\n{more}")
    (folder / "shops/shop/app.py").write_text(app)


class Browser:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, path: str) -> tuple[int, str | None]:
        """Status, and what is said of the connection."""
        self._connection.request("GET", path)
        with self._connection.getresponse() as reply:
            reply.read()
            return reply.status, reply.getheader("connection")

    def close(self) -> None:
        self._connection.close()


def heard(child: Popen[str], word: str) -> None:
    """Wait until the process says so."""
    assert child.stdout is not None
    while word not in child.stdout.readline():
        pass


def test_sigterm_drains_before_it_ends(tmp_path: Path) -> None:
    front, back = free_ports(2)
    a_shop(tmp_path, front, back, more='drain = "2s"')
    with (
        process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child,
        closing(Browser(front)) as kept,
        closing(Browser(front)) as patient,
        ThreadPoolExecutor() as pool,
    ):
        listens(front)
        assert [kept.ask("/readyz"), kept.ask("/fast")] == [(200, None), (200, None)]
        asked = pool.submit(patient.ask, "/slow?seconds=1")
        heard(child, "asked")
        told = monotonic()
        child.terminate()
        until(lambda: ask(f"http://127.0.0.1:{front}/readyz")[0] == 503)  # from new connections, which are accepted
        noticed = monotonic()
        assert [kept.ask("/fast"), asked.result(timeout=10)] == [(200, "close")] * 2
        said, _ = child.communicate(timeout=20)
        ended = monotonic()

    assert noticed - told < 1
    assert 2 <= ended - told < 4
    assert (child.returncode, "ended" in said, "Traceback" in said) == (0, True, False)


@pytest.mark.parametrize("signals", [[SIGINT], [SIGTERM, SIGTERM], [SIGTERM, SIGINT]])
def test_sigint_or_a_second_signal_ends_without_a_drain_and_with_what_is_in_flight(
    tmp_path: Path, signals: list[int]
) -> None:
    front, back = free_ports(2)
    a_shop(tmp_path, front, back, more='drain = "1h"')
    with (
        process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child,
        closing(Browser(front)) as browser,
        ThreadPoolExecutor() as pool,
    ):
        listens(front)
        asked = pool.submit(browser.ask, "/slow?seconds=1")
        heard(child, "asked")
        *first, last = signals
        for number in first:
            child.send_signal(number)
            until(lambda: ask(f"http://127.0.0.1:{front}/readyz")[0] == 503)  # or two would be one
        child.send_signal(last)
        assert asked.result(timeout=10) == (200, "close")
        assert child.wait(timeout=10) == 0


def test_a_gateway_listens_on_a_unix_socket_and_takes_its_file_along(tmp_path: Path) -> None:
    (back,) = free_ports(1)
    a_shop(tmp_path, 1, back, more='drain = "100ms"')
    path = tmp_path / "shop.sock"
    with process("-m", "bff_core.cli", "run", "shop", "--uds", "shop.sock", folder=tmp_path) as child:
        until(path.exists)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            client.sendall(b"GET /fast HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        child.terminate()
        assert child.wait(timeout=20) == 0
    assert not path.exists()


def test_a_gateway_speaks_tls_on_another_port_than_its_settings_say(tmp_path: Path) -> None:
    front, back = free_ports(2)
    a_shop(tmp_path, 1, back)
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    with process("-m", "bff_core.cli", "run", "shops.shop", "--port", str(front), *tls, folder=tmp_path):
        listens(front)
        connection = HTTPSConnection("127.0.0.1", front, timeout=20, context=trusting)
        with closing(connection):
            connection.request("GET", "/fast")
            assert connection.getresponse().read() == b"answered"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["shop", "--tls-cert", "no.pem", "--tls-key", "no.pem"],
            "--tls-cert: {folder}/no.pem: No such file or directory",
        ),
        (
            ["shop", "--tls-cert", "pyproject.toml", "--tls-key", "pyproject.toml"],
            "--tls-cert: {folder}/pyproject.toml holds no certificate in PEM",
        ),
        (["shop", "--tls-cert", "pyproject.toml"], "--tls-cert and --tls-key: one is nothing without the other"),
        (["shop", "--port", "1", "--uds", "a"], "--port and --uds: a gateway listens in one place"),
        (["shop", "--uds", "no/folder"], "cannot listen on unix:"),
        (["shops"], "there is no gateway 'shops'; there are: shop"),
        (["shops.nothing"], "there is no package 'shops.nothing' with an app.py"),
        (["nothing.at.all"], "there is no package 'nothing.at.all' with an app.py"),
    ],
)
def test_what_is_wrong_is_one_clear_line(tmp_path: Path, words: list[str], said: str) -> None:
    a_shop(tmp_path, *free_ports(2))
    with process("-m", "bff_core.cli", "run", *words, folder=tmp_path) as child:
        output, _ = child.communicate(timeout=20)
    assert (child.returncode, len(output.splitlines())) == (1, 1)
    assert output.startswith(f"bff: {said.format(folder=tmp_path)}")


def test_an_app_that_fails_while_it_starts_ends_the_process(tmp_path: Path) -> None:
    a_shop(tmp_path, *free_ports(2), app=FAILING_APP)
    with process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child:
        output, _ = child.communicate(timeout=20)
    assert child.returncode == 1
    assert "the database is not there" in output
    assert output.splitlines()[-1] == "bff: the app failed while it started; the log says how"


def test_several_processes_answer_as_one_and_one_that_dies_is_there_again() -> None:
    front, back = free_ports(2)
    env = {"BFF_PAGE__LISTEN": f"127.0.0.1:{front}", "BFF_PAGE__ADMIN": f"127.0.0.1:{back}"}

    def living() -> set[int]:
        answer = ask(f"http://127.0.0.1:{back}/healthz")[2]
        return {worker["pid"] for worker in answer["workers"] if worker["ready"]}

    with process("-m", "bff_core.cli", "run", "bench.page", "--workers", "2", env=env) as child:
        listens(back)
        until(lambda: len(living()) == 2)
        before = living()
        killed = min(before)
        os.kill(killed, SIGKILL)
        until(lambda: len(living() - {killed}) == 2)
        after = living()
        assert ask(f"http://127.0.0.1:{front}/livez")[0] == 200
        child.send_signal(SIGINT)
        assert child.wait(timeout=20) == 0

    assert before - {killed} < after
    for pid in after:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_processes_that_cannot_live_are_given_up(tmp_path: Path) -> None:
    a_shop(tmp_path, *free_ports(2), app=FAILING_APP)
    with process("-m", "bff_core.cli", "run", "shop", "--workers", "2", folder=tmp_path) as child:
        output, _ = child.communicate(timeout=30)
    assert child.returncode == 1
    assert output.splitlines()[-1].startswith("bff: worker ")
    assert output.splitlines()[-1].endswith("ended 3 times as soon as it was started; what it says is above")
