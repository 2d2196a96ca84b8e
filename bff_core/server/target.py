"""What a request is for, as the client wrote it (RFC 9112, 3.2)."""

import re
from typing import Any, Final
from urllib.parse import unquote

import httptools

from bff_core.errors import MalformedRequest

__all__ = ["take_target"]

_AUTHORITY_END: Final = re.compile(rb"[/?]")


def take_target(scope: Any, target: bytes) -> None:
    """Write path and query into ``scope``, and the host of an absolute form into its headers, where it counts more
    than what stands there. Raises ``MalformedRequest``.
    """
    if target[:1] != b"/":
        target = _origin_form(scope, target)
    path, _, query = target.partition(b"?")
    if b"#" in target:
        raise MalformedRequest("a fragment in the target")
    written = path.decode("ascii")
    scope["path"] = unquote(written) if "%" in written else written
    scope["raw_path"] = path
    scope["query_string"] = query


def _origin_form(scope: Any, target: bytes) -> bytes:
    if target == b"*" and scope["method"] == "OPTIONS":
        return target
    try:
        parts = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError as error:
        raise MalformedRequest("no target") from error
    if (parts.schema or b"").lower() not in {b"http", b"https"} or not parts.host or parts.userinfo is not None:
        raise MalformedRequest("a target of no form we know")
    rest = target.partition(b"://")[2]
    end = found.start() if (found := _AUTHORITY_END.search(rest)) else len(rest)
    headers = scope["headers"]
    headers[:] = [(name, rest[:end] if name == b"host" else value) for name, value in headers]
    return rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]
