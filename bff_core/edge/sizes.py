"""How large a request may say it is. A body that says nothing is counted as it is read, by Starlette's own limit."""

from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.errors import ContentTooLarge, HeadersTooLarge, TargetTooLong
from bff_core.settings import SizeLimits

__all__ = ["Sizes"]


class Sizes:
    """Refuses a longer target (414), more or longer headers (431), and a longer body (413)."""

    def __init__(self, app: ASGIApp, limits: SizeLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and let the request through."""
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        target = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        if target > self._limits.target:
            raise TargetTooLong(f"{target} bytes")
        headers = scope["headers"]
        size = sum(len(name) + len(value) + 4 for name, value in headers)  # ": " and CRLF
        if len(headers) > self._limits.headers or size > self._limits.header_block:
            raise HeadersTooLarge(f"{len(headers)} headers of {size} bytes")
        for name, value in headers:
            if name == b"content-length" and int(value) > self._limits.body:  # the server has seen that it is a number
                raise ContentTooLarge(f"{value!r} bytes")
