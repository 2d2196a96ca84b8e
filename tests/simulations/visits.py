"""Visits to a gateway's pages by a crowd, and what came of each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from fastapi import FastAPI

from bff_core.upstream import Upstream
from tests.bff_core.small_gateway import HOST, Visit
from tests.simulations.crowd import crowd
from tests.store import SERVICES

__all__ = ["Seen", "nth", "upstreams", "visits"]


@dataclass(frozen=True)
class Seen:
    """What one visitor saw, and how long it took. ``missing`` maps parts to reasons."""

    at: float
    status: int | None
    missing: dict[str, str]
    seconds: float


async def visits(
    app: FastAPI, path: Callable[[int], str], rate: float, seconds: float, *headers: tuple[bytes, bytes], seed: int = 1
) -> list[Seen]:
    """Let a crowd look at ``path`` of the number of the visit."""
    clock, seen = asyncio.get_running_loop().time, []

    async def look(number: int) -> None:
        start = clock()
        visit = await Visit(app, path(number), headers=(HOST, *headers)).end()
        parts = [part.partition(";missing=") for part in b"".join(visit.values(b"page-parts")).decode().split(", ")]
        missing = {name: why for name, _, why in parts if why}
        seen.append(Seen(start, visit.status, missing, clock() - start))

    await crowd(rate, seconds, look, seed=seed)
    return seen


def nth(share: float, seen: list[Seen]) -> float:
    """How long the quickest visits of this share took at most: 0.99 is the p99."""
    return sorted(one.seconds for one in seen)[ceil(share * len(seen)) - 1]


def upstreams(app: FastAPI) -> dict[str, Upstream]:
    """Those of a gateway to the whole store."""
    return {name: getattr(app.state.store, name).upstream for name in SERVICES}
