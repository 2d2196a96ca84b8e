"""Keys that are kept nowhere, by a store that answers when a test says so; and what keys are made of."""

import asyncio
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_format import ApiKey, new_key
from bff_core.auth.key_refusals import StoreFailed
from bff_core.auth.peppers import Peppers

__all__ = ["PEPPER", "PEPPERS", "HeldStore", "kept"]

PEPPER = b64encode(b"a pepper for tests, of many bytes").decode()
PEPPERS = Peppers([b"a pepper for tests, of many bytes"])


def kept(key: ApiKey, *, peppers: Peppers = PEPPERS, **changed: Any) -> KeptKey:
    """What is kept of a key."""
    pepper, digest = peppers.hash(key.text)
    of = {"owner": "acme", "name": "", "plan": "gold", "scopes": frozenset({"products:read"}), "created_at": 0}
    return KeptKey(**{"id": key.id, "environment": key.environment, "pepper": pepper, "hash": digest, **of, **changed})


class HeldStore:
    """Answers at once, or after ``takes`` seconds, or not while it is ``down``."""

    def __init__(self) -> None:
        self.keys: dict[str, KeptKey] = {}
        self.questions: list[tuple[str, ...]] = []
        self.uses: list[dict[str, int]] = []
        self.takes, self.down, self.closed = 0.0, False, False

    def make(self, environment: str = "live", **changed: Any) -> ApiKey:
        key = new_key(environment)
        self.keys[key.id] = kept(key, **changed)
        return key

    def revoke(self, key: ApiKey) -> None:
        self.keys[key.id] = replace(self.keys[key.id], revoked_at=0)

    async def ready(self) -> None:
        await self._answer()

    async def find(self, environment: str, ids: Collection[str]) -> Sequence[KeptKey]:
        self.questions.append(tuple(ids))
        found = [self.keys[one] for one in ids if one in self.keys and self.keys[one].environment == environment]
        await self._answer()
        return found

    async def note_uses(self, moments: Mapping[str, int]) -> None:
        await self._answer()
        self.uses.append(dict(moments))

    async def close(self) -> None:
        self.closed = True

    async def _answer(self) -> None:
        if self.takes:
            await asyncio.sleep(self.takes)
        if self.down:
            raise StoreFailed("it is down")
