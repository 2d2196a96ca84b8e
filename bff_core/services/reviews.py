"""What readers think of a product."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, NonNegativeInt

from bff_core.services.client import Answer, Cursor, ServiceClient
from bff_core.upstream import Call

__all__ = ["Rating", "Review", "ReviewPage", "Reviews"]

Stars = Annotated[int, Field(ge=1, le=5)]


class Rating(Answer):
    average: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] | None = None
    """``None`` until someone has rated it."""
    count: NonNegativeInt
    distribution: dict[Literal["1", "2", "3", "4", "5"], NonNegativeInt]


class Review(Answer):
    id: str
    author: str
    rating: Stars
    title: str
    body: str
    written_at: AwareDatetime
    verified_purchase: bool


class ReviewPage(Answer):
    items: list[Review]
    next: Cursor | None = None
    total: NonNegativeInt


class Reviews(ServiceClient):
    """Ratings and reviews of products."""

    service = "reviews"

    def rating(self, product_id: str) -> Call[Rating]:
        """The average, and how many gave how many stars."""
        return self.get("/products/{product_id}/rating", product_id=product_id, returns=Rating)

    def page(self, product_id: str, *, limit: int, cursor: str | None = None) -> Call[ReviewPage]:
        """Reviews, newest first, from ``cursor`` on."""
        asked = {"cursor": cursor, "limit": limit}
        return self.get(
            "/products/{product_id}/reviews",
            product_id=product_id,
            query=asked,
            returns=ReviewPage,
            rejection_names=cursor and "query.cursor",
        )
