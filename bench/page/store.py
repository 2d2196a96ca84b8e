"""The services behind the page: one for each part, as in a store."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from bench.page.items import Prices, Products, Ratings, Relations, Reviews, Sellers, Stock

__all__ = ["Store", "StoreClients"]


@dataclass(frozen=True, slots=True)
class StoreClients:
    """A client of each service that this gateway calls."""

    product: Products
    price: Prices
    availability: Stock
    rating: Ratings
    reviews: Reviews
    related: Relations
    sellers: Sellers


async def _store(request: Request) -> StoreClients:
    clients: StoreClients = request.app.state.store
    return clients


Store = Annotated[StoreClients, Depends(_store)]
"""What a page declares to call services."""
