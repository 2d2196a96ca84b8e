"""The load: wrk, with a script that asks for pages and says how it went."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from bench.cores import pinned

__all__ = ["CONNECTIONS", "Load", "Void", "is_here", "put_on", "read"]

CONNECTIONS: Final = 32
_SCRIPT: Final = Path(__file__).with_name("load.lua")
_PATIENCE: Final = 30  # seconds for one page: whoever is slow shall be measured, not counted as broken
_MARK: Final = "bench: "
_runs = count(1)


class Void(Exception):
    """Something went wrong in a run, so that its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the load tool saw. Percentiles are milliseconds."""

    pages: int
    seconds: float
    p50: float
    p99: float


def is_here() -> bool:
    """Whether there is a wrk."""
    return shutil.which("wrk") is not None


def put_on(name: str, port: int, *, size: int, seconds: float, core: int | None) -> Load:
    """Ask whoever listens on ``port`` for pages of ``size`` bytes.

    Raises ``Void``, with ``name`` in it, where a single one fails or is not whole.
    """
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", f"--timeout={_PATIENCE}s"]
    words += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", f"n{next(_runs)}-", str(size)]
    try:
        done = subprocess.run(
            pinned(core, words), capture_output=True, text=True, check=False, timeout=seconds + 2 * _PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise Void(f"{name}: wrk did not end") from None
    return read(name, done.stdout + done.stderr)


def read(name: str, said: str) -> Load:
    """What wrk said with our script; raises ``Void`` where it says that anything failed, or says nothing."""
    line = next((line for line in said.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise Void(f"{name}: wrk said nothing of use: {said.strip()[-500:] or 'nothing at all'}")
    found = json.loads(line.removeprefix(_MARK))
    errors = found.pop("errors")
    if any(errors.values()):
        raise Void(f"{name}: the run is void: {_told(errors)}")
    return Load(**found)


def _told(errors: dict[str, int]) -> str:
    words = {"refused": "replies that were no 200", "partial": "pages with parts missing", "timeout": "pages too late"}
    return ", ".join(f"{number} {words.get(kind, f'{kind} errors')}" for kind, number in errors.items() if number)
