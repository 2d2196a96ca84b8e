"""The one upstream: seven kinds of things that it knows about a product, all of one shape."""

from bff_core.services.client import Answer, ServiceClient
from bff_core.upstream import Call

__all__ = ["Item", "Items", "Price"]


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
    """What there is to know about a product."""

    service = "items"

    def product(self, product_id: str) -> Call[Item]:
        """What it is."""
        return self.get("/product/{product_id}", product_id=product_id, returns=Item)

    def price(self, product_id: str) -> Call[Item]:
        """What it costs."""
        return self.get("/price/{product_id}", product_id=product_id, returns=Item)

    def availability(self, product_id: str) -> Call[Item]:
        """Whether it is there."""
        return self.get("/availability/{product_id}", product_id=product_id, returns=Item)

    def rating(self, product_id: str) -> Call[Item]:
        """What it is worth to its readers."""
        return self.get("/rating/{product_id}", product_id=product_id, returns=Item)

    def reviews(self, product_id: str) -> Call[Item]:
        """What they say."""
        return self.get("/reviews/{product_id}", product_id=product_id, returns=Item)

    def related(self, product_id: str) -> Call[Item]:
        """What else they bought."""
        return self.get("/related/{product_id}", product_id=product_id, returns=Item)

    def sellers(self, product_id: str) -> Call[Item]:
        """Who sells it."""
        return self.get("/sellers/{product_id}", product_id=product_id, returns=Item)
