"""The seven services: seven kinds of things that there are to know about a product, all of one shape."""

from typing import ClassVar

from bff_core.services.client import Answer, ServiceClient
from bff_core.upstream import Call

__all__ = [
    "Item",
    "Items",
    "Price",
    "Prices",
    "Products",
    "Ratings",
    "Relations",
    "Reviews",
    "Sellers",
    "Stock",
]


class Price(Answer):
    amount: int
    currency: str


class Item(Answer):
    """330 bytes of JSON."""

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


class Items(ServiceClient):
    """One kind of thing that there is to know about a product, from a service of its own."""

    template: ClassVar[str]

    def of(self, product_id: str) -> Call[Item]:
        """It, of this product."""
        return self.get(self.template, product_id=product_id, returns=Item)


class Products(Items):
    """What it is."""

    service = "product"
    template = "/product/{product_id}"


class Prices(Items):
    """What it costs."""

    service = "price"
    template = "/price/{product_id}"


class Stock(Items):
    """Whether it is there."""

    service = "availability"
    template = "/availability/{product_id}"


class Ratings(Items):
    """What it is worth to its readers."""

    service = "rating"
    template = "/rating/{product_id}"


class Reviews(Items):
    """What they say."""

    service = "reviews"
    template = "/reviews/{product_id}"


class Relations(Items):
    """What else they bought."""

    service = "related"
    template = "/related/{product_id}"


class Sellers(Items):
    """Who sells it."""

    service = "sellers"
    template = "/sellers/{product_id}"
