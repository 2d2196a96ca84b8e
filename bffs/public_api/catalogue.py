"""The catalogue for partners: everything, or what fits some words."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bff_core.auth import Requires
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import Cursor, Limit, SearchText
from bffs.public_api.paging import LINK, link_to_next
from bffs.public_api.store import Store
from bffs.public_api.views import ProductSummary

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["products"], route_class=StrictRoute, dependencies=[Requires("products:read")])


class ProductList(BaseModel):
    """One page of products."""

    items: list[ProductSummary]
    total: Annotated[int, Field(description="How many there are on all pages", examples=[60])]


@router.get(
    "/products",
    responses={200: {"headers": LINK}},
)
async def products(
    store: Store, request: Request, response: Response, query: SearchText = "", cursor: Cursor = None, limit: Limit = 20
) -> ProductList:
    """The products that fit `query`, best first; all of them where it is empty."""
    async with Composition() as page:
        found = page.required("products", store.catalog.search(query, cursor=cursor, limit=limit))

    link_to_next(request, response, found.value.next)
    items = [ProductSummary.model_validate(one) for one in found.value.items]
    return ProductList(items=items, total=found.value.total)
