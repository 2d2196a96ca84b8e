"""What the catalogue answers."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.books import handwritten
from demo.fulltext import match_expression

BOOK = "pojos-in-action"


async def test_a_product_is_answered_with_everything_a_page_needs(visit):
    reply = await visit("catalog").get(f"/products/{BOOK}")
    product = reply.json()
    assert (product["title"], product["authors"]) == ("POJOs in Action", ["Chris Richardson"])
    assert (product["publisher"], product["published"], product["pages"]) == ("Manning", "2006", 592)
    assert [picture["kind"] for picture in product["pictures"]] == ["front", "back", "spread"]
    assert product["pictures"][0]["path"] == f"/covers/{BOOK}/front.svg"
    assert product["generated"] is False
    assert reply.headers["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize("path", [f"/products/{BOOK}", f"/products?id={BOOK}", "/search", f"/covers/{BOOK}/front.svg"])
async def test_who_has_an_answer_already_gets_304_without_a_body(visit, path):
    catalog = visit("catalog")
    first = await catalog.get(path)
    for held in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await catalog.get(path, headers={"if-none-match": held})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert (await catalog.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_many_products_come_in_the_order_asked_each_once_and_unknown_ones_are_left_out(visit):
    asked = {"id": ["on-lisp", "no-such-book", BOOK, "on-lisp"]}
    reply = await visit("catalog").get("/products", params=asked)
    assert [product["id"] for product in reply.json()] == ["on-lisp", BOOK]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/products/no-such-book", 404),
        ("/covers/no-such-book/front.svg", 404),
        ("/nowhere", 404),
        (f"/covers/{BOOK}/sideways.svg", 404),
        ("/products", 422),
        ("/products?" + "&".join(f"id={number}" for number in range(101)), 422),
        ("/search?limit=0", 422),
        ("/search?limit=101", 422),
        ("/search?cursor=nonsense", 422),
        ("/search?cursor=YWZ0ZXI6LTE", 422),
    ],
)
async def test_a_refusal_is_json_with_a_code_and_a_detail(visit, path, status):
    reply = await visit("catalog").get(path)
    assert reply.status_code == status
    assert reply.json().keys() == {"error", "detail"}


@pytest.mark.parametrize("query", ["", "program", "python"])
async def test_walking_a_search_meets_every_product_exactly_once(visit, query):
    catalog, cursor, met = visit("catalog"), {}, []
    while True:
        page = (await catalog.get("/search", params={"query": query, "limit": 7, **cursor})).json()
        met += [product["id"] for product in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(met) == len(set(met)) == page["total"] > 7


async def test_an_empty_search_shows_the_real_books_first(visit):
    page = (await visit("catalog").get("/search?limit=100")).json()
    assert page["total"] == 200
    assert [product["id"] for product in page["items"]][: len(handwritten())] == [book.id for book in handwritten()]


async def test_the_last_word_of_a_search_may_be_half_typed(visit):
    page = (await visit("catalog").get("/search", params={"query": "richardson pojo"})).json()
    assert [product["id"] for product in page["items"]] == [BOOK]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text() | st.text(alphabet="\"*^:(){}-+,. ANDORTNEAR'\\") | st.from_regex(r'"?(a|AND|NEAR\()"?( \*)*'))
async def test_no_query_can_be_an_error(visit, query):
    reply = await visit("catalog").get("/search", params={"query": query})
    assert reply.status_code == 200
    assert (reply.json()["total"] == 0) == (reply.json()["items"] == [])


def test_every_word_of_a_query_is_quoted_and_counts_only_up_to_the_sixteenth():
    assert match_expression('title:x" OR y*') == '"title" "x" "OR" "y" *'
    assert match_expression("word " * 1000).count("word") == 16
