"""The partners' gateway: documented, paged, and silent about what is inside."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from time import time

import httpx
import pytest
from pydantic import SecretStr

from bff_core.auth.key_format import new_key
from bff_core.auth.key_store import KeyStore
from bff_core.principal import Principal
from bff_core.testing import SimulatedInternet, signed_in_as
from bffs.public_api.app import create
from tests.bff_core.kept_keys import kept
from tests.identity import ACME, APP, Identity
from tests.store import SERVICES, Store, answer, babble, client, delay, refuse, rewritten, settings

BOOK = "/v1/products/pojos-in-action"
COVER = "/v1/covers/pojos-in-action/front.svg"
PARTNER = Principal("public_api", "acme", frozenset({"products:read"}), "acme", "gold")


@pytest.fixture
def internet(store: Store) -> SimulatedInternet:
    return store.internet()


@asynccontextmanager
async def as_partner(internet: SimulatedInternet) -> AsyncIterator[httpx.AsyncClient]:
    """One who may read products."""
    app = create(settings("public_api"), internet)
    async with client(app) as someone:
        someone.headers.update(signed_in_as(app, PARTNER))
        yield someone


@pytest.fixture
async def partner(internet: SimulatedInternet) -> AsyncIterator[httpx.AsyncClient]:
    async with as_partner(internet) as someone:
        yield someone


@pytest.fixture
async def stranger(internet: SimulatedInternet) -> AsyncIterator[httpx.AsyncClient]:
    async with client(create(settings("public_api"), internet)) as someone:
        yield someone


async def test_a_product_has_money_in_minor_units(partner: httpx.AsyncClient) -> None:
    price = (await partner.get(BOOK, params={"region": "JP"})).json()["price"]["price"]

    assert price["currency"] == "JPY"
    assert isinstance(price["amount"], int)


async def test_lists_are_walked_by_following_links(partner: httpx.AsyncClient) -> None:
    seen, target = [], "/v1/products?query=design&limit=5"
    while target:
        reply = await partner.get(target)
        seen += [item["id"] for item in reply.json()["items"]]
        target = reply.links["next"]["url"] if "next" in reply.links else ""

    assert len(seen) == len(set(seen)) == reply.json()["total"] > 5


async def test_reviews_are_walked_by_following_links_and_dated_by_rfc_3339(partner: httpx.AsyncClient) -> None:
    seen, target = [], f"{BOOK}/reviews?limit=20"
    while target:
        reply = await partner.get(target)
        seen += reply.json()["items"]
        target = reply.links["next"]["url"] if "next" in reply.links else ""

    assert len({review["id"] for review in seen}) == len(seen) == reply.json()["total"]
    moments = [datetime.fromisoformat(review["written_at"]) for review in seen]
    assert moments == sorted(moments, reverse=True)
    assert all(moment.tzinfo for moment in moments)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/products?limit=0", "query.limit"),
        ("/v1/products?limit=51", "query.limit"),
        ("/v1/products?limit=x", "query.limit"),
        ("/v1/products?cursor=abc", "query.cursor"),
        ("/v1/products?cursor=%27%3B--", "query.cursor"),
        ("/v1/products?cursor=" + "a" * 401, "query.cursor"),
        ("/v1/products?query=" + "a" * 201, "query.query"),
        ("/v1/products/a/reviews?cursor=abc", "query.cursor"),
        ("/v1/products/A/reviews", "path.product_id"),
    ],
)
async def test_what_is_wrong_is_named(partner: httpx.AsyncClient, path: str, field: str) -> None:
    reply = await partner.get(path)

    assert reply.status_code == 422
    assert [wrong["field"] for wrong in reply.json()["errors"]] == [field]


async def test_reviews_of_an_unknown_product_are_not_found(partner: httpx.AsyncClient) -> None:
    assert (await partner.get("/v1/products/no-such-book/reviews")).status_code == 404


async def test_a_partner_never_sells_without_a_price(partner: httpx.AsyncClient) -> None:
    assert (await partner.get("/v1/products/the-soul-of-a-new-machine?region=JP")).status_code == 404


@pytest.mark.parametrize("how", [refuse, delay, babble])
async def test_a_problem_names_nothing_inside(store: Store, how: object) -> None:
    async with as_partner(store.internet(SERVICES, how)) as someone:
        for path in (BOOK, "/v1/products", f"{BOOK}/reviews"):
            said = await someone.get(path)
            whole = said.text + str(said.headers)
            assert said.status_code >= 500
            for word in (*SERVICES, ".test", "127.0.0.1", "Traceback"):
                assert word not in whole.replace(path, "")


async def test_an_upstream_that_throttles_is_told_as_reduced_capacity(
    internet: SimulatedInternet, partner: httpx.AsyncClient
) -> None:
    internet.hosts["pricing.test"] = answer(b"{}", status=429)
    reply = await partner.get(BOOK)

    assert reply.status_code == 503
    assert reply.json()["type"] == "/problems/temporary-reduced-capacity"


async def test_every_route_documents_its_answers_and_every_problem(partner: httpx.AsyncClient) -> None:
    document = (await partner.get("/openapi.json")).json()

    assert sorted(document["paths"]) == [
        "/v1/covers/{product_id}/{kind}.svg",
        "/v1/products",
        "/v1/products/{product_id}",
        "/v1/products/{product_id}/reviews",
    ]
    for path, operations in document["paths"].items():
        responses = operations["get"]["responses"]
        assert {"200", "422", "502", "503", "504"} <= set(responses), path
        for status, response in responses.items():
            if status not in {"200", "304"}:
                problem = response["content"]["application/problem+json"]
                assert problem["example"]["status"] == int(status)
    assert "HTTPValidationError" not in str(document)


async def test_the_documented_problems_are_those_that_are_answered(partner: httpx.AsyncClient) -> None:
    document = (await partner.get("/openapi.json")).json()
    documented = document["paths"]["/v1/products/{product_id}"]["get"]["responses"]["404"]
    example = documented["content"]["application/problem+json"]["example"]
    answered = (await partner.get("/v1/products/no-such-book")).json()

    assert {**answered, "instance": ""} == {**example, "instance": ""}


async def test_head_is_get_without_the_body(partner: httpx.AsyncClient) -> None:
    whole, head = await partner.get(BOOK), await partner.head(BOOK)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["/v1/products", f"{BOOK}/reviews"])
async def test_a_service_that_rejects_a_first_page_has_failed_and_no_cursor_is_blamed(
    path: str, internet: SimulatedInternet, partner: httpx.AsyncClient
) -> None:
    for service in ("catalog", "reviews"):
        internet.hosts[f"{service}.test"] = answer(b"{}", status=422)

    assert (await partner.get(path)).status_code == 502
    assert (await partner.get(f"{path}?cursor=abc")).status_code == 422


@pytest.mark.parametrize(
    ("service", "path", "old", "new"),
    [
        ("reviews", f"{BOOK}/reviews", b"Z", b" "),  # a time without a zone is no time
        ("catalog", "/v1/products?limit=1", b'"next":"', b'"next":"+/'),  # a cursor that our own door would refuse
        ("catalog", BOOK, b'"id":"pojos-in-action"', b'"id":"../../../evil"'),
    ],
)
async def test_what_partners_could_not_use_is_a_bad_reply(
    service: str, path: str, old: bytes, new: bytes, internet: SimulatedInternet, partner: httpx.AsyncClient
) -> None:
    internet.hosts[f"{service}.test"] = rewritten(internet.hosts[f"{service}.test"], old, new)

    assert (await partner.get(path)).status_code == 502


@pytest.mark.parametrize("path", [BOOK, "/v1/products"])
async def test_a_page_says_that_it_is_not_to_be_kept(path: str, partner: httpx.AsyncClient) -> None:
    assert (await partner.get(path)).headers["cache-control"] == "private, no-cache"


async def test_a_page_with_something_missing_is_not_even_stored(store: Store) -> None:
    async with as_partner(store.internet(["reviews"], refuse)) as someone:
        assert (await someone.get(BOOK)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["web", "mobile", "public_api"])
async def test_every_gateway_documents_problems_and_nothing_else_as_errors(name: str) -> None:
    app = importlib.import_module(f"bffs.{name}.app").create(settings(name))
    document = app.openapi()

    assert "HTTPValidationError" not in str(document)
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "instance"]
    for path, operations in document["paths"].items():
        responses = operations["get"]["responses"]
        assert {"400", "422", "500", "502", "503", "504"} <= set(responses), path
        assert ("404" in responses) == ("{product_id}" in path), path


# who asks


@pytest.mark.parametrize(
    "path", [BOOK, "/v1/products", f"{BOOK}/reviews", "/v1/products/NOT-VALID", "/v1/products?limit=x"]
)
async def test_a_stranger_learns_how_to_prove_who_they_are_and_nothing_else(
    path: str, stranger: httpx.AsyncClient, internet: SimulatedInternet
) -> None:
    reply = await stranger.get(path)

    assert (reply.status_code, reply.json()["type"]) == (401, "/problems/unauthenticated")
    assert reply.headers["www-authenticate"] == 'Bearer realm="public_api"'
    assert reply.headers["vary"] == "Authorization, X-API-Key"
    assert internet.requests == []


@pytest.mark.parametrize("path", [BOOK, "/v1/products", f"{BOOK}/reviews"])
async def test_a_partner_who_may_not_read_products_is_told_what_is_missing(
    path: str, internet: SimulatedInternet
) -> None:
    app = create(settings("public_api"), internet)
    shown = signed_in_as(app, PARTNER._replace(scopes=frozenset({"orders:read"})))
    async with client(app) as someone:
        reply = await someone.get(path, headers=shown)

    assert (reply.status_code, reply.json()["type"]) == (403, "/problems/forbidden")
    said = 'Bearer realm="public_api", error="insufficient_scope", scope="products:read"'
    assert reply.headers["www-authenticate"] == said
    assert internet.requests == []


async def test_the_documentation_is_for_everybody(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/openapi.json")).status_code == 200


async def test_a_cover_is_for_everybody_and_for_caches_that_many_share_whoever_asks(
    stranger: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    for someone in (stranger, partner):
        picture = await someone.get(COVER)
        again = await someone.get(COVER, headers={"if-none-match": picture.headers["etag"]})
        assert (picture.status_code, again.status_code) == (200, 304)
        for reply in (picture, again):
            assert reply.headers["cache-control"].startswith("public, max-age=")
            assert "vary" not in reply.headers


async def test_a_cover_that_there_is_not_varies_like_any_other_problem(partner: httpx.AsyncClient) -> None:
    reply = await partner.get("/v1/covers/no-such-book/front.svg")

    assert (reply.status_code, reply.headers["cache-control"]) == (404, "no-store")
    assert reply.headers["vary"] == "Authorization, X-API-Key"


async def test_a_partner_reads_in_the_documentation_how_to_prove_who_they_are(stranger: httpx.AsyncClient) -> None:
    document = (await stranger.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]

    assert (schemes["bearerAuth"]["type"], schemes["bearerAuth"]["scheme"]) == ("http", "bearer")
    assert "<http://127.0.0.1:7008>" in schemes["bearerAuth"]["description"]
    key = {name: schemes["apiKey"][name] for name in ("type", "in", "name")}
    assert key == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    for path, operations in document["paths"].items():
        operation = operations["get"]
        if path.startswith("/v1/covers/"):
            assert operation["security"] == [{}, {"bearerAuth": []}, {"apiKey": []}]
            assert {"401", "403"} & set(operation["responses"]) == {"401"}
        else:
            assert operation["security"] == [{"bearerAuth": ["products:read"]}, {"apiKey": ["products:read"]}]
            assert {"401", "403"} <= set(operation["responses"])
            assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


async def test_a_token_that_a_partners_server_gets_for_itself_is_taken(store: Store, tmp_path: Path) -> None:
    identity, internet = Identity(tmp_path), store.internet()
    identity.now, internet.hosts["127.0.0.1"] = time(), identity.app
    token = (await identity.token(ACME, grant_type="client_credentials")).json()["access_token"]
    phones = (await identity.redeem_app(await identity.browser().code(asked=APP)))["access_token"]
    async with client(create(settings("public_api"), internet)) as someone:
        taken = await someone.get(BOOK, headers={"authorization": f"Bearer {token}"})
        other = await someone.get(BOOK, headers={"authorization": f"Bearer {phones}"})

    assert (taken.status_code, taken.json()["id"]) == (200, "pojos-in-action")
    assert (other.status_code, 'error="invalid_token"' in other.headers["www-authenticate"]) == (401, True)


@pytest.mark.real_time  # keys are read in threads
async def test_a_key_is_taken_and_of_another_environment_it_is_not(internet: SimulatedInternet, tmp_path: Path) -> None:
    found = settings("public_api")
    keys = found.keys.model_copy(update={"database": SecretStr(f"sqlite+aiosqlite:///{tmp_path}/keys.db")})
    app = create(found.model_copy(update={"keys": keys}), internet)
    mine, elsewhere = new_key("live"), new_key("dev")
    kept_in = KeyStore(keys.database.get_secret_value())
    await kept_in.add(kept(mine, created_at=int(time())))
    await kept_in.close()
    async with app.router.lifespan_context(app), client(app) as someone:
        statuses = [(await someone.get(BOOK, headers={"x-api-key": one.text})).status_code for one in (mine, elsewhere)]

    assert statuses == [200, 401]
