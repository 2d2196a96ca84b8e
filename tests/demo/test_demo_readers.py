"""What reviews and recommendations answer."""

from collections import Counter

import pytest

from demo.books import handwritten

BOOK = "pojos-in-action"


async def _all_reviews(reviews, product_id, limit):
    met, cursor = [], {}
    while True:
        page = (await reviews.get(f"/products/{product_id}/reviews", params={"limit": limit, **cursor})).json()
        met += page["items"]
        if page["next"] is None:
            assert page["total"] == len(met)
            return met
        cursor = {"cursor": page["next"]}


@pytest.mark.parametrize("limit", [1, 7, 10, 50])
async def test_walking_the_reviews_meets_each_exactly_once_newest_first(visit, limit):
    met = await _all_reviews(visit("reviews"), BOOK, limit)
    assert len(met) == len({review["id"] for review in met}) >= 20
    written = [review["written_at"] for review in met]
    assert written == sorted(written, reverse=True)
    assert max(written) < "2026-11-01"


async def test_the_rating_is_that_of_the_reviews(visit):
    reviews = visit("reviews")
    stars = Counter(review["rating"] for review in await _all_reviews(reviews, BOOK, 50))
    rating = (await reviews.get(f"/products/{BOOK}/rating")).json()
    assert rating["distribution"] == {str(star): stars[star] for star in range(1, 6)}
    assert rating["count"] == stars.total()
    assert rating["average"] == round(sum(star * number for star, number in stars.items()) / stars.total(), 1)
    assert len(stars) >= 3


async def test_a_book_without_reviews_has_no_average(visit):
    reviews = visit("reviews")
    rating = (await reviews.get("/products/on-lisp/rating")).json()
    assert (rating["average"], rating["count"]) == (None, 0)
    page = (await reviews.get("/products/on-lisp/reviews")).json()
    assert (page["items"], page["next"], page["total"]) == ([], None, 0)


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "cursor=nonsense", "cursor="])
async def test_a_page_of_reviews_that_makes_no_sense_is_refused(visit, query):
    assert (await visit("reviews").get(f"/products/{BOOK}/reviews?{query}")).status_code == 422


async def test_recommendations_exist_are_other_products_and_each_named_once(visit):
    catalog, recommendations = visit("catalog"), visit("recommendations")
    products = (await catalog.get("/search?limit=100")).json()["items"]
    products += (await catalog.get("/search?limit=100&cursor=YWZ0ZXI6MTAw")).json()["items"]
    known = {product["id"] for product in products}
    assert len(known) == 200
    for product_id in known:
        content = (await recommendations.get(f"/products/{product_id}/recommendations")).json()
        together, others = content["bought_together"], content["bought_by_others"]
        assert 2 <= len(together) <= 4
        assert 1 <= len(others) <= 12
        assert len({*together, *others}) == len(together) + len(others)
        assert {*together, *others} <= known - {product_id}


async def test_a_real_book_leads_to_real_books_that_share_a_subject_first(visit):
    real = {book.id: set(book.subjects) for book in handwritten()}
    content = (await visit("recommendations").get(f"/products/{BOOK}/recommendations")).json()
    assert all(real[BOOK] & real[other] for other in content["bought_together"])
    assert real.keys() >= set(content["bought_by_others"])
