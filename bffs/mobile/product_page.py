"""The product screen of the phone apps.

One round trip, one screen. Without the product there is no screen; everything else may be late or missing,
and the app draws a placeholder in its place.
"""

from typing import Annotated

from fastapi import APIRouter, Depends

from bff_core.auth import Viewer
from bff_core.composition import Composition, Part
from bff_core.edge.fields import only_known_fields
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound
from bff_core.services.catalog import Product
from bffs.mobile.store import Store, StoreClients
from bffs.mobile.views import ProductScreen

__all__ = ["router"]

router = APIRouter(prefix="/v1", route_class=StrictRoute)
Fields = Annotated[frozenset[str], Depends(only_known_fields(ProductScreen.model_fields))]


@router.get("/products/{product_id}", response_model_exclude_unset=True, responses=documented(NotFound))
async def product_screen(product_id: ProductId, viewer: Viewer, store: Store, fields: Fields) -> ProductScreen:
    """Everything that one screen shows, ready to be drawn."""
    customer = viewer.customer_id
    async with Composition() as page:
        product = page.required("product", store.catalog.product(product_id))
        price = page.optional("price", store.pricing.quote(product_id, region=viewer.region, currency=viewer.currency))
        availability = page.optional("availability", store.inventory.availability(product_id, region=viewer.region))
        rating = page.optional("rating", store.reviews.rating(product_id))
        reviews = page.optional("reviews", store.reviews.page(product_id, limit=3))
        related = page.optional("related", _related(store, product))
        if customer:
            bought = page.optional("purchases", store.orders.purchases(customer, product_id), scope="orders:read")

    return ProductScreen.draw(
        fields if customer else fields - {"purchases"},
        product.value,
        price.value,
        availability.value,
        rating.value,
        reviews.value,
        related.value,
        bought.value if customer else None,
    )


async def _related(store: StoreClients, product: Part[Product]) -> list[Product]:
    """Ids first, then what they are, in one call for all."""
    related = await store.recommendations.related((await product).id)
    ids = [*related.bought_together, *related.bought_by_others][:3]
    return await store.catalog.products(ids) if ids else []
