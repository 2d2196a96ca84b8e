"""Other products, in as few bytes as it takes to tap on them."""

from collections.abc import Sequence

from pydantic import BaseModel

from bff_core.services.catalog import Product

__all__ = ["Teaser", "teasers"]


class Teaser(BaseModel):
    """Its picture is at ``/v1/covers/{id}/front.svg``: written out, three of them would cost a tenth of the screen."""

    id: str
    title: str


def teasers(products: Sequence[Product]) -> list[Teaser]:
    """One of each."""
    return [Teaser(id=one.id, title=one.title) for one in products]
