"""The hosts of a simulated internet, behind real sockets of this machine."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from bff_core.testing.internet import ASGIApp
from tests.bff_core.served import Served

__all__ = ["Listening", "listening"]


class Listening(dict[str, str]):
    """Where each host is reached. One that is not there is somewhere where nobody listens."""

    def __init__(self, nowhere: str) -> None:
        super().__init__()
        self._nowhere = nowhere

    def __missing__(self, host: str) -> str:
        return self._nowhere


@asynccontextmanager
async def listening(hosts: Mapping[str, ASGIApp]) -> AsyncIterator[Listening]:
    """Each app behind a socket of its own."""
    async with AsyncExitStack() as stack:
        # bound and never listened at, because a port that is merely free may become somebody's meanwhile
        nowhere = stack.enter_context(socket.socket())
        nowhere.bind(("127.0.0.1", 0))
        found = Listening(f"http://127.0.0.1:{nowhere.getsockname()[1]}")
        for host, app in hosts.items():
            served = await stack.enter_async_context(Served(app))
            found[host] = f"http://127.0.0.1:{served.port}"
        yield found
