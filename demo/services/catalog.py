"""What the store sells: products, search and cover pictures."""

import json
import sqlite3
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from demo.answers import conditional, encode
from demo.books import Book
from demo.connection import Database
from demo.covers import draw
from demo.cursors import decode_cursor, encode_cursor
from demo.errors import unknown
from demo.fulltext import match_expression
from demo.shop import Shop

SCHEMA = """
CREATE TABLE products (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(title, subtitle, authors, subjects, about, content='', prefix='2 3');
"""
PICTURES = {"front": "Front cover of", "back": "Back cover of", "spread": "A look inside"}
EVERYTHING = "SELECT document FROM products ORDER BY position LIMIT ? OFFSET ?"
COUNT = "SELECT count(*) FROM products"
MATCHING = """
SELECT document FROM products JOIN (
    SELECT rowid AS found, bm25(words, 10, 5, 8, 4, 1) AS score
    FROM words WHERE words MATCH ? ORDER BY score, found LIMIT ? OFFSET ?
) ON position = found ORDER BY score, found
"""  # the weights follow the columns; position settles ties
COUNT_MATCHING = "SELECT count(*) FROM words WHERE words MATCH ?"
CACHE = "public, max-age=60"
COVER_CACHE = "public, max-age=86400"

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """One row and one searchable entry for each book; documents are encoded once, here."""
    for position, book in enumerate(shop.books):
        db.execute("INSERT INTO products VALUES (?, ?, ?)", (position, book.id, encode(_document(book))))
        words = (
            book.title,
            book.subtitle or "",
            "; ".join(book.authors),
            "; ".join(book.subjects),
            book.about,
        )
        db.execute(
            "INSERT INTO words (rowid, title, subtitle, authors, subjects, about) VALUES (?, ?, ?, ?, ?, ?)",
            (position, *words),
        )


def _document(book: Book) -> dict[str, object]:
    return {
        "id": book.id,
        "title": book.title,
        "subtitle": book.subtitle,
        "authors": book.authors,
        "publisher": book.publisher,
        "published": book.published,
        "pages": book.pages,
        "language": book.language,
        "isbn": book.isbn13,
        "subjects": book.subjects,
        "about": book.about,
        "pictures": [
            {"kind": kind, "path": f"/covers/{book.id}/{kind}.svg", "alt": f"{words} {book.title}"}
            for kind, words in PICTURES.items()
        ],
        "generated": book.generated,
    }


@router.get("/products/{product_id}")
async def product(product_id: str, request: Request, db: Database) -> Response:
    """One product."""
    return conditional(request, _stored(db, product_id), cache=CACHE)


@router.get("/products")
async def products(
    request: Request, db: Database, ids: Annotated[list[str], Query(alias="id", max_length=100)]
) -> Response:
    """The products with these ids, in this order, each once, unknown ones left out."""
    wanted = dict.fromkeys(ids)
    places = ", ".join("?" * len(wanted))
    known = dict(db.execute(f"SELECT id, document FROM products WHERE id IN ({places})", (*wanted,)))
    return conditional(request, _array(known[one] for one in wanted if one in known), cache=CACHE)


@router.get("/search")
async def search(
    request: Request,
    db: Database,
    query: str = "",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """The products that hold all words of the query, best first; all products for an empty one."""
    offset = decode_cursor(cursor, start=0)
    if query.strip():
        words = match_expression(query)
        total, rows = db.execute(COUNT_MATCHING, (words,)), db.execute(MATCHING, (words, limit, offset))
    else:
        total, rows = db.execute(COUNT), db.execute(EVERYTHING, (limit, offset))
    page = _page([document for (document,) in rows], total.fetchone()[0], offset)
    return conditional(request, page, cache=CACHE)


@router.get("/covers/{product_id}/{kind}.svg")
async def cover(product_id: str, kind: str, request: Request, db: Database) -> Response:
    """A picture of the book, drawn from its data."""
    if kind not in PICTURES:
        raise unknown("picture", kind)
    drawing = draw(json.loads(_stored(db, product_id)), kind)
    return conditional(request, drawing, media_type="image/svg+xml", cache=COVER_CACHE)


def _stored(db: sqlite3.Connection, product_id: str) -> str:
    row = db.execute("SELECT document FROM products WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        raise unknown("product", product_id)
    return str(row[0])


def _page(documents: list[str], total: int, offset: int) -> str:
    end = offset + len(documents)
    following = encode_cursor(end) if documents and end < total else None
    return f'{{"items":{_array(documents)},"next":{encode(following)},"total":{total}}}'


def _array(documents: Iterable[str]) -> str:
    return f"[{','.join(documents)}]"  # they are JSON already
