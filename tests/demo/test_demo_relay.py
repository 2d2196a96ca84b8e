"""Whom the orders service believes about who asks."""

import asyncio
import base64
import json
import shlex
import tomllib
from importlib import import_module
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from bff_core.settings import load
from demo.app import create_service
from demo.relay import Relays
from tests.identity import ACME, Identity
from tests.processes import ROOT
from tests.store import told

URL = "http://web.test/jwks"
PURCHASES = "/customers/{}/purchases?product_id=pojos-in-action"
GOOD = {"iss": "web", "aud": "orders", "sub": "alice"}


class Gateway:
    """One that signs what it says, and publishes its keys while it is up."""

    def __init__(self) -> None:
        self.up, self.asked = True, 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.rotate()

    def rotate(self) -> None:
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)

    async def __call__(self, scope, receive, send) -> None:
        self.asked += 1
        await self.goes_on.wait()
        if not self.up:
            raise ConnectionResetError
        reply = httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": reply.content})


class Orders:
    """The service, told to believe that gateway."""

    def __init__(self, store, *places: str) -> None:
        self.now, self.gateway = 1_800_000_000.0, Gateway()
        transport = httpx.ASGITransport(self.gateway)
        trust = Relays(places or (f"web={URL}",), transport=transport, clock=lambda: self.now)
        app = httpx.ASGITransport(create_service("orders", store, trust=trust))
        self.http = httpx.AsyncClient(transport=app, base_url="http://orders")

    def signed(self, *gone, key=None, alg="ES256", kid=None, typ="relay+jwt", **claims) -> str:
        """A good token, but for what is said."""
        key = key or self.gateway.key
        said = GOOD | {"exp": int(self.now) + 60, "iat": int(self.now)} | claims
        said = {name: value for name, value in said.items() if name not in gone}
        header = {"alg": alg, "kid": kid or self.gateway.key.kid, "typ": typ}
        return jwt.encode(header, said, key, algorithms=[alg])

    async def asked(self, token: str | None, customer: str = "alice") -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.http.get(PURCHASES.format(customer), headers=headers)


@pytest.fixture
def orders(store) -> Orders:
    return Orders(store)


async def refused(reply) -> bool:
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["www-authenticate"] == "Bearer"
    return (reply.status_code, reply.json().keys(), reply.json()["error"]) == (
        401,
        {"error", "detail"},
        "unauthenticated",
    )


async def test_until_it_is_told_whom_to_trust_it_believes_everyone(visit):
    assert len((await visit("orders").get(PURCHASES.format("alice"))).json()) == 2


async def test_a_customer_for_whom_a_gateway_vouches_sees_what_they_bought(orders):
    reply = await orders.asked(orders.signed())
    assert (reply.status_code, len(reply.json())) == (200, 2)


