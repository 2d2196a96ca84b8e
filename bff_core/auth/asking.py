"""Asking whoever vouches for people. Where that fails, for whatever reason, who somebody is cannot be said just now."""

from collections.abc import Awaitable
from typing import TypeVar

from bff_core.errors import GatewayError, IdentityUnavailable

__all__ = ["asked"]

T = TypeVar("T")


async def asked(answer: Awaitable[T], otherwise: str) -> T:
    """The answer. Where it is an expected failure instead, raises ``IdentityUnavailable``, which says ``otherwise`` and
    why, and when it is worth asking again.
    """
    try:
        return await answer
    except GatewayError as error:
        wrong, retry_after = str(error), error.retry_after
    # out here, because an error remembers the one it was raised in; and never by a name, because it knows this frame
    raise _unavailable(f"{otherwise}: {wrong}", retry_after)


def _unavailable(why: str, retry_after: float | None) -> IdentityUnavailable:
    found = IdentityUnavailable(why)
    if retry_after is not None:
        found.retry_after = retry_after
    return found
