"""Where a run was made: figures of two machines, or of two versions, are not one series."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench.processes import ROOT

__all__ = ["described"]


def described() -> dict[str, str | int]:
    """The machine, the versions of what runs on it, and the commit; what is not there is an empty text."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "node": _said("node", "--version"),
        "nginx": _said("nginx", "-v").rpartition("/")[2],
        "commit": _commit(),
    }


def _cpu(file: Path = Path("/proc/cpuinfo")) -> str:
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", file.read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    # results apart, because the run before has left its own there
    changed = _said("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results")
    return _said("git", "rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def _said(*words: str) -> str:
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""
