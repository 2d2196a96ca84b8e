"""The phone apps' gateway: few bytes, ready to be drawn, and nothing fetched that was not asked for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from bff_core.testing import SimulatedInternet, signed_in_as
from bffs.mobile.app import create
from bffs.web.app import create as create_web
from tests.identity import ACME, APP, Identity
from tests.store import ALICE, Store, client, settings

BOOK = "/v1/products/pojos-in-action"


@pytest.fixture
def internet(store: Store) -> SimulatedInternet:
    return store.internet()


@pytest.fixture
async def app(internet: SimulatedInternet) -> AsyncIterator[httpx.AsyncClient]:
    async with client(create(settings("mobile"), internet)) as someone:
        yield someone


async def test_a_screen_is_ready_to_be_drawn(app: httpx.AsyncClient) -> None:
    screen = (await app.get(BOOK)).json()

    assert screen["product"]["title"] == "POJOs in Action"
    assert screen["product"]["byline"] == "Chris Richardson"
    assert screen["product"]["images"] == [
        f"/v1/covers/pojos-in-action/{kind}.svg" for kind in ("front", "back", "spread")
    ]
    assert screen["price"]["now"].startswith("$")
    assert screen["availability"]["text"] == "In stock"
    assert len(screen["reviews"]) == 3
    assert 1 <= len(screen["related"]) <= 3


async def test_prices_are_those_of_the_region(app: httpx.AsyncClient) -> None:
    prices = {
        region: (await app.get(BOOK, params={"region": region, "fields": "price"})).json()["price"]["now"]
        for region in ("US", "GB", "DE", "JP")
    }

    assert {region: price[0] for region, price in prices.items()} == {"US": "$", "GB": "£", "DE": "€", "JP": "¥"}
    assert "." not in prices["JP"]  # yen have no minor unit


async def test_the_screen_is_at_most_a_sixth_of_the_web_page_and_of_two_and_a_half_kilobytes(
    app: httpx.AsyncClient, store: Store
) -> None:
    screen = (await app.get(BOOK)).content
    async with client(create_web(settings("web"), store.internet())) as browser:
        page = (await browser.get("/api/products/pojos-in-action")).content

    assert len(screen) <= len(page) / 6
    assert len(screen) <= 2_500


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ("product", ["/products/{id}"]),
        ("price", ["/products/{id}", "/quotes/{id}"]),
        ("rating,reviews", ["/products/{id}", "/products/{id}/rating", "/products/{id}/reviews"]),
        ("related", ["/products", "/products/{id}", "/products/{id}/recommendations"]),
    ],
)
async def test_what_is_not_asked_for_is_not_fetched(
    app: httpx.AsyncClient, internet: SimulatedInternet, fields: str, asked: list[str]
) -> None:
    screen = (await app.get(BOOK, params={"fields": fields})).json()

    assert sorted(screen) == sorted(fields.split(","))
    sent = [request.target.partition("?")[0].replace("pojos-in-action", "{id}") for _, request in internet.requests]
    assert sorted(sent) == asked


async def test_fields_may_be_given_one_by_one(app: httpx.AsyncClient) -> None:
    assert sorted((await app.get(f"{BOOK}?fields=price&fields=rating")).json()) == ["price", "rating"]


async def test_what_is_left_out_is_reported_as_skipped_and_what_is_missing_as_missing(
    app: httpx.AsyncClient, internet: SimulatedInternet
) -> None:
    del internet.hosts["pricing.test"]
    reply = await app.get(BOOK, params={"fields": "product,price"})

    assert reply.json()["price"] is None
    assert reply.headers["page-parts"] == (
        "product, price;missing=unavailable, availability;missing=skipped, rating;missing=skipped, "
        "reviews;missing=skipped, related;missing=skipped"
    )


async def test_related_products_are_asked_for_in_one_call(app: httpx.AsyncClient, internet: SimulatedInternet) -> None:
    await app.get(BOOK, params={"fields": "related"})

    bulk = [request.target for _, request in internet.requests if request.target.startswith("/products?")]
    assert len(bulk) == 1
    assert bulk[0].count("id=") == 3


async def test_a_book_without_reviews_has_none(app: httpx.AsyncClient) -> None:
    screen = (await app.get("/v1/products/on-lisp")).json()

    assert screen["reviews"] == []
    assert screen["rating"] == {"average": None, "text": "Not rated yet"}


async def test_a_book_without_a_price_in_a_region_says_so(app: httpx.AsyncClient) -> None:
    reply = await app.get("/v1/products/the-soul-of-a-new-machine?region=JP")

    assert reply.json()["price"] is None
    assert "price;missing=not-found" in reply.headers["page-parts"]


async def test_a_book_that_is_out_of_stock_does_not_arrive(app: httpx.AsyncClient) -> None:
    screen = (await app.get("/v1/products/smalltalk-best-practice-patterns")).json()

    assert screen["availability"] == {"in_stock": False, "text": "Out of stock", "delivery": None}


async def test_covers_come_through_the_gateway(app: httpx.AsyncClient) -> None:
    picture = await app.get("/v1/covers/pojos-in-action/front.svg")
    again = await app.get("/v1/covers/pojos-in-action/front.svg", headers={"if-none-match": picture.headers["etag"]})

    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<svg")
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/products/UPPER", "path.product_id"),
        ("/v1/products/-a", "path.product_id"),
        ("/v1/products/a--b", "path.product_id"),
        ("/v1/products/" + "a" * 101, "path.product_id"),
        ("/v1/products/%2e%2e", "path.product_id"),
        ("/v1/products/a%00", "path.product_id"),
        ("/v1/products/a%0a", "path.product_id"),
        ("/v1/products/caf%C3%A9", "path.product_id"),
        ("/v1/products/a?fields=price,cost", "query.fields"),
        ("/v1/products/a?fields=", "query.fields"),
        ("/v1/products/a?fields=" + "a" * 401, "query.fields"),
        ("/v1/products/a?region=XX", "query.region"),
        ("/v1/products/a?region=us", "query.region"),
        ("/v1/covers/a/side.svg", "path.kind"),
    ],
)
async def test_what_is_wrong_is_named(app: httpx.AsyncClient, path: str, field: str) -> None:
    reply = await app.get(path)

    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert [wrong["field"] for wrong in reply.json()["errors"]] == [field]


async def test_an_unknown_product_is_a_problem(app: httpx.AsyncClient) -> None:
    reply = await app.get("/v1/products/no-such-book")

    assert reply.status_code == 404
    assert reply.json()["type"] == "/problems/not-found"


# who is signed in

BOUGHT = [{"on": "21 Aug 2024", "text": "e-book, $29.99"}, {"on": "9 Mar 2019", "text": "new, $44.99"}]


@asynccontextmanager
async def as_somebody(internet: SimulatedInternet, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Alice, or whoever is like her but for this."""
    app = create(settings("mobile"), internet)
    async with client(app) as phone:
        phone.headers.update(signed_in_as(app, ALICE._replace(**changed)))
        yield phone


