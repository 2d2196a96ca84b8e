"""What else people who look at a product might want."""

import json
import sqlite3

from fastapi import APIRouter, Response

from demo.answers import answer, encode
from demo.books import Book
from demo.connection import Database
from demo.errors import unknown
from demo.shop import Shop

SCHEMA = """
CREATE TABLE recommendations (product_id TEXT PRIMARY KEY, bought_together TEXT, bought_by_others TEXT)
    WITHOUT ROWID;
"""
CANDIDATES = 60
OTHERS = 12

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """Two lists of ids for each book, stored as JSON."""
    real = sum(not book.generated for book in shop.books)  # they come first
    for position, book in enumerate(shop.books):
        # a generated book only follows earlier ones, so that its list does not depend on the catalogue's size
        alike = _alike(book, range(position if book.generated else real), shop)
        together = shop.chance(book.id, "together").randint(2, 4)
        lists = encode(alike[:together]), encode(alike[together : together + OTHERS])
        db.execute("INSERT INTO recommendations VALUES (?, ?, ?)", (book.id, *lists))


def _alike(book: Book, pool: range, shop: Shop) -> list[str]:
    """Ids of books at these places, those that share most subjects first and chance deciding among equals."""
    places = shop.chance(book.id, "alike").sample(pool, min(CANDIDATES, len(pool)))
    others = [shop.books[place] for place in places]
    mine = set(book.subjects)
    others.sort(key=lambda other: -len(mine.intersection(other.subjects)))
    return [other.id for other in others if other.id != book.id]


@router.get("/products/{product_id}/recommendations")
async def recommendations(product_id: str, db: Database) -> Response:
    """Ids of other products: a few that are bought together, more that other buyers bought."""
    row = db.execute(
        "SELECT bought_together, bought_by_others FROM recommendations WHERE product_id = ?", (product_id,)
    ).fetchone()
    if row is None:
        raise unknown("product", product_id)
    together, others = map(json.loads, row)
    content = {
        "product_id": product_id,
        "bought_together": together,
        "bought_by_others": others,
        "generated": True,
    }
    return answer(content, cache="public, max-age=300")
