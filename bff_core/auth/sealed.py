"""What is kept or sent so that nobody else can read it, or change it, or pass it off as something else."""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["Bound", "Sealed"]

_VERSION: Final = b"\x01"
_NAME: Final = 8  # bytes that tell which key it was, and nothing of the key
_NONCE: Final = 12
_TAG: Final = 16
_HEAD: Final = len(_VERSION) + _NAME


class Sealed:
    """Seals with the first of ``keys``, and opens what any of them has sealed for the same ``purpose``: AES-256-GCM,
    each purpose by keys of its own (HKDF, RFC 5869).

    What is sealed has a name, and opens under no other. So that processes can change keys one after another, a new one
    comes second at first, and first once everyone has it. One may seal four thousand million times, then its nonces
    might repeat (NIST SP 800-38D, 8.3): change it before.
    """

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        self._by_name = {
            _derived(key, "name of a key", purpose)[:_NAME]: AESGCM(_derived(key, "sealed", purpose)) for key in keys
        }
        self._newest = next(iter(self._by_name))

    def seal(self, name: str, content: bytes) -> bytes:
        """Version, name of the key, nonce, and what only ``open`` makes anything of."""
        head, nonce = _VERSION + self._newest, os.urandom(_NONCE)
        return head + nonce + self._by_name[self._newest].encrypt(nonce, content, head + name.encode())

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """What was sealed under that name. ``None`` for anything else, and never why."""
        head, nonce, rest = sealed[:_HEAD], sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
        key = self._by_name.get(head[len(_VERSION) :])
        if key is None or not head.startswith(_VERSION) or len(rest) < _TAG:
            return None
        try:
            return key.decrypt(nonce, rest, head + name.encode())
        except InvalidTag:
            return None

    def seal_text(self, name: str, content: bytes) -> str:
        """``seal`` as text that a cookie may hold: base64url, without padding."""
        return base64.urlsafe_b64encode(self.seal(name, content)).rstrip(b"=").decode()

    def open_text(self, name: str, text: str) -> bytes | None:
        """``open`` of it."""
        try:
            sealed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        return self.open(name, sealed)


class Bound:
    """Says values so that nobody else can say them, for one ``purpose``: HMAC-SHA-256, by keys of its own. The first of
    ``keys`` makes, all prove.
    """

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        self._keys = [_derived(key, "bound", purpose) for key in keys]

    def bound(self, value: str) -> str:
        """What proves that ``value`` comes from here, as 43 characters of base64url."""
        return _said(self._keys[0], value)

    def proves(self, value: str, said: str) -> bool:
        """Whether ``said`` is that. How long it takes does not tell how much of it is right."""
        given = said.encode(errors="surrogatepass")
        return any(hmac.compare_digest(_said(key, value).encode(), given) for key in self._keys)


def _said(key: bytes, value: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, value.encode(), "sha256")).rstrip(b"=").decode()


def _derived(key: bytes, use: str, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"bff {use}: {purpose}".encode()).derive(key)
