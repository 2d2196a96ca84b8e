"""Everyone looks at the same page at once: what the services see of that."""

import asyncio

import pytest
from fastapi import Request

from bff_core.auth import Visitor, visitor
from bff_core.context import current
from bffs.mobile.app import create as mobile
from bffs.public_api.app import create as public_api
from bffs.web.app import create as web
from tests.bff_core.small_gateway import HOST, Visit
from tests.simulations.known_store import KnownStore
from tests.store import ALICE, Store, as_alice, settings

PAGES = {
    "web": (web, "/api/products/pojos-in-action"),
    "mobile": (mobile, "/v1/products/pojos-in-action"),
    "public_api": (public_api, "/v1/products/pojos-in-action"),
}


async def one_of_two(request: Request) -> Visitor:
    """Two principals who ask for the same, or their calls would not be equal anyway."""
    current().principal = ALICE._replace(subject=request.query_params["as"])
    return Visitor("US", "USD", customer_id="alice")


@pytest.mark.parametrize("name", PAGES)
async def test_two_hundred_visits_of_one_page_are_one_attempt_for_each_thing_on_it(name: str, store: Store) -> None:
    create, path = PAGES[name]
    wire = KnownStore(store)
    app = create(settings(name), wire)
    shown = [(name.encode(), value.encode()) for name, value in as_alice(app).items()]

    found = await asyncio.gather(*[Visit(app, path, headers=[HOST, *shown]).end() for _ in range(200)])

    assert {visit.status for visit in found} == {200}
    assert len({visit.body for visit in found}) == 1
    assert not any(b"missing" in parts for visit in found for parts in visit.values(b"page-parts"))
    assert set(wire.asked.values()) == {1}


async def test_of_two_principals_each_has_an_attempt_of_its_own_where_the_service_is_told_who_asks(
    store: Store,
) -> None:
    wire = KnownStore(store)
    app = web(settings("web"), wire)
    app.dependency_overrides[visitor] = one_of_two

    path = "/api/products/pojos-in-action?as="
    found = await asyncio.gather(*[Visit(app, path + ("alice", "bob")[number % 2]).end() for number in range(200)])

    assert {visit.status for visit in found} == {200}
    assert {number for (service, _), number in wire.asked.items() if service != "orders"} == {1}
    assert [number for (service, _), number in wire.asked.items() if service == "orders"] == [2]
