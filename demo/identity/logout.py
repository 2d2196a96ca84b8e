"""The way out for people (OIDC RP-Initiated Logout 1.0)."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from demo.identity import cookies
from demo.identity.backchannel import end
from demo.identity.errors import Misled
from demo.identity.form_proof import form_proof
from demo.identity.pages import page
from demo.identity.parameters import Parameters, form, of_browser, query
from demo.identity.provider import Ours, Provider
from demo.identity.sessions import Session
from demo.identity.target import sent_to

router = APIRouter()


@router.api_route("/end_session", methods=["GET", "POST"])
async def end_session(request: Request, ours: Ours) -> Response:
    """Log out who is logged in: at once where the client shows an ID token of this session, else after a question."""
    parameters = await of_browser(request)
    hint = _hint(parameters, ours)
    back = _way_back(parameters, hint, ours)
    mine = _mine(request, ours)
    meant = ours.sessions.named(str(hint.get("sid")), ours.now)
    if mine is not None and mine is not meant:
        return _question(request, ours, mine, parameters, back)
    if meant is not None:
        await end(ours, meant)
    return _done(ours, parameters, back)


@router.post("/logout")
async def logout(request: Request, ours: Ours) -> Response:
    """What the question sends when the answer is yes."""
    parameters = query(request)
    back = _way_back(parameters, _hint(parameters, ours), ours)
    mine = _mine(request, ours)
    if mine is None:
        return _done(ours, parameters, back)
    if not form_proof(request, ours, mine.id).fits((await form(request)).once()):
        return _question(request, ours, mine, parameters, back, status=403)
    await end(ours, mine)
    return _done(ours, parameters, back)


def _hint(parameters: Parameters, ours: Provider) -> dict[str, Any]:
    """What the ID token says that the client shows, however old; nothing, if it is none of ours."""
    token = parameters.get("id_token_hint")
    return (ours.keys.read(token, kind="JWT") if token else None) or {}


def _way_back(parameters: Parameters, hint: dict[str, Any], ours: Provider) -> str:
    """Where the client wants the browser back; nothing, if nowhere. Misled when that is not registered."""
    if parameters.repeated:
        raise Misled("The request says something twice.")
    name = parameters.get("client_id") or hint.get("aud")
    if hint and hint.get("aud") != name:
        raise Misled("The request comes from one client with the token of another.")
    back = parameters.get("post_logout_redirect_uri")
    client = ours.clients.get(str(name))
    if back is not None and (client is None or back not in client.post_logout_redirect_uris):
        raise Misled("The place to return to is not one of a client that is registered here.")
    return back or ""


def _mine(request: Request, ours: Provider) -> Session | None:
    return ours.sessions.find(cookies.read(request, ours.issuer, cookies.SESSION), ours.now)


def _question(
    request: Request, ours: Provider, mine: Session, parameters: Parameters, back: str, *, status: int = 200
) -> Response:
    proof = form_proof(request, ours, mine.id)
    asked = urlencode(parameters.values)
    return proof.keep(
        page("logout.html", status=status, leads_to=back, user=mine.user.name, asked=asked, proof=proof.field)
    )


def _done(ours: Provider, parameters: Parameters, back: str) -> Response:
    state = parameters.get("state")
    response = sent_to(back, {} if state is None else {"state": state}) if back else page("logged_out.html")
    cookies.clear(response, ours.issuer, cookies.SESSION)
    return response
