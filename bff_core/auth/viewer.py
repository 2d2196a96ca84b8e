"""Who looks at a page, and from where.

Who it is, is proven by what ``bff_core.auth.identity`` looks at, and by nothing else: no header and no query says who
someone is. What a client may say is where it is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Query, Request

from bff_core.context import current
from bff_core.errors import GatewayError, InvalidRequest, Unauthenticated
from bff_core.principal import Principal

__all__ = ["Viewer", "Visitor", "visitor"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visitor:
    """``customer_id`` is ``None`` for someone unknown, and for a program that acts for nobody but itself."""

    region: str
    currency: str
    customer_id: str | None = None
    unsure: GatewayError | None = None
    """Somebody who may be known, and nobody can say just now: why."""

    async def own(self, call: Callable[Concatenate[str, P], Awaitable[T]], *args: P.args, **named: P.kwargs) -> T:
        """What ``call`` answers of them, asked with their id before the rest. Raises ``Unauthenticated``, or
        ``IdentityUnavailable`` where nobody can say who they are.
        """
        if self.customer_id is None:
            raise Unauthenticated(detail="who asks is not known") if self.unsure is None else self.unsure.copy()
        return await call(self.customer_id, *args, **named)

    @property
    def may_be_known(self) -> bool:
        """A customer, or somebody who may be one: what is theirs belongs on the page, or its absence is said."""
        return self.customer_id is not None or self.unsure is not None


async def visitor(
    request: Request,
    region: Annotated[str | None, Query(description="Where to deliver to: ISO 3166-1 alpha-2", max_length=8)] = None,
) -> Visitor:
    """The visitor of the current request, in the region it names, or in the gateway's first. Tests override this."""
    regions: dict[str, str] = request.app.state.settings.regions
    chosen = next(iter(regions)) if region is None else region
    if chosen not in regions:
        raise InvalidRequest(("query.region", f"we deliver to: {', '.join(regions)}"))
    context = current()
    return Visitor(chosen, regions[chosen], _customer(context.principal), context.unsure)


def _customer(principal: Principal | None) -> str | None:
    # a program that acts for itself is its own subject (RFC 9068, 2.2)
    return None if principal is None or principal.subject == principal.client_id else principal.subject


Viewer = Annotated[Visitor, Depends(visitor)]
"""What a page declares to learn who looks at it."""
