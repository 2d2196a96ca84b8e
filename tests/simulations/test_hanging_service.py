"""One of seven services hangs: what it costs the pages that can do without it, and those that never needed it."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter

from bff_core.auth import Visitor, visitor
from bff_core.composition import Composition
from bff_core.context import current
from bff_core.gateway import gateway
from bff_core.testing import run
from bff_core.upstream.circuit import State
from bff_core.upstream_settings import CircuitSettings
from bffs.web.app import create as web
from bffs.web.store import Store as Services
from bffs.web.store import StoreClients
from demo.books import handwritten
from tests.simulations.known_store import HANGING, KnownStore
from tests.simulations.visits import Seen, nth, upstreams, visits
from tests.store import ALICE, SERVICES, Store, settings

BOOKS = [book.id for book in handwritten()[:50]]
HANGS = 5  # seconds after the start
SECONDS = 15
WITHIN = 0.85  # seconds: half of what a page has, which is 85 % of 2 s
PARTS = {
    "pricing": {"price"},
    "inventory": {"availability"},
    "orders": {"purchases"},
    "reviews": {"rating", "reviews"},
    "recommendations": {"related"},
    "sellers": {"sellers"},
}


async def alice() -> Visitor:
    current().principal = ALICE
    return Visitor("US", "USD", customer_id="alice")


impatient = APIRouter()


@impatient.get("/impatient/{product_id}")
async def impatient_page(product_id: str, store: Services) -> str:
    async with Composition() as page:
        product = page.required("product", store.catalog.product(product_id))
        page.optional("rating", store.reviews.rating(product_id), within=0.2)
    return product.value.title


@dataclass
class Run:
    """The product page and the front page, which asks the catalog alone, side by side; and the state of circuits."""

    products: list[Seen]
    front: list[Seen]
    circuits: dict[str, State]


def browsed(store: Store, hanging: str | None, **policies: Any) -> Run:
    """Both pages for a while, in the midst of which a service begins to hang."""

    async def browse() -> Run:
        found = settings("web")
        changed = {name: one.model_copy(update=policies) for name, one in found.upstreams.items()}
        wire = KnownStore(store)
        app = web(found.model_copy(update={"upstreams": changed}), wire)
        app.dependency_overrides[visitor] = alice
        if hanging:
            asyncio.get_running_loop().call_at(HANGS, wire.latency.__setitem__, hanging, HANGING)
        products, front = await asyncio.gather(
            visits(app, lambda number: f"/api/products/{BOOKS[number % len(BOOKS)]}", 20, SECONDS),
            visits(app, lambda _: "/", 20, SECONDS, seed=2),
        )
        return Run(products, front, {name: one.circuit.state for name, one in upstreams(app).items()})

    return run(browse())


@pytest.fixture(scope="module")
def well(store: Store) -> Run:
    """Nothing hangs."""
    return browsed(store, None)


def test_where_nothing_hangs_every_page_is_whole(well: Run) -> None:
    assert {(seen.status, *seen.missing) for seen in [*well.products, *well.front]} == {(200,)}
    assert nth(0.99, well.products) < WITHIN / 4


@pytest.mark.parametrize("service", PARTS)
def test_a_page_takes_as_long_as_its_part_may_and_a_page_without_it_no_longer_than_before(
    service: str, well: Run, store: Store
) -> None:
    ill = browsed(store, service)

    during = [seen for seen in ill.products if seen.at >= HANGS]
    assert {(seen.status, *sorted(seen.missing)) for seen in during} == {(200, *sorted(PARTS[service]))}
    assert nth(0.99, during) <= 1.10 * WITHIN
    assert ill.front == well.front
    assert ill.circuits == {name: State.CLOSED if name != service else ill.circuits[name] for name in SERVICES}


def test_without_circuits_it_is_the_same_for_each_of_those_pages(well: Run, store: Store) -> None:
    ill = browsed(store, "reviews", circuit=CircuitSettings(enabled=False))

    during = [seen for seen in ill.products if seen.at >= HANGS]
    assert nth(0.01, during) > WITHIN / 2
    assert nth(0.99, during) <= 1.10 * WITHIN
    assert ill.front == well.front


async def test_behind_a_part_that_waits_less_than_an_attempt_it_opens_its_own_circuit_and_no_other(
    store: Store,
) -> None:
    wire = KnownStore(store)
    app = gateway(settings("web"), StoreClients, [impatient], wire=wire)

    async def browse(seconds: float) -> list[Seen]:
        return await visits(app, lambda number: f"/impatient/{BOOKS[number % len(BOOKS)]}", 20, seconds)

    await browse(10)
    wire.latency["reviews"] = HANGING
    during = await browse(10)
    assert [name for name, one in upstreams(app).items() if one.circuit.opened] == ["reviews"]
    assert {(seen.status, *seen.missing) for seen in during} == {(200, "rating")}
    assert nth(0.99, during) <= 1.10 * 0.2
    assert {seen.missing["rating"] for seen in during if seen.seconds < 0.19} == {"circuit"}

    del wire.latency["reviews"]
    await browse(7)
    assert {(seen.status, *seen.missing) for seen in await browse(5)} == {(200,)}
