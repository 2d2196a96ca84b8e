"""The gateway that is measured, written like any other."""

from pathlib import Path

from fastapi import FastAPI

from bench.page import product_page
from bench.page.store import StoreClients
from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings, load
from bff_core.wire import Wire

__all__ = ["create"]


def create(settings: GatewaySettings | None = None, wire: Wire | None = None) -> FastAPI:
    """The app, from ``settings.toml`` beside this file where no settings are given."""
    return gateway(
        settings or load(Path(__file__).with_name("settings.toml")), StoreClients, [product_page.router], wire=wire
    )
