"""``bff dev``: everything together, and nothing left behind."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from tests.processes import ask, environment, free_ports, process
from tests.store import SERVICES

pytestmark = pytest.mark.real

GATEWAYS = ("web", "mobile", "public_api")


@contextmanager
def dev(folder: Path, first_port: int, command: str) -> Iterator[tuple[Popen[str], dict[str, int]]]:
    """``bff dev`` with the store from ``first_port`` on; the ports of the gateways."""
    (folder / "pyproject.toml").write_text(f"[tool.bff]\ndev = ['{command}']\n")
    free = free_ports(2 * len(GATEWAYS))
    ports = dict(zip(GATEWAYS, free, strict=False))
    upstreams = {name: first_port + place for place, name in enumerate(SERVICES)}
    env = {}
    for name, admin in zip(GATEWAYS, free[len(GATEWAYS) :], strict=True):
        env |= environment(name, ports[name], admin, upstreams)
    with process("-m", "bff_core.cli", "dev", env=env, folder=folder) as child:
        yield child, ports


def test_it_says_where_to_look_and_ends_all_it_started(tmp_path: Path, databases: Path) -> None:
    first = 18_000 + free_ports(1)[0] % 10_000  # seven in a row, most likely free
    with dev(tmp_path, first, f"{{python}} -m demo --port {first} --data {databases}") as (child, ports):
        said = []
        while not any("Ready." in line for line in said):
            line = child.stdout.readline()
            assert line, "".join(said)
            said.append(line)
        greeting = [child.stdout.readline() for _ in GATEWAYS]
        status, _, _ = ask(f"http://127.0.0.1:{ports['mobile']}/v1/products/pojos-in-action")
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=20)

    assert status == 200
    assert all(f"http://127.0.0.1:{ports[name]}" in "".join(greeting) for name in GATEWAYS)
    assert "GET /v1/products/pojos-in-action 200" in rest
    assert child.returncode == 0
    assert "Traceback" not in rest
    for port in (first, *ports.values()):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_when_one_falls_all_are_stopped_and_it_is_said_which(tmp_path: Path) -> None:
    with dev(tmp_path, 1, "{python} -m no_such_module") as (child, _):
        said, _ = child.communicate(timeout=30)

    assert child.returncode == 1
    assert "bff: no_such_module ended by itself; stopped the rest" in said
