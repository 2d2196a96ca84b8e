"""The upstream, running: nginx where it is there, a small server of our own where it is not."""

import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import nginx
from bench.processes import free_ports, started

__all__ = ["RunningUpstream", "upstream"]

_HERE = Path(__file__).parent


class RunningUpstream:
    """Where it listens, and how much it was asked."""

    def __init__(self, port: int, engine: str) -> None:
        self.port, self.engine = port, engine
        self.url = f"http://127.0.0.1:{port}"
        self._own = 0

    def calls(self) -> int:
        """How many requests it has had, but for those of this method."""
        self._own += 1
        with urllib.request.urlopen(f"{self.url}/_count", timeout=10) as reply:
            found = re.search(r"^ \d+ \d+ (\d+)", reply.read().decode(), re.MULTILINE)
        assert found
        return int(found[1]) - self._own


@contextmanager
def upstream(core: int | None, *, ours: bool | None = None) -> Iterator[RunningUpstream]:
    """One that runs on this core while the block does. ``ours`` says which; by default whichever is there."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        if nginx.is_here() if ours is None else not ours:
            item = (_HERE / "item.json").read_text(encoding="utf-8")
            words = nginx.configured(_HERE / "nginx.conf", Path(folder), PORT=port, ITEM=item)
        else:
            words = [sys.executable, "-m", "bench.upstream.server", str(port)]
        with started("the upstream", words, port=port, core=core):
            yield RunningUpstream(port, words[0] if words[0] == "nginx" else "asyncio")
