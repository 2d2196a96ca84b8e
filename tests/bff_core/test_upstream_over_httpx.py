"""A service client end to end: the real wire, and a service that respx plays below it."""

import httpx
import pytest
import respx

from bff_core.errors import BadReply, NotFound, Throttled, TimedOut, Unreachable
from bff_core.services.catalog import Catalog
from bff_core.settings import UpstreamSettings
from bff_core.upstream import Upstream
from bff_core.wire import Wire
from tests.bff_core.raw_server import open_wire

PRODUCT = {
    "id": "pojos",
    "title": "POJOs in Action",
    "authors": ["C. R."],
    "publisher": "M.",
    "published": "2006",
    "pages": 592,
    "language": "en",
    "about": "",
    "somethingNew": {"that": "we do not read"},
}


def catalog(wire: Wire) -> Catalog:
    settings = UpstreamSettings(instances=["http://catalog.test:7001"])
    return Catalog(Upstream("catalog", settings, wire, agent="bff-test/1"))


@respx.mock
async def test_a_product_is_asked_for_and_read() -> None:
    route = respx.get("http://catalog.test:7001/products/pojos").respond(json=PRODUCT)
    async with open_wire() as wire:
        product = await catalog(wire).product("pojos")
    assert (product.title, product.pages) == ("POJOs in Action", 592)
    request = route.calls.last.request
    assert request.headers["host"] == "catalog.test:7001"
    assert request.headers["user-agent"] == "bff-test/1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-request-timeout-ms"] == "500"


@respx.mock
async def test_several_products_are_asked_for_at_once() -> None:
    route = respx.get("http://catalog.test:7001/products").respond(json=[PRODUCT])
    async with open_wire() as wire:
        assert [product.id for product in await catalog(wire).products(["pojos", "a/b"])] == ["pojos"]
    assert route.calls.last.request.url.raw_path == b"/products?id=pojos&id=a%2Fb"


@respx.mock
async def test_a_cover_is_handed_on_as_it_arrives() -> None:
    respx.get("http://catalog.test:7001/covers/pojos/front.svg").respond(
        content=b"<svg/>", content_type="image/svg+xml", headers={"etag": '"1"'}
    )
    async with open_wire() as wire:
        stream = await catalog(wire).cover("pojos", "front", if_none_match=None)
        assert (stream.status, b"".join([part async for part in stream])) == (200, b"<svg/>")
        await stream.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"return_value": httpx.Response(404)}, NotFound),
        ({"return_value": httpx.Response(429, headers={"retry-after": "3"})}, Throttled),
        ({"return_value": httpx.Response(200, json={"id": "pojos"})}, BadReply),
        ({"return_value": httpx.Response(200, text="hello")}, BadReply),
        ({"side_effect": httpx.ConnectError}, Unreachable),
        ({"side_effect": httpx.ReadTimeout}, TimedOut),
    ],
)
@respx.mock
async def test_what_goes_wrong_has_a_type(reply: dict, error: type) -> None:
    respx.get("http://catalog.test:7001/products/pojos").mock(**reply)
    async with open_wire() as wire:
        with pytest.raises(error):
            await catalog(wire).product("pojos")
