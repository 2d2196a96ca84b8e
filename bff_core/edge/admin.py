"""The listener for operators, never on the clients' port."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from bff_core.edge.health import Readiness
from bff_core.edge.host import KnownHosts
from bff_core.edge.problems import HANDLERS, Problems
from bff_core.edge.security_headers import SecurityHeaders
from bff_core.edge.sizes import Sizes
from bff_core.settings import GatewaySettings, SizeLimits
from bff_core.upstream import Upstream

__all__ = ["admin_app", "admin_app_of_workers"]

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def admin_app(
    settings: GatewaySettings,
    readiness: Readiness,
    upstreams: Mapping[str, Upstream],
    proofs: Mapping[str, Callable[[], Mapping[str, Any]]] = MappingProxyType({}),
) -> FastAPI:
    """``GET /healthz``: what an operator wants to know about this gateway, in words and numbers.

    ``proofs`` say how each way to prove who one is does.

    It checks ``Host`` like the clients' door, because a page in an operator's browser can ask here too, by a name of
    its own that leads to this address.
    """
    name = settings.name
    app = _operators(settings)

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {
            "gateway": name,
            "ready": readiness.ready,
            "upstreams": {service: upstream.facts() for service, upstream in upstreams.items()},
            "proofs": {name: facts() for name, facts in proofs.items()},
        }

    return app


def admin_app_of_workers(settings: GatewaySettings, ask: Callable[[], Awaitable[list[dict[str, Any]]]]) -> FastAPI:
    """The same for a gateway of several processes: ``GET /healthz`` holds what ``ask`` brings from each of them."""
    app = _operators(settings)

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        workers = await ask()
        return {
            "gateway": settings.name,
            "ready": any(worker.get("ready") for worker in workers),
            "workers": workers,
        }

    return app


def _operators(settings: GatewaySettings) -> FastAPI:
    hosts = [*_LOOPBACK, *settings.hosts, settings.admin.rpartition(":")[0]]
    return FastAPI(
        title=f"{settings.name}, for operators",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Problems),
            Middleware(Sizes, SizeLimits()),
            Middleware(KnownHosts, hosts),
        ],
        exception_handlers=HANDLERS,
    )
