"""Where somebody goes on after logging in: a place of ours, and nobody else's."""

import re
from typing import Final
from urllib.parse import urlsplit

from bff_core.errors import InvalidRequest

__all__ = ["return_path"]

_LONGEST: Final = 2000  # characters, because it is kept in a cookie meanwhile
# a second slash begins a host, and browsers read a backslash as one (WHATWG URL, 4.4); no quote, because browsers write
# %22, and JSON writes two characters
_PATH: Final = re.compile(r"/(?![/\\])[!$-\[\]-~]*")


def return_path(value: str) -> str:
    """``value``, where it is a path and perhaps a query of ours; ``InvalidRequest`` where a browser could read it as
    anything else.
    """
    if len(value) > _LONGEST or not _PATH.fullmatch(value) or _leads_elsewhere(value):
        raise InvalidRequest(("query.return_to", "is no path of ours, such as /products/refactoring?region=GB"))
    return value


def _leads_elsewhere(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return True
    return bool(parts.scheme or parts.netloc or parts.fragment)
