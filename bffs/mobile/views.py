"""What a phone screen shows, in words that are ready to be drawn."""

from textwrap import shorten
from typing import Self

from pydantic import BaseModel

from bff_core.services.catalog import Product
from bff_core.services.inventory import Availability
from bff_core.services.orders import Purchase
from bff_core.services.pricing import Quote
from bff_core.services.reviews import Rating, Review, ReviewPage
from bffs.mobile import wording
from bffs.mobile.purchases import Bought, bought
from bffs.mobile.teasers import Teaser, teasers

__all__ = ["ProductScreen"]


class Heading(BaseModel):
    id: str
    title: str
    byline: str
    facts: str
    summary: str
    images: list[str]
    """Three for a carousel; paths on this host."""


class PriceTag(BaseModel):
    now: str
    was: str | None
    saving: str | None


class Stock(BaseModel):
    in_stock: bool
    text: str
    delivery: str | None


class Stars(BaseModel):
    average: float | None
    text: str


class Quoted(BaseModel):
    stars: int
    text: str
    by: str


class ProductScreen(BaseModel):
    """One screen. A member that is ``null`` is missing just now; one that was not asked for is not there."""

    product: Heading
    price: PriceTag | None
    availability: Stock | None
    rating: Stars | None
    reviews: list[Quoted] | None
    related: list[Teaser] | None
    purchases: list[Bought] | None = None
    """Not there where nobody is signed in."""

    @classmethod
    def draw(
        cls,
        fields: frozenset[str],
        product: Product,
        quote: Quote | None,
        availability: Availability | None,
        rating: Rating | None,
        reviews: ReviewPage | None,
        related: list[Product] | None,
        purchases: list[Purchase] | None,
    ) -> Self:
        """The screen with these members."""
        screen = cls(
            product=_heading(product),
            price=quote and _price(quote),
            availability=availability and _stock(availability),
            rating=rating and _stars(rating),
            reviews=reviews and [_quoted(review) for review in reviews.items],
            related=related and teasers(related),
            purchases=purchases and bought(purchases),
        )
        screen.model_fields_set.intersection_update(fields)  # what is not set is left out
        return screen


def _heading(product: Product) -> Heading:
    return Heading(
        id=product.id,
        title=product.title,
        byline=", ".join(product.authors),
        facts=wording.facts(product),
        summary=shorten(product.about, 120, placeholder=" …"),
        images=[f"/v1/covers/{product.id}/{picture.kind}.svg" for picture in product.pictures[:3]],
    )


def _price(quote: Quote) -> PriceTag:
    saving = wording.saving(quote)
    return PriceTag(now=quote.price.text, was=quote.list_price.text if saving else None, saving=saving)


def _stock(found: Availability) -> Stock:
    return Stock(in_stock=found.in_stock, text=wording.stock(found), delivery=wording.arrival(found.delivery))


def _stars(rating: Rating) -> Stars:
    return Stars(average=rating.average, text=wording.rating(rating))


def _quoted(review: Review) -> Quoted:
    return Quoted(stars=review.rating, text=wording.gist(review), by=wording.byline(review))
