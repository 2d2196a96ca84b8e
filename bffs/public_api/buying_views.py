"""What it takes to buy something, as partners read it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Availability", "Money", "Price", "Published", "Seller"]


class Published(BaseModel):
    """A shape that partners rely on, drawn from the attributes of what a service answered."""

    model_config = ConfigDict(from_attributes=True)


class Money(Published):
    """Minor units of a currency."""

    amount: Annotated[int, Field(examples=[4999])]
    currency: Annotated[str, Field(description="ISO 4217", examples=["USD"])]


class Option(Published):
    """One way to buy it."""

    kind: Literal["new", "used", "e-book"]
    condition: str | None
    price: Money


class Price(Published):
    price: Money
    list_price: Money
    options: list[Option]


class Delivery(Published):
    region: str
    earliest: date
    latest: date


class Availability(Published):
    in_stock: bool
    delivery: Delivery | None


class Offer(Published):
    price: Money
    condition: Literal["new", "used"]
    ships_from: Annotated[str, Field(description="ISO 3166-1 alpha-2")]


class Seller(Published):
    name: str
    rank: int
    rating: float
    offer: Offer
