"""What partners get: the published shapes of version 1. They may grow; they never change or shrink."""

from typing import Annotated, Self

from pydantic import Field

from bff_core.composition import Completeness
from bff_core.errors import Reason
from bff_core.services.catalog import Product
from bff_core.services.inventory import Availability as Found
from bff_core.services.pricing import Quote
from bff_core.services.reviews import Rating as Rated
from bff_core.services.sellers import SellerList
from bffs.public_api.buying_views import Availability, Price, Published, Seller

__all__ = ["ProductDetails", "ProductSummary"]


class Image(Published):
    kind: Annotated[str, Field(examples=["front"])]
    url: Annotated[str, Field(description="Relative to this API", examples=["/v1/covers/pojos-in-action/front.svg"])]
    alt: str


class ProductSummary(Published):
    id: Annotated[str, Field(examples=["pojos-in-action"])]
    title: Annotated[str, Field(examples=["POJOs in Action"])]
    authors: Annotated[list[str], Field(examples=[["Chris Richardson"]])]
    publisher: str
    published: Annotated[str, Field(description="A year, a month or a day, as far as it is known", examples=["2006"])]


class Rating(Published):
    average: Annotated[float | None, Field(description="From 1 to 5; null until someone has rated it")]
    count: int
    distribution: Annotated[dict[str, int], Field(description="How many gave how many stars")]


class Outcome(Published):
    """Whether a part of the answer is there."""

    part: Annotated[str, Field(examples=["rating"])]
    missing: Annotated[Reason | None, Field(description="Why it is not there; null where it is", examples=["timeout"])]


class ProductDetails(ProductSummary):
    """Everything about one product. A member that may be null is so where its part is missing."""

    subtitle: str | None
    pages: int
    language: str
    isbn: str | None
    subjects: list[str]
    description: str
    images: list[Image]
    price: Price
    availability: Availability | None
    rating: Rating | None
    sellers: list[Seller] | None
    completeness: list[Outcome]

    @classmethod
    def draw(
        cls,
        *,
        product: Product,
        price: Quote,
        availability: Found | None,
        rating: Rated | None,
        sellers: SellerList | None,
        completeness: Completeness,
    ) -> Self:
        """The answer with these parts."""
        return cls.model_validate(
            {
                **product.model_dump(exclude={"about", "pictures"}),
                "description": product.about,
                "images": _images(product),
                "price": price,
                "availability": availability,
                "rating": rating,
                "sellers": sellers and sellers.sellers,
                "completeness": [{"part": name, "missing": why} for name, why in completeness.parts],
            }
        )


def _images(product: Product) -> list[Image]:
    where = f"/v1/covers/{product.id}"
    return [Image(kind=one.kind, url=f"{where}/{one.kind}.svg", alt=one.alt) for one in product.pictures]
