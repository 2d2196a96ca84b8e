"""Who is measured: our gateway first, and its peers."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench import nginx
from bench.peers.models import PARTS

__all__ = ["CONTENDERS", "OURS", "Contender", "Place"]

_PEERS: Final = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender listens, for clients and perhaps for operators; whom it calls; where it may write."""

    port: int
    admin: int
    upstream: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """Someone who answers the page."""

    slug: str
    """Its name for programs that read ``results/latest.json``."""

    name: str
    command: Callable[[Place], Sequence[str]]
    env: Callable[[Place], Mapping[str, str]]
    missing: Callable[[], str | None]
    """The command that installs what is missing, or ``None``."""

    cpu_aim: float | None = None
    """What our CPU a page over theirs is at most, where we are as fast as we want to be."""

    p99_aim: float | None = None
    """The same of the 99th percentile of the time that a page takes."""

    ordered: bool = True
    """Its JSON has its members in our order."""


def _gateway(_: Place) -> Sequence[str]:
    return [sys.executable, "-m", "bff_core.cli", "run", "bench.page"]


def _settings(place: Place) -> Mapping[str, str]:
    instances = json.dumps([f"http://127.0.0.1:{place.upstream}"])
    return {
        "BFF_PAGE__LISTEN": f"127.0.0.1:{place.port}",
        "BFF_PAGE__ADMIN": f"127.0.0.1:{place.admin}",
        **{f"BFF_PAGE__UPSTREAMS__{name.upper()}__INSTANCES": instances for name in PARTS},
    }


def _where(place: Place) -> Mapping[str, str]:
    return {"PORT": str(place.port), "UPSTREAM": f"http://127.0.0.1:{place.upstream}", "NODE_ENV": "production"}


def _uvicorn(module: str) -> Callable[[Place], Sequence[str]]:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return lambda place: [
        *(sys.executable, "-m", "uvicorn", f"bench.peers.{module}:app", "--port", str(place.port)),
        *options,
    ]


def _node(file: str) -> Callable[[Place], Sequence[str]]:
    return lambda _: ["node", str(_PEERS / "node" / file)]


def _nginx(place: Place) -> Sequence[str]:
    here = _PEERS / "nginx_lua"
    words = {"HERE": here, "PORT": place.port, "UPSTREAM": f"127.0.0.1:{place.upstream}", "MODULES": nginx.modules()}
    return nginx.configured(here / "nginx.conf", place.folder, **words)


def _nothing() -> None:
    return None


def _without_aiohttp() -> str | None:
    return None if find_spec("aiohttp") else "pip install aiohttp"


def _without_node() -> str | None:
    if not shutil.which("node"):
        return "apt-get install nodejs npm"
    modules = _PEERS / "node" / "node_modules"
    return None if modules.is_dir() else "npm ci --prefix bench/peers/node"


def _without_lua() -> str | None:
    return None if nginx.has_lua() else "apt-get install nginx libnginx-mod-http-lua lua-cjson"


OURS: Final = Contender("bff-core", "bff-core", _gateway, _settings, _nothing)
CONTENDERS: Final = (
    OURS,
    Contender(
        "node-with-duties", "Node, the same duties", _node("duties.js"), _where, _without_node, cpu_aim=1.0, p99_aim=1.0
    ),
    Contender("node", "Node, bare", _node("bare.js"), _where, _without_node, cpu_aim=1.25),
    Contender("nginx-lua", "nginx + Lua, bare", _nginx, _where, _without_lua, cpu_aim=2.0, ordered=False),
    Contender("fastapi-aiohttp", "FastAPI + aiohttp, bare", _uvicorn("fastapi_aiohttp"), _where, _without_aiohttp),
    Contender("fastapi-httpx", "FastAPI + httpx, bare", _uvicorn("fastapi_httpx"), _where, _nothing, cpu_aim=0.02),
)
