"""What the page shows: its parts as they came, and ``null`` where one is missing."""

from pydantic import BaseModel

from bench.page.items import Item

__all__ = ["ProductPage"]


class ProductPage(BaseModel):
    """One member for each part."""

    product: Item
    price: Item
    availability: Item | None
    rating: Item | None
    reviews: Item | None
    related: Item | None
    sellers: Item | None
