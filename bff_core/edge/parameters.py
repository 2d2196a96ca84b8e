"""What may stand in a path or a query, checked before any page sees it."""

from typing import Annotated

from fastapi import Path, Query

__all__ = ["Cursor", "Limit", "ProductId", "SearchText"]

ProductId = Annotated[
    str, Path(max_length=100, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="A slug", examples=["pojos-in-action"])
]
Cursor = Annotated[
    str | None, Query(max_length=400, pattern=r"^[A-Za-z0-9_=-]+$", description="Where the last page ended; opaque")
]
Limit = Annotated[int, Query(ge=1, le=50, description="How many at most")]
SearchText = Annotated[str, Query(max_length=200, description="Words to look for; empty finds everything")]