async def test_what_others_bought_is_not_there_and_nobody_learns_who_is_a_customer(orders):
    others, nobodys = [await orders.asked(orders.signed(), name) for name in ("bob", "nobody")]
    assert others.status_code == nobodys.status_code == 404
    assert others.json() == {"error": "unknown_customer", "detail": "there is no customer 'bob'"}
    assert others.text.replace("bob", "nobody") == nobodys.text
    assert (await orders.asked(orders.signed(sub="mallory"), "mallory")).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "mobile"},
        {"iss": ["web"]},
        {"aud": "catalog"},
        {"aud": ["catalog", "reviews"]},
        {"aud": "orders "},
        {"sub": 1},
        {"exp": 1_800_000_000 - 10},
        {"exp": "tomorrow"},
        {"nbf": 1_800_000_000 + 11},
        {"iat": 1_800_000_000 + 11},
        {"kid": "unknown"},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
    ],
)
async def test_a_token_that_says_something_else_is_refused(orders, wrong):
    assert await refused(await orders.asked(orders.signed(**wrong)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp"])
async def test_a_token_that_does_not_say_enough_is_refused(orders, claim):
    assert await refused(await orders.asked(orders.signed(claim)))


async def test_a_type_may_be_written_in_full_and_in_capitals(orders):
    assert (await orders.asked(orders.signed(typ="application/Relay+JWT"))).status_code == 200


async def test_two_clocks_may_differ_a_little(orders):
    token = orders.signed()
    for seconds, status in ((-10, 200), (69, 200), (70, 401)):
        orders.now = 1_800_000_000.0 + seconds
        assert (await orders.asked(token)).status_code == status


async def test_only_its_own_keys_and_its_own_algorithm_sign(orders):
    await orders.asked(orders.signed())
    public = orders.gateway.key.as_pem(private=False)
    b64 = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none", "kid": orders.gateway.key.kid}, GOOD | {"exp": int(orders.now) + 60})
    ]
    forged = [
        ".".join([*b64, ""]),
        orders.signed(key=ECKey.generate_key("P-256")),
        orders.signed(key=RSAKey.generate_key(2048), alg="RS256"),
        orders.signed(key=OctKey.import_key(public.replace(b"-----", b"")), alg="HS256"),
        orders.signed()[:-4] + "AAAA",
    ]
    for token in forged:
        assert await refused(await orders.asked(token))


async def test_without_a_token_or_with_two_it_answers_nobody(orders):
    token = orders.signed()
    b64 = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"ES256","kid":"a"}', b"[" * 5000)]
    shown = [
        [],
        [("authorization", token)],
        [("authorization", f"Basic {token}")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer nonsense")],
        [("authorization", "Bearer a.b.c")],
        [("authorization", f"Bearer {b64[0]}.{b64[1]}.{b64[0]}")],
        [("authorization", "Bearer \u00e9".encode("latin-1"))],
        [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")],
    ]
    for headers in shown:
        assert await refused(await orders.http.get(PURCHASES.format("alice"), headers=headers))


async def test_a_token_of_the_identity_provider_is_not_for_services(orders, keys):
    token = (await Identity(keys).token(ACME, grant_type="client_credentials")).json()["access_token"]
    assert await refused(await orders.asked(token))


async def test_keys_are_asked_for_once_and_again_when_one_is_new(orders):
    for _ in range(3):
        await orders.asked(orders.signed())
        orders.now += 100
    assert orders.gateway.asked == 1
    for _ in range(3):
        assert await refused(await orders.asked(orders.signed(kid="unknown")))
    assert orders.gateway.asked == 2
    orders.gateway.rotate()
    orders.now += 2
    assert (await orders.asked(orders.signed())).status_code == 200
    assert orders.gateway.asked == 3


async def test_a_key_that_is_published_no_longer_is_forgotten(orders):
    old = orders.gateway.key
    await orders.asked(orders.signed())
    orders.gateway.rotate()
    orders.now += 301
    assert await refused(await orders.asked(orders.signed(key=old, kid=old.kid)))


async def test_a_gateway_that_is_gone_is_still_believed_by_the_keys_it_had(orders):
    orders.gateway.up = False
    reply = await orders.asked(orders.signed())
    assert (reply.status_code, reply.json()["error"]) == (503, "keys_unavailable")
    orders.gateway.up = True
    orders.now += 2
    assert (await orders.asked(orders.signed())).status_code == 200
    orders.gateway.up = False
    orders.now += 301
    assert (await orders.asked(orders.signed())).status_code == 200


async def test_a_gateway_that_is_gone_is_asked_once_a_second_however_many_come(orders):
    orders.gateway.up = False
    assert [(await orders.asked(orders.signed())).status_code for _ in range(3)] == [503] * 3
    assert orders.gateway.asked == 1
    orders.gateway.up = True
    orders.now += 2
    await orders.asked(orders.signed())
    orders.gateway.up = False
    orders.now += 301
    for _ in range(3):
        assert (await orders.asked(orders.signed())).status_code == 200
    assert orders.gateway.asked == 3


@pytest.mark.parametrize("later", [2, 301])
async def test_nobody_who_is_known_waits_for_a_gateway_that_hangs(orders, later):
    token = orders.signed(exp=int(orders.now) + 400)
    await orders.asked(token)
    orders.now += later
    orders.gateway.goes_on.clear()
    stranger = asyncio.create_task(orders.asked(orders.signed(kid="unknown")))
    while orders.gateway.asked < 2:
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert (await orders.asked(token)).status_code == 200
    orders.gateway.goes_on.set()
    assert await refused(await stranger)


async def test_a_url_alone_stands_for_the_issuer_at_that_address(store):
    orders = Orders(store, URL)
    assert (await orders.asked(orders.signed(iss="http://web.test"))).status_code == 200
    assert await refused(await orders.asked(orders.signed()))


@pytest.mark.parametrize("place", ["", "web", "web=", "web=ftp://a/b", "web=/jwks", "http://", "=x"])
def test_a_place_that_is_none_stops_the_start(place):
    with pytest.raises(ValueError, match="is no place for keys"):
        Relays([place])


def by_bff_dev():
    (command,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["bff"]["dev"]
    return shlex.split(command), {}, "127.0.0.1"


def by_docker_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services["store"]["command"], services["web"]["environment"] | services["mobile"]["environment"], None


@pytest.mark.parametrize("started", [by_bff_dev, by_docker_compose])
async def test_orders_is_told_where_the_gateway_that_calls_it_publishes_its_keys(started, monkeypatch):
    words, env, host = started()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for place in words[words.index("--relay-jwks") + 1].split(","):
        issuer, _, url = place.partition("=")
        settings = load(ROOT / "bffs" / issuer / "settings.toml", told)
        app = import_module(f"bffs.{issuer}.app").create(settings)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app.state.admin)) as http:
            keys = await http.get(url)
        assert issuer == settings.relay.issuer
        here = host or issuer
        assert (urlsplit(url).hostname, str(urlsplit(url).port)) == (here, settings.admin.rpartition(":")[2])
        assert (keys.status_code, len(keys.json()["keys"])) == (200, 1)


async def test_docker_compose_tells_the_web_gateway_of_logouts_by_a_name_that_it_answers_to(monkeypatch):
    words, env, _ = by_docker_compose()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    client, _, url = words[words.index("--logouts") + 1].partition("=")
    settings = load(ROOT / "bffs" / client / "settings.toml", told)
    app = import_module(f"bffs.{client}.app").create(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        reply = await http.post(url, data={"logout_token": "no token"})
    assert (urlsplit(url).hostname, str(urlsplit(url).port)) == (client, settings.listen.rpartition(":")[2])
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
