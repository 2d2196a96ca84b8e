"""Who bought what, when, and for how much."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from random import Random

from fastapi import APIRouter, Depends, Response

from demo.answers import answer
from demo.connection import Database
from demo.errors import unknown
from demo.money import charming, money, worth
from demo.relay import only_own
from demo.shop import EPOCH, Shop

SCHEMA = """
CREATE TABLE customers (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT, product_id TEXT, ordered_at TEXT,
    quantity INTEGER, paid INTEGER, currency TEXT, format TEXT);
CREATE INDEX orders_of ON orders (customer_id, product_id, ordered_at);
"""
CUSTOMERS = ("alice", "bob", *(f"customer-{number:03}" for number in range(1, 61)))
PERCENT = {"new": 100, "used": 60, "e-book": 70}  # of what a new copy is worth
STORY = "pojos-in-action"  # the page that everyone tries first: alice bought it twice, bob never did
ALICE = (
    ("o-1000001", "alice", STORY, "2019-03-09T17:42:10Z", 1, 4499, "USD", "new"),
    ("o-1000002", "alice", STORY, "2024-08-21T06:15:33Z", 1, 2999, "USD", "e-book"),
)

Order = tuple[str, str, str, str, int, int, str, str]
router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """All customers, and up to four orders of each book."""
    db.executemany("INSERT INTO customers VALUES (?)", [(customer,) for customer in CUSTOMERS])
    db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*ALICE, *_orders(shop)])


def _orders(shop: Shop) -> Iterator[Order]:
    for position, book in enumerate(shop.books):
        chance = shop.chance(book.id, "orders")
        buyers = CUSTOMERS[2:] if book.id == STORY else CUSTOMERS
        for number in range(chance.randrange(5)):
            yield _order(f"o-{2_000_000 + 10 * position + number}", book.id, chance.choice(buyers), shop, chance)


def _order(order_id: str, product_id: str, customer: str, shop: Shop, chance: Random) -> Order:
    form = chance.choice(("new", "new", "used", "e-book"))
    quantity = 2 if form == "new" and chance.random() < 0.1 else 1
    paid = quantity * charming(worth(shop, product_id) * PERCENT[form] // 100, "USD")
    ordered_at = EPOCH - timedelta(seconds=chance.randrange(5 * 365 * 86_400))
    return order_id, customer, product_id, f"{ordered_at:%Y-%m-%dT%H:%M:%SZ}", quantity, paid, "USD", form


@router.get("/customers/{customer_id}/purchases", dependencies=[Depends(only_own)])
async def purchases(customer_id: str, product_id: str, db: Database) -> Response:
    """When this customer bought this product, newest first."""
    if db.execute("SELECT 1 FROM customers WHERE id = ?", (customer_id,)).fetchone() is None:
        raise unknown("customer", customer_id)
    rows = db.execute(
        "SELECT * FROM orders WHERE customer_id = ? AND product_id = ? ORDER BY ordered_at DESC",
        (customer_id, product_id),
    )
    return answer([_purchase(row) for row in rows], cache="private, no-store")


def _purchase(row: sqlite3.Row) -> dict[str, object]:
    return {
        "order_id": row["order_id"],
        "product_id": row["product_id"],
        "ordered_at": row["ordered_at"],
        "quantity": row["quantity"],
        "paid": money(row["paid"], row["currency"]),
        "format": row["format"],
    }
