"""The files that keep a run: all its figures, and in short what they come to; both say where they come from."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.plan import Plan
from bench.report import Report
from bench.scenarios import SCENARIOS

__all__ = ["Machine", "is_whole", "write", "write_latest"]

_FOLDER: Final = Path(__file__).parent / "results"

Machine = Mapping[str, str | int]
"""What ``machine.described`` says."""


def write(plan: Plan, reports: Mapping[str, Report], machine: Machine, now: datetime, folder: Path = _FOLDER) -> Path:
    """Write everything, to a file that is named after the moment ``now``; returns where."""
    run = {
        "time": now.isoformat(timespec="seconds"),
        "machine": machine,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "pinned": plan.cores.gateway is not None,
        "scenarios": {name: {"notes": report.notes, "raw": report.raw} for name, report in reports.items()},
    }
    return _written(folder / f"{now:%Y-%m-%dT%H%M%S}.json", run)


def is_whole(plan: Plan, reports: Mapping[str, Report]) -> bool:
    """Whether every scenario was measured, and every peer that is installed: of such runs alone is there a latest.

    Figures of two runs in one file would be read as those of one machine and one commit, and figures of a part of a
    run as all there are.
    """
    return not plan.only and reports.keys() == SCENARIOS.keys()


def write_latest(reports: Mapping[str, Report], machine: Machine, now: datetime, folder: Path = _FOLDER) -> Path:
    """Write what it came to in place of what the run before came to; returns where."""
    run = {
        "machine": machine,
        "date": now.isoformat(timespec="seconds"),
        "scenarios": {name: report.summary for name, report in reports.items()},
    }
    return _written(folder / "latest.json", run)


def _written(file: Path, run: Mapping[str, Any]) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
