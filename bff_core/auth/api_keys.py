"""API keys as a proof of who asks: ``X-API-Key: bff_...`` or ``Authorization: Bearer bff_...``."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from bff_core.auth.audit import Refusals
from bff_core.auth.contract import Presented
from bff_core.auth.key_format import PREFIX, read_key
from bff_core.auth.key_refusals import KeyRefused, StoreFailed
from bff_core.auth.key_store import Keeps, KeyStore
from bff_core.auth.key_uses import KeyUses
from bff_core.auth.known_keys import KnownKeys
from bff_core.auth.peppers import Peppers
from bff_core.errors import Unauthenticated
from bff_core.key_settings import KeySettings
from bff_core.principal import Principal

__all__ = ["ApiKeys"]

_log = logging.getLogger("bff.keys")

_BEARER: Final = "Bearer "


class ApiKeys:
    """A ``Proof``. A key's owner is the principal, and the gateway vouches for it.

    ``store`` is where keys are kept, by default the database of the settings.
    """

    name = "keys"
    varies = ("Authorization", "X-API-Key")

    def __init__(self, gateway: str, settings: KeySettings, store: Keeps | None = None) -> None:
        self.challenge = f'Bearer realm="{gateway}"'
        self._refusal = f'{self.challenge}, error="invalid_token"'  # RFC 6750, 3.1
        self._environment, self._place = settings.environment, settings.place
        self._store: Keeps = store or KeyStore(settings.database.get_secret_value())
        self._uses = KeyUses(self._store)
        self._refusals = Refusals("key")
        self._known = KnownKeys(
            self._store,
            self._uses,
            Peppers(settings.peppers),
            issuer=gateway,
            environment=settings.environment,
            fresh=settings.fresh,
        )

    def known(self, shown: bytes) -> Principal | None:
        """See ``Proof``."""
        return self._known.principal(shown)

    async def principal(self, presented: Presented) -> Principal | None:
        """See ``Proof``."""
        text = _shown(presented)
        if text is None:
            return None
        try:
            key = read_key(text)
            if key.environment != self._environment:
                why = f"it is for {key.environment}, and here is {self._environment}"
                raise KeyRefused(why, key.id, reason="it is for another environment")
            return await self._known.asked(key, presented.fingerprint)
        except KeyRefused as refusal:
            why, reason = str(refusal), refusal.reason
            self._refusals.note(why, reason=reason, key_id=refusal.key_id, owner=refusal.owner)
            raise Unauthenticated(self._refusal, detail=f"key refused: {refusal}") from None

    def facts(self) -> Mapping[str, Any]:
        """See ``Proof``."""
        return {"environment": self._environment, "kept_in": self._place, **self._known.facts()}

    async def start(self) -> None:
        """See ``Proof``. A database that is not there yet stops no gateway."""
        try:
            await self._store.ready()
        except StoreFailed as failure:
            _log.warning("where keys are kept is not ready, and is asked again when a key is shown: %s", failure)
            self._known.lost(str(failure))
        await self._uses.start()

    async def close(self) -> None:
        """See ``Proof``."""
        self._refusals.close()
        await self._known.close()
        await self._uses.close()
        await self._store.close()


def _shown(presented: Presented) -> str | None:
    """The text of what claims to be a key."""
    if presented.api_key is not None:
        return presented.api_key
    authorization = presented.authorization
    if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER.lower():
        return None
    token = authorization[len(_BEARER) :].lstrip(" ")
    return token if token.startswith(PREFIX) else None
