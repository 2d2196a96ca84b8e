"""What ``bff keys`` does, in the database that a gateway's settings name."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Final, TypeVar

from rich.console import Console

from bff_core.auth import audit
from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_format import new_key
from bff_core.auth.key_refusals import KeysRefused, StoreFailed
from bff_core.auth.key_store import KeyStore
from bff_core.auth.peppers import Peppers
from bff_core.cli.key_list import document, moment, table
from bff_core.key_settings import KeySettings

__all__ = ["KeyWork"]

_T = TypeVar("_T")

_OWNER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}")
_PLAN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}|")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")  # RFC 6749, 3.3
_LABEL: Final = 100  # characters


class KeyWork:
    """The keys of one environment. Everything raises ``KeysRefused`` or ``StoreFailed``, each with one line."""

    def __init__(self, settings: KeySettings) -> None:
        self._settings = settings
        self._environment = settings.environment
        self._peppers = Peppers(settings.peppers)

    def create(self, *, owner: str, plan: str, scopes: Sequence[str], life: int | None, label: str) -> str:
        """A new key: its text."""
        _check("--owner", owner, _OWNER, "letters, digits and ._:@/-, at most 100")
        _check("--plan", plan, _PLAN, "small letters, digits, _ and -")
        for scope in scopes:
            _check("--scope", scope, _SCOPE, "no blanks, no quotes (RFC 6749, 3.3)")
        if len(label) > _LABEL or not label.isprintable():
            raise KeysRefused(f"--name: {label!r} cannot be printed, or is longer than {_LABEL} characters")
        text, key = self._new(owner=owner, name=label, plan=plan, scopes=frozenset(scopes), life=life)
        self._run(lambda store: store.add(key))
        audit.key_made(key.id, owner)
        _say(f"key {key.id} of {owner} for {self._environment}, {_until(key)}; it is shown this once")
        return text

    def rotate(self, key_id: str, overlap: int) -> str:
        """A new key in the place of this one, which is taken for so many seconds more: the new one's text."""

        async def replace(store: KeyStore) -> tuple[str, KeptKey, KeptKey]:
            old = await self._one(store, key_id)
            life = None if old.expires_at is None else old.expires_at - old.created_at
            text, new = self._new(
                owner=old.owner, name=old.name, plan=old.plan, scopes=old.scopes, life=life, replaces=old.id
            )
            await store.replace(old, new, until=new.created_at + overlap)
            return text, new, await self._one(store, key_id)

        text, new, old = self._run(replace)
        audit.key_rotated(new.id, new.owner, replaces=key_id)
        if old.revoked_at is not None:
            audit.key_revoked(old.id, old.owner)
        _say(f"key {new.id} of {new.owner} for {self._environment}, {_until(new)}; it is shown this once")
        _say(f"key {old.id} {'is revoked' if old.revoked_at is not None else _until(old)}")
        return text

    def revoke(self, key_id: str) -> None:
        """Have it refused."""

        async def end(store: KeyStore) -> KeptKey:
            key = await self._one(store, key_id)
            await store.revoke(key, int(time()))
            return key

        key = self._run(end)
        audit.key_revoked(key.id, key.owner)
        _say(f"key {key.id} of {key.owner} is revoked, and refused everywhere within {self._settings.fresh:g} s")

    def show(self, owner: str | None) -> None:
        """Draw all of them."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=1000)  # a line is a key to whoever reads a pipe
        console.print(table(self._all(owner), self._peppers, time()))

    def print_document(self, owner: str | None) -> None:
        """Print all of them as JSON."""
        sys.stdout.write(f"{document(self._all(owner), self._peppers, time())}\n")

    def _all(self, owner: str | None) -> Sequence[KeptKey]:
        return self._run(lambda store: store.of(self._environment, owner))

    async def _one(self, store: KeyStore, key_id: str) -> KeptKey:
        found = await store.find(self._environment, [key_id])
        if not found:
            raise KeysRefused(f"there is no key {key_id[:20]!r} for {self._environment}")
        return found[0]

    def _new(
        self,
        *,
        owner: str,
        name: str,
        plan: str,
        scopes: frozenset[str],
        life: int | None,
        replaces: str | None = None,
    ) -> tuple[str, KeptKey]:
        key, now = new_key(self._environment), int(time())
        pepper, digest = self._peppers.hash(key.text)
        return key.text, KeptKey(
            id=key.id,
            environment=key.environment,
            pepper=pepper,
            hash=digest,
            owner=owner,
            name=name,
            plan=plan,
            scopes=scopes,
            created_at=now,
            expires_at=None if life is None else now + life,
            replaces=replaces,
        )

    def _run(self, work: Callable[[KeyStore], Awaitable[_T]]) -> _T:
        async def visit() -> _T:
            store = KeyStore(self._settings.database.get_secret_value())
            try:
                return await work(store)
            except StoreFailed as failure:
                raise StoreFailed(f"keys: {self._settings.place}: {failure}") from failure
            finally:
                await store.close()

        return asyncio.run(visit())


def _check(option: str, value: str, pattern: re.Pattern[str], allowed: str) -> None:
    if not pattern.fullmatch(value):
        raise KeysRefused(f"{option}: {value!r} is not allowed here: {allowed}")


def _until(key: KeptKey) -> str:
    return "never expires" if key.expires_at is None else f"expires {moment(key.expires_at)}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
