"""The page's models, for the peers that are written in Python."""

from pydantic import BaseModel

__all__ = ["PARTS", "Item", "Page"]

PARTS = ("product", "price", "availability", "rating", "reviews", "related", "sellers")


class Price(BaseModel):
    amount: int
    currency: str


class Item(BaseModel):
    """What the upstream answers."""

    id: str
    title: str
    authors: list[str]
    publisher: str
    published: str
    pages: int
    language: str
    isbn: str
    in_stock: bool
    rating: float
    price: Price
    about: str


class Page(BaseModel):
    """What a client gets."""

    product: Item
    price: Item
    availability: Item
    rating: Item
    reviews: Item
    related: Item
    sellers: Item
