"""Tells one upstream who asks, by short-lived tokens of the gateway's own.

Of what the client has shown, nothing goes through: no cookie, no token, no key.
"""

from collections.abc import Callable
from math import ceil
from time import time
from typing import Any, Final, NamedTuple

from bff_core.auth.relay_keys import RelayKeys
from bff_core.principal import Principal
from bff_core.relay_settings import RelaySettings
from bff_core.wire.header_lines import HeaderLines

__all__ = ["RelayTokens"]

_MOST: Final = 10_000


class _Minted(NamedTuple):
    lines: bytes
    since: float
    until: float  # when the next one is made


class RelayTokens:
    """An ``upstream.Relay`` whose tokens are for ``audience`` alone. ``clock`` is seconds since 1970.

    One is kept for each principal until half of its life is over, ``most`` of them; the oldest go first.
    """

    def __init__(
        self,
        settings: RelaySettings,
        audience: str,
        keys: RelayKeys,
        *,
        clock: Callable[[], float] = time,
        most: int = _MOST,
    ) -> None:
        self._issuer, self._audience, self._lifetime = settings.issuer, audience, ceil(settings.lifetime)
        self._keys, self._clock, self._most = keys, clock, most
        self._minted: dict[Principal, _Minted] = {}

    def lines(self, principal: Principal) -> bytes:
        """See ``upstream.Relay``: ``Authorization``, with a token of which at least half of its life is left."""
        now = self._clock()
        minted = self._minted.get(principal)
        if minted is None or not minted.since <= now < minted.until:  # before it, where a clock was set back
            minted = self._mint(principal, int(now))
        return minted.lines

    def __len__(self) -> int:
        return len(self._minted)

    def _mint(self, principal: Principal, now: int) -> _Minted:
        token = self._keys.signed(self._claims(principal, now))
        lines = HeaderLines.of((b"authorization", b"Bearer " + token.encode("ascii"))).encoded
        self._minted.pop(principal, None)  # so that it is the newest
        if len(self._minted) >= self._most:
            del self._minted[next(iter(self._minted))]
        self._minted[principal] = minted = _Minted(lines, now, now + self._lifetime / 2)
        return minted

    def _claims(self, principal: Principal, now: int) -> dict[str, Any]:
        # no jti, because each token is shown many times, and nobody could refuse one for it
        said = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + self._lifetime,
            "sub": principal.subject,
            # RFC 9493, 3.2.3 and 4.1: who vouches for it, because two of them may say the same of two
            "sub_id": {"format": "iss_sub", "iss": principal.issuer, "sub": principal.subject},
            "scope": " ".join(sorted(principal.scopes)),
            "client_id": principal.client_id,
            "plan": principal.plan,
        }
        return {name: value for name, value in said.items() if value != ""}
