"""One word for whoever starts, stops and routes to gateways."""

from datetime import datetime
from unittest.mock import ANY

import pytest
from fastapi import APIRouter

from bff_core.testing import SimulatedInternet
from tests.bff_core.small_gateway import Store, Visit, browser, small_gateway

router = APIRouter()


@router.get("/products/{product_id}")
async def product(product_id: str, store: Store) -> str:
    return (await store.catalog.product(product_id)).title


async def test_a_gateway_is_alive_from_the_first_and_ready_while_it_is_started() -> None:
    app = small_gateway(router)
    for started in (False, True, False):
        if started:
            async with app.router.lifespan_context(app):
                ready = await Visit(app, "/readyz").end()
        else:
            ready = await Visit(app, "/readyz").end()
        assert (ready.status, ready.body) == ((200, b"ok\n") if started else (503, b"not ready\n"))
        alive = await Visit(app, "/livez").end()
        assert (alive.status, alive.body) == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_is_plain_text_that_is_never_kept(path: str) -> None:
    visit = await Visit(small_gateway(router), path).end()
    assert visit.values(b"content-type") == [b"text/plain; charset=utf-8"]
    assert visit.values(b"cache-control") == [b"no-store"]
    assert visit.values(b"content-length") == [b"%d" % len(visit.body)]


async def test_a_service_that_is_away_takes_no_gateway_with_it() -> None:
    app = small_gateway(router, SimulatedInternet())
    async with app.router.lifespan_context(app):
        assert (await Visit(app, "/products/x").end()).status == 502
        assert (await Visit(app, "/readyz").end()).status == 200


@pytest.mark.parametrize("path", ["/livez/", "/livez/x", "/healthz", "/metrics", "/docs", "/redoc"])
async def test_nothing_else_about_the_gateway_is_on_the_clients_port(path: str) -> None:
    assert (await Visit(small_gateway(router), path).end()).status == 404


async def test_operators_see_each_service_and_how_it_does() -> None:
    app = small_gateway(router, SimulatedInternet())
    async with app.router.lifespan_context(app), browser(app.state.admin) as operator:
        await Visit(app, "/products/x").end()
        found = (await operator.get("/healthz")).json()
    at = found["upstreams"]["catalog"].pop("last_failure_at")
    assert datetime.fromisoformat(at).tzinfo
    assert found == {
        "gateway": "small",
        "ready": True,
        "proofs": {},
        "upstreams": {
            "catalog": {
                "instances": [
                    {
                        "address": "http://catalog.test:80",
                        "zone": "",
                        "weight": 1.0,
                        "state": "in use",
                        "latency": 5.0,
                        "in_flight": 0,
                        "connections": None,
                        "sent_again": None,
                        "calls": 3,
                        "failures": 3,
                        "ejections": 0,
                        "back_in": None,
                    }
                ],
                "panic": False,
                "source": {
                    "of": "static",
                    "last_answer_at": ANY,
                    "failing_since": None,
                    "failure": None,
                    "changes": 0,
                },
                "timeout": 0.5,
                "in_flight": 0,
                "limit": 100,
                "circuit": "closed",
                "circuit_opened": 0,
                "p50": None,
                "p95": None,
                "attempts": {"failure": 3},
                "retried": 2,
                "hedged": 0,
                "joined": 0,
                "refused": {},
                "retries_left": 8,
                "retries_refused": 0,
                "last_failure": "catalog: connection refused",
            }
        },
    }


async def test_operators_are_not_answered_under_a_name_that_is_not_theirs() -> None:
    app = small_gateway(router, SimulatedInternet())
    async with browser(app.state.admin) as operator:
        reply = await operator.get("/healthz", headers={"host": "evil.test"})
        named = [await operator.get("/healthz", headers={"host": host}) for host in ("localhost:9000", "[::1]:9000")]
    assert reply.status_code == 421
    assert reply.headers["content-type"] == "application/problem+json"
    assert [one.status_code for one in named] == [200, 200]


async def test_the_wire_is_closed_when_the_gateway_stops() -> None:
    closed = []

    class Watched(SimulatedInternet):
        async def close(self) -> None:
            closed.append(True)

    app = small_gateway(router, Watched())
    async with app.router.lifespan_context(app):
        assert not closed
    assert closed
