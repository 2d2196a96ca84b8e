"""What the store sells."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from bff_core.services.client import Answer, Cursor, ServiceClient, Slug, in_bulk
from bff_core.upstream import Call
from bff_core.wire import ReplyStream

__all__ = ["Catalog", "Picture", "PictureKind", "Product", "SearchResult"]

PictureKind = Literal["front", "back", "spread"]


class Picture(Answer):
    kind: PictureKind
    alt: str


class Product(Answer):
    id: Slug
    title: str
    subtitle: str | None = None
    authors: list[str]
    publisher: str
    published: Annotated[str, Field(pattern=r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$")]
    """A day, a month or a year of ISO 8601, as far as it is known."""
    pages: NonNegativeInt
    language: str
    isbn: str | None = None
    subjects: tuple[str, ...] = ()
    about: str
    pictures: tuple[Picture, ...] = ()


class SearchResult(Answer):
    items: list[Product]
    next: Cursor | None = None
    total: NonNegativeInt


class Catalog(ServiceClient):
    """Products, and the pictures of them."""

    service = "catalog"

    @in_bulk("products", by="id")
    def product(self, product_id: str) -> Call[Product]:
        """One product."""
        return self.get("/products/{product_id}", product_id=product_id, returns=Product)

    def products(self, ids: Sequence[str]) -> Call[list[Product]]:
        """Those of at most 100 products that exist, in the order asked for."""
        return self.get("/products", query={"id": ids}, returns=list[Product])

    def search(self, query: str, *, cursor: str | None, limit: int) -> Call[SearchResult]:
        """A page of the products that fit ``query``, best first; of all of them where it is empty."""
        asked = {"query": query, "cursor": cursor, "limit": limit}
        return self.get("/search", query=asked, returns=SearchResult, rejection_names=cursor and "query.cursor")

    def cover(self, product_id: str, kind: PictureKind, *, if_none_match: str | None) -> Call[ReplyStream]:
        """A picture of a product, as SVG."""
        return self.download(
            "/covers/{product_id}/{kind}.svg",
            product_id=product_id,
            kind=kind,
            media_type="image/svg+xml",
            if_none_match=if_none_match,
        )
