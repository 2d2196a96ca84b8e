"""``fields=``: what is not asked for is not fetched."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import Query
from pydantic import Field

from bff_core.context import current
from bff_core.errors import InvalidRequest

__all__ = ["only_known_fields"]


def only_known_fields(known: Iterable[str]) -> Callable[[list[str] | None], Awaitable[frozenset[str]]]:
    """A dependency that gives the members to answer with: those in ``fields=``, by default all.

    Compositions of the request start only the parts of these names. An unknown name is a 422.
    """
    everything = frozenset(known)
    choice = ", ".join(sorted(everything))

    async def wanted(
        fields: Annotated[
            list[Annotated[str, Field(max_length=400)]] | None,
            Query(description=f"Comma-separated, from: {choice}", max_length=50),
        ] = None,
    ) -> frozenset[str]:
        if fields is None:
            return everything
        asked = frozenset(name.strip() for some in fields for name in some.split(","))
        if unknown := asked - everything:
            raise InvalidRequest(("query.fields", f"unknown: {', '.join(sorted(unknown))}; known: {choice}"))
        current().wanted = asked
        return asked

    return wanted
