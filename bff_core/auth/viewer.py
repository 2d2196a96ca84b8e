"""Who looks at a page, and from where.

Who it is, is proven by what ``bff_core.auth.identity`` looks at, and by nothing else: no header and no query says who
someone is. What a client may say is where it is.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from bff_core.context import current
from bff_core.errors import InvalidRequest
from bff_core.principal import Principal

__all__ = ["Viewer", "Visitor", "visitor"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """``customer_id`` is ``None`` for someone unknown, and for a program that acts for nobody but itself."""

    region: str
    currency: str
    customer_id: str | None = None


async def visitor(
    request: Request,
    region: Annotated[str | None, Query(description="Where to deliver to: ISO 3166-1 alpha-2", max_length=8)] = None,
) -> Visitor:
    """The visitor of the current request, in the region it names, or in the gateway's first. Tests override this."""
    regions: dict[str, str] = request.app.state.settings.regions
    chosen = next(iter(regions)) if region is None else region
    if chosen not in regions:
        raise InvalidRequest(("query.region", f"we deliver to: {', '.join(regions)}"))
    return Visitor(chosen, regions[chosen], _customer(current().principal))


def _customer(principal: Principal | None) -> str | None:
    # a program that acts for itself is its own subject (RFC 9068, 2.2)
    return None if principal is None or principal.subject == principal.client_id else principal.subject


Viewer = Annotated[Visitor, Depends(visitor)]
"""What a page declares to learn who looks at it."""
