"""What customers bought."""

from typing import Literal

from pydantic import AwareDatetime, PositiveInt

from bff_core.services.client import Answer, ServiceClient, Tells
from bff_core.services.money import Money
from bff_core.upstream import Call

__all__ = ["Orders", "Purchase"]


class Purchase(Answer):
    order_id: str
    ordered_at: AwareDatetime
    quantity: PositiveInt
    paid: Money
    format: Literal["new", "used", "e-book"]


class Orders(ServiceClient):
    """Orders of customers; private to each of them."""

    service = "orders"
    tells = Tells.PRINCIPAL

    def purchases(self, customer_id: str, product_id: str) -> Call[list[Purchase]]:
        """When this customer bought this product, newest first."""
        return self.get(
            "/customers/{customer_id}/purchases",
            customer_id=customer_id,
            query={"product_id": product_id},
            returns=list[Purchase],
        )
