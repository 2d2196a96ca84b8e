"""How an API key is written, and told from nonsense without asking anybody.

``bff_<environment>_<id>_<secret>_<checksum>``. The prefix says whose key it is to whoever finds one; the id is what
lists and logs show. The checksum catches typing errors, and lets scanners of leaked secrets be sure, as GitHub's does;
it is no security, because everybody can work it out.
"""

import re
import secrets
from typing import Final, NamedTuple
from zlib import crc32

from bff_core.auth.key_refusals import KeyRefused
from bff_core.telemetry.hidden import KEY_BEGINS

__all__ = ["LONGEST", "PREFIX", "ApiKey", "begins_key", "new_key", "read_key"]

PREFIX: Final = "bff_"

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID: Final = 12  # digits: 71 bits, so that a million keys have no two alike
_SECRET: Final = 43  # digits, of 256 bits
_CHECKSUM: Final = 6  # digits, of 32 bits
_SHAPE: Final = re.compile(rf"bff_([a-z0-9]{{1,16}})_([0-9A-Za-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET}}}_[0-9A-Za-z]{{6}}")
_BEGINS: Final = re.compile(KEY_BEGINS)

_SHORTEST: Final = len(PREFIX) + 1 + _ID + _SECRET + _CHECKSUM + 3
LONGEST: Final = _SHORTEST + 15
"""Characters; nothing longer is a key."""


class ApiKey(NamedTuple):
    """A key that is written as keys are, whether or not anybody made it. ``text`` is all of it, and secret."""

    environment: str
    id: str
    text: str

    def __repr__(self) -> str:
        return f"<key {self.id} of {self.environment}>"


def new_key(environment: str) -> ApiKey:
    """One that nobody else has."""
    name = "".join(secrets.choice(_DIGITS) for _ in range(_ID))
    head = f"{PREFIX}{environment}_{name}_{_base62(secrets.randbits(256), _SECRET)}"
    return ApiKey(environment, name, f"{head}_{_checksum(head)}")


def read_key(text: str) -> ApiKey:
    """The key that is written there. Raises ``KeyRefused`` for what is none; its reason never quotes it."""
    if not _SHORTEST <= len(text) <= LONGEST:
        raise KeyRefused("it is too short or too long for a key")
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise KeyRefused("it is not written as keys are")
    head, _, checksum = text.rpartition("_")
    if checksum != _checksum(head):
        raise KeyRefused("its checksum is wrong: it was mistyped, or made up")
    return ApiKey(match[1], match[2], text)


def begins_key(text: str) -> str | None:
    """The id of a key that is somewhere in there, whole or not."""
    found = _BEGINS.search(text)
    return found[0].split("_")[2] if found else None


def _checksum(head: str) -> str:
    return _base62(crc32(head.encode()), _CHECKSUM)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
