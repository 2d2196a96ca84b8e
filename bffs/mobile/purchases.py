"""What somebody bought of a product before, in words that are ready to be drawn."""

from collections.abc import Sequence

from pydantic import BaseModel

from bff_core.services.orders import Purchase
from bffs.mobile import wording

__all__ = ["Bought", "bought"]


class Bought(BaseModel):
    on: str
    text: str


def bought(purchases: Sequence[Purchase]) -> list[Bought]:
    """Newest first."""
    return [Bought(on=wording.day(one.ordered_at), text=wording.purchase(one)) for one in purchases]
