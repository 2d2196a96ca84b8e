"""The listener for operators, never on the clients' port."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from bff_core.edge.health import Readiness
from bff_core.upstream import Upstream

__all__ = ["admin_app"]


def admin_app(name: str, readiness: Readiness, upstreams: Mapping[str, Upstream]) -> FastAPI:
    """``GET /healthz``: what an operator wants to know about this gateway, in words and numbers."""
    app = FastAPI(
        title=f"{name}, for operators",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {
            "gateway": name,
            "ready": readiness.ready,
            "upstreams": {service: _facts(upstream) for service, upstream in upstreams.items()},
        }

    return app


def _facts(upstream: Upstream) -> dict[str, Any]:
    return {
        "instances": [str(instance) for instance in upstream.balancer.instances],
        "timeout": upstream.settings.timeout,
        "in_flight": upstream.tally.in_flight,
        "attempts": upstream.tally.counts(),
        "last_failure": upstream.tally.last_failure,
    }
