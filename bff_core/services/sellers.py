"""Who sells a product."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from bff_core.services.client import Answer, ServiceClient
from bff_core.services.money import Money
from bff_core.upstream import Call

__all__ = ["Offer", "Seller", "SellerList", "Sellers"]


class Offer(Answer):
    price: Money
    condition: Literal["new", "used"]
    ships_from: str


class Seller(Answer):
    seller_id: str
    name: str
    rank: PositiveInt
    rating: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)]
    ratings: NonNegativeInt
    offer: Offer


class SellerList(Answer):
    sellers: list[Seller]


class Sellers(ServiceClient):
    """Offers of a product, and the standing of those who make them."""

    service = "sellers"

    def of(self, product_id: str, *, region: str, currency: str) -> Call[SellerList]:
        """Everyone who sells it in ``region``, best ranked first."""
        asked = {"region": region, "currency": currency}
        return self.get("/products/{product_id}/sellers", product_id=product_id, query=asked, returns=SellerList)
