"""Tokens that an issuer has signed: what they say is judged first, and believed where one of its keys has signed it."""

from collections.abc import Callable
from typing import TypeVar

from bff_core.auth.algorithms import Algorithms
from bff_core.auth.claims import Claims
from bff_core.auth.issuer_keys import IssuerKeys
from bff_core.auth.jwt import TokenRefused, taken_apart

__all__ = ["SignedTokens"]

T = TypeVar("T")


class SignedTokens:
    """Verified with ``keys``, by one of ``algorithms``."""

    def __init__(self, algorithms: Algorithms, keys: IssuerKeys) -> None:
        self._algorithms, self._keys = algorithms, keys

    async def verified(self, token: str, judge: Callable[[Claims, Claims], T]) -> T:
        """What ``judge`` makes of header and claims. It is asked before a key is looked for, so that what cannot be
        ours makes nobody fetch one.

        Raises ``TokenRefused``, as ``judge`` may; ``IdentityUnavailable`` where the issuer does not answer.
        """
        jwt = taken_apart(token)
        algorithm, kid = self._algorithms.of(jwt.header), _kid(jwt.header)
        found = judge(jwt.header, jwt.claims)
        key = await self._keys.key(kid, algorithm)
        if key is None:
            raise TokenRefused("the issuer has no such key for this algorithm")
        if not key.signed(jwt.signed, jwt.signature):
            raise TokenRefused("the signature is not that of the key")
        return found


def _kid(header: Claims) -> str | None:
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefused("kid is no text")
    return kid
