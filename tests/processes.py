"""Real processes of this project, started and ended by tests."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from bff_core.settings import load
from tests.bff_core.kept_keys import PEPPER
from tests.store import SESSION_KEY, WEB_SECRET, told

ROOT = Path(__file__).parent.parent


def free_ports(number: int) -> list[int]:
    """So many ports on which nobody listens just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


@contextmanager
def process(
    *words: str, env: Mapping[str, str] | None = None, folder: Path = ROOT, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """``python WORDS...``; ended when the block is left. A pipe that nobody reads stops it when it is full."""
    child = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def listens(port: int, *, host: str = "127.0.0.1", within: float = 20.0) -> None:
    """Return once someone listens there; fail after ``within`` seconds."""
    until = monotonic() + within
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            assert monotonic() < until, f"nobody listens on {host}:{port}"
            Event().wait(0.02)
        else:
            return


SMALL_APP = """
from starlette.applications import Starlette

from bff_core.edge.health import Readiness


def create(settings):
    app = Starlette()
    app.state.readiness, app.state.admin = Readiness(), Starlette()
    return app
"""


def small_project(folder: Path, *, dev: Sequence[str] = (), **gateways: str) -> None:
    """A project of gateways that do nothing; each is given as the lines of settings that it has beside ``name``."""
    (folder / "pyproject.toml").write_text(f'[tool.bff]\ngateways = "shops"\ndev = {json.dumps(dev)}\n')
    for name, settings in gateways.items():
        package = folder / "shops" / name
        package.mkdir(parents=True)
        (folder / "shops" / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "app.py").write_text(SMALL_APP)
        (package / "settings.toml").write_text(f'name = "{name}"\ndeadline = "2s"\nupstreams = {{}}\n{settings}\n')


def addresses(listen: int | str, admin: int | str) -> str:
    """The settings that put a gateway on these ports of this machine, or on these addresses."""
    here = [f"127.0.0.1:{place}" if isinstance(place, int) else place for place in (listen, admin)]
    return 'listen = "{}"\nadmin = "{}"'.format(*here)


def until(true: Callable[[], object], *, within: float = 20.0) -> None:
    """Return once ``true`` is; fail after ``within`` seconds."""
    end = monotonic() + within
    while not true():
        assert monotonic() < end, f"not true after {within} s"
        Event().wait(0.02)


@contextmanager
def service(name: str, port: int, data: Path, *, host: str = "127.0.0.1") -> Iterator[subprocess.Popen[str]]:
    """One of the store's services."""
    words = ["-m", "demo", name, "--host", host, "--port", str(port), "--data", str(data)]
    with process(*words, stdout=subprocess.DEVNULL) as child:
        listens(port, host=host)
        yield child


def environment(name: str, listen: int, admin: int, ports: Mapping[str, int]) -> dict[str, str]:
    """What puts a gateway on these ports, and its upstreams too."""
    prefix = f"BFF_{name.upper()}__"
    env = {f"{prefix}LISTEN": f"127.0.0.1:{listen}", f"{prefix}ADMIN": f"127.0.0.1:{admin}"}
    env[f"{prefix}DRAIN"] = "10ms"  # because nobody routes to it
    found = load(ROOT / "bffs" / name / "settings.toml", told)
    if found.keys is not None:
        env[f"{prefix}KEYS__PEPPER"] = PEPPER
    if found.session is not None:
        env[f"{prefix}SESSION__CLIENT_SECRET"] = WEB_SECRET
        env[f"{prefix}SESSION__KEYS"] = SESSION_KEY
    for upstream in found.upstreams:
        env[f"{prefix}UPSTREAMS__{upstream.upper()}__INSTANCES"] = json.dumps([f"http://127.0.0.1:{ports[upstream]}"])
    return env


@contextmanager
def gateway(name: str, ports: Mapping[str, int], env: Mapping[str, str] | None = None) -> Iterator[str]:
    """A gateway whose upstreams are on these ports; its address. ``admin`` among the ports is the operators'."""
    (listen,) = free_ports(1)
    env = environment(name, listen, ports["admin"], ports) | dict(env or {})
    with process("-m", "bff_core.cli", "run", name, env=env, stdout=subprocess.DEVNULL):
        listens(listen)
        listens(ports["admin"])
        yield f"http://127.0.0.1:{listen}"


def bff(*words: str, env: Mapping[str, str] | None = None, folder: Path = ROOT) -> str:
    """What a command says to standard output, without its end."""
    done = subprocess.run(
        [sys.executable, "-m", "bff_core.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ask(url: str, *, method: str = "GET", content: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Status, headers and body of a reply; JSON is decoded."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.headers, _decoded(reply)
    except urllib.error.HTTPError as reply:
        with reply:
            return reply.status, reply.headers, _decoded(reply)


def _decoded(reply: Any) -> Any:
    content = reply.read()
    return json.loads(content) if "json" in reply.headers.get("content-type", "") else content
