"""Spans of days and hours, as people type them: ``90d``."""

import re
from typing import Final

from bff_core.auth.key_refusals import KeysRefused

__all__ = ["seconds"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_LONGEST: Final = 100 * 366 * 86_400


def seconds(option: str, written: str) -> int:
    """How long that is. Raises ``KeysRefused``, which names the option."""
    match = _SPAN.fullmatch(written)
    span = int(match[1]) * _UNITS[match[2]] if match else _LONGEST + 1
    if span > _LONGEST:
        raise KeysRefused(f'{option}: {written!r} is no time; write it like "90d" or "12h", at most a century')
    return span
