"""What people are shown of the upstreams of a gateway that runs, as its listener for operators tells it."""

import io
import json
import os
import pty
import signal
import socketserver
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen
from threading import Thread, Timer
from typing import Any

import pytest
from rich.console import Console

from bff_core.cli.facts import GatewayFacts
from bff_core.cli.figures import measured
from bff_core.cli.upstreams_picture import Picture
from tests.bff_core.test_cli import bff
from tests.docs.reading import blocks
from tests.processes import ROOT, free_ports, process
from tests.store import SECRETS

STATIC = {"of": "static", "last_answer_at": None, "failing_since": None, "failure": None, "changes": 0}
DNS = STATIC | {"of": "dns:http://catalog.internal:7001", "last_answer_at": "2026-11-25T17:00:00+00:00", "changes": 3}
FAILS = {"failing_since": "2026-11-25T18:03:20+01:00", "failure": "catalog.internal: no answer within 2 s"}


def instance(address: str, **facts: Any) -> dict[str, Any]:
    return {
        "address": address,
        "zone": "",
        "weight": 1.0,
        "state": "in use",
        "latency": 0.0042,
        "in_flight": 3,
        "calls": 1234,
        "failures": 5,
        "ejections": 1,
        "back_in": None,
    } | facts


def upstream(*instances: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    return {
        "instances": list(instances),
        "panic": False,
        "source": STATIC,
        "circuit": "closed",
        "p50": 0.0042,
        "p95": 0.011,
        "in_flight": 3,
        "limit": 100,
        "timeout": 0.5,  # and more, which nobody is shown
    } | facts


def document(**upstreams: Any) -> dict[str, Any]:
    return {"gateway": "web", "ready": True, "upstreams": upstreams}


EJECTED = instance("http://127.0.0.1:7101", state="ejected", latency=None, failures=612, ejections=2, back_in=27.3)
TWO = document(
    catalog=upstream(instance("http://127.0.0.1:7001"), EJECTED),
    orders=upstream(
        instance("unix:/run/orders.sock", latency=1.2345), circuit="open", p50=None, p95=0.8, source=DNS | FAILS
    ),
)


class _Unix(socketserver.ThreadingUnixStreamServer):
    server_name, server_port = "localhost", 0


class Answers:
    """A listener that answers one thing to ``GET /healthz``, and 404 to all else."""

    def __init__(self, place: str | int, content: Any, *, status: int = 200) -> None:
        self.hosts: list[str] = []
        body = content if isinstance(content, bytes) else json.dumps(content).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:  # noqa: N805
                self.hosts.append(handler.headers["host"])
                handler.send_response(status if handler.path == "/healthz" else 404)
                handler.send_header("content-length", str(len(body)))
                handler.send_header("connection", "close")  # so that it is gone when it is closed
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                pass

        if isinstance(place, int):
            self._server: socketserver.BaseServer = ThreadingHTTPServer(("127.0.0.1", place), Handler)
            self.admin = f"127.0.0.1:{self._server.server_address[1]}"
        else:
            self._server = _Unix(place, Handler)
            self.admin = f"unix:{place}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "Answers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def asked(content: Any, *words: str, status: int = 200) -> tuple[int, str]:
    """What ``bff upstreams web WORDS`` says of a gateway that answers this."""
    with Answers(0, content, status=status) as answers:
        code, said = bff("upstreams", "web", *words, BFF_WEB__ADMIN=answers.admin)
    return code, said.replace(answers.admin, "ADMIN")


def drawn(content: Any, *, width: int = 100, colours: bool = False) -> str:
    """The picture of a document, as a terminal of so many columns gets it."""
    out = io.StringIO()
    system = "standard" if colours else None
    console = Console(file=out, width=width, highlight=False, force_terminal=colours, color_system=system)
    console.print(Picture(GatewayFacts.model_validate(content), "ADMIN"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_each_upstream_has_a_line_and_below_it_one_for_each_instance() -> None:
    status, said = asked(TWO)

    assert status == 0
    assert [line.rstrip() for line in said.splitlines()] == [
        "web is ready, at ADMIN",
        "",
        "                                               in",
        "  instance               state    latency  flight  calls  failed  ejections",
        "catalog  circuit closed     p50  4.2 ms  p95   11 ms  3 of 100 in flight  static",
        "  http://127.0.0.1:7001  in use    4.2 ms       3  1,234       5  1",
        "  http://127.0.0.1:7101  ejected        -       3  1,234     612  2 (28 s)",
        "orders   circuit open       p50       -  p95  800 ms  3 of 100 in flight",
        f"  {DNS['of']} failing since 2026-11-25 17:03:20 UTC: {FAILS['failure']}",
        "  unix:/run/orders.sock  in use    1.23 s       3  1,234       5  1",
    ]


def test_it_looks_as_the_guide_shows_it() -> None:
    (shown,) = blocks(ROOT / "docs/running-a-gateway.md", "console")
    first = instance("http://127.0.0.1:7001")
    ejected = EJECTED | {"in_flight": 0, "calls": 1187}
    slow = instance("http://10.0.3.17:7004", latency=1.2345, in_flight=0, calls=961, failures=487, ejections=0)
    fails = DNS | FAILS | {"of": "dns:http://orders.internal:7004", "failure": "orders.internal: no answer within 2 s"}
    orders = upstream(slow, circuit="open", p50=None, p95=0.8, in_flight=0, source=fails)

    said = drawn(document(catalog=upstream(first, ejected), orders=orders), width=120)
    assert f"{said}\n" == shown.replace("127.0.0.1:9000", "ADMIN")


def test_a_gateway_is_asked_through_a_unix_socket_too(tmp_path: Path) -> None:
    with Answers(f"{tmp_path}/web.sock", TWO) as answers:
        status, said = bff("upstreams", "web", BFF_WEB__ADMIN=answers.admin)

    assert (status, said.splitlines()[0]) == (0, f"web is ready, at unix:{tmp_path}/web.sock")
    assert answers.hosts == ["localhost"]  # which a listener for operators knows


def test_it_is_asked_where_the_settings_given_say(tmp_path: Path) -> None:
    with Answers(0, TWO) as answers:
        own = (ROOT / "bffs/web/settings.toml").read_text()
        (tmp_path / "other.toml").write_text(own.replace("127.0.0.1:9000", answers.admin))
        status, said = bff("upstreams", "web", "--settings", f"{tmp_path}/other.toml")

    assert (status, said.splitlines()[0]) == (0, f"web is ready, at {answers.admin}")


def test_json_is_printed_as_it_came() -> None:
    came = b'{"gateway": "web",   "of another": ["version", 1.50]}'

    assert asked(came, "--json") == (0, f"{came.decode()}\n")


def test_a_gateway_that_does_not_run_is_one_line(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    refused = bff("upstreams", "web", BFF_WEB__ADMIN=f"127.0.0.1:{port}")
    missing = bff("upstreams", "web", "--json", BFF_WEB__ADMIN=f"unix:{tmp_path}/web.sock")
    watched = bff("upstreams", "web", "--watch", BFF_WEB__ADMIN=f"127.0.0.1:{port}")

    assert refused == (1, f"bff: web does not answer at 127.0.0.1:{port}: Connection refused\n")
    assert missing == (1, f"bff: web does not answer at unix:{tmp_path}/web.sock: No such file or directory\n")
    assert watched == refused


WRONG = {
    "no JSON": (b"<h1>It works!</h1>", 200, "no JSON: expected value at line 1 column 1"),
    "a status": (TWO, 503, "status 503"),
    "another gateway": (TWO | {"gateway": "mobile"}, 200, "'mobile' answers"),
    "another version": (
        document(catalog=upstream() | {"instances": ["http://127.0.0.1:7001"]}),
        200,
        "upstreams.catalog.instances.0: Input should be an object",
    ),
}


@pytest.mark.parametrize(("content", "status", "why"), WRONG.values(), ids=WRONG.keys())
def test_who_else_answers_there_is_said_in_one_line(content: Any, status: int, why: str) -> None:
    code, said = asked(content, status=status)

    assert code == 1
    assert said.startswith(f"bff: what answers at ADMIN is not web, or of another version: {why}")
    assert said.count("\n") == 1


def test_one_does_not_watch_a_document() -> None:
    assert bff("upstreams", "web", "--watch", "--json") == (1, "bff: --watch and --json: a document is printed once\n")


def test_each_worker_is_shown_by_itself() -> None:
    error = "worker: no connection: Connection refused"
    said = drawn(
        {
            "gateway": "web",
            "ready": True,
            "workers": [
                {"worker": 0, "pid": 4711, **document(pricing=upstream(instance("http://a:1")))},
                {"worker": 1, "pid": 4712, **document(pricing=upstream(instance("http://b:1"))), "ready": False},
                {"worker": 2, "pid": None, "ready": False, "error": error},
            ],
        }
    )

    found = [line for line in said.splitlines() if "worker" in line or "http" in line]
    assert [line.split("  in use")[0] for line in found] == [
        "worker 0, pid 4711, is ready",
        "  http://a:1",
        "worker 1, pid 4712, is not ready",
        "  http://b:1",
        f"worker 2 does not answer: {error}",
    ]


RED, YELLOW = "31m", "33m"
STAND_OUT = {
    "an open circuit": (upstream(instance("http://a:1"), circuit="open"), "open", RED),
    "a circuit that is tried": (upstream(instance("http://a:1"), circuit="half-open"), "half-open", YELLOW),
    "an ejected instance": (upstream(EJECTED), "ejected", RED),
    "when it is back": (upstream(EJECTED), "2 (28 s)", RED),
    "an unhealthy instance": (upstream(instance("http://a:1", state="unhealthy")), "unhealthy", RED),
    "a draining instance": (upstream(instance("http://a:1", state="draining")), "draining", YELLOW),
    "a full bulkhead": (upstream(instance("http://a:1"), in_flight=100), "100 of 100", RED),
    "a source that fails": (upstream(instance("http://a:1"), source=DNS | FAILS), f"{DNS['of']} failing since", RED),
    "no instance": (upstream(source=DNS), "no instance is known", RED),
    "panic": (upstream(instance("http://a:1"), panic=True), "panic: ", RED),
}


@pytest.mark.parametrize(("one", "text", "colour"), STAND_OUT.values(), ids=STAND_OUT.keys())
def test_what_is_wrong_stands_out(one: Any, text: str, colour: str) -> None:
    assert f"{colour}{text}" in drawn(document(catalog=one), colours=True)
    well = drawn(document(catalog=upstream(instance("http://a:1"))), colours=True)
    assert RED not in well
    assert YELLOW not in well


def test_a_source_that_is_well_says_what_it_is_and_when_it_answered() -> None:
    assert f"\n  {DNS['of']}, last answer 2026-11-25 17:00:00 UTC\n" in drawn(
        document(catalog=upstream(instance("http://a:1"), source=DNS))
    )
    never = DNS | {"last_answer_at": None}
    assert f"\n  {DNS['of']}, no answer yet\n  no instance is known" in drawn(document(a=upstream(source=never)))


def test_zones_and_weights_are_shown_where_there_are_any() -> None:
    plain = drawn(document(catalog=upstream(instance("http://a:1"))))
    far = instance("http://b:1", zone="west", weight=2.5, state="elsewhere")
    said = drawn(document(catalog=upstream(instance("http://a:1"), far)))

    assert "zone" not in plain
    assert "weight" not in plain
    assert "  http://a:1             1  in use" in said
    assert "  http://b:1  west     2.5  elsewhere" in said


CLUSTER = document(
    recommendations=upstream(
        instance("http://10.12.34.45:8080", zone="europe-west1-b", calls=1_234_567),
        instance("http://10.12.34.46:8080", zone="europe-west1-c", state="elsewhere"),
        instance("http://10.12.34.47:8080", zone="europe-west1-b", state="ejected", back_in=300, ejections=2),
        circuit="half-open",
        source=DNS,
    )
)


def test_a_usual_cluster_has_room_on_a_hundred_columns() -> None:
    said = drawn(CLUSTER)

    assert said == drawn(CLUSTER, width=200)
    assert "  http://10.12.34.47:8080  europe-west1-b  ejected     4.2 ms       3      1,234       5  2 (300 s)" in said


def test_what_has_no_room_is_folded_and_nothing_is_cut() -> None:
    long = document(catalog=upstream(instance("http://[2001:db8:85a3:1:2:8a2e:370:7334]:7001", zone="z", weight=2)))
    said = drawn(long, width=80)

    assert max(map(len, said.splitlines())) <= 80
    column = said.splitlines()[5:]
    assert "".join(line[2:].split(" ")[0] for line in column) == "http://[2001:db8:85a3:1:2:8a2e:370:7334]:7001"


def test_what_a_name_server_said_cannot_move_the_cursor() -> None:
    evil = DNS | FAILS | {"failure": "\x1b[2Jgone\nweb is ready"}

    said = drawn(document(catalog=upstream(instance("http://a\x1b[8m:1"), source=evil)))
    assert r"\x1b[2Jgone\nweb is ready" in said
    assert r"http://a\x1b[8m:1" in said


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00421234, "4.21 ms"), (0.9996, "1 s"), (0.0000123, "0.0123 ms"), (12.345, "12.3 s")]
)
def test_a_measured_duration_has_three_digits(seconds: float, text: str) -> None:
    assert measured(seconds) == text


@contextmanager
def watching(admin: str, **how: Any) -> Iterator[Popen[str]]:
    words = ("-m", "bff_core.cli", "upstreams", "web", "--watch")
    with process(*words, env={"BFF_WEB__ADMIN": admin, "TERM": "xterm", "COLUMNS": "100", **SECRETS}, **how) as child:
        patience = Timer(30, child.kill)  # or a test would wait for ever for what is not said
        patience.start()
        try:
            yield child
        finally:
            patience.cancel()


def until(child: Popen[str], word: str) -> str:
    """What it says, as far as the line with this word."""
    said = ""
    while word not in said:
        line = child.stdout.readline()
        assert line, said
        said += line
    return said


@pytest.mark.real
def test_a_gateway_that_goes_away_while_it_is_watched_is_said_to_until_it_is_back() -> None:
    (port,) = free_ports(1)
    admin = f"127.0.0.1:{port}"
    with ExitStack() as stack:
        answers = stack.enter_context(Answers(port, TWO))
        child = stack.enter_context(watching(admin))
        for _ in range(2):
            until(child, f"web is ready, at {admin}")
        answers.end()
        until(child, f"web does not answer at {admin}: Connection refused; this is what it said last:")
        until(child, "http://127.0.0.1:7101")
        stack.enter_context(Answers(port, document(catalog=upstream(instance("http://127.0.0.1:7201")))))
        until(child, f"web is ready, at {admin}")
        until(child, "http://127.0.0.1:7201")
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=20)

    assert child.returncode == 0
    assert "Traceback" not in rest


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_is_redrawn_and_left_as_it_was(number: int) -> None:
    ours, theirs = pty.openpty()
    said = b""
    with Answers(0, TWO) as answers, watching(answers.admin, stdout=theirs) as child:
        os.close(theirs)
        while said.count(b"web") < 3:
            said += os.read(ours, 4096)
        child.send_signal(number)
        with suppress(OSError):  # which is how Linux says that nobody writes any more
            while chunk := os.read(ours, 4096):
                said += chunk
        status = child.wait(timeout=20)
    os.close(ours)

    assert status == 0
    assert said.count(b"\x1b[1A") > 5  # the cursor goes up, and draws over what it drew
    assert (b"\x1b[?25l" in said, said.rstrip().endswith(b"\x1b[?25h")) == (True, True)  # hidden, and back again
    assert b"Traceback" not in said
