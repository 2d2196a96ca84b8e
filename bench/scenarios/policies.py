"""What a call costs above the bare wire, and how much of it is policies, with a network and without one."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from bench.cores import pinned
from bench.load import Void
from bench.machine import python
from bench.plan import Plan
from bench.processes import ROOT
from bench.ratios import Spread, spread
from bench.report import Report, figure, rounded
from bench.upstream.started import upstream

__all__ = ["measure", "report"]

_CALLS_A_SECOND: Final = 10_000  # about; what a second of a turn is worth
_LONGEST: Final = 600  # seconds


def measure(plan: Plan) -> Report:
    """In a process of its own."""
    calls = max(1000, round(plan.seconds * _CALLS_A_SECOND))
    with (
        upstream(plan.cores.load) as behind,
        plan.console.status(f"{plan.rounds} rounds of {calls:,} calls, six ways"),
    ):
        words = [sys.executable, "-m", "bench.call_cost", behind.url, str(calls), str(plan.rounds)]
        done = subprocess.run(
            pinned(plan.cores.gateway, words), cwd=ROOT, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    if done.returncode:
        raise Void(f"the calls could not be made: {done.stderr.strip()[-2000:]}")
    return report(json.loads(done.stdout), [f"Python is {python()}; the upstream is {behind.engine}."])


def report(turns: Sequence[dict[str, Any]], notes: Sequence[str]) -> Report:
    """A row for each wire and kind of time; ``turns`` are those of ``bench.call_cost``, whole rounds of them."""
    rows = [_row(turns, wire, time) for wire in ("network", "memory") for time in ("cpu", "wall")]
    headings = ["us_per_call", "bare wire", "typed", "all policies", "over the wire", "aim", "policies alone"]
    # without a network, because its noise is as large as what is added
    summary = {
        "us_per_call": rounded(_added(turns, "memory", "cpu", "bare").median),
        "us_of_policies": rounded(_added(turns, "memory", "cpu", "typed").median),
    }
    return Report("What the policies add to a call", headings, rows, summary, {"turns": list(turns)}, list(notes))


def _row(turns: Sequence[dict[str, Any]], wire: str, time: str) -> list[str]:
    return [
        f"{wire}, {time}",
        *(figure(spread(_of(turns, wire, way, time)).median) for way in ("bare", "typed", "policies")),
        _said(_added(turns, wire, time, "bare")),
        "≤ 4" if time == "cpu" else "",
        _said(_added(turns, wire, time, "typed")),
    ]


def _said(added: Spread) -> str:
    return f"{figure(added.median)} ({figure(added.min)}..{figure(added.max)})"


def _added(turns: Sequence[dict[str, Any]], wire: str, time: str, way: str) -> Spread:
    """What calls with all policies cost above that way, round by round."""
    both = zip(_of(turns, wire, "policies", time), _of(turns, wire, way, time), strict=True)
    return spread([dear - cheap for dear, cheap in both])


def _of(turns: Sequence[dict[str, Any]], wire: str, way: str, time: str) -> list[float]:
    return [turn[time] for turn in turns if (turn["wire"], turn["way"]) == (wire, way)]
