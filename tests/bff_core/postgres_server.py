"""A PostgreSQL of the test's own: a private cluster on a free port of this machine."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Self

from sqlalchemy.engine import make_url

from tests.processes import free_ports

__all__ = ["MISSING", "PostgresServer", "Way"]

_PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None, key=lambda found: found.parts[-3])
MISSING = "waits for PostgreSQL (Debian: postgresql)" if _PROGRAMS is None else None
_numbers = count()


class PostgresServer:
    """To be entered. It runs as the user ``postgres`` where we are root, because it refuses to run as root."""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="bff-postgres-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        (self._port,) = free_ports(1)
        self._run("initdb", "--auth=trust", "--username=bff", "--no-sync", "-D", self._data)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        options = f"-p {self._port} -h 127.0.0.1 -k {self._folder} -c fsync=off"
        # its output elsewhere: a pipe would stay open as long as the server does
        self._run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", f"{self._folder}/log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "fast", "stop")

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"keys_{next(_numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "bff", name)
        return f"postgresql+asyncpg://bff@127.0.0.1:{self._port}/{name}"

    @property
    def _data(self) -> str:
        return f"{self._folder}/data"

    def _run(self, program: str, *words: str) -> None:
        assert _PROGRAMS is not None
        with (self._folder / "said").open("w+") as said:
            done = subprocess.run(
                [_PROGRAMS.parent / program, *words],
                stdout=said,
                stderr=said,
                cwd=self._folder,
                user=self._user,
                timeout=60,
                check=False,
            )
            said.seek(0)
            assert done.returncode == 0, said.read()


class Way:
    """A way to a database that can be blocked: nothing gets through any more, and nothing is closed."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for work in self._work:
            work.cancel()
        await asyncio.wait(self._work)

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return self._url.set(port=port).render_as_string(hide_password=False)

    def block(self) -> None:
        self._is_open.clear()

    def clear(self) -> None:
        self._is_open.set()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._url.host, self._url.port)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            self._work.add(asyncio.create_task(self._carry(source, sink)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._is_open.wait()
                writer.write(data)
        except ConnectionError:
            return
        finally:
            writer.close()
