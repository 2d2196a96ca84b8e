"""How long a request has: the gateway's deadline, or less where the client asks for less."""

import pytest
from fastapi import APIRouter

from bff_core.context import current
from bff_core.testing import HeldUpstream, SimulatedInternet
from tests.bff_core.small_gateway import HOST, Store, Visit, browser, small_gateway

router = APIRouter()


@router.get("/")
async def left() -> float:
    return round(current().until - current().started, 9)


@router.get("/products/{product_id}")
async def product(product_id: str, store: Store) -> str:
    return (await store.catalog.product(product_id)).title


async def asked(*values: bytes) -> Visit:
    return await Visit(small_gateway(router), headers=[HOST, *((b"request-timeout", value) for value in values)]).end()


async def test_a_request_has_the_gateways_deadline() -> None:
    assert (await asked()).body == b"2.0"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1", 1), (b"1.5", 1.5), (b"0.001", 0.001), (b"2", 2), (b"2.1", 2), (b"600", 2), (b"999999999", 2), (b"01", 1)],
)
async def test_a_client_can_make_it_shorter_and_never_longer(value: bytes, seconds: float) -> None:
    assert float((await asked(value)).body) == seconds


NONSENSE = [
    b"", b" ", b"0", b"0.0", b"-1", b"+1", b"1s", b"1,5", b".5", b"1.", b"1e3", b"NaN", b"Infinity", b"1 2", b"0x1",
    b"1_0", b"\xd9\xa1", b"9" * 10, b"1" * 5000, b"1\n", b"\x00",
]  # fmt: skip


@pytest.mark.parametrize("value", NONSENSE)
async def test_what_is_no_time_is_refused_by_name(value: bytes) -> None:
    visit = await asked(value)
    assert visit.status == 422
    assert b'"field":"header.request-timeout"' in visit.body


async def test_a_call_ends_with_the_clients_patience() -> None:
    internet = SimulatedInternet({"catalog.test": HeldUpstream()})
    async with browser(small_gateway(router, internet)) as client:
        reply = await client.get("/products/x", headers={"request-timeout": "0.2"})
    assert reply.status_code == 504
    assert reply.json()["type"] == "/problems/timeout"
    ((_, request),) = internet.requests
    assert (b"x-request-timeout-ms", b"200") in request.headers
