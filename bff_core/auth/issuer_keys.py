"""When the keys of an issuer are fetched, and how long they are believed.

At first need, not at the start: a gateway starts while its issuer is down. Then in the background, when they are old;
and for a key that nobody has heard of, at most once a minute, or whoever makes up names would make us ask all day.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from bff_core.auth.key_ring import KeyRing, PublicKey
from bff_core.auth.together import Together
from bff_core.errors import GatewayError, IdentityUnavailable

__all__ = ["IssuerKeys"]

_log = logging.getLogger("bff.auth")

_PAUSE: Final = 60.0  # seconds between two fetches for unknown names, and after a failure
_FETCH: Final = "keys"


class IssuerKeys:
    """``fetch`` brings the keys and for how many seconds they are fresh; ``changed`` hears when they are others."""

    def __init__(
        self, issuer: str, fetch: Callable[[], Coroutine[Any, Any, tuple[KeyRing, float]]], changed: Callable[[], None]
    ) -> None:
        self._issuer, self._fetch, self._changed = issuer, fetch, changed
        self._ring: KeyRing | None = None
        self._old_at = 0.0
        self._name_asked_at = -inf
        self._fetched_at: str | None = None
        self._failing_since: str | None = None
        self._together = Together()

    async def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key that a token names; ``None`` where the issuer has none of that name.

        Raises ``IdentityUnavailable`` where the issuer does not answer: without any keys, and for a name that may be
        new. It waits for the issuer only then.
        """
        if self._ring is None:
            return (await self._fetched()).key(kid, algorithm)
        now = asyncio.get_running_loop().time()
        if now >= self._old_at:
            self._together.begin(_FETCH, self._renew)
        if kid is None or self._ring.knows(kid):
            return self._ring.key(kid, algorithm)
        if self._together.under_way(_FETCH) or now >= self._name_asked_at + _PAUSE:
            self._name_asked_at = now
            return (await self._fetched()).key(kid, algorithm)
        if self._failing_since is not None:
            raise IdentityUnavailable("the token names a key that may be new, and the issuer does not answer")
        return None

    def facts(self) -> Mapping[str, Any]:
        """How many there are, ``None`` until they were fetched; when that was done, and since when it fails."""
        number = None if self._ring is None else len(self._ring)
        return {"number": number, "fetched_at": self._fetched_at, "failing_since": self._failing_since}

    async def close(self) -> None:
        """End what is under way."""
        await self._together.close()

    async def _fetched(self) -> KeyRing:
        return await self._together.result(_FETCH, self._renew)

    async def _renew(self) -> KeyRing:
        loop = asyncio.get_running_loop()
        try:
            ring, fresh = await self._fetch()
        except GatewayError as error:
            self._old_at = loop.time() + _PAUSE
            self._say_failing(error)
            raise IdentityUnavailable(f"no keys of {self._issuer}: {error}") from None
        self._old_at = loop.time() + max(fresh, _PAUSE)
        self._say_well(ring)
        if self._ring is not None and not ring.same_as(self._ring):
            self._changed()
        self._ring = ring
        return ring

    def _say_failing(self, error: GatewayError) -> None:
        if self._failing_since is None:
            _log.warning("the keys of %s could not be fetched; those that are known stay: %s", self._issuer, error)
            self._failing_since = _now()

    def _say_well(self, ring: KeyRing) -> None:
        if self._failing_since is not None:
            _log.info("the keys of %s are there again", self._issuer)
        if not len(ring):
            _log.warning("%s has no key that can be used", self._issuer)
        self._failing_since, self._fetched_at = None, _now()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
