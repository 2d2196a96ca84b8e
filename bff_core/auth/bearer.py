"""Who bears a token: ``Authorization: Bearer`` (RFC 6750), with a JWT or what the issuer knows more about."""

import re
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final

from bff_core.auth.algorithms import Algorithms
from bff_core.auth.audit import Refusals
from bff_core.auth.contract import Presented
from bff_core.auth.introspection import Introspection
from bff_core.auth.issuer import Issuer
from bff_core.auth.issuer_keys import IssuerKeys
from bff_core.auth.jwt import TokenRefused, is_jwt
from bff_core.auth.known_tokens import KnownTokens
from bff_core.auth.signed_tokens import SignedTokens
from bff_core.auth.token_rules import Proven, TokenRules
from bff_core.bearer_settings import BearerSettings
from bff_core.discovery import Source
from bff_core.errors import Unauthenticated
from bff_core.principal import Principal
from bff_core.wire import Wire

__all__ = ["Bearer"]

_SCHEME: Final = "bearer "
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, 2.1
_LONGEST: Final = 8 * 1024  # characters
_VERIFIED: Final = 300.0  # seconds for which a token is known at most,
_INTROSPECTED: Final = 30.0  # and where only the issuer knows of a withdrawal


class Bearer:
    """A ``Proof``. ``clock`` is seconds since 1970; ``source`` is where the instances of the issuer are looked up, by
    default its settings.
    """

    name = "bearer"
    varies = ("Authorization",)

    def __init__(
        self,
        gateway: str,
        settings: BearerSettings,
        wire: Wire,
        agent: str,
        *,
        source: Source | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.challenge = f'Bearer realm="{gateway}"'
        # the same for all of them, because which rule it was helps only who makes tokens up
        self._refusal = f'{self.challenge}, error="invalid_token", error_description="The access token is not valid"'
        self._clock = clock
        self._issued_by = settings.issuer
        self._refusals = Refusals("token")
        self._rules = TokenRules(settings)
        self._known = KnownTokens()
        self._issuer = Issuer(settings, wire, agent, source)
        self._keys = IssuerKeys(settings.issuer, self._issuer.keys, self._known.clear)
        self._signed = SignedTokens(Algorithms(settings.algorithms), self._keys)
        self._introspection = Introspection(self._issuer, settings.introspection) if settings.introspection else None

    def known(self, shown: bytes) -> Principal | None:
        """See ``Proof``. One look: only what was well made is ever kept, so nothing is parsed here."""
        return self._known.principal(shown, self._clock())

    async def principal(self, presented: Presented) -> Principal | None:
        """See ``Proof``."""
        token = None if presented.authorization is None else _token(presented.authorization)
        if token is None:
            return None
        try:
            return await self._bearer(token, presented.fingerprint)
        except TokenRefused as refusal:
            wrong = str(refusal)
        self._refusals.note(wrong)
        raise Unauthenticated(self._refusal, detail=wrong)

    def facts(self) -> Mapping[str, Any]:
        """See ``Proof``."""
        return {
            "issuer": self._issued_by,
            "known": len(self._known),
            "keys": self._keys.facts(),
            **self._issuer.facts(),
        }

    async def start(self) -> None:
        """See ``Proof``. Nothing is fetched yet."""
        await self._issuer.start()

    async def close(self) -> None:
        """See ``Proof``."""
        self._refusals.close()
        await self._keys.close()
        if self._introspection is not None:
            await self._introspection.close()
        await self._issuer.close()

    async def _bearer(self, token: str, shown: bytes) -> Principal:
        if len(token) > _LONGEST or not _B64TOKEN.fullmatch(token):
            raise TokenRefused("it is too long, or no token")
        if is_jwt(token):
            proven, longest = await self._verified(token), _VERIFIED
        else:
            proven, longest = await self._introspected(token, shown), _INTROSPECTED
        now = self._clock()
        self._known.keep(shown, proven.principal, now, min(proven.expires, now + longest))
        return proven.principal

    async def _verified(self, token: str) -> Proven:
        return await self._signed.verified(token, lambda header, said: self._rules.signed(header, said, self._clock()))

    async def _introspected(self, token: str, shown: bytes) -> Proven:
        if self._introspection is None:
            raise TokenRefused("it is no JWT, and nobody is asked about others")
        return self._rules.introspected(await self._introspection.active(token, shown), self._clock())


def _token(shown: str) -> str | None:
    """What is borne, where it is borne so; the scheme may be written in any case (RFC 9110, 11.1)."""
    return shown[len(_SCHEME) :].lstrip(" ") if f"{shown} "[: len(_SCHEME)].lower() == _SCHEME else None
