"""The soak of the http1 wire in short, always with the same seed; and whether it would find what it is for."""

import asyncio
from typing import Any

import pytest

from bff_core.wire import Reply
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.http1_connection import Connection
from tests.soak.wire.caller import Unexpected
from tests.soak.wire.lot import FAULTS, draw
from tests.soak.wire.soak import Left, Plan, soak

pytestmark = pytest.mark.real

SHORT = Plan(seed=1, calls=3000, rounds=6, warming=0, callers=50, patience=2.0)


async def test_thousands_of_calls_end_as_they_may_and_leave_nothing() -> None:
    result = await soak(SHORT)
    assert result.ends.total() == SHORT.calls
    assert {"reply", "part", "left", "Unreachable", "TimedOut", "BadReply", "Busy"} <= set(result.ends)
    assert result.ends["reply"] > SHORT.calls / 2
    assert result.asked > 2 * result.accepted  # connections are used again, which is where things get mixed up


def test_calls_of_the_short_form_meet_every_fault() -> None:
    assert {draw(SHORT.seed, number).fault for number in range(1, SHORT.calls)} == set(FAULTS)


class Mixing(Http1Wire):
    """Gives one call the reply to another."""

    last: Reply | None = None

    async def send(self, *args: Any, **kwargs: Any) -> Reply:
        reply, self.last = self.last, await super().send(*args, **kwargs)
        return reply or self.last


class Losing(Http1Wire):
    """Loses a connection that is free."""

    lost: Connection | None = None

    async def send(self, *args: Any, **kwargs: Any) -> Reply:
        reply = await super().send(*args, **kwargs)
        self.lost = self.lost or next(iter(self._pools.values())).take()
        return reply


class Lingering(Http1Wire):
    """Leaves something to be done for ever."""

    async def send(self, *args: Any, **kwargs: Any) -> Reply:
        self.waiting = asyncio.create_task(asyncio.Event().wait())
        return await super().send(*args, **kwargs)


class Hoarding(Http1Wire):
    """Keeps something of every call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kept: list[object] = []

    async def send(self, *args: Any, **kwargs: Any) -> Reply:
        self.kept += [object() for _ in range(200)]
        return await super().send(*args, **kwargs)


@pytest.mark.parametrize(
    ("wire", "found", "told"),
    [
        (Mixing, Unexpected, r"_Wrong\(.* came of Lot\(number="),
        (Losing, Left, "the server knows .*, the wire None"),
        (Lingering, Left, "tasks: "),
        (Hoarding, Left, r"memory: \d+ blocks"),
    ],
)
async def test_what_is_wrong_is_found(wire: type[Http1Wire], found: type[Exception], told: str) -> None:
    with pytest.raises(found, match=told):
        await soak(Plan(seed=1, calls=500, rounds=2, warming=1, callers=20, patience=1.0, tidying=0.5, make_wire=wire))
