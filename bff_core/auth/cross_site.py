"""Requests that other sites make a browser send: nothing is changed by them, and nothing private is answered.

Browsers say where a request comes from: in ``Origin``, in ``Sec-Fetch-Site`` (W3C Fetch Metadata), and by asking first
where a script adds a header of its own. All that holds beside ``SameSite``, which takes a subdomain for the same site.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff_core.auth.audit import Refusals
from bff_core.auth.cookies import cookies_of, shown
from bff_core.auth.forms import FORM, body_of, field_of
from bff_core.auth.sealed import Bound
from bff_core.errors import CrossSite

__all__ = ["LOOKED_AT", "CrossSiteRequests", "is_ours"]

LOOKED_AT: Final = ("X-CSRF", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Accept")
"""By what ``is_ours`` decides, as ``Vary`` names it."""

_FORM_FIELD: Final = "csrf"  # which holds its token
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_ORIGIN: Final = b"same-origin"


class CrossSiteRequests:
    """Refuses what changes something (403) unless it comes from ``origin``, and from a page of it: with ``X-CSRF: 1``,
    or as a form with the token of its session.

    What changes nothing is let in; where a script may read the answer and nothing says that it is ours, without
    cookies, as somebody unknown. ``elsewhere`` are paths that others ask, and that look at no cookie.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origin: str,
        cookie: str,
        tokens: Bound,
        refusals: Refusals,
        elsewhere: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._origin = origin.encode("ascii")
        self._cookie, self._tokens, self._elsewhere = cookie, tokens, elsewhere
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the request through."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            if scope["path"] not in self._elsewhere:
                receive = await self._checked(scope, receive)
        elif scope["type"] in {"http", "websocket"} and _values(scope, b"cookie") and not self._is_answered(scope):
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"cookie"]}
        await self._app(scope, receive, send)

    def _is_answered(self, scope: Scope) -> bool:
        """With what is private, because nobody else can read it."""
        return is_ours(scope) if scope["type"] == "http" else _values(scope, b"origin") == [self._origin]

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """What is left of a request that changes something, once it is known to be from a page of ours."""
        self._check_origin(scope)
        if _values(scope, b"x-csrf") == [b"1"]:  # which no form can send, and no script of others without asking
            return receive
        if _media_type(scope) != FORM:
            raise self._refused("a request that is no form needs X-CSRF: 1")
        body = await body_of(receive)
        session = shown(cookies_of(scope), self._cookie)
        if session is not None and not self._tokens.proves(session, field_of(body, _FORM_FIELD)):
            raise self._refused("the form has not the token of its session")
        return _replayed(body, receive)

    def _check_origin(self, scope: Scope) -> None:
        origins = _values(scope, b"origin")
        if origins and origins != [self._origin]:
            raise self._refused("Origin is another")
        sites = _values(scope, b"sec-fetch-site")
        if sites != [_SAME_ORIGIN] and (sites or not origins):
            raise self._refused("neither Origin nor Sec-Fetch-Site says that it comes from here")

    def _refused(self, why: str) -> CrossSite:
        self._refusals.note(why)
        return CrossSite(why)


def is_ours(scope: Scope) -> bool:
    """Nobody else's script can read what is answered: it comes from a page of ours, or is one that somebody goes to."""
    sites = _values(scope, b"sec-fetch-site")
    if sites == [_SAME_ORIGIN] or _values(scope, b"x-csrf") == [b"1"]:
        return True
    if sites:
        return _values(scope, b"sec-fetch-mode") == [b"navigate"]
    # browsers of before 2023 do not say; a script, an image and the like do not ask for a page
    return any(b"text/html" in value for value in _values(scope, b"accept"))


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for found, value in scope["headers"] if found == name]


def _media_type(scope: Scope) -> bytes:
    found = _values(scope, b"content-type")
    return found[0].partition(b";")[0].strip().lower() if len(found) == 1 else b""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
