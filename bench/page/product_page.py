"""One page of seven parts that run side by side.

Without the product and its price there is no page; it can lose the other five.
"""

from fastapi import APIRouter

from bench.page.store import Store
from bench.page.views import ProductPage
from bff_core.composition import Composition
from bff_core.edge.json_body import StrictRoute
from bff_core.edge.parameters import ProductId
from bff_core.edge.problem_docs import documented
from bff_core.errors import NotFound

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute)


@router.get("/page/{product_id}", responses=documented(NotFound))
async def product_page(product_id: ProductId, store: Store) -> ProductPage:
    """Everything about a product."""
    async with Composition() as page:
        product = page.required("product", store.product.of(product_id))
        price = page.required("price", store.price.of(product_id))
        availability = page.optional("availability", store.availability.of(product_id))
        rating = page.optional("rating", store.rating.of(product_id))
        reviews = page.optional("reviews", store.reviews.of(product_id))
        related = page.optional("related", store.related.of(product_id))
        sellers = page.optional("sellers", store.sellers.of(product_id))

    return ProductPage(
        product=product.value,
        price=price.value,
        availability=availability.value,
        rating=rating.value,
        reviews=reviews.value,
        related=related.value,
        sellers=sellers.value,
    )
