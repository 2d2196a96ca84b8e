"""What pricing, inventory, sellers and orders answer."""

import pytest

BOOK = "pojos-in-action"
OWN = {"US": "USD", "GB": "GBP", "DE": "EUR", "FR": "EUR", "JP": "JPY"}


@pytest.mark.parametrize(("region", "currency"), OWN.items())
async def test_a_quote_is_in_the_currency_of_its_region(visit, region, currency):
    reply = await visit("pricing").get(f"/quotes/{BOOK}", params={"region": region})
    quote = reply.json()
    assert reply.headers["cache-control"] == "no-cache"
    assert (quote["product_id"], quote["region"], quote["generated"]) == (BOOK, region, True)
    assert quote["price"]["currency"] == quote["list_price"]["currency"] == currency
    saving = 1 - quote["price"]["amount"] / quote["list_price"]["amount"]
    assert quote["saving_percent"] == round(100 * saving)
    assert {option["kind"] for option in quote["options"]} == {"new", "used", "e-book"}
    assert quote["options"][0] == {"kind": "new", "price": quote["price"], "condition": "new"}
    assert quote["options"][-1]["condition"] is None


async def test_dollars_and_euros_are_accepted_everywhere_and_other_foreign_money_nowhere(visit):
    pricing = visit("pricing")
    for region, own in OWN.items():
        for currency in ("USD", "EUR", "GBP", "JPY"):
            reply = await pricing.get(f"/quotes/{BOOK}", params={"region": region, "currency": currency})
            assert reply.status_code == (200 if currency in {own, "USD", "EUR"} else 422)


@pytest.mark.parametrize(
    "path",
    [
        "pricing/quotes/{}",
        "inventory/availability/{}",
        "sellers/products/{}/sellers",
        "reviews/products/{}/rating",
        "reviews/products/{}/reviews",
        "recommendations/products/{}/recommendations",
    ],
)
async def test_each_service_knows_which_products_there_are(visit, path):
    service, _, rest = path.partition("/")
    assert (await visit(service).get(rest.format(BOOK))).status_code == 200
    unknown = await visit(service).get(rest.format("no-such-book"))
    assert unknown.status_code == 404
    assert unknown.json().keys() == {"error", "detail"}


@pytest.mark.parametrize("path", ["pricing/quotes/{}", "inventory/availability/{}", "sellers/products/{}/sellers"])
async def test_an_unknown_region_is_refused(visit, path):
    service, _, rest = path.partition("/")
    assert (await visit(service).get(rest.format(BOOK) + "?region=XX")).status_code == 422


async def test_one_real_book_is_not_sold_in_japan(visit):
    pricing = visit("pricing")
    assert (await pricing.get("/quotes/the-soul-of-a-new-machine?region=JP")).status_code == 404
    assert (await pricing.get("/quotes/the-soul-of-a-new-machine?region=US")).status_code == 200


async def test_delivery_counts_from_today_and_is_slower_from_afar(visit):
    inventory = visit("inventory")
    near, far = [(await inventory.get(f"/availability/{BOOK}?region={region}")).json() for region in ("US", "FR")]
    assert near["delivery"] == {"region": "US", "earliest": "2027-03-04", "latest": "2027-03-06"}
    assert far["delivery"] == {"region": "FR", "earliest": "2027-03-08", "latest": "2027-03-13"}
    assert near["in_stock"]
    assert near["quantity"] == sum(warehouse["quantity"] for warehouse in near["warehouses"])


async def test_what_is_out_of_stock_cannot_be_delivered(visit):
    reply = await visit("inventory").get("/availability/smalltalk-best-practice-patterns")
    content = reply.json()
    assert (content["in_stock"], content["quantity"]) == (False, 0)
    assert (content["warehouses"], content["delivery"]) == ([], None)
    assert reply.headers["cache-control"] == "public, max-age=5"


async def test_sellers_come_in_order_of_rank_and_in_the_currency_of_the_region(visit):
    reply = await visit("sellers").get(f"/products/{BOOK}/sellers?region=GB")
    sellers = reply.json()["sellers"]
    prices = [seller["offer"]["price"] for seller in sellers]
    assert [seller["rank"] for seller in sellers] == list(range(1, len(sellers) + 1))
    assert len(sellers) >= 3
    assert {price["currency"] for price in prices} == {"GBP"}
    assert [price["amount"] for price in prices] == sorted(price["amount"] for price in prices)


async def test_alice_bought_the_book_twice_and_bob_never(visit):
    orders = visit("orders")
    reply = await orders.get(f"/customers/alice/purchases?product_id={BOOK}")
    assert reply.headers["cache-control"] == "private, no-store"
    assert [purchase["format"] for purchase in reply.json()] == ["e-book", "new"]
    assert reply.json()[0]["ordered_at"] > reply.json()[1]["ordered_at"]
    assert reply.json()[0]["paid"] == {"amount": 2999, "currency": "USD"}
    assert (await orders.get(f"/customers/bob/purchases?product_id={BOOK}")).json() == []
    assert (await orders.get(f"/customers/nobody/purchases?product_id={BOOK}")).status_code == 404
    assert (await orders.get("/customers/alice/purchases")).status_code == 422
