"""Finds out who sends a request, before anything is done for it."""

from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from bff_core.auth.audit import Refusals
from bff_core.auth.contract import API_KEY, AUTHORIZATION, Presented, Proof
from bff_core.auth.fingerprint import fingerprint
from bff_core.auth.keys_in_urls import refuse_keys_in_url
from bff_core.context import RequestContext, current
from bff_core.errors import IdentityUnavailable, ShownTwice, Unauthenticated
from bff_core.principal import Principal

__all__ = ["Identity"]

_COOKIE: Final = b"cookie"
_SHOWN: Final = frozenset({AUTHORIZATION, API_KEY, _COOKIE})

Headers = Sequence[tuple[bytes, bytes]]


class Identity:
    """Sets the principal of the current request, by the first of ``proofs`` that finds something to look at.

    Who shows nothing comes in as nobody; a page that needs to know says so with ``Requires``. Who shows something that
    proves nothing is refused (401), because a client that believes to be known must hear that it is not. So is who
    shows it in the URL (400). Where nobody can say who it is, a token or a key is answered so (503); who shows a cookie
    alone, which browsers do unasked, comes in, and only what needs to know fails.
    """

    def __init__(self, app: ASGIApp, proofs: Sequence[Proof]) -> None:
        self._app = app
        self._proofs = proofs  # itself, because a test adds one
        self._in_urls = Refusals("key")
        # once each, because keys and tokens are borne alike
        self._challenges = tuple(dict.fromkeys(proof.challenge for proof in self._proofs if proof.challenge))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out, and let the request through."""
        if scope["type"] in {"http", "websocket"}:
            context = current()
            context.challenges = self._challenges
            refuse_keys_in_url(scope, self._in_urls)
            shown = [header for header in scope["headers"] if header[0] in _SHOWN]
            if shown and not self._is_known(context, shown):
                await self._find_out(_presented(shown), context)
        await self._app(scope, receive, send)

    def _is_known(self, context: RequestContext, shown: Headers) -> bool:
        """Whether the one token or key that is shown was seen before, as nearly all were."""
        secrets = shown if len(shown) == 1 else [header for header in shown if header[0] != _COOKIE]
        if len(secrets) != 1 or secrets[0][0] == _COOKIE:
            return False
        seen = fingerprint(*secrets[0])
        for proof in self._proofs:
            if (found := proof.known(seen)) is not None:
                context.principal = found
                return True
        return False

    async def _find_out(self, presented: Presented, context: RequestContext) -> None:
        try:
            context.principal = await self._principal(presented)
        except IdentityUnavailable as error:
            if presented.authorization is not None or presented.api_key is not None:
                raise
            context.unsure = error.copy()  # without its traceback, and what that keeps

    async def _principal(self, presented: Presented) -> Principal | None:
        for proof in self._proofs:
            if (found := await proof.principal(presented)) is not None:
                return found
        if presented.authorization is not None or presented.api_key is not None:
            raise Unauthenticated(*self._challenges, detail="nothing here looks at what was shown")
        return None


def _presented(shown: Headers) -> Presented:
    authorization, keys, cookies = (_values(shown, name) for name in (AUTHORIZATION, API_KEY, _COOKIE))
    if len(authorization) + len(keys) > 1:
        raise ShownTwice("credentials are shown twice")
    return Presented(_text(authorization), _text(keys), _text(cookies))


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for found, value in headers if found == name]


def _text(values: list[bytes]) -> str | None:
    return b"; ".join(values).decode("latin-1") if values else None
