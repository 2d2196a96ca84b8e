"""The store's own services on a simulated internet, each of which can be made to fail."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from bff_core.principal import Principal
from bff_core.setting_types import Place
from bff_core.settings import GatewaySettings, load
from bff_core.testing import SimulatedInternet, signed_in_as
from bff_core.testing.internet import ASGIApp
from demo.app import create_service
from tests.bff_core.kept_keys import PEPPER

WEB_SECRET = "web-secret-that-everyone-may-know"
SESSION_KEY = b64encode(b"a session key of thirty-two byte").decode()
ALICE = Principal("https://id.test", "alice", frozenset({"orders:read", "products:read"}), "phone")
SERVICES = ("catalog", "pricing", "inventory", "orders", "reviews", "recommendations", "sellers")
SECRETS = {"BFF_WEB__SESSION__CLIENT_SECRET": WEB_SECRET, "BFF_WEB__SESSION__KEYS": SESSION_KEY}
"""What the web gateway needs in its environment, but for `--dev`."""

Failure = Callable[[dict[str, ASGIApp], str], None]
BFFS = Path(__file__).parent.parent / "bffs"


class Store:
    """Seven ASGI apps on real databases."""

    def __init__(self, folder: Path) -> None:
        self.services: dict[str, ASGIApp] = {name: create_service(name, folder) for name in SERVICES}

    def internet(self, failing: Iterable[str] = (), how: Failure | None = None) -> SimulatedInternet:
        """A network on which these services fail in this way."""
        return SimulatedInternet(self.hosts(failing, how))

    def hosts(self, failing: Iterable[str] = (), how: Failure | None = None) -> dict[str, ASGIApp]:
        """The services by the names of their hosts, where these fail in this way."""
        hosts = {f"{name}.test": app for name, app in self.services.items()}
        for name in failing:
            assert how is not None
            how(hosts, f"{name}.test")
        return hosts


def refuse(hosts: dict[str, ASGIApp], host: str) -> None:
    """Nothing listens there."""
    del hosts[host]


def delay(hosts: dict[str, ASGIApp], host: str, *, seconds: float = 3600) -> None:
    """It answers, an hour later."""
    app = hosts[host]

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(seconds)
        await app(scope, receive, send)

    hosts[host] = late


def answer(content: bytes, *, status: int = 200, media_type: bytes = b"application/json") -> ASGIApp:
    """An app that always says the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type)]})
        await send({"type": "http.response.body", "body": content})

    return app


def babble(hosts: dict[str, ASGIApp], host: str) -> None:
    """It answers nonsense."""
    hosts[host] = answer(b'{"id": [1, {"title": null}]')


def on_the_internet(service: str) -> dict[str, Any]:
    """How a service is called that is on the simulated internet."""
    return {"instances": [f"http://{service}.test"]}


def told(table: str) -> dict[str, Any]:
    """What the settings of a gateway do not say, because it is a secret."""
    secrets = {"keys": {"pepper": PEPPER}, "session": {"client_secret": WEB_SECRET, "keys": SESSION_KEY}}
    return secrets.get(table, {})


def settings(name: str, called: Callable[[str], dict[str, Any]] = on_the_internet) -> GatewaySettings:
    """A gateway's own settings, but for how its services are ``called``."""
    found = load(BFFS / name / "settings.toml", told)
    upstreams = {}
    for service, upstream in found.upstreams.items():
        changed = called(service)
        places = tuple(Place.model_validate(place) for place in changed["instances"])
        upstreams[service] = upstream.model_copy(update={**changed, "instances": places})
    return found.model_copy(update={"upstreams": upstreams, "hosts": ["gateway.test"]})


def as_alice(app: FastAPI) -> dict[str, str]:
    """The headers with which she comes."""
    return signed_in_as(app, ALICE)


def client(app: FastAPI) -> httpx.AsyncClient:
    """A client of a gateway, without a network between."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")


def rewritten(app: ASGIApp, old: bytes, new: bytes) -> ASGIApp:
    """An app that says one thing for another."""

    async def lying(scope: Any, receive: Any, send: Any) -> None:
        async def replaced(message: Any) -> None:
            if message["type"] == "http.response.body":
                message["body"] = message["body"].replace(old, new)
            await send(message)

        await app(scope, receive, replaced)

    return lying
