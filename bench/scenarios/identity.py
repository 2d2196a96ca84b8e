"""What it costs a page to know who asks, with a token or a key that is known, above what it costs for nobody."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.cores import pinned
from bench.identity_cost import WAYS
from bench.load import Void
from bench.machine import python
from bench.plan import Plan
from bench.processes import ROOT
from bench.ratios import Spread, spread
from bench.report import Report, figure, rounded

__all__ = ["measure", "report"]

_PAGES_A_SECOND: Final = 2_000  # about; what a second of a turn is worth
_LONGEST: Final = 600  # seconds
_ANONYMOUS: Final = "anonymous"
_AIMS: Final[Mapping[str, str]] = {"bearer": "≤ 8", "key": "≤ 5"}


def measure(plan: Plan) -> Report:
    """In a process of its own."""
    pages = max(200, round(plan.seconds * _PAGES_A_SECOND))
    with plan.console.status(f"{plan.rounds} rounds of {pages:,} pages, four ways"):
        words = [sys.executable, "-m", "bench.identity_cost", str(pages), str(plan.rounds)]
        done = subprocess.run(
            pinned(plan.cores.gateway, words), cwd=ROOT, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    if done.returncode:
        raise Void(f"the pages could not be made: {done.stderr.strip()[-2000:]}")
    return report(json.loads(done.stdout), [f"Python is {python()}; the wire is in memory, and nothing is logged."])


def report(turns: Sequence[dict[str, Any]], notes: Sequence[str]) -> Report:
    """A row for each way; ``turns`` are those of ``bench.identity_cost``, whole rounds of them."""
    added = {way: _added(turns, way) for way in WAYS}
    rows = [
        [
            way,
            figure(spread(_of(turns, way)).median),
            _said(added[way]) if way != _ANONYMOUS else "",
            _AIMS.get(way, ""),
        ]
        for way in WAYS
    ]
    summary = {f"us_of_{way}": rounded(added[way].median) for way in _AIMS}
    headings = ["", "CPU a page, µs", "above anonymous, µs", "aim"]
    return Report("What it costs to know who asks", headings, rows, summary, {"turns": list(turns)}, list(notes))


def _said(added: Spread) -> str:
    return f"{figure(added.median)} ({figure(added.min)}..{figure(added.max)})"


def _added(turns: Sequence[dict[str, Any]], way: str) -> Spread:
    """What a page costs above that of nobody, round by round."""
    both = zip(_of(turns, way), _of(turns, _ANONYMOUS), strict=True)
    return spread([dear - cheap for dear, cheap in both])


def _of(turns: Sequence[dict[str, Any]], way: str) -> list[float]:
    return [turn["cpu"] for turn in turns if turn["way"] == way]
