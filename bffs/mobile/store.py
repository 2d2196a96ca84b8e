"""The services behind the apps' screens."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from bff_core.services.catalog import Catalog
from bff_core.services.inventory import Inventory
from bff_core.services.orders import Orders
from bff_core.services.pricing import Pricing
from bff_core.services.recommendations import Recommendations
from bff_core.services.reviews import Reviews

__all__ = ["Store", "StoreClients"]


@dataclass(frozen=True, slots=True)
class StoreClients:
    """A client of each service that this gateway calls."""

    catalog: Catalog
    inventory: Inventory
    orders: Orders
    pricing: Pricing
    recommendations: Recommendations
    reviews: Reviews


async def _store(request: Request) -> StoreClients:
    clients: StoreClients = request.app.state.store
    return clients


Store = Annotated[StoreClients, Depends(_store)]
"""What a page declares to call services."""
