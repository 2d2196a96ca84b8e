"""The browsers' gateway."""

from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from bff_core.edge.for_anybody import ForAnybody
from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings, load
from bff_core.wire import Wire
from bffs.web import covers, home_page, product_page
from bffs.web.drawing import draw_problem
from bffs.web.store import StoreClients

__all__ = ["create"]

_HERE = Path(__file__).parent


def create(settings: GatewaySettings | None = None, wire: Wire | None = None) -> FastAPI:
    """The app, from ``settings.toml`` beside this file where no settings are given."""
    app = gateway(
        settings or load(_HERE / "settings.toml"),
        StoreClients,
        [home_page.router, product_page.router, covers.router],
        wire=wire,
        draw_problem=draw_problem,
        title="Store for browsers",
        version="1",
    )
    app.mount("/static", ForAnybody(StaticFiles(directory=_HERE / "static")))
    return app
