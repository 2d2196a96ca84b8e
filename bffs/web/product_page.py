"""The product page of the store's web site, as HTML and as JSON.

Without the product there is no page. Whatever else is late or missing leaves a quiet placeholder, because a visitor
who came to read about a book should not be shown an error about its stars.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from bff_core.auth import Viewer, Visitor
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound
from bffs.web.drawing import draw
from bffs.web.related import related_to
from bffs.web.store import Store, StoreClients
from bffs.web.views import ProductPage

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.get("/products/{product_id}", response_class=HTMLResponse, responses=documented(NotFound))
async def product_page(product_id: ProductId, viewer: Viewer, store: Store, request: Request) -> Response:
    """The page, drawn on the server."""
    return draw(request, "product.html", viewer, page=await _compose(product_id, viewer, store))


@router.get("/api/products/{product_id}", responses=documented(NotFound))
async def product_data(product_id: ProductId, viewer: Viewer, store: Store) -> ProductPage:
    """The same page as data."""
    return await _compose(product_id, viewer, store)


async def _compose(product_id: str, viewer: Visitor, store: StoreClients) -> ProductPage:
    where = {"region": viewer.region, "currency": viewer.currency}
    async with Composition() as page:
        product = page.required("product", store.catalog.product(product_id))
        price = page.optional("price", store.pricing.quote(product_id, **where))
        availability = page.optional("availability", store.inventory.availability(product_id, region=viewer.region))
        rating = page.optional("rating", store.reviews.rating(product_id))
        reviews = page.optional("reviews", store.reviews.page(product_id, limit=10))
        related = page.optional("related", related_to(product, store))
        sellers = page.optional("sellers", store.sellers.of(product_id, **where))
        if viewer.may_be_known:
            bought = page.optional("purchases", viewer.own(store.orders.purchases, product_id), scope="orders:read")

    return ProductPage.draw(
        product=product.value,
        price=price.value,
        availability=availability.value,
        rating=rating.value,
        reviews=reviews.value,
        purchases=bought.value if viewer.may_be_known else None,
        related=related.value,
        sellers=sellers.value,
    )
