"""Keys and tokens in URLs are refused, because histories, proxies and logs keep URLs (RFC 6750, 5.3)."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from bff_core.auth.audit import Refusals
from bff_core.auth.key_format import PREFIX, begins_key
from bff_core.errors import KeyInUrl

__all__ = ["refuse_keys_in_url"]

_NAMES: Final = {"access_token", "api_key", "api-key", "apikey", "x-api-key"}
_HINTS: Final = (b"key", b"token", PREFIX.encode(), b"%")  # without one of them, nothing has to be taken apart


def refuse_keys_in_url(scope: Scope, refusals: Refusals) -> None:
    """Raises ``KeyInUrl`` for a parameter that is named like a key, and for what looks like one of ours anywhere."""
    if PREFIX in scope["path"]:
        _refuse_key(scope["path"], refusals)
    query: bytes = scope["query_string"]
    small = query.lower()
    if small and any(hint in small for hint in _HINTS):
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            _refuse_key(name, refusals)  # for `?bff_...` is a name without a value
            _refuse_key(value, refusals)
            if name.lower() in _NAMES:
                _refuse(None, refusals)


def _refuse_key(text: str, refusals: Refusals) -> None:
    if found := begins_key(text):
        _refuse(found, refusals)


def _refuse(key_id: str | None, refusals: Refusals) -> None:
    refusals.note("it was sent in the URL; whoever keeps URLs has it now", key_id=key_id)
    raise KeyInUrl("a key in the URL")
