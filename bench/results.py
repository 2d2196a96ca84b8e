"""The file that keeps a run: all its figures, and where they come from."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.machine import described
from bench.plan import Plan
from bench.report import Report

__all__ = ["write"]

_FOLDER: Final = Path(__file__).parent / "results"


def write(plan: Plan, reports: Mapping[str, Report], now: datetime, folder: Path = _FOLDER) -> Path:
    """Write it, named after the moment ``now``; returns where."""
    run: dict[str, Any] = {
        "time": now.isoformat(timespec="seconds"),
        "machine": described(),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "pinned": plan.cores.gateway is not None,
        "scenarios": {name: {"notes": report.notes, "raw": report.raw} for name, report in reports.items()},
    }
    folder.mkdir(exist_ok=True)
    file = folder / f"{now:%Y-%m-%dT%H%M%S}.json"
    file.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
