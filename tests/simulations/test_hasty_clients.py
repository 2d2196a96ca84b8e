"""A client in a great hurry does harm to nobody but itself."""

import asyncio
from dataclasses import dataclass

import pytest
from fastapi import FastAPI

from bff_core.upstream.circuit import State
from bffs.web.app import create as web
from demo.books import handwritten
from tests.simulations.known_store import KnownStore
from tests.simulations.visits import Seen, upstreams, visits
from tests.store import Store, settings

HASTY = (b"request-timeout", b"0.01")
BOOKS = [f"/api/products/{book.id}" for book in handwritten()[:50]]
NORMAL = 20  # pages a second, from which circuits learn


@dataclass(frozen=True)
class Place:
    """How quick the services are, and how many books are looked at."""

    usual: float
    books: int

    async def visit(self, app: FastAPI, rate: float, seconds: float, *headers: tuple[bytes, bytes]) -> list[Seen]:
        return await visits(app, lambda number: BOOKS[number % self.books], rate, seconds, *headers)


PLACES = {
    "quick": Place(0.02, 50),
    "one book": Place(0.02, 1),
    "slow": Place(0.1, 50),
    "slow, and one book": Place(0.1, 1),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("company", [True, False], ids=["among others", "alone"])
async def test_five_hundred_hasty_pages_a_second_open_no_circuit(place: Place, company: bool, store: Store) -> None:
    wire = KnownStore(store, usual=place.usual)
    app = web(settings("web"), wire)
    if company:
        _, others = await asyncio.gather(place.visit(app, 500, 2, HASTY), place.visit(app, NORMAL, 2))
    else:
        await place.visit(app, 500, 2, HASTY)
        others = await place.visit(app, NORMAL, 2)

    for upstream in upstreams(app).values():
        assert (upstream.circuit.state, upstream.circuit.opened) == (State.CLOSED, 0)
        counts = upstream.tally.counts()
        # what many in a hurry wait for in turn may have taken longer than the p99, as one in a hundred does
        assert counts.get("failure", 0) <= 0.03 * sum(counts.values())
        assert upstream.bulkhead.in_flight == 0
    assert wire.under_way == 0
    assert {(seen.status, *seen.missing) for seen in others} == {(200,)}
