"""What a browser gets: everything the product page and the home page show, for JSON and template alike."""

from datetime import datetime
from typing import Self

from bff_core.services.catalog import Product, SearchResult
from bff_core.services.inventory import Availability
from bff_core.services.orders import Purchase
from bff_core.services.pricing import Quote
from bff_core.services.reviews import Rating, ReviewPage
from bff_core.services.sellers import SellerList
from bffs.web.buying_views import AvailabilityView, PriceView, PurchaseView, SellerView, View
from bffs.web.related import Related, Teaser

__all__ = ["ProductPage", "SearchPage"]


class Picture(View):
    kind: str
    alt: str
    url: str


class Book(View):
    id: str
    title: str
    subtitle: str | None
    authors: list[str]
    publisher: str
    published: str
    pages: int
    language: str
    isbn: str | None
    subjects: list[str]
    about: str
    pictures: list[Picture]


class Stars(View):
    average: float | None
    count: int
    distribution: dict[str, int]


class ReviewView(View):
    id: str
    author: str
    rating: int
    title: str
    body: str
    written_at: datetime
    verified_purchase: bool


class Reviews(View):
    total: int
    items: list[ReviewView]


class ProductPage(View):
    """Everything about one book. A member that is ``null`` is missing just now, or never was."""

    product: Book
    price: PriceView | None
    availability: AvailabilityView | None
    rating: Stars | None
    reviews: Reviews | None
    purchases: list[PurchaseView] | None
    related: Related | None
    sellers: list[SellerView] | None

    @classmethod
    def draw(
        cls,
        *,
        product: Product,
        price: Quote | None,
        availability: Availability | None,
        rating: Rating | None,
        reviews: ReviewPage | None,
        purchases: list[Purchase] | None,
        related: Related | None,
        sellers: SellerList | None,
    ) -> Self:
        """The page with these parts."""
        return cls.model_validate(
            {
                "product": {**product.model_dump(), "pictures": _pictures(product)},
                "price": price,
                "availability": availability,
                "rating": rating,
                "reviews": reviews,
                "purchases": purchases,
                "related": related,
                "sellers": sellers and sellers.sellers,
            }
        )


def _pictures(product: Product) -> list[Picture]:
    where = f"/covers/{product.id}"
    return [Picture(kind=one.kind, alt=one.alt, url=f"{where}/{one.kind}.svg") for one in product.pictures]


class SearchPage(View):
    """A page of the catalogue. ``next`` is the cursor of the page behind it."""

    items: list[Teaser]
    total: int
    next: str | None

    @classmethod
    def draw(cls, found: SearchResult) -> Self:
        """The page with these results."""
        return cls.model_validate(found)
