"""Where a run was made: figures of two machines, or of two versions, are not one series."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench.processes import ROOT

__all__ = ["described", "python"]


def described() -> dict[str, str | int]:
    """The machine, the versions of what runs on it, and the commit; what is not there is an empty text."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": python(),
        "node": _said("node", "--version"),
        "nginx": _said("nginx", "-v").rpartition("/")[2],
        "commit": _commit(),
    }


def python() -> str:
    """Which Python runs this: "3.11.2 (main, Apr 28 2025, GCC 12.2.0)".

    The day and the compiler tell two builds of one version apart. How a build was optimised it cannot say of itself:
    Debian's does not name the flags.
    """
    branch, built = platform.python_build()
    day = " ".join(built.split()[:3])  # without the time of day
    known = ", ".join(word for word in (branch, day, platform.python_compiler()) if word)
    return f"{platform.python_version()} ({known})"


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
