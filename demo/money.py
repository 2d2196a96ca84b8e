"""What things cost where: regions, their currencies, and the price that a product is worth."""

from typing import Literal

from demo.errors import bad_query
from demo.shop import Shop

Region = Literal["US", "GB", "DE", "FR", "JP"]
Currency = Literal["USD", "EUR", "GBP", "JPY"]

CURRENCY_OF: dict[str, Currency] = {"US": "USD", "GB": "GBP", "DE": "EUR", "FR": "EUR", "JP": "JPY"}
MINOR_UNITS_PER_DOLLAR = {"USD": 100, "EUR": 92, "GBP": 79, "JPY": 150}  # yen have no minor unit


def money(amount: int, currency: str) -> dict[str, object]:
    """An amount of minor units as it goes over the wire."""
    return {"amount": amount, "currency": currency}


def convert(amount: int, source: str, target: str) -> int:
    """The same value in another currency, rounded to its minor unit."""
    return round(amount * MINOR_UNITS_PER_DOLLAR[target] / MINOR_UNITS_PER_DOLLAR[source])


def charming(amount: int, currency: str) -> int:
    """The price nearby that a shop would print: 39.99, or ¥3,980."""
    return max(amount // 100, 1) * 100 - (20 if currency == "JPY" else 1)


def currency_for(region: str, asked: Currency | None) -> Currency:
    """The currency to answer in: the region's own unless another that is accepted there was asked for."""
    own = CURRENCY_OF[region]
    if asked is not None and asked not in {own, "USD", "EUR"}:
        raise bad_query(f"{asked} is not accepted in {region}: ask for {own}, USD or EUR")
    return asked or own


def worth(shop: Shop, product_id: str) -> int:
    """What a new copy is worth, in US cents: the figure that pricing, sellers and orders all start from."""
    return shop.chance(product_id, "worth").randrange(1800, 7400)
