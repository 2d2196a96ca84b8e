"""Amounts of money as the store's services write them."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from babel.numbers import format_currency, get_currency_precision
from pydantic import Field

from bff_core.services.client import Answer

__all__ = ["Money"]


class Money(Answer):
    """Minor units of an ISO 4217 currency: 4999 USD is $49.99, 4980 JPY is ¥4,980."""

    amount: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    @property
    def text(self) -> str:
        """As people write it in English."""
        return _text(self.amount, self.currency)


@lru_cache(maxsize=10_000)  # a price is drawn far more often than it changes, and drawing takes 15 µs
def _text(amount: int, currency: str) -> str:
    return format_currency(Decimal(amount).scaleb(-get_currency_precision(currency)), currency, locale="en")
