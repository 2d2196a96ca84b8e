"""What browsers ask for around their session: logging in and out, and who they are."""

import asyncio
from math import isinf
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from bff_core.auth.audit import Refusals
from bff_core.auth.cookies import CookieNames, cookies_of, removed, set_cookie, shown
from bff_core.auth.cross_site import is_ours
from bff_core.auth.forms import body_of, field_of
from bff_core.auth.jwt import TokenRefused
from bff_core.auth.login import CALLBACK, Answered, Login
from bff_core.auth.moving_on import moving_on
from bff_core.auth.provider import Provider
from bff_core.auth.return_path import return_path
from bff_core.auth.session import Session
from bff_core.auth.session_proof import browser_session, form_token
from bff_core.auth.sessions import Sessions
from bff_core.context import current
from bff_core.errors import CrossSite, GatewayError
from bff_core.session_settings import SessionSettings

__all__ = ["BACKCHANNEL", "Who", "session_routes"]

BACKCHANNEL: Final = "/logout/backchannel"

_NO_STORE: Final = {"cache-control": "no-store"}
_HOME: Final = "/"
_SHARE: Final = 0.5  # of what is left to a logout, because the browser must hear of it


class Who(BaseModel):
    """What the script of a page may know of the session it is part of."""

    signed_in: bool
    shown_as: str | None = None
    ends_in: int | None = None
    """Seconds, whatever is done."""

    csrf: str | None = None
    """What a form of this session has in its field of that name."""


def session_routes(
    settings: SessionSettings,
    names: CookieNames,
    sessions: Sessions,
    login: Login,
    provider: Provider,
    refusals: Refusals,
) -> APIRouter:
    """``GET /login``, its callback, ``POST /logout``, everywhere, by the provider; and ``GET /session``."""
    router = APIRouter(include_in_schema=False)
    our_host = urlsplit(settings.origin).netloc

    @router.get("/login")
    async def begin(request: Request, return_to: Annotated[str, Query(max_length=4000)] = _HOME) -> Response:
        back_to = return_path(return_to)
        if not _is_gone_to(request):
            raise CrossSite("a login is begun by somebody who goes there, or one that is under way would be lost")
        if request.headers.get("host", "").lower() != our_host:  # whose cookie would not come back
            return _redirect(f"{settings.origin}/login?{urlencode({'return_to': back_to})}")
        underway = await login.begin(back_to, shown(cookies_of(request.scope), names.session))
        cookie = set_cookie(
            names.login, underway.cookie, secure=names.secure, same_site="Lax", seconds=int(settings.login)
        )
        return _redirect(underway.url, cookie)

    @router.get(CALLBACK)
    async def callback(
        request: Request,
        code: Annotated[str | None, Query(max_length=4000)] = None,
        state: Annotated[str | None, Query(max_length=4000)] = None,
        iss: Annotated[str | None, Query(max_length=4000)] = None,
        error: Annotated[str | None, Query(max_length=4000)] = None,
    ) -> Response:
        cookie = shown(cookies_of(request.scope), names.login)
        back_to, begun = await login.finish(cookie, Answered(code, state, iss, error))
        over = removed(names.login, secure=names.secure, same_site="Lax")
        if begun is None:
            return moving_on(back_to, "You are not logged in.", over)
        found = set_cookie(names.session, begun.id, secure=names.secure, same_site="Strict")
        return moving_on(back_to, "You are logged in.", over, found)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        # by its cookie, because who wants to leave can, whether the provider would renew the session or not
        ours = shown(cookies_of(request.scope), names.session)
        return await _logged_out(request, None if ours is None else await sessions.end(ours, "logged out"))

    @router.post("/logout/everywhere")
    async def logout_everywhere(request: Request) -> Response:
        ours = shown(cookies_of(request.scope), names.session)
        session = None if ours is None else await sessions.known(ours)
        if session is not None:
            await sessions.end_all(session)
        return await _logged_out(request, session)

    @router.post(BACKCHANNEL)
    async def backchannel(request: Request) -> Response:
        try:
            await sessions.told_to_end(field_of(await body_of(request.receive), "logout_token"))
        except TokenRefused as refusal:
            refusals.note(str(refusal))
            said = {"error": "invalid_request", "error_description": "the logout token is not good"}
            return JSONResponse(said, 400, _NO_STORE)  # OpenID Connect Back-Channel Logout, 2.8
        return Response(status_code=200, headers=_NO_STORE)

    @router.get("/session")
    async def session(request: Request, response: Response) -> Who:
        if not is_ours(request.scope):
            raise CrossSite("a script asks who somebody is, and does not say with X-CSRF: 1 that it is ours")
        _sure()
        response.headers.update(_NO_STORE)
        ours = browser_session()
        if ours is None:
            return Who(signed_in=False)
        left = int(ours.ends - sessions.now())
        return Who(signed_in=True, shown_as=ours.shown_as, ends_in=max(0, left), csrf=form_token())

    async def _logged_out(request: Request, ended: Session | None) -> Response:
        url = _HOME if ended is None else await _provider_forgets(ended)
        over = removed(names.session, secure=names.secure, same_site="Strict")
        if request.headers.get("x-csrf") == "1":
            return JSONResponse({"continue_at": url}, headers={**_NO_STORE, "set-cookie": over})
        return moving_on(url, "You are logged out.", over)

    async def _provider_forgets(ended: Session) -> str:
        """Where a browser goes so that the provider forgets the login too; home, where that cannot be found out."""
        left = current().until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(None if isinf(left) else left * _SHARE):
                return await provider.end_session_url(ended.id_token, settings.origin + _HOME) or _HOME
        except (GatewayError, TimeoutError):
            return _HOME

    return router


def _is_gone_to(request: Request) -> bool:
    """Somebody goes there: no picture, no frame, no script, and no browser that looks ahead (W3C Fetch Metadata)."""
    goes = request.headers.get("sec-fetch-dest", "document") == "document"
    return goes and "prefetch" not in request.headers.get("sec-purpose", "")


def _sure() -> None:
    """Raises ``IdentityUnavailable`` where nobody can say just now whose session it is."""
    if (unsure := current().unsure) is not None:
        raise unsure.copy()


def _redirect(url: str, *cookies: str) -> Response:
    response = RedirectResponse(url, 303, headers=_NO_STORE)
    for cookie in cookies:
        response.headers.append("set-cookie", cookie)
    return response
