"""Where the time goes: the gateway under load, watched by py-spy."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import answer, load
from bench.contenders import OURS
from bench.plan import Plan
from bench.scenarios.composed_page import ready
from bench.upstream.started import upstream

__all__ = ["FORMATS", "NotWatched", "record"]

FORMATS: Final = {"flamegraph": "svg", "speedscope": "json", "raw": "txt"}
_WARM_UP: Final = 2.0  # seconds


class NotWatched(Exception):
    """py-spy is not there, or may not look into another process."""


def record(plan: Plan, file: Path, *, kind: str, native: bool, rate: int) -> None:
    """Watch for ``plan.seconds``, and write what was seen to ``file``. ``rate`` is samples a second."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise NotWatched("py-spy is absent; to have it: pip install py-spy")
    with upstream(plan.cores.load) as behind, ready(OURS, behind, plan.cores.gateway) as gateway:
        size = len(answer.ask(OURS.name, gateway.port))
        load.put_on(OURS.name, gateway.port, size=size, seconds=_WARM_UP, core=plan.cores.load)
        words = [spy, "record", "--pid", str(gateway.process), "--duration", str(round(plan.seconds))]
        words += ["--format", kind, "--rate", str(rate), "--output", str(file), *(["--native"] if native else [])]
        watching = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            load.put_on(OURS.name, gateway.port, size=size, seconds=plan.seconds + 2, core=plan.cores.load)
            said, _ = watching.communicate(timeout=60)
        finally:
            watching.kill()
    if watching.returncode:
        raise NotWatched(f"py-spy: {_last(said.splitlines())}")


def _last(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line.strip()), "ended, and said nothing")
