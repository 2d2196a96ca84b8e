"""What a form of ours has in it, and a form of somebody else cannot have."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["FormTokens"]

_PURPOSE: Final = b"bff form token"


class FormTokens:
    """A token for each session, made of its id and a key of ours. ``keys`` are those of the settings, the newest first;
    what an older one has made still fits.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(key) for key in keys]

    def of(self, session_id: str) -> str:
        """The token of this session."""
        return _made(self._keys[0], session_id)

    def fits(self, token: str, session_id: str) -> bool:
        """It is one of this session; takes as long for every wrong one."""
        return any(hmac.compare_digest(token.encode(), _made(key, session_id).encode()) for key in self._keys)


def _made(key: bytes, session_id: str) -> str:
    return hmac.new(key, session_id.encode("latin-1"), sha256).hexdigest()
