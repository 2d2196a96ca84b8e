"""The store as a process of its own, over sockets."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from demo.services import SERVICES

pytestmark = pytest.mark.real


@contextmanager
def _started(*arguments) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-m", "demo", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            names = [argument for argument in arguments if argument in SERVICES] or list(SERVICES)
            lines = [process.stdout.readline() for _ in names]
            yield process, dict(line.split() for line in lines)
        finally:
            process.kill()


def test_one_process_hosts_all_services_until_it_is_told_to_stop(tmp_path):
    with _started("--port", 0, "--data", tmp_path) as (process, addresses), httpx.Client() as client:
        assert list(addresses) == list(SERVICES)
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
