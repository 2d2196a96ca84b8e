"""What caches that many share may keep of a gateway that looks at who asks (RFC 9111, 3; RFC 9110, 12.5.5)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.context import current

__all__ = ["SharedCaches"]

_CACHE_CONTROL: Final = b"cache-control"
_VARY: Final = b"vary"
_PRIVATE: Final = b"private"
_DIRECTIVE: Final = re.compile(rb"""[^,"\s](?:[^,"]|"[^"]*")*""")
_FOR_SHARED: Final = (b"public", b"private", b"s-maxage", b"proxy-revalidate")  # `private` may name fields alone


class SharedCaches:
    """What is answered to somebody known is ``private``; every reply says that it ``Vary``s with what is looked at.

    Neither is said of what is the same for everybody, whoever asks: see ``RequestContext.for_anybody``.
    """

    def __init__(self, app: ASGIApp, varies: Iterable[str]) -> None:
        self._app = app
        self._varies = ", ".join(dict.fromkeys(varies)).encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and complete the reply's head."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context, varies = current(), self._varies

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start" and not context.for_anybody:
                message["headers"] = _apart(message["headers"], varies, private=context.principal is not None)
            await send(message)

        await self._app(scope, receive, completed)


def _apart(headers: Iterable[tuple[bytes, bytes]], varies: bytes, *, private: bool) -> list[tuple[bytes, bytes]]:
    kept: list[tuple[bytes, bytes]] = []
    control = vary = b""
    for header in headers:
        name = header[0]
        if name == _VARY:
            vary = header[1] if not vary else b"%b, %b" % (vary, header[1])
        elif private and name == _CACHE_CONTROL:
            control = header[1] if not control else b"%b, %b" % (control, header[1])
        else:
            kept.append(header)
    kept.append((_VARY, _merged(vary, varies) if vary else varies))
    if private:
        kept.append((_CACHE_CONTROL, _made_private(control) if control else _PRIVATE))
    return kept


@lru_cache(maxsize=256)
def _merged(vary: bytes, more: bytes) -> bytes:
    said = {name.strip().lower() for name in vary.split(b",")}
    if b"*" in said:
        return b"*"
    return b", ".join([vary, *(name for name in more.split(b", ") if name.lower() not in said)])


@lru_cache(maxsize=256)
def _made_private(control: bytes) -> bytes:
    """As the page has it, but for one client alone. What is not stored at all is as private as can be."""
    directives = [found.strip() for found in _DIRECTIVE.findall(control)]
    names = [one.partition(b"=")[0].strip().lower() for one in directives]
    if b"no-store" in names:
        return control
    return b", ".join(
        [_PRIVATE, *(one for one, name in zip(directives, names, strict=True) if name not in _FOR_SHARED)]
    )
