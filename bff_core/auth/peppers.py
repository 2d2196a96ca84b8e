"""Hashes of keys: HMAC-SHA-256 by a pepper, so that who has the database alone can neither use keys nor guess them.

A slow hash is for passwords, which people choose; 256 random bits are not guessed however fast it goes.
"""

import hmac
from collections.abc import Sequence
from typing import Final

__all__ = ["Peppers"]

_NAME: Final = b"name of a pepper of API keys"


class Peppers:
    """The newest first: it makes new hashes. Each has a name, which tells nothing of it, and is kept with the hash."""

    def __init__(self, peppers: Sequence[bytes]) -> None:
        self._by_name = {hmac.digest(pepper, _NAME, "sha256")[:4].hex(): pepper for pepper in peppers}
        self._newest = next(iter(self._by_name))

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def hash(self, text: str) -> tuple[str, bytes]:
        """The name of the pepper, and the hash."""
        return self._newest, hmac.digest(self._by_name[self._newest], text.encode(), "sha256")

    def prove(self, text: str, name: str, kept: bytes) -> bool:
        """Whether ``text`` has that hash. How long it takes does not tell how much of it is right."""
        pepper = self._by_name.get(name)
        return pepper is not None and hmac.compare_digest(hmac.digest(pepper, text.encode(), "sha256"), kept)
