"""Which hosts this gateway answers for.

The server below accepts a missing, doubled, empty or nonsensical ``Host``. Whoever builds an address from it, or
keeps a reply under it, believes the client; so only known hosts come in (RFC 9110, 7.2 and 15.5.20).
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.errors import MalformedRequest, MisdirectedRequest

__all__ = ["KnownHosts"]

_HOST = re.compile(rb"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


class KnownHosts:
    """Refuses a request without exactly one well-formed ``Host`` (400), or with one that is not ours (421)."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, and let the request through."""
        if scope["type"] == "http":
            self._check([value for name, value in scope["headers"] if name == b"host"])
        await self._app(scope, receive, send)

    def _check(self, values: list[bytes]) -> None:
        match = _HOST.fullmatch(values[0]) if len(values) == 1 else None
        if match is None:
            raise MalformedRequest("exactly one well-formed Host is needed")
        if match[1].lower() not in self._hosts:
            raise MisdirectedRequest(f"host {match[1]!r}")
