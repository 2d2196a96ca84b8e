"""What a page asks of who sees it."""

from typing import Any, Final

from fastapi import Depends

from bff_core.context import current
from bff_core.errors import MissingScope, Unauthenticated

__all__ = ["Requires", "scopes_of"]

_SCOPES: Final = "bff_scopes"


def Requires(*scopes: str) -> Any:  # noqa: N802  it is declared like a type
    """A dependency of a route, or a router, that only those may ask who have all of these scopes; without any, those
    who are known. Others get 401, where nobody knows them, or 403.

    ``APIRouter(dependencies=[Requires("orders:read")])``
    """
    wanted = frozenset(scopes)

    async def check() -> None:
        context = current()
        if context.principal is None:
            if context.unsure is not None:
                raise context.unsure.copy()
            raise Unauthenticated(*context.challenges, detail="who asks is not known")
        if not wanted <= context.principal.scopes:
            raise MissingScope(*sorted(wanted), challenges=context.challenges)

    vars(check)[_SCOPES] = wanted  # a function, because what is called like one costs a page more
    return Depends(check)


def scopes_of(dependency: Any) -> frozenset[str] | None:
    """Those that are asked for by what ``Requires`` made; ``None`` of any other dependency."""
    return getattr(dependency, _SCOPES, None)
