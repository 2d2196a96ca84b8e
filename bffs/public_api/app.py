"""The partners' gateway."""

from pathlib import Path

from fastapi import FastAPI

from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings, load
from bff_core.wire import Wire
from bffs.public_api import catalogue, covers, product_page, reviews
from bffs.public_api.store import StoreClients

__all__ = ["create"]

_DESCRIPTION = """
Books, what they cost, whether they are there, and what readers think of them.

- **Who you are**: show an API key (`X-API-Key: bff_...`) or an access token (`Authorization: Bearer ...`, OAuth 2.0
  client credentials) with the scope `products:read`; pictures need neither. Keys and tokens never go into a URL.
- **Money** is a whole number of minor units and an ISO 4217 currency: `{"amount": 4999, "currency": "USD"}` is $49.99,
  and 4980 JPY are 4980 yen.
- **Times** are RFC 3339.
- **Lists** come in pages: follow the `Link` with `rel="next"` (RFC 8288) until there is none. Cursors are opaque.
- **Errors** are problem documents (RFC 9457). Their `type` is stable, their words are for people.
- **Completeness**: a member that is `null` may be missing just now; `completeness` says which, and why. A product is
  never answered without its price.
- **Time**: `Request-Timeout: 1.5` asks for an answer within 1.5 seconds; the most is 5.
"""


def create(settings: GatewaySettings | None = None, wire: Wire | None = None) -> FastAPI:
    """The app, from ``settings.toml`` beside this file where no settings are given."""
    return gateway(
        settings or load(Path(__file__).with_name("settings.toml")),
        StoreClients,
        [product_page.router, catalogue.router, reviews.router, covers.router],
        wire=wire,
        title="Store API",
        version="1",
        description=_DESCRIPTION,
    )
