"""How long a connection on which nobody speaks is kept. Time is virtual, and so is the network."""

import asyncio
from typing import Any

import pytest
from uvicorn.server import ServerState

from bff_core.server.connection import ClientConnection
from bff_core.server.door import Door
from bff_core.server.process import _Server
from bff_core.settings import SizeLimits
from tests.bff_core.served import get


class Wire(asyncio.Transport):
    """Takes what is written, and knows when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed_at: float | None = None

    def write(self, data: Any) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self.closed_at is not None

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed_at = self.closed_at or asyncio.get_running_loop().time()


async def page(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(100 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def connection() -> tuple[ClientConnection, Wire]:
    door = Door(SizeLimits(), 10, 10)
    config = _Server(page, door).config
    config.load()
    made, wire = ClientConnection(config, ServerState(), {}, door=door), Wire()
    made.connection_made(wire)
    return made, wire


async def test_a_connection_is_closed_75_seconds_after_the_last_reply() -> None:
    made, wire = connection()
    for _ in range(3):
        made.data_received(get())
        await asyncio.sleep(50)
    await asyncio.sleep(100)
    assert wire.closed_at == pytest.approx(100 + 75, abs=0.01)


async def test_a_connection_on_which_a_page_takes_its_time_is_not_idle() -> None:
    made, wire = connection()
    made.data_received(get())
    await asyncio.sleep(1)
    made.data_received(get("/slow"))
    await asyncio.sleep(300)
    assert wire.closed_at == pytest.approx(1 + 100 + 75, abs=0.01)


async def test_who_still_speaks_when_it_is_refused_has_two_seconds() -> None:
    made, wire = connection()
    made.data_received(get() + b"nonsense\r\n\r\n")
    for _ in range(10):
        made.data_received(b"more\r\n")
        await asyncio.sleep(1)
    assert wire.closed_at == pytest.approx(2, abs=0.01)
