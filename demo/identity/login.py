"""The front door for people: the authorization endpoint and the login page behind it."""

from math import ceil
from secrets import token_urlsafe
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from demo.identity import cookies
from demo.identity.authorization import Wanted, wanted_by
from demo.identity.backchannel import end
from demo.identity.errors import Misled, OAuthError, Refused
from demo.identity.form_proof import form_proof
from demo.identity.grants import Code, Grant
from demo.identity.pages import page
from demo.identity.parameters import Parameters, form, of_browser, query
from demo.identity.provider import CODE_LIFETIME, Ours, Provider
from demo.identity.sessions import Session
from demo.identity.target import Target, target_of
from demo.identity.users import USERS, User, known

router = APIRouter()


@router.api_route("/authorize", methods=["GET", "POST"])
async def authorize(request: Request, ours: Ours) -> Response:
    """A code for the client, at once when somebody is logged in who will do; otherwise the login page."""
    parameters = await of_browser(request)
    target = target_of(parameters, ours.clients, ours.issuer)
    try:
        wanted = wanted_by(target.client, parameters, ours)
        session = ours.sessions.find(cookies.read(request, ours.issuer, cookies.SESSION), ours.now)
        if session and wanted.suits(session, ours.now):
            return _granted(ours, target, wanted, session)
        if "none" in wanted.prompts:
            raise Refused("login_required", "nobody is logged in who would do")
    except Refused as error:
        return target.answer(error=error.error, error_description=error.description)
    return _login_page(request, ours, target, parameters)


@router.post("/login")
async def login(request: Request, ours: Ours) -> Response:
    """What the login page sends. The request of the client is in the URL again, and is judged again."""
    parameters = _asked_before(request)
    target = target_of(parameters, ours.clients, ours.issuer)
    filled = (await form(request)).once()
    name = filled.get("username") or ""
    try:
        wanted = wanted_by(target.client, parameters, ours)
        if not form_proof(request, ours, _canonical(parameters)).fits(filled):
            trouble = "This page had been open for too long, or came from elsewhere. Please try again."
            return _login_page(request, ours, target, parameters, name=name, trouble=trouble, status=403)
        if wait := ours.attempts.wait(name, ours.now):
            trouble = f"Too many wrong passwords. Please wait {ceil(wait)} seconds."
            reply = _login_page(request, ours, target, parameters, name=name, trouble=trouble, status=429)
            reply.headers["retry-after"] = str(ceil(wait))
            return reply
        user = known(name, filled.get("password") or "")
        if user is None:
            ours.attempts.failed(name, ours.now)
            trouble = "The name or the password is wrong."
            return _login_page(request, ours, target, parameters, name=name, trouble=trouble, status=403)
        ours.attempts.succeeded(name)
        return await _logged_in(request, ours, target, wanted, user)
    except Refused as error:
        return target.answer(error=error.error, error_description=error.description)


async def _logged_in(request: Request, ours: Provider, target: Target, wanted: Wanted, user: User) -> Response:
    if wanted.subject not in {None, user.id}:
        raise Refused("login_required", "somebody else has logged in")
    before = ours.sessions.find(cookies.read(request, ours.issuer, cookies.SESSION), ours.now)
    if before and before.user != user:
        await end(ours, before)
    cookie, session = ours.sessions.start(user, before, ours.now)
    response = _granted(ours, target, wanted, session)
    cookies.write(response, ours.issuer, cookies.SESSION, cookie)
    return response


def _granted(ours: Provider, target: Target, wanted: Wanted, session: Session) -> Response:
    grant = Grant(target.client, wanted.scopes, wanted.audience, session, session.auth_time)
    code = token_urlsafe(32)
    until = ours.now + CODE_LIFETIME
    ours.codes.put(code, Code(grant, target.redirect_uri, wanted.challenge, wanted.nonce, until), ours.now)
    session.clients.add(target.client.id)
    return target.answer(code=code)


def _login_page(
    request: Request,
    ours: Provider,
    target: Target,
    parameters: Parameters,
    *,
    name: str = "",
    trouble: str = "",
    status: int = 200,
) -> Response:
    asked = _canonical(parameters)
    proof = form_proof(request, ours, asked)
    response = page(
        "login.html",
        status=status,
        leads_to=target.redirect_uri,
        client=target.client.name,
        users=USERS.values(),
        asked=asked,
        proof=proof.field,
        name=name or parameters.get("login_hint") or "",
        trouble=trouble,
    )
    return proof.keep(response)


def _asked_before(request: Request) -> Parameters:
    try:
        return query(request)
    except OAuthError as error:
        raise Misled(f"The request is malformed: {error}.") from error


def _canonical(parameters: Parameters) -> str:
    """In one spelling, because browsers change that of a URL."""
    return urlencode(parameters.values)
