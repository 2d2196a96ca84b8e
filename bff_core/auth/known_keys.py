"""What is known of keys, for as long as it is fresh: who shows one waits for nobody, unless nobody has asked lately."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Any, Final, TypeVar

from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_format import ApiKey
from bff_core.auth.key_questions import Questions
from bff_core.auth.key_refusals import KeyRefused
from bff_core.auth.key_store import Keeps
from bff_core.auth.key_uses import KeyUses
from bff_core.auth.peppers import Peppers
from bff_core.context import current
from bff_core.errors import IdentityUnavailable
from bff_core.principal import Principal

__all__ = ["KnownKeys"]

_T = TypeVar("_T")

_MOST: Final = 10_000  # keys, and as many ids that are none
_WAYS: Final = 4  # of writing a key in a header, that are known at once
_WITHIN: Final = 2.0  # seconds that a request waits


class _Known:
    """One key, as it was when it was asked for. Moments are of the loop's clock."""

    __slots__ = ("again", "kept", "principal", "proven", "until")

    def __init__(self, kept: KeptKey, principal: Principal | None, again: float, until: float) -> None:
        self.kept = kept
        self.principal = principal
        """``None`` where it is not live."""
        self.again, self.until = again, until
        self.proven: list[bytes] = []
        """The fingerprints by which it was shown, of late."""


class KnownKeys:
    """Keys of one environment, vouched for by ``issuer``. ``wall`` tells seconds since 1970, by which keys expire.

    What is known is asked for again in the background, once it has been used in the second half of ``fresh``; what is
    older than ``fresh`` is not believed, whether or not there is anybody to ask.
    """

    def __init__(
        self,
        store: Keeps,
        uses: KeyUses,
        peppers: Peppers,
        *,
        issuer: str,
        environment: str,
        fresh: float,
        wall: Callable[[], float] = time,
    ) -> None:
        self._store, self._uses, self._peppers = store, uses, peppers
        self._issuer, self._environment, self._fresh, self._wall = issuer, environment, fresh, wall
        self._known: dict[str, _Known] = {}
        self._proven: dict[bytes, _Known] = {}
        """The same by the fingerprints of what was shown of them and was right; a hash with a pepper costs ten times as
        much.
        """
        self._unknown: dict[str, float] = {}
        """Until when nobody is asked for them."""
        self._questions = Questions(self._ask)

    def principal(self, shown: bytes) -> Principal | None:
        """Whose key it is that has been shown by this fingerprint, where that is known and fresh. It never waits."""
        known = self._proven.get(shown)
        if known is None:
            return None
        now = asyncio.get_running_loop().time()
        if now >= known.until:
            return None
        if now >= known.again:
            self._questions.soon(known.kept.id)
        self._uses.note(known.kept.id, now)
        return known.principal

    async def asked(self, key: ApiKey, shown: bytes) -> Principal:
        """Whose key it is, which is known by the fingerprint ``shown`` from then on. Waits for an answer where there is
        no fresh one, at most until the request's deadline.

        Raises ``KeyRefused``, or ``IdentityUnavailable`` where there is no answer.
        """
        if not self._is_fresh(key.id):
            now = asyncio.get_running_loop().time()
            within = min(_WITHIN, max(current().until - now, 0.0))
            await self._questions.answered(key.id, within, is_known=key.id in self._known)
        if not self._is_fresh(key.id):
            raise IdentityUnavailable(f"keys: {self._questions.why()}")
        return self._judged(key, shown)

    def lost(self, why: str) -> None:
        """Where they are kept did not answer, before any was shown."""
        self._questions.lost(why)

    def facts(self) -> Mapping[str, Any]:
        """How many are known, how many ids are known to be none, and how asking for them goes."""
        return {"known": len(self._known), "unknown": len(self._unknown), **self._questions.facts()}

    async def close(self) -> None:
        """Stop asking."""
        await self._questions.close()

    def _is_fresh(self, key_id: str) -> bool:
        known = self._known.get(key_id)
        now = asyncio.get_running_loop().time()
        return now < (self._unknown.get(key_id, 0.0) if known is None else known.until)

    def _judged(self, key: ApiKey, shown: bytes) -> Principal:
        known = self._known.get(key.id)
        if known is None:
            raise KeyRefused("there is no such key", key.id)
        kept = known.kept
        if kept.pepper not in self._peppers:
            raise KeyRefused("the pepper that it was made with is not set", key.id, kept.owner)
        if not self._peppers.prove(key.text, kept.pepper, kept.hash):
            raise KeyRefused("its secret is wrong", key.id)  # whoever shows it need not be the owner
        if known.principal is None or kept.state(self._wall()) != "live":
            raise KeyRefused(f"it is {kept.state(self._wall())}", key.id, kept.owner)
        self._remember(known, shown)
        self._uses.note(key.id, asyncio.get_running_loop().time())
        return known.principal

    def _remember(self, known: _Known, shown: bytes) -> None:
        if shown not in known.proven:
            known.proven.append(shown)
        if len(known.proven) > _WAYS:
            self._proven.pop(known.proven.pop(0), None)
        self._proven[shown] = known

    async def _ask(self, ids: Sequence[str]) -> None:
        asked = asyncio.get_running_loop().time()  # not when the answer came: it may be as old as the question
        found = {kept.id: kept for kept in await self._store.find(self._environment, ids)}
        for key_id in ids:
            before = self._forget(key_id)
            if key_id in found:
                self._learn(found[key_id], asked, before)
            else:
                _put(self._unknown, key_id, asked + self._fresh)

    def _forget(self, key_id: str) -> _Known | None:
        # so that the dicts are in the order of what was learnt, and what goes first is the oldest
        self._unknown.pop(key_id, None)
        known = self._known.pop(key_id, None)
        for shown in () if known is None else known.proven:
            self._proven.pop(shown, None)
        return known

    def _learn(self, kept: KeptKey, asked: float, before: _Known | None) -> None:
        now = self._wall()
        until, principal = asked + self._fresh, None
        if kept.state(now) == "live":
            # it acts for itself, and so is its own client (RFC 9068, 2.2)
            principal = Principal(self._issuer, kept.owner, kept.scopes, kept.owner, kept.plan)
        if principal is not None and kept.expires_at is not None:
            until = min(until, asyncio.get_running_loop().time() + kept.expires_at - now)
        known = _Known(kept, principal, asked + self._fresh / 2, until)
        # not where it is refused from now on, or that would be a use of it
        if before is not None and principal is not None and _is_same(before.kept, kept):
            for shown in before.proven:
                self._remember(known, shown)
        self._known[kept.id] = known
        if len(self._known) > _MOST:
            self._forget(next(iter(self._known)))


def _is_same(one: KeptKey, other: KeptKey) -> bool:
    return (one.pepper, one.hash) == (other.pepper, other.hash)


def _put(kept: dict[str, _T], key_id: str, what: _T) -> None:
    kept[key_id] = what
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
