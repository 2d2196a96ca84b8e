"""``bff dev``: everything together, and nothing left behind."""

import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from time import monotonic
from uuid import uuid4

import pytest

from tests.processes import addresses, ask, bff, environment, free_ports, process, small_project, until
from tests.store import SERVICES

pytestmark = pytest.mark.real

GATEWAYS = ("web", "mobile", "public_api")
CREATE = ["keys", "create", "public_api", "--dev", "--owner", "me", "--scope", "products:read"]


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
    env = {
        name: value for name, value in env.items() if not name.endswith(("__PEPPER", "SESSION__KEYS"))
    }  # nobody sets them
    with process("-m", "bff_core.cli", "dev", env=env, folder=folder) as child:
        yield child, ports


def test_it_says_where_to_look_and_ends_all_it_started(tmp_path: Path, databases: Path) -> None:
    first = 18_000 + free_ports(1)[0] % 10_000  # eight in a row and one above, most likely free
    command = f"{{python}} -m demo --port {first} --data {databases} --instances reviews=2"
    with dev(tmp_path, first, command) as (child, ports):
        said = []
        while not any("Ready." in line for line in said):
            line = child.stdout.readline()
            assert line, "".join(said)
            said.append(line)
        greeting = "".join(child.stdout.readline() for _ in (*GATEWAYS, "how to make a key", "what was made up"))
        status, _, _ = ask(f"http://127.0.0.1:{ports['mobile']}/v1/products/pojos-in-action")
        key = bff(*CREATE, folder=tmp_path)
        details = f"http://127.0.0.1:{ports['public_api']}/v1/products/pojos-in-action"
        partners = ask(details)[0], ask(details, headers={"authorization": f"Bearer {key}"})[0]
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=20)

    assert status == 200
    assert partners == (401, 200)
    assert key.startswith("bff_dev_")
    assert "bff keys create public_api --dev " in greeting
    assert str(tmp_path / ".bff") in greeting
    assert all(f"http://127.0.0.1:{ports[name]}" in greeting for name in GATEWAYS if name != "web")
    assert "         web  http://localhost:8000 " in greeting  # where its cookies are
    assert "GET /v1/products/pojos-in-action 200" in rest
    assert f"\n        demo reviews-2        http://127.0.0.1:{first + 104}\n" in "".join([*said, rest])
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


class Small:
    """``bff dev`` with one gateway that does nothing, named ``shop``, and the commands that matter."""

    def __init__(self, child: Popen[str], mark: str) -> None:
        self.child = child
        self.said = ""
        self._mark = mark.encode()

    def until(self, word: str) -> None:
        """Read what it says, as far as this word."""
        while word not in self.said:
            line = self.child.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self) -> int:
        """Its exit status, once it has ended."""
        rest, _ = self.child.communicate(timeout=20)
        self.said += rest
        return self.child.returncode

    def left(self) -> list[int]:
        """Whatever it started and did not end, however deep."""
        return [int(found.parent.name) for found in Path("/proc").glob("[0-9]*/environ") if self._marks(found)]

    def _marks(self, environ: Path) -> bool:
        with suppress(OSError):
            return self._mark in environ.read_bytes()
        return False


AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have ignored it
from bff_core.cli import main
main()
"""


@contextmanager
def small(folder: Path, *commands: str) -> Iterator[Small]:
    small_project(folder, dev=commands, shop=addresses(*free_ports(2)))
    mark = f"BFF_TEST_MARK={uuid4()}"
    with process("-c", AS_IN_A_TERMINAL, "dev", env=dict([mark.split("=")]), folder=folder) as child:
        yield Small(child, mark)


WAITS = "sh -c 'echo up; exec sleep 60'"


def test_a_line_of_any_length_ends_nothing_and_its_beginning_is_shown(tmp_path: Path) -> None:
    says = "print('x' * 1_000_000); print('y' * 70_000); print('after', flush=True)"
    with small(tmp_path, f'{{python}} -c "{says}; import time; time.sleep(60)"') as dev:
        dev.until("after")
        dev.child.send_signal(signal.SIGINT)

        assert dev.end() == 0
    assert max(map(len, dev.said.splitlines())) < 2100
    assert "y" * 2000 in dev.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_told_to_end_it_ends_what_its_commands_started_too(tmp_path: Path, number: int) -> None:
    with small(tmp_path, "sh -c 'sleep 60 & echo up; wait'") as dev:
        dev.until("up")
        dev.child.send_signal(number)

        assert dev.end() == 0
    assert dev.left() == []


def test_a_command_that_does_not_exist_is_one_line_and_ends_what_was_started(tmp_path: Path) -> None:
    with small(tmp_path, WAITS, "no-such-command --now") as dev:
        status = dev.end()

    told = [line for line in dev.said.splitlines() if line.startswith("bff: ")]
    assert status == 1
    assert told == [
        "bff: pyproject.toml: tool.bff.dev: cannot start 'no-such-command --now': No such file or directory"
    ]
    assert "Traceback" not in dev.said
    assert dev.left() == []


def test_a_command_has_ended_when_it_has_and_not_when_its_pipe_is_closed(tmp_path: Path) -> None:
    started = monotonic()
    with small(tmp_path, "sh -c 'sleep 60 & echo last words' brief") as dev:
        status = dev.end()

    assert (status, monotonic() - started < 20) == (1, True)
    assert re.search("last words\n(.*\n)*bff: brief ended by itself; stopped the rest\n$", dev.said)
    assert dev.left() == []


def test_a_second_ctrl_c_ends_at_once_what_does_not_want_to_end(tmp_path: Path) -> None:
    with small(tmp_path, """sh -c 'trap "echo told" TERM; echo up; while :; do sleep 0.05; done'""") as dev:
        dev.until("up")
        dev.child.send_signal(signal.SIGINT)
        dev.until("told")
        started = monotonic()
        dev.child.send_signal(signal.SIGINT)

        assert dev.end() == 0
    assert monotonic() - started < 5
    assert dev.left() == []


def test_when_nobody_can_see_it_any_more_it_ends_everything(tmp_path: Path) -> None:
    with small(tmp_path, "sh -c 'while :; do echo tick; sleep 0.02; done'") as dev:
        dev.until("tick")
        dev.child.stdout.close()

        assert dev.child.wait(timeout=20) == 0
    assert dev.left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="waits for a system other than Linux that tells of a parent's end")
def test_when_it_is_killed_what_it_started_ends(tmp_path: Path) -> None:
    with small(tmp_path, WAITS) as dev:
        dev.until("up")
        assert len(dev.left()) == 3
        dev.child.kill()
        dev.child.wait()

        until(lambda: dev.left() == [])


def test_everything_is_started_whatever_it_is_called(tmp_path: Path) -> None:
    with small(tmp_path, "sh -c 'echo A; exec sleep 60' shop", "sh -c 'echo B; exec sleep 60' shop") as dev:
        dev.until("shop-2 A")
        dev.until("shop-3 B")
        dev.until("shop listens on")
