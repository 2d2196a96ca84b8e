"""What readers wrote about the products."""

import sqlite3
from typing import Annotated

from fastapi import APIRouter, Query, Response

from demo.answers import answer
from demo.connection import Database
from demo.cursors import LARGEST, decode_cursor, encode_cursor
from demo.errors import unknown
from demo.opinions import opinions
from demo.shop import Shop

# number counts the reviews of one product from the oldest, so that it is also the cursor
SCHEMA = """
CREATE TABLE products (id TEXT PRIMARY KEY, reviews INTEGER) WITHOUT ROWID;
CREATE TABLE reviews (product_id TEXT, number INTEGER, author TEXT, rating INTEGER, title TEXT, body TEXT,
    written_at TEXT, verified INTEGER, PRIMARY KEY (product_id, number)) WITHOUT ROWID;
"""
CACHE = "public, max-age=30"

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """None to sixty reviews of each book, oldest first."""
    for book in shop.books:
        written = opinions(book, shop)
        db.execute("INSERT INTO products VALUES (?, ?)", (book.id, len(written)))
        db.executemany(
            "INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(book.id, number, *opinion) for number, opinion in enumerate(written)],
        )


@router.get("/products/{product_id}/rating")
async def rating(product_id: str, db: Database) -> Response:
    """How many stars the product has, counted from its reviews."""
    count = _count(db, product_id)
    stars = dict.fromkeys("12345", 0)
    grouped = db.execute("SELECT rating, count(*) FROM reviews WHERE product_id = ? GROUP BY rating", (product_id,))
    stars |= {str(star): number for star, number in grouped}
    total = sum(int(star) * number for star, number in stars.items())
    content = {
        "product_id": product_id,
        "average": round(total / count, 1) if count else None,
        "count": count,
        "distribution": stars,
        "generated": True,
    }
    return answer(content, cache=CACHE)


@router.get("/products/{product_id}/reviews")
async def reviews(
    product_id: str, db: Database, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> Response:
    """The reviews of the product, newest first."""
    rows = db.execute(
        """SELECT product_id, number, author, rating, title, body, written_at, verified FROM reviews
        WHERE product_id = ? AND number < ? ORDER BY number DESC LIMIT ?""",
        (product_id, decode_cursor(cursor, start=LARGEST), limit),
    ).fetchall()
    content = {
        "items": [_review(row) for row in rows],
        "next": encode_cursor(rows[-1]["number"]) if rows and rows[-1]["number"] > 0 else None,
        "total": _count(db, product_id),
        "generated": True,
    }
    return answer(content, cache=CACHE)


def _count(db: sqlite3.Connection, product_id: str) -> int:
    row = db.execute("SELECT reviews FROM products WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        raise unknown("product", product_id)
    return int(row[0])


def _review(row: sqlite3.Row) -> dict[str, object]:
    return {
        "id": f"{row['product_id']}-r{row['number']}",
        "author": row["author"],
        "rating": row["rating"],
        "title": row["title"],
        "body": row["body"],
        "written_at": row["written_at"],
        "verified_purchase": bool(row["verified"]),
    }
