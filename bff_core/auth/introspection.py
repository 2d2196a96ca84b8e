"""Tokens that say nothing by themselves: the issuer is asked what they are (RFC 7662)."""

from functools import partial
from typing import Any

from bff_core.auth.asking import asked
from bff_core.auth.client_proof import basic
from bff_core.auth.issuer import Issuer
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.together import Together
from bff_core.bearer_settings import IntrospectionSettings
from bff_core.errors import IdentityUnavailable

__all__ = ["Introspection"]


class Introspection:
    """Asks once for all requests that show the same token at the same time."""

    def __init__(self, issuer: Issuer, settings: IntrospectionSettings) -> None:
        self._issuer = issuer
        self._us = basic(settings.client_id, settings.client_secret)
        self._together = Together()

    async def active(self, token: str, shown: bytes) -> dict[str, Any]:
        """What the issuer says of an active token; ``shown`` is the fingerprint of what bears it.

        Raises ``TokenRefused`` where it is not active, ``IdentityUnavailable`` where the issuer does not say.
        """
        answer = await self._together.result(shown, partial(self._ask, token))
        active = answer.get("active")
        if active is False:
            raise TokenRefused("the issuer says that it is not active")
        if active is not True:
            raise IdentityUnavailable("the issuer does not say whether a token is active")
        return answer

    async def close(self) -> None:
        """End what is under way."""
        await self._together.close()

    async def _ask(self, token: str) -> dict[str, Any]:
        return await asked(self._answer(token), "a token could not be asked about")

    async def _answer(self, token: str) -> dict[str, Any]:
        metadata = await self._issuer.metadata()
        client, target = self._issuer.at(metadata.introspection_endpoint)
        return await client.introspection(target, token, self._us)
