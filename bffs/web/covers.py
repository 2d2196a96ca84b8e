"""Pictures of products, streamed from the catalog, so that no browser ever needs a service's address."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound
from bff_core.routing import HandedOn
from bff_core.services.catalog import PictureKind
from bffs.web.store import Store

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.get(
    "/covers/{product_id}/{kind}.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, **documented(NotFound)},
)
async def cover(
    product_id: ProductId, kind: PictureKind, store: Store, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """One picture of a product, as SVG."""
    picture = await store.catalog.cover(product_id, kind, if_none_match=if_none_match)
    return HandedOn(picture, for_anybody=True)
