"""The browsers' gateway, without a browser: HTML, data, and what is known of the visitor."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest
from fastapi import FastAPI

from bff_core.testing import SimulatedInternet
from bffs.web.app import create
from tests.bff_core.small_gateway import Visit
from tests.store import SERVICES, Store, as_alice, client, refuse, rewritten, settings

BOOK = "/products/pojos-in-action"
HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def internet(store: Store) -> SimulatedInternet:
    return store.internet()


@pytest.fixture
def app(internet: SimulatedInternet) -> FastAPI:
    return create(settings("web"), internet)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client(app) as someone:
        yield someone


async def test_the_page_is_drawn_on_the_server(browser: httpx.AsyncClient) -> None:
    reply = await browser.get(BOOK, headers=HTML)

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "POJOs in Action" in reply.text
    assert re.findall("<script[^>]*>", reply.text) == ['<script type="module" src="/static/account.js">']
    assert "style=" not in reply.text
    assert "script-src 'self';" in reply.headers["content-security-policy"]
    assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_a_page_with_nothing_but_the_product_is_still_a_page(store: Store) -> None:
    others = [service for service in SERVICES if service != "catalog"]
    async with client(create(settings("web"), store.internet(others, refuse))) as browser:
        reply = await browser.get(BOOK, headers=HTML)

    assert reply.status_code == 200
    assert "POJOs in Action" in reply.text
    assert "None" not in reply.text


async def test_related_books_that_the_catalog_does_not_know_are_left_out(
    browser: httpx.AsyncClient, internet: SimulatedInternet
) -> None:
    related = (await browser.get(f"/api{BOOK}")).json()["related"]

    assert related["bought_together"]
    assert all(one["cover"] == f"/covers/{one['id']}/front.svg" for one in related["bought_by_others"])
    assert len([1 for _, request in internet.requests if request.target.startswith("/products?")]) == 1


async def test_nobody_is_known_whatever_they_send(browser: httpx.AsyncClient, internet: SimulatedInternet) -> None:
    reply = await browser.get(
        f"/api{BOOK}?customer_id=alice&customer=alice",
        headers={"cookie": "customer_id=alice; session=alice", "x-customer-id": "alice"},
    )

    assert reply.json()["purchases"] is None
    assert "orders" not in {instance.upstream for instance, _ in internet.requests}


async def test_a_token_is_nothing_that_this_gateway_looks_at(browser: httpx.AsyncClient) -> None:
    assert (await browser.get(f"/api{BOOK}", headers={"authorization": "Bearer alice"})).status_code == 401


async def test_a_known_visitor_sees_their_purchases(app: FastAPI, browser: httpx.AsyncClient) -> None:
    alice = as_alice(app)
    data = (await browser.get(f"/api{BOOK}", headers=alice)).json()
    page = (await browser.get(BOOK, headers={**HTML, **alice})).text

    assert len(data["purchases"]) == 2
    assert all(purchase["paid"]["text"] in page for purchase in data["purchases"])


async def test_what_a_service_says_is_text_and_never_markup(
    browser: httpx.AsyncClient, internet: SimulatedInternet, store: Store
) -> None:
    internet.hosts["catalog.test"] = rewritten(store.services["catalog"], b"POJOs", b"<b>&P")
    page = (await browser.get(BOOK, headers=HTML)).text

    assert "<b>&P" not in page
    assert "&lt;b&gt;&amp;P in Action" in page


async def test_a_problem_is_a_page_for_people_and_a_document_for_programs(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/products/no-such-book", headers=HTML)
    document = await browser.get("/api/products/no-such-book")

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.headers["x-request-id"] in page.text
    assert (document.status_code, document.headers["content-type"]) == (404, "application/problem+json")


async def test_who_could_not_be_logged_in_is_told_why_and_can_begin_again(browser: httpx.AsyncClient) -> None:
    reply = await browser.get("/login/callback?code=x&state=y", headers=HTML)

    assert (reply.status_code, reply.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "another tab" in reply.text
    assert '<a class="button" href="/login">Log in again</a>' in reply.text


@pytest.mark.parametrize("target", ["/?query=a", "/?query=C:\\x", "/?query=ü&region=GB", "/?query=%23%22%5C"])
async def test_the_link_to_log_in_leads_back_to_the_page_it_is_on(
    target: str, app: FastAPI, browser: httpx.AsyncClient
) -> None:
    host = httpx.URL(browser.base_url).netloc
    page = await Visit(app, target, headers=[(b"host", host), (b"accept", b"text/html")]).end()
    (link,) = re.findall('href="(/login[^"]*)"', page.body.decode())
    begun = await browser.get(unescape(link), headers=HTML)

    assert begun.status_code != 422, begun.text


async def test_search_finds_books_and_links_to_them(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/?query=microservices", headers=HTML)).text

    assert "/products/microservices-patterns" in page


async def test_the_catalogue_goes_on_behind_a_link(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/", headers=HTML)).text

    assert "cursor=" in page


@pytest.mark.real_time  # files are read in threads
async def test_the_style_sheet_is_there(browser: httpx.AsyncClient) -> None:
    reply = await browser.get("/static/site.css")

    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/products/no-such-book", "Text/HTML", "text/html; charset=utf-8"),
        ("/products/no-such-book", "application/json", "application/problem+json"),
        ("/api/products/no-such-book", "text/html", "application/problem+json"),
    ],
)
async def test_what_a_problem_looks_like_is_asked_for(
    browser: httpx.AsyncClient, path: str, accept: str, media_type: str
) -> None:
    reply = await browser.get(path, headers={"accept": accept})

    assert (reply.headers["content-type"], reply.headers["vary"]) == (
        media_type,
        "accept, Cookie, X-CSRF, Sec-Fetch-Site, Sec-Fetch-Mode",
    )
