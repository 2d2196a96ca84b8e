"""Who else sells a product, best offer first."""

import sqlite3

from fastapi import APIRouter, Response

from demo.answers import answer
from demo.connection import Database
from demo.errors import unknown
from demo.money import Currency, Region, charming, convert, currency_for, money, worth
from demo.shop import Shop

SCHEMA = """
CREATE TABLE sellers (id TEXT PRIMARY KEY, name TEXT, rating REAL, ratings INTEGER, ships_from TEXT)
    WITHOUT ROWID;
CREATE TABLE offers (product_id TEXT, rank INTEGER, seller_id TEXT, cents INTEGER, condition TEXT,
    PRIMARY KEY (product_id, rank)) WITHOUT ROWID;
"""
SELLERS = (
    ("second-shelf", "Second Shelf Books", 4.7, 18_422, "US"),
    ("dog-eared", "Dog-Eared & Co.", 4.4, 3_150, "US"),
    ("paper-lantern", "Paper Lantern", 4.9, 912, "US"),
    ("prairie-pages", "Prairie Pages", 4.2, 7_760, "US"),
    ("quayside", "Quayside Booksellers", 4.8, 5_204, "GB"),
    ("thistle-ink", "Thistle & Ink", 4.1, 433, "GB"),
    ("blattwerk", "Blattwerk Antiquariat", 4.6, 2_087, "DE"),
    ("kontor-buch", "Kontor Buch", 4.3, 1_390, "DE"),
    ("rive-gauche", "Librairie Rive Gauche", 4.5, 1_921, "FR"),
    ("kanda-shobo", "Kanda Shobō", 4.9, 6_618, "JP"),
)
PERCENT = {"new": (88, 112), "used": (35, 75)}  # of what a new copy is worth

router = APIRouter()


def fill(db: sqlite3.Connection, shop: Shop) -> None:
    """All sellers, and three to six offers for each book."""
    db.executemany("INSERT INTO sellers VALUES (?, ?, ?, ?, ?)", SELLERS)
    for book in shop.books:
        db.executemany(
            "INSERT INTO offers VALUES (?, ?, ?, ?, ?)",
            [(book.id, rank, *offer) for rank, offer in enumerate(_offers(shop, book.id), start=1)],
        )


def _offers(shop: Shop, product_id: str) -> list[tuple[str, int, str]]:
    chance = shop.chance(product_id, "offers")
    offers = []
    for seller_id, *_ in chance.sample(SELLERS, chance.randint(3, 6)):
        condition = chance.choice(("new", "used"))
        cents = worth(shop, product_id) * chance.randint(*PERCENT[condition]) // 100
        offers.append((seller_id, charming(cents, "USD"), condition))
    return sorted(offers, key=lambda offer: offer[1])


@router.get("/products/{product_id}/sellers")
async def sellers(product_id: str, db: Database, region: Region = "US", currency: Currency | None = None) -> Response:
    """The offers for the product, cheapest first."""
    target = currency_for(region, currency)
    rows = db.execute(
        """SELECT rank, cents, condition, sellers.id AS seller_id, name, rating, ratings, ships_from
        FROM offers JOIN sellers ON sellers.id = seller_id WHERE product_id = ? ORDER BY rank""",
        (product_id,),
    ).fetchall()
    if not rows:
        raise unknown("product", product_id)
    content = {
        "product_id": product_id,
        "sellers": [_seller(row, target) for row in rows],
        "generated": True,
    }
    return answer(content, cache="public, max-age=60")


def _seller(row: sqlite3.Row, currency: str) -> dict[str, object]:
    return {
        "seller_id": row["seller_id"],
        "name": row["name"],
        "rank": row["rank"],
        "rating": row["rating"],
        "ratings": row["ratings"],
        "offer": {
            "price": money(convert(row["cents"], "USD", currency), currency),
            "condition": row["condition"],
            "ships_from": row["ships_from"],
        },
    }
