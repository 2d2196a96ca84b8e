"""What a gateway needs for browsers that log in, put together from its settings."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fastapi import APIRouter
from starlette.middleware import Middleware

from bff_core.auth.audit import Refusals
from bff_core.auth.contract import Proof
from bff_core.auth.cookies import CookieNames
from bff_core.auth.cross_site import CrossSiteRequests
from bff_core.auth.issuer import SESSION
from bff_core.auth.login import Login
from bff_core.auth.provider import Provider
from bff_core.auth.sealed import Bound, Sealed
from bff_core.auth.session_proof import SessionProof
from bff_core.auth.session_routes import BACKCHANNEL, session_routes
from bff_core.auth.session_stores import store_of
from bff_core.auth.sessions import Sessions
from bff_core.discovery import source_of
from bff_core.session_settings import SessionSettings
from bff_core.settings import GatewaySettings
from bff_core.wire import Wire

__all__ = ["Browsers", "browsers_of"]


class Browsers(NamedTuple):
    """How they prove who they are, what they ask for around it, and what keeps other sites from using it."""

    proof: Proof
    routes: APIRouter
    guard: Middleware


def browsers_of(
    settings: GatewaySettings,
    session: SessionSettings,
    wires: Mapping[str, Wire],
    agent: str,
    clock: Callable[[], float],
) -> Browsers:
    """For the gateway ``settings``, whose provider is called over one of ``wires`` as ``agent``. ``clock`` is seconds
    since 1970.
    """
    called = session.called
    source = source_of(SESSION.issuer, called, settings.discovery)
    provider = Provider(session, wires[called.wire], agent, source=source, clock=clock)
    store = store_of(session, settings.name)
    sessions = Sessions(session, store, provider, Sealed(session.sealing_keys, "session"), clock)
    refusals = [Refusals("login"), Refusals("logout"), Refusals("cross-site request")]
    of_logins, of_logouts, of_others = refusals
    login = Login(session, sessions, store, provider, Sealed(session.sealing_keys, "login"), of_logins, clock)
    names, tokens = CookieNames(secure=session.is_secure), Bound(session.sealing_keys, "form")
    return Browsers(
        SessionProof(names.session, sessions, tokens, store=store, provider=provider, refusals=refusals),
        session_routes(session, names, sessions, login, provider, of_logouts),
        Middleware(
            CrossSiteRequests,
            origin=session.origin,
            cookie=names.session,
            tokens=tokens,
            refusals=of_others,
            elsewhere=frozenset({BACKCHANNEL}),
        ),
    )
