"""The store as a process of its own, over sockets."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from demo.database import alone
from demo.services import SERVICES
from tests.processes import ask, free_ports, listens, process

pytestmark = pytest.mark.real

ALL = (*SERVICES, "identity")


@contextmanager
def _started(*arguments, lines: int = 0) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The store, and the addresses on its first ``lines``: by default one for each service and for identity."""
    command = [sys.executable, "-m", "demo", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            names = [argument for argument in arguments if argument in ALL] or list(ALL)
            said = [process.stdout.readline() for _ in range(lines or len(names))]
            yield process, dict(line.split() for line in said)
        finally:
            process.kill()


def test_one_process_hosts_all_services_until_it_is_told_to_stop(tmp_path):
    with _started("--port", 0, "--data", tmp_path) as (process, addresses), httpx.Client() as client:
        assert list(addresses) == list(ALL)
        for name, address in addresses.items():
            reply = client.get(f"{address}/health")
            assert reply.json() == {"status": "ok", "service": name}
            assert "server" not in reply.headers
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_a_service_that_is_down_closes_the_connection_without_a_reply(tmp_path):
    with _started("orders", "--port", 0, "--data", tmp_path, "--verbose") as (process, addresses):
        with httpx.Client(base_url=addresses["orders"]) as client:
            client.put("/_fault", json={"down": True})
            for _ in range(2):
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                    client.get("/health", headers={"x-request-id": "r-1"})
            client.delete("/_fault")
            assert client.get("/health").status_code == 200
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=10)
    entries = [json.loads(line) for line in log.splitlines()]
    assert [(entry["path"], entry["status"], entry["x-request-id"]) for entry in entries] == [
        ("/_fault", 200, None),
        ("/health", None, "r-1"),
        ("/health", None, "r-1"),
        ("/_fault", 200, None),
        ("/health", 200, None),
    ]


def test_a_signal_does_not_wait_for_a_slow_answer(tmp_path):
    with _started("orders", "--port", 0, "--data", tmp_path) as (process, addresses):
        httpx.put(f"{addresses['orders']}/_fault", json={"latency": 60})
        host, port = addresses["orders"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_a_taken_port_is_one_clear_line_and_exit_code_1(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "demo", "orders", "--port", str(port), "--data", str(tmp_path)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(rf"demo: orders cannot listen on 127\.0\.0\.1:{port}: .+\n", run.stderr)


def test_an_unknown_service_is_one_clear_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "demo", "shipping", "--data", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("demo: there is no service 'shipping'")


def test_each_instance_has_a_line_a_port_and_a_fault_of_its_own(tmp_path):
    wanted = ("catalog", "reviews", "--instances", "reviews=3", "--port", 0, "--data", tmp_path, "--verbose")
    with _started(*wanted, lines=4) as (process, addresses), httpx.Client() as client:
        assert list(addresses) == ["catalog", "reviews", "reviews-2", "reviews-3"]
        assert len(set(addresses.values())) == 4
        client.put(f"{addresses['reviews-2']}/_fault", json={"error_rate": 1})
        rating = "products/pojos-in-action/rating"
        replies = [client.get(f"{addresses[name]}/{rating}") for name in ("reviews", "reviews-2", "reviews-3")]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)

    first, second, third = replies
    assert (first.status_code, second.status_code) == (200, 500)
    assert second.json()["detail"] == "reviews-2 was told to fail"
    assert third.json() == first.json()
    entries = [json.loads(line) for line in log.splitlines()]
    assert [(entry["service"], entry["instance"]) for entry in entries] == [
        ("reviews", "reviews-2"),
        ("reviews", "reviews"),
        ("reviews", "reviews-2"),
        ("reviews", "reviews-3"),
    ]


def test_stores_that_start_at_the_same_moment_share_a_folder(tmp_path):
    ports = free_ports(4)
    with ExitStack() as stack:
        with alone(tmp_path):  # so that all have come as far before the first goes on
            for port in ports:
                words = ("-m", "demo", "catalog", "--port", str(port), "--data", str(tmp_path), "--products", "10000")
                stack.enter_context(process(*words))
            for port in ports:
                listens(port)
        replies = [ask(f"http://127.0.0.1:{port}/search?q=java&limit=50") for port in ports]

    assert [status for status, _, _ in replies] == [200] * len(ports)
    assert all(found == replies[0][2] for _, _, found in replies)
    assert replies[0][2]["items"]
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "catalog.sqlite"}


WRONG = {
    "catalog=0": "give a number from 1 to 10, like 2 or catalog=2",
    "catalog=11": "give a number from 1 to 10, like 2 or catalog=2",
    "catalog=x": "give a number from 1 to 10, like 2 or catalog=2",
    "=2": "there is no service ''; there are ",
    "x": "give a number from 1 to 10, like 2 or catalog=2",
    "shipping=2": "there is no service 'shipping'; there are ",
    "orders=2": "orders is not run here, only catalog, reviews",
}


@pytest.mark.parametrize(("wanted", "reason"), WRONG.items())
def test_instances_that_make_no_sense_are_one_clear_line_and_exit_code_1(tmp_path, wanted, reason):
    words = ["catalog", "reviews", "--instances", wanted, "--data", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "demo", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert run.stderr.startswith(f"demo: --instances {wanted}: {reason}")


def test_a_port_beyond_the_last_is_one_clear_line_and_exit_code_1(tmp_path):
    words = ["orders", "--port", "65436", "--instances", "2", "--data", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "demo", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "demo: orders-2 cannot listen on 127.0.0.1:65536: ports end at 65535. Choose another with --port.\n"
    )
