"""One product for partners.

Without the product and its price there is no answer: a partner never sells without one. The rest may be missing, and
the answer says so.
"""

from fastapi import APIRouter

from bff_core.auth import Requires, Viewer
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound
from bffs.public_api.store import Store
from bffs.public_api.views import ProductDetails

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["products"], route_class=StrictRoute, dependencies=[Requires("products:read")])


@router.get("/products/{product_id}", responses=documented(NotFound))
async def product(product_id: ProductId, viewer: Viewer, store: Store) -> ProductDetails:
    """A product: what it is, what it costs in a region, whether it is there, and who sells it."""
    where = {"region": viewer.region, "currency": viewer.currency}
    async with Composition() as page:
        product = page.required("product", store.catalog.product(product_id))
        price = page.required("price", store.pricing.quote(product_id, **where))
        availability = page.optional("availability", store.inventory.availability(product_id, region=viewer.region))
        rating = page.optional("rating", store.reviews.rating(product_id))
        sellers = page.optional("sellers", store.sellers.of(product_id, **where))

    return ProductDetails.draw(
        product=product.value,
        price=price.value,
        availability=availability.value,
        rating=rating.value,
        sellers=sellers.value,
        completeness=page.completeness,
    )
