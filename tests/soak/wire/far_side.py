"""The server of a soak, from outside: started, asked what it knows, ended."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from bff_core.settings import UpstreamSettings
from bff_core.wire import Instance
from bff_core.wire.terms import Terms
from tests.bff_core.authority import files_of
from tests.processes import ROOT

__all__ = ["FarSide"]


class FarSide:
    """``places`` are the instances it listens at, and ``nowhere``, which refuses; ``terms`` are how to trust it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def __aenter__(self) -> Self:
        self._folder = TemporaryDirectory()
        files = files_of(Path(self._folder.name), "127.0.0.1")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.soak.wire.server", str(self._seed), self._folder.name),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        # bound and never listened at: a port that is merely free may become the other end of whoever connects to it
        self._nowhere = socket.socket()
        self._nowhere.bind(("127.0.0.1", 0))
        ports = await self._heard()
        self.places = {
            "tcp": Instance("tcp", "http", "127.0.0.1", ports["tcp"]),
            "tls": Instance("tls", "https", "127.0.0.1", ports["tls"]),
            "unix": Instance("unix", "unix", f"{self._folder.name}/socket", 0),
            "nowhere": Instance("nowhere", "http", "127.0.0.1", self._nowhere.getsockname()[1]),
        }
        over_tls = UpstreamSettings(instances=[str(self.places["tls"])], tls={"ca": files["ca"]})
        self.terms = {"tls": Terms.of(over_tls)}
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.stdin.close()
        await self._process.wait()
        self._nowhere.close()
        self._folder.cleanup()

    async def known(self, order: str = "tell") -> dict[str, Any]:
        """What it knows. With ``out`` it closes whatever is idle."""
        self._process.stdin.write(order.encode() + b"\n")
        return await self._heard()

    async def _heard(self) -> Any:
        return json.loads(await self._process.stdout.readline())
