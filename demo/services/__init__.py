"""The seven services. Each file holds what one of them stores, how that is made, and what it answers."""

import sqlite3
from typing import Protocol

from fastapi import APIRouter

from demo.services import catalog, inventory, orders, pricing, recommendations, reviews, sellers
from demo.shop import Shop


class Service(Protocol):
    """What a module in this folder offers."""

    SCHEMA: str
    """SQL that makes the empty tables."""
    router: APIRouter
    """The endpoints, which read the tables through `demo.connection.Database`."""

    def fill(self, db: sqlite3.Connection, shop: Shop) -> None:
        """Put the shop's data into the empty tables."""


SERVICES: dict[str, Service] = {  # in the order of their ports
    "catalog": catalog,
    "pricing": pricing,
    "inventory": inventory,
    "orders": orders,
    "reviews": reviews,
    "recommendations": recommendations,
    "sellers": sellers,
}
FIRST_PORT = 7001
