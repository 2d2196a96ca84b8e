"""What a product costs."""

from typing import Literal

from bff_core.services.client import Answer, ServiceClient
from bff_core.services.money import Money
from bff_core.upstream import Call

__all__ = ["BuyingOption", "Pricing", "Quote"]


class BuyingOption(Answer):
    kind: Literal["new", "used", "e-book"]
    price: Money
    condition: str | None = None


class Quote(Answer):
    list_price: Money
    price: Money
    saving_percent: int
    options: list[BuyingOption]


class Pricing(ServiceClient):
    """Prices by region and currency."""

    service = "pricing"

    def quote(self, product_id: str, *, region: str, currency: str) -> Call[Quote]:
        """The price of a product today, and every way to buy it."""
        asked = {"region": region, "currency": currency}
        return self.get("/quotes/{product_id}", product_id=product_id, query=asked, returns=Quote)
