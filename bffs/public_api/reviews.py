"""Reviews for partners."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bff_core.auth import Requires
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import Cursor, Limit, ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound
from bffs.public_api.buying_views import Published
from bffs.public_api.paging import LINK, link_to_next
from bffs.public_api.store import Store

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["reviews"], route_class=StrictRoute, dependencies=[Requires("products:read")])


class Review(Published):
    """What one reader thinks."""

    id: str
    author: str
    rating: Annotated[int, Field(ge=1, le=5)]
    title: str
    body: str
    written_at: Annotated[datetime, Field(examples=["2026-10-03T09:12:00Z"])]
    verified_purchase: bool


class ReviewList(BaseModel):
    """One page of reviews, newest first."""

    items: list[Review]
    total: Annotated[int, Field(description="How many there are on all pages", examples=[28])]


@router.get(
    "/products/{product_id}/reviews",
    responses={200: {"headers": LINK}, **documented(NotFound)},
)
async def reviews(
    product_id: ProductId, store: Store, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 10
) -> ReviewList:
    """What readers think of a product."""
    async with Composition() as page:
        found = page.required("reviews", store.reviews.page(product_id, cursor=cursor, limit=limit))

    link_to_next(request, response, found.value.next)
    return ReviewList(items=[Review.model_validate(one) for one in found.value.items], total=found.value.total)
