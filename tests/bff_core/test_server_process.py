"""``bff run``: a gateway and its operators' listener live and end together."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
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
    main = _Server(Starlette(), Door(SizeLimits(), 10))
    clock = asyncio.get_running_loop()
    late = clock.call_later(10, main.handle_exit, signal.SIGTERM, None)

    with pytest.raises(ListenerLost, match=r"^the operators' server ended by itself: .*Bad file descriptor"):
        await _both(main, front, _Server(Starlette(), Door(SizeLimits(), 10)), back)
    assert clock.time() < late.when()
    late.cancel()


@pytest.mark.parametrize("admin", ["127.0.0.1", "localhost"])
def test_a_gateway_without_room_for_its_operators_does_not_start(tmp_path: Path, admin: str) -> None:
    (port,) = free_ports(1)
    small_project(tmp_path, shop=addresses(f"0.0.0.0:{port}", f"{admin}:{port}"))
    with process("-m", "bff_core.cli", "run", "shop", folder=tmp_path) as child:
        said, _ = child.communicate(timeout=20)

    assert (child.returncode, said) == (1, f"bff: cannot listen on {admin}:{port}: Address already in use\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
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
