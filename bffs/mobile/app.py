"""The phone apps' gateway."""

from pathlib import Path

from fastapi import FastAPI

from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings, load
from bff_core.wire import Wire
from bffs.mobile import covers, product_page
from bffs.mobile.store import StoreClients

__all__ = ["create"]

_DESCRIPTION = """
A token is not needed. With one (`Authorization: Bearer`, with the scope `orders:read`) a product's screen has
`purchases`: what the reader bought of it before.
"""


def create(settings: GatewaySettings | None = None, wire: Wire | None = None) -> FastAPI:
    """The app, from ``settings.toml`` beside this file where no settings are given."""
    return gateway(
        settings or load(Path(__file__).with_name("settings.toml")),
        StoreClients,
        [product_page.router, covers.router],
        wire=wire,
        title="Store for phone apps",
        version="1",
        description=_DESCRIPTION,
    )
