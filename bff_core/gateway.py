"""Assembles a gateway from its settings: the one place where the order is written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import time
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from bff_core import __version__
from bff_core.auth.contract import Proof
from bff_core.auth.identity import Identity
from bff_core.auth.proofs import proofs_of, upstreams_of_proofs
from bff_core.auth.relays import relay_keys_of, relay_to
from bff_core.auth.security_docs import schemes_of, with_security
from bff_core.discovery import source_of
from bff_core.edge.access_log import AccessLog
from bff_core.edge.admin import admin_app
from bff_core.edge.deadline import Deadline
from bff_core.edge.departure import Departure
from bff_core.edge.fast_path import FastPath
from bff_core.edge.head import Head
from bff_core.edge.health import Health, Readiness
from bff_core.edge.host import KnownHosts
from bff_core.edge.page_parts import PageParts
from bff_core.edge.problem_docs import EVERYWHERE, documented, with_problems
from bff_core.edge.problems import HANDLERS, Draw, Problems, problem
from bff_core.edge.published_keys import publish_keys
from bff_core.edge.security_headers import SecurityHeaders
from bff_core.edge.shared_caches import SharedCaches
from bff_core.edge.sizes import Sizes
from bff_core.errors import Forbidden, Unauthenticated
from bff_core.services import connect, services_of
from bff_core.services.client import Tells
from bff_core.settings import GatewaySettings, SettingsError
from bff_core.upstream import Upstream
from bff_core.wire import Wire
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.httpx import HttpxWire
from bff_core.wire.terms import Terms

if TYPE_CHECKING:
    from bff_core.auth.browsers import Browsers

__all__ = ["gateway"]

_FINDS_WITHIN: Final = 1.0  # seconds from the start, before requests are answered all the same


def gateway(
    settings: GatewaySettings,
    clients: type[Any],
    routers: Sequence[APIRouter],
    *,
    wire: Wire | None = None,
    draw_problem: Draw = problem,
    clock: Callable[[], float] = time,
    **about: Any,
) -> FastAPI:
    """An app that answers ``routers`` with a ``clients`` (a dataclass of service clients) at ``app.state.store``.

    ``wire`` is how upstreams are reached; a test passes a simulated internet. ``draw_problem`` is what an error looks
    like to this kind of client. ``clock`` is seconds since 1970, by which sessions and tokens end. ``about`` goes to
    FastAPI:
    title, description and the like. ``app.state.admin`` is the app for the operators' listener. Raises
    ``SettingsError`` where the settings name other upstreams than ``clients`` calls, or a relay that nobody is told by,
    or none where somebody should be.
    """
    _check_upstreams(settings, clients)
    _check_relay(settings, clients)
    called = {**settings.upstreams, **upstreams_of_proofs(settings)}
    terms = {name: Terms.of(found) for name, found in called.items()}
    wires: dict[str, Wire] = {"http1": wire or Http1Wire(terms=terms), "httpx": wire or HttpxWire(terms=terms)}
    agent = f"bff-{settings.name.replace('_', '-')}/{__version__}"
    keys = relay_keys_of(settings)
    upstreams = {
        name: Upstream(
            name,
            found,
            wires[found.wire],
            agent=agent,
            zone=settings.zone,
            source=source_of(name, found, settings.discovery),
            relay=relay_to(name, settings, keys),
        )
        for name, found in settings.upstreams.items()
    }
    proofs = proofs_of(settings, wires, agent, clock)
    browsers = _browsers(settings, wires, agent, clock)
    if browsers is not None:
        proofs.append(browsers.proof)  # last, because a cookie is sent unasked
    readiness = Readiness()
    app = FastAPI(
        **{"docs_url": None, "redoc_url": None, **about},
        middleware=_front_door(settings, readiness, proofs, browsers, draw_problem),
        exception_handlers=HANDLERS,
        lifespan=_lifespan(upstreams.values(), set(wires.values()), readiness, proofs),
        redirect_slashes=False,  # such a redirect goes wherever the client's Host says
        telemetry={"tracing": False, "metrics": False, "logs": False},  # looked for at every request
        responses=documented(*EVERYWHERE),
    )
    refused = documented(Unauthenticated, Forbidden)
    app.openapi = with_security(app, schemes_of(settings), refused)  # type: ignore[method-assign]  # FastAPI's way
    app.openapi = with_problems(app.openapi)  # type: ignore[method-assign]
    app.state.settings = settings
    app.state.store = connect(clients, upstreams)
    app.state.readiness = readiness
    app.state.proofs = proofs
    app.state.admin = admin_app(settings, readiness, upstreams, {proof.name: proof.facts for proof in proofs})
    if keys is not None:
        publish_keys(app.state.admin, keys.published)
    for router in [*([browsers.routes] if browsers else []), *routers]:
        app.include_router(router)
    return app


def _browsers(
    settings: GatewaySettings, wires: Mapping[str, Wire], agent: str, clock: Callable[[], float]
) -> "Browsers | None":
    if settings.session is None:
        return None
    from bff_core.auth.browsers import browsers_of  # noqa: PLC0415  imports cost the start

    return browsers_of(settings, settings.session, wires, agent, clock)


def _front_door(
    settings: GatewaySettings,
    readiness: Readiness,
    proofs: Sequence[Proof],
    browsers: "Browsers | None",
    draw_problem: Draw,
) -> list[Middleware]:
    return [
        Middleware(AccessLog, settings.name, settings.baggage),  # outermost: it sees every reply, everyone its id
        Middleware(SecurityHeaders),  # outside problems, so that problems have them too
        # outside problems too, because they vary like all else
        *([Middleware(SharedCaches, [name for proof in proofs for name in proof.varies])] if proofs else []),
        Middleware(Problems, draw_problem),  # outside all that may refuse
        Middleware(Sizes, settings.sizes),  # before anything reads the headers
        Middleware(KnownHosts, settings.hosts),  # before anything believes the Host
        Middleware(Health, readiness),  # before deadline and page, because it depends on nothing
        Middleware(Departure),  # outside the deadline, because leaving ends it
        Middleware(Deadline, settings.deadline),
        *([browsers.guard] if browsers else []),  # before identity, because what another site sends is nobody's
        *([Middleware(Identity, proofs)] if proofs else []),  # inside the deadline, because finding out may take asking
        Middleware(PageParts),  # next to the page, because what it tells is the page's own
        Middleware(Head),  # inside the log, so that it still says HEAD
        Middleware(FastPath),  # innermost, because it stands in for FastAPI
    ]


def _lifespan(
    upstreams: Collection[Upstream], wires: Collection[Wire], readiness: Readiness, proofs: Sequence[Proof] = ()
) -> Any:
    lasting: Sequence[Upstream | Proof] = [*upstreams, *proofs]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            for one in lasting:
                await one.start()
            # and no longer, because the other upstreams may be all that most pages need
            with suppress(TimeoutError):
                async with asyncio.timeout(_FINDS_WITHIN):
                    await asyncio.gather(*(upstream.found() for upstream in upstreams))
            readiness.ready = True
            yield
        finally:
            readiness.ready = False
            for one in lasting:
                await one.close()
            for wire in wires:
                await wire.close()

    return lifespan


def _check_upstreams(settings: GatewaySettings, clients: type[Any]) -> None:
    called = {client.service for client in services_of(clients).values()}
    if missing := sorted(called - set(settings.upstreams)):
        raise SettingsError(f"{settings.name}: upstreams.{missing[0]}: is missing")
    if unread := sorted(set(settings.upstreams) - called):
        raise SettingsError(f"{settings.name}: upstreams.{unread[0]}: this gateway calls no such service")


def _check_relay(settings: GatewaySettings, clients: type[Any]) -> None:
    told = sorted(client.service for client in services_of(clients).values() if client.tells is Tells.PRINCIPAL)
    known = any(way is not None for way in (settings.bearer, settings.keys, settings.session))
    if told and known and settings.relay is None:
        raise SettingsError(f"{settings.name}: relay: is missing, and {told[0]} could not be told who asks")
    if settings.relay is not None and not told:
        raise SettingsError(f"{settings.name}: relay: this gateway calls no service that is told who asks")