async def test_who_is_signed_in_sees_what_they_bought_before(internet: SimulatedInternet) -> None:
    async with as_somebody(internet) as alice, as_somebody(internet, subject="bob") as bob:
        hers, his = await alice.get(BOOK), await bob.get(BOOK)

    assert (hers.json()["purchases"], his.json()["purchases"]) == (BOUGHT, [])
    assert hers.headers["page-parts"].endswith(", purchases")


async def test_for_who_is_not_signed_in_there_is_no_such_part(
    app: httpx.AsyncClient, internet: SimulatedInternet
) -> None:
    for target in (BOOK, f"{BOOK}?fields=purchases,price"):
        reply = await app.get(target)
        assert "purchases" not in reply.json()
        assert "purchases" not in reply.headers["page-parts"]
    assert "orders" not in {instance.upstream for instance, _ in internet.requests}


async def test_without_the_scope_it_is_forbidden_and_the_orders_are_not_asked(internet: SimulatedInternet) -> None:
    async with as_somebody(internet, scopes=frozenset({"profile"})) as alice:
        reply = await alice.get(BOOK)

    assert (reply.status_code, reply.json()["purchases"]) == (200, None)
    assert reply.headers["page-parts"].endswith(", purchases;missing=forbidden")
    assert reply.headers["cache-control"] == "private, no-cache"
    assert "orders" not in {instance.upstream for instance, _ in internet.requests}


async def test_a_program_that_acts_for_itself_has_bought_nothing(internet: SimulatedInternet) -> None:
    async with as_somebody(internet, subject="acme", client_id="acme") as program:
        assert "purchases" not in (await program.get(BOOK)).json()


@pytest.mark.parametrize(("fields", "asked"), [("purchases", {"catalog", "orders"}), ("price", {"catalog", "pricing"})])
async def test_what_is_bought_is_asked_for_like_any_other_field(
    internet: SimulatedInternet, fields: str, asked: set[str]
) -> None:
    async with as_somebody(internet) as alice:
        screen = (await alice.get(BOOK, params={"fields": fields})).json()

    assert set(screen) == {fields}
    assert {instance.upstream for instance, _ in internet.requests} == asked


async def test_a_token_of_the_stores_own_provider_is_taken_and_one_for_partners_is_not(
    store: Store, tmp_path: Path
) -> None:
    identity, internet = Identity(tmp_path), store.internet()
    identity.now, internet.hosts["127.0.0.1"] = time(), identity.app
    hers = (await identity.redeem_app(await identity.browser().code(asked=APP)))["access_token"]
    partners = (await identity.token(ACME, grant_type="client_credentials")).json()["access_token"]
    async with client(create(settings("mobile"), internet)) as phone:
        taken = await phone.get(BOOK, headers={"authorization": f"Bearer {hers}"})
        refused = await phone.get(BOOK, headers={"authorization": f"Bearer {partners}"})

    assert (taken.status_code, taken.json()["purchases"]) == (200, BOUGHT)
    assert refused.status_code == 401


async def test_a_screen_is_kept_by_the_phone_of_who_is_signed_in_alone(
    app: httpx.AsyncClient, internet: SimulatedInternet
) -> None:
    async with as_somebody(internet) as alice:
        hers, cover = await alice.get(BOOK), await alice.get("/v1/covers/pojos-in-action/front.svg")
    anybodys = await app.get(BOOK)

    assert (hers.headers["cache-control"], hers.headers["vary"]) == ("private, no-cache", "Authorization")
    assert (anybodys.headers["cache-control"], anybodys.headers["vary"]) == ("no-cache", "Authorization")
    assert cover.headers["cache-control"].startswith("public, max-age=")
    assert "vary" not in cover.headers


async def test_the_documentation_says_that_a_token_may_be_shown(app: httpx.AsyncClient) -> None:
    document = (await app.get("/openapi.json")).json()

    assert list(document["components"]["securitySchemes"]) == ["bearerAuth"]
    for operations in document["paths"].values():
        assert operations["get"]["security"] == [{}, {"bearerAuth": []}]
        assert {"401", "403"} & set(operations["get"]["responses"]) == {"401"}
