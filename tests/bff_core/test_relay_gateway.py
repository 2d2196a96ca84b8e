"""A whole gateway that tells services who asks: what they get of a request, and nothing else of it."""

import json
import time
from dataclasses import dataclass, make_dataclass
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from bff_core import __version__
from bff_core.composition import Composition
from bff_core.gateway import gateway
from bff_core.services.catalog import Catalog
from bff_core.services.client import Answer, ServiceClient, Tells
from bff_core.settings import SettingsError
from bff_core.testing import SimulatedInternet
from bff_core.upstream import Call
from tests.bff_core.kept_keys import PEPPER
from tests.bff_core.relayed import pem, told
from tests.bff_core.small_gateway import HOST, Visit, settings
from tests.bff_core.token_issuer import AUDIENCE, ISSUER, TokenIssuer, claims, rs256, token
from tests.store import answer

BEARER = {"issuer": ISSUER, "audience": AUDIENCE}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KEYS = {"database": "sqlite+aiosqlite:////nowhere/keys.db", "pepper": PEPPER}
SESSION = {
    "origin": "https://gateway.test",
    "issuer": ISSUER,
    "client_id": "web",
    "client_secret": "secret",
    "keys": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}


class Thing(Answer):
    id: str


class Letters(ServiceClient):
    """Is told who asks."""

    service = "letters"
    tells = Tells.PRINCIPAL

    def letter(self) -> Call[Thing]:
        return self.get("/letter", returns=Thing)


class Weather(ServiceClient):
    """Is not."""

    service = "weather"

    def today(self) -> Call[Thing]:
        return self.get("/today", returns=Thing)


@dataclass(frozen=True)
class Clients:
    letters: Letters
    weather: Weather


router = APIRouter()


@router.get("/page")
async def page(request: Request, plain: bool = False) -> list[str]:
    store: Clients = request.app.state.store
    async with Composition() as parts:
        letter = parts.required("letter", _within(store.letters.letter()))
        weather = parts.required("weather", store.weather.today() if plain else _within(store.weather.today()))
    return [letter.value.id, weather.value.id]


async def _within(call: Call[Thing]) -> Thing:
    """As a part that does more than call."""
    return await call


class Shop:
    """A gateway, the services behind it, and what they got."""

    def __init__(self, **changed: Any) -> None:
        thing = answer(b'{"id": "x"}')
        self.internet = SimulatedInternet({"id.test": TokenIssuer(), "letters.test": thing, "weather.test": thing})
        upstreams = {name: {"instances": [f"http://{name}.test"]} for name in ("letters", "weather")}
        relay = {"issuer": "web", "keys": pem()}
        found = settings(**{"upstreams": upstreams, "bearer": BEARER, "relay": relay, **changed})
        self.app = gateway(found, Clients, [router], wire=self.internet)

    async def visit(self, *headers: tuple[bytes, bytes], target: str = "/page") -> Visit:
        return await Visit(self.app, target, headers=[HOST, *headers]).end()

    def got(self, service: str) -> dict[bytes, bytes]:
        """The headers of the last call of this service, none of which was there twice."""
        found = [list(sent.headers) for one, sent in self.internet.requests if one.host == f"{service}.test"][-1]
        assert len(dict(found)) == len(found)
        return dict(found)

    async def published(self) -> httpx.Response:
        return await asked(self.app)


async def asked(app: FastAPI, host: str = "127.0.0.1:9000") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.state.admin), base_url=f"http://{host}") as http:
        return await http.get("/jwks")


def borne(**changed: Any) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {token(rs256(), claims(time.time(), **changed))}".encode()


SHOWN = [
    (b"cookie", b"__Host-Http-session=secret"),
    (b"user-agent", b"browser"),
    (b"accept", b"text/html"),
    (b"accept-language", b"fr"),
    (b"x-request-id", b"theirs"),
    (b"x-request-timeout-ms", b"999999"),
    (b"request-timeout", b"1.5"),
    (b"grpc-timeout", b"9S"),
    (b"forwarded", b"for=10.0.0.1"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"x-forwarded-user", b"admin"),
    (b"x_forwarded_email", b"admin@shop.test"),
    (b"x-real-ip", b"10.0.0.1"),
    (b"proxy-authorization", b"Basic eDp5"),
    (b"x-principal", b"admin"),
    (b"via", b"1.1 theirs"),
    (b"te", b"trailers"),
    (b"range", b"bytes=0-1"),
    (b"if-none-match", b'"x"'),
    (b"idempotency-key", b"theirs"),
    (b"b3", b"1-2-1"),
    (b"traceparent", TRACE.encode()),
    (b"tracestate", b"a=1"),
    (b"tracestate", b"b=2"),
    (b"baggage", b"tenant=acme,admin=true"),
]


