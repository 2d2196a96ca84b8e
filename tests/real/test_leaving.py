"""Nobody works on for those who have left: what the services saw, as they logged it."""

import http.client
import json
import signal
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from tests.processes import ask, free_ports, gateway, listens, process
from tests.store import SERVICES

pytestmark = pytest.mark.real

SLOW = 3.0  # seconds, beyond every deadline here
SOON = 0.1  # seconds


@pytest.fixture
def log(databases: Path) -> "Log":
    with Log(databases) as found:
        yield found


class Log:
    """A small store whose reviews are slow, the mobile gateway before it, and what the reviews saw."""

    def __init__(self, data: Path) -> None:
        self._data, self._stack = data, ExitStack()

    def __enter__(self) -> "Log":
        *free, admin = free_ports(len(SERVICES) + 1)
        ports = dict(zip(SERVICES, free, strict=True))
        for name in ("catalog", "reviews"):  # the page can do without the others
            words = ["-m", "demo", name, "--port", str(ports[name]), "--data", str(self._data), "--verbose"]
            child = self._stack.enter_context(process(*words))
            listens(ports[name])
            if name == "reviews":
                self._reviews = child
        self.gateway = self._stack.enter_context(gateway("mobile", {**ports, "admin": admin}))
        ask(f"{self.gateway}/v1/products/pojos-in-action")  # so that there are connections
        ask(f"http://127.0.0.1:{ports['reviews']}/_fault", method="PUT", content={"latency": SLOW})
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def attempts(self) -> list[dict]:
        """Those that the slow service saw. It is ended by that."""
        self._reviews.send_signal(signal.SIGTERM)
        lines, _ = self._reviews.communicate(timeout=20)
        entries = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry["seconds"] > SOON and entry["path"] != "/_fault"]


def test_no_attempt_outlives_the_deadline_of_the_one_who_asked(log: Log) -> None:
    started = monotonic()
    _, headers, _ = ask(f"{log.gateway}/v1/products/pojos-in-action", headers={"request-timeout": "0.4"})
    assert "reviews;missing=timeout" in headers["page-parts"]
    assert monotonic() - started < 0.4 + SOON

    attempts = log.attempts()
    assert attempts
    assert all(attempt["gone_after"] < 0.4 + SOON for attempt in attempts)


def test_when_the_client_leaves_its_attempts_end_within_a_tenth_of_a_second(log: Log) -> None:
    host, port = log.gateway.removeprefix("http://").split(":")
    client = http.client.HTTPConnection(host, int(port), timeout=0.2)
    client.request("GET", "/v1/products/pojos-in-action")
    with pytest.raises(TimeoutError):
        client.getresponse()
    client.close()

    attempts = log.attempts()
    assert attempts
    assert all(attempt["gone_after"] < 0.2 + SOON for attempt in attempts)
