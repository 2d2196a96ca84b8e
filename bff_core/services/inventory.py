"""Where a product is, and when it can be with someone."""

from datetime import date

from pydantic import NonNegativeInt

from bff_core.services.client import Answer, ServiceClient
from bff_core.upstream import Call

__all__ = ["Availability", "Delivery", "Inventory", "Warehouse"]


class Warehouse(Answer):
    warehouse: str
    region: str
    quantity: NonNegativeInt


class Delivery(Answer):
    region: str
    earliest: date
    latest: date


class Availability(Answer):
    in_stock: bool
    quantity: NonNegativeInt
    warehouses: list[Warehouse]
    delivery: Delivery | None = None
    """``None`` where nothing is left to deliver."""


class Inventory(ServiceClient):
    """Stock by warehouse, and delivery by region."""

    service = "inventory"

    def availability(self, product_id: str, *, region: str) -> Call[Availability]:
        """What is in stock, and when it would arrive in ``region``."""
        return self.get(
            "/availability/{product_id}",
            product_id=product_id,
            query={"region": region},
            returns=Availability,
        )