@pytest.mark.parametrize("target", ["/page", "/page?plain=true"])
async def test_of_all_that_a_client_sends_services_get_its_trace_and_who_it_is(target: str) -> None:
    shop = Shop(baggage=["tenant"])
    visit = await shop.visit(borne(), *SHOWN, target=target)
    assert (visit.status, json.loads(visit.body)) == (200, ["x", "x"])
    keys = (await shop.published()).content
    public, private = shop.got("weather"), shop.got("letters")
    said = told(b"authorization: " + private.pop(b"authorization") + b"\r\n", keys, audience="letters").claims
    for found in (public, private):
        assert 0 < int(found.pop(b"x-request-timeout-ms")) <= 500
        assert found == {
            b"user-agent": f"bff-small/{__version__}".encode(),
            b"accept": b"application/json",
            b"x-request-id": visit.values(b"x-request-id")[0],
            b"traceparent": TRACE.encode(),
            b"tracestate": b"a=1,b=2",
            b"baggage": b"tenant=acme",
        }
    assert {name: said[name] for name in ("iss", "aud", "sub", "scope", "client_id")} == {
        "iss": "web",
        "aud": "letters",
        "sub": "alice",
        "scope": "orders:read profile",
        "client_id": "phone",
    }
    assert said["sub_id"]["iss"] == ISSUER


async def test_of_a_client_that_is_nobody_services_get_what_is_said_of_every_request() -> None:
    shop = Shop()
    await shop.visit()
    for service in ("letters", "weather"):
        assert shop.got(service).keys() == {b"user-agent", b"accept", b"x-request-id", b"x-request-timeout-ms"}


async def test_no_piece_of_what_a_client_has_shown_gets_through() -> None:
    shop = Shop()
    shown = borne(jti="secret-id", email="alice@shop.test", sid="secret-session")
    await shop.visit(shown)
    sent = repr([(request.headers[:], request.target, request.body) for _, request in shop.internet.requests])
    for piece in shown[1].removeprefix(b"Bearer ").decode().split("."):
        assert piece not in sent
    keys = (await shop.published()).content
    said = told(b"authorization: " + shop.got("letters")[b"authorization"] + b"\r\n", keys, audience="letters").claims
    assert said.keys() == {"iss", "aud", "iat", "exp", "sub", "sub_id", "scope", "client_id"}


async def test_two_clients_are_told_of_as_two() -> None:
    shop = Shop()
    keys = (await shop.published()).content
    for name in ("alice", "bob", "alice"):
        await shop.visit(borne(sub=name))
        line = b"authorization: " + shop.got("letters")[b"authorization"] + b"\r\n"
        assert told(line, keys, audience="letters").claims["sub"] == name


# the keys


async def test_services_find_the_keys_where_operators_look_and_nowhere_else() -> None:
    shop = Shop()
    reply = await shop.published()
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/jwk-set+json")
    assert reply.headers["cache-control"] == "max-age=300"
    (key,) = reply.json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (await shop.visit(target="/jwks")).status == 404
    assert (await asked(shop.app, "evil.test")).status_code == 421
    assert (await asked(shop.app, "gateway.test:9000")).status_code == 200


async def test_a_gateway_that_tells_nobody_publishes_nothing() -> None:
    app = Shop(bearer=None, relay=None).app
    assert (await asked(app)).status_code == 404


# what cannot work


@pytest.mark.parametrize(
    "known", [{"bearer": BEARER}, {"bearer": None, "keys": KEYS}, {"bearer": None, "session": SESSION}]
)
def test_a_gateway_that_knows_who_asks_and_cannot_say_it_does_not_start(known: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="small: relay: is missing, and letters could not be told who asks"):
        Shop(relay=None, **known)
    Shop(**known)


def test_a_gateway_where_nobody_is_known_has_nothing_to_tell() -> None:
    Shop(bearer=None, relay=None)


@pytest.mark.parametrize("bearer", [None, BEARER])
def test_a_relay_by_which_nobody_is_told_stops_the_start(bearer: Any) -> None:
    found = settings(relay={"issuer": "small"}, bearer=bearer)
    with pytest.raises(SettingsError, match="small: relay: this gateway calls no service that is told who asks"):
        gateway(found, make_dataclass("Only", [("catalog", Catalog)]), [], wire=SimulatedInternet())
