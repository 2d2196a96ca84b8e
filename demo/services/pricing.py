"""What a product costs in each region, and in which forms it can be had."""

import sqlite3

from fastapi import APIRouter, Response

from demo.answers import answer
from demo.books import Book
from demo.connection import Database
from demo.errors import unknown
from demo.money import CURRENCY_OF, Currency, Region, charming, convert, currency_for, money, worth
from demo.shop import Shop

SCHEMA = """
CREATE TABLE prices (product_id TEXT, region TEXT, list_price INTEGER, price INTEGER,
    PRIMARY KEY (product_id, region)) WITHOUT ROWID;
CREATE TABLE options (product_id TEXT, kind TEXT, condition TEXT, percent INTEGER);
CREATE INDEX options_of ON options (product_id);
"""
NOT_SOLD = {("the-soul-of-a-new-machine", "JP")}  # so that a page meets a product without a price
REGIONAL = {"US": 100, "GB": 104, "DE": 108, "FR": 106, "JP": 112}  # percent of what a copy is worth
CONDITIONS = {"like new": 78, "good": 60, "acceptable": 42}  # percent of the price of a new copy

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """A price in each region, in its own currency, and the options of each book."""
    for book in shop.books:
        db.executemany("INSERT INTO prices VALUES (?, ?, ?, ?)", _prices(shop, book.id))
        db.executemany("INSERT INTO options VALUES (?, ?, ?, ?)", _options(shop, book))


def _prices(shop: Shop, product_id: str) -> list[tuple[str, str, int, int]]:
    chance = shop.chance(product_id, "discount")
    return [_price(shop, product_id, region, chance.choice((0, 5, 10, 15, 25, 40))) for region in _sold_in(product_id)]


def _price(shop: Shop, product_id: str, region: str, discount: int) -> tuple[str, str, int, int]:
    currency = CURRENCY_OF[region]
    full = convert(worth(shop, product_id) * REGIONAL[region] // 100, "USD", currency)
    return product_id, region, charming(full, currency), charming(full * (100 - discount) // 100, currency)


def _sold_in(product_id: str) -> list[str]:
    return [region for region in CURRENCY_OF if (product_id, region) not in NOT_SOLD]


def _options(shop: Shop, book: Book) -> list[tuple[str, str, str | None, int]]:
    """All of them for a real book, some for a generated one."""
    chance = shop.chance(book.id, "options")
    used = [condition for condition in CONDITIONS if not book.generated or chance.random() < 0.5]
    electronic = [(book.id, "e-book", None, 70)] if not book.generated or chance.random() < 0.7 else []
    return [
        (book.id, "new", "new", 100),
        *((book.id, "used", condition, CONDITIONS[condition]) for condition in used),
        *electronic,
    ]


@router.get("/quotes/{product_id}")
async def quote(product_id: str, db: Database, region: Region = "US", currency: Currency | None = None) -> Response:
    """What the product costs here and now."""
    target = currency_for(region, currency)
    row = db.execute(
        "SELECT list_price, price FROM prices WHERE product_id = ? AND region = ?", (product_id, region)
    ).fetchone()
    if row is None:
        raise unknown("price", product_id)
    list_price, price = (convert(amount, CURRENCY_OF[region], target) for amount in row)
    options = db.execute("SELECT kind, condition, percent FROM options WHERE product_id = ?", (product_id,))
    content = {
        "product_id": product_id,
        "region": region,
        "list_price": money(list_price, target),
        "price": money(price, target),
        "saving_percent": round(100 * (list_price - price) / list_price),
        "options": [
            {"kind": kind, "price": money(round(price * percent / 100), target), "condition": condition}
            for kind, condition, percent in options
        ],
        "generated": True,
    }
    return answer(content, cache="no-cache")
