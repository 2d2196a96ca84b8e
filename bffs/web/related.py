"""What else a reader of a book may want."""

from pydantic import computed_field

from bff_core.composition import Part
from bff_core.services.catalog import Product
from bffs.web.buying_views import View
from bffs.web.store import StoreClients

__all__ = ["Related", "Teaser", "related_to"]


class Teaser(View):
    id: str
    title: str
    subtitle: str | None
    authors: list[str]

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation has it
    @property
    def cover(self) -> str:
        """Where its picture is."""
        return f"/covers/{self.id}/front.svg"


class Related(View):
    """Other books, by why they are shown."""

    bought_together: list[Teaser]
    bought_by_others: list[Teaser]


async def related_to(product: Part[Product], store: StoreClients) -> Related:
    """Ids first, then what they are, in one call for all. A book that the catalog does not know is left out."""
    found = await store.recommendations.related((await product).id)
    ids = list(dict.fromkeys([*found.bought_together, *found.bought_by_others]))
    books = await store.catalog.products(ids) if ids else []
    teasers = {book.id: Teaser.model_validate(book) for book in books}

    def known(wanted: list[str]) -> list[Teaser]:
        return [teasers[one] for one in wanted if one in teasers]

    return Related(bought_together=known(found.bought_together), bought_by_others=known(found.bought_by_others))
