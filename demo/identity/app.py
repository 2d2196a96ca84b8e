"""The identity provider as an ASGI app."""

from collections.abc import Callable
from pathlib import Path
from time import time
from urllib.parse import urlsplit

import httpx

from demo.app import ServiceApp
from demo.errors import answer_errors
from demo.identity import (
    NAME,
    PORT,
    controls,
    discovery,
    errors,
    introspection,
    login,
    logout,
    pages,
    revocation,
    token_endpoint,
    userinfo,
)
from demo.identity.clients import Clients
from demo.identity.keys import Keys
from demo.identity.provider import Provider
from demo.instances import Instance

KEYS = "identity-keys.json"
ISSUER = f"http://127.0.0.1:{PORT}"
ACCESS_LIFETIME = 300  # seconds
ROUTED = (discovery, login, token_endpoint, userinfo, introspection, revocation, logout, controls, pages)


def create_identity(
    folder: Path,
    clients: Clients,
    *,
    issuer: str = ISSUER,
    access_lifetime: int = ACCESS_LIFETIME,
    clock: Callable[[], float] = time,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ServiceApp:
    """A provider that keeps its keys in `folder`. ValueError when `issuer` is no origin.

    Nothing runs before the first request, so it can be mounted without a lifespan. `clock` says seconds since 1970.
    """
    app = ServiceApp(Instance(NAME))
    app.state.provider = Provider(
        issuer=_origin(issuer),
        clients=clients,
        keys=Keys(folder / KEYS),
        clock=clock,
        access_lifetime=access_lifetime,
        transport=transport,
    )
    answer_errors(app)
    errors.answer_errors(app)
    for module in ROUTED:
        app.include_router(module.router)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": NAME}

    return app


def _origin(issuer: str) -> str:
    parts = urlsplit(issuer)
    if parts.scheme not in {"http", "https"} or not parts.netloc or issuer != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(f"{issuer!r} is no issuer; write it like {ISSUER}")  # a path would move the metadata
    return issuer
