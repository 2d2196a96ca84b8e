"""API keys that get into a line of the log are hidden in it, whichever way they came.

A client may put a key anywhere: into a path, where the access log would show it to everyone who reads logs.
"""

import re
from typing import Final

__all__ = ["KEY_BEGINS", "without_keys"]

KEY_BEGINS: Final = r"bff_[a-z0-9]{1,16}_[0-9A-Za-z]{12}_"
"""A regular expression of what stands before the secret of a key, which may be known: environment and id."""

_SECRET: Final = re.compile(rf"({KEY_BEGINS})[0-9A-Za-z]+(?:_[0-9A-Za-z]+)?".encode())


def without_keys(line: bytes) -> bytes:
    """The line with an ellipsis in the place of every secret."""
    return _SECRET.sub(rb"\1...", line) if b"bff_" in line else line
