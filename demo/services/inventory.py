"""How many copies lie in which warehouse, and when one of them could be at the door."""

import sqlite3
from datetime import date, timedelta

from fastapi import APIRouter, Request, Response

from demo.answers import answer
from demo.connection import Database
from demo.errors import unknown
from demo.money import Region
from demo.shop import Shop

SCHEMA = """
CREATE TABLE stock (product_id TEXT, warehouse TEXT, region TEXT, quantity INTEGER,
    PRIMARY KEY (product_id, warehouse)) WITHOUT ROWID;
"""
WAREHOUSES = {"reno": "US", "harrisburg": "US", "rugby": "GB", "leipzig": "DE", "lille": "FR", "osaka": "JP"}
SOLD_OUT = {"smalltalk-best-practice-patterns"}  # so that a page meets a product that cannot be had
DAYS_FROM_NEAR = (3, 5)  # earliest, latest
DAYS_FROM_AFAR = (7, 12)

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """Stock in each warehouse, often none."""
    for book in shop.books:
        chance = shop.chance(book.id, "stock")
        db.executemany(
            "INSERT INTO stock VALUES (?, ?, ?, ?)",
            [
                (book.id, warehouse, region, 0 if book.id in SOLD_OUT else max(0, chance.randint(-4, 12)))
                for warehouse, region in WAREHOUSES.items()
            ],
        )


@router.get("/availability/{product_id}")
async def availability(product_id: str, request: Request, db: Database, region: Region = "US") -> Response:
    """Where copies lie, and when one could arrive in the region."""
    rows = db.execute("SELECT warehouse, region, quantity FROM stock WHERE product_id = ?", (product_id,)).fetchall()
    if not rows:
        raise unknown("product", product_id)
    full = [
        {"warehouse": name, "region": place, "quantity": quantity} for name, place, quantity in rows if quantity > 0
    ]
    content = {
        "product_id": product_id,
        "in_stock": bool(full),
        "quantity": sum(quantity for _, _, quantity in rows),
        "warehouses": full,
        "delivery": _delivery(region, {str(entry["region"]) for entry in full}, request.app.state.today()),
        "generated": True,
    }
    return answer(content, cache="public, max-age=5")


def _delivery(region: str, stocked: set[str], today: date) -> dict[str, str] | None:
    """None when there is nothing to deliver."""
    if not stocked:
        return None
    earliest, latest = (
        today + timedelta(days=days) for days in (DAYS_FROM_NEAR if region in stocked else DAYS_FROM_AFAR)
    )
    return {"region": region, "earliest": earliest.isoformat(), "latest": latest.isoformat()}
