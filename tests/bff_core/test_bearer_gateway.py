"""A whole gateway that takes tokens: what its clients are told, and what its pages know of them."""

import asyncio
import time
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import APIRouter

from bff_core.auth import Requires
from bff_core.auth.contract import Presented
from bff_core.auth.identity import Identity
from bff_core.auth.proofs import proofs_of
from bff_core.auth.together import Together
from bff_core.composition import Composition
from bff_core.context import RequestContext, current, enter
from bff_core.errors import Unauthenticated
from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings
from bff_core.testing import SimulatedInternet
from tests.bff_core.served import Served, get
from tests.bff_core.small_gateway import HOST, Clients, Visit, browser, settings, small_gateway
from tests.bff_core.token_issuer import AUDIENCE, ISSUER, TokenIssuer, bearer, claims, ed25519, es256, rs256, token

BEARER = {"issuer": ISSUER, "audience": AUDIENCE}
REALM = 'Bearer realm="small"'
INVALID = f'{REALM}, error="invalid_token", error_description="The access token is not valid"'

router = APIRouter()


@router.get("/who")
async def who() -> list[str]:
    principal = current().principal
    return [] if principal is None else [principal.issuer, principal.subject, *sorted(principal.scopes)]


@router.get("/orders", dependencies=[Requires("orders:read")])
async def orders() -> str:
    return "orders"


@router.get("/admin", dependencies=[Requires("profile", "admin")])
async def admin() -> str:
    return "admin"


async def _history() -> str:
    return "history"


@router.get("/page")
async def page(scope: str = "orders:read", required: bool = False) -> str | None:
    async with Composition() as parts:
        part: Any = (parts.required if required else parts.optional)("history", _history(), scope=scope)
    return part.value


def fresh(**changed: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(rs256(), claims(time.time(), **changed))}"}


def made(issuer: TokenIssuer | None = None, **changed: Any) -> Any:
    net = SimulatedInternet({"id.test": issuer or TokenIssuer()})
    return small_gateway(router, net, bearer={**BEARER, **changed})


async def test_a_page_knows_who_asks_and_asks_the_issuer_once() -> None:
    issuer = TokenIssuer()
    async with browser(made(issuer)) as client:
        for _ in range(3):
            assert (await client.get("/who", headers=fresh())).json() == [ISSUER, "alice", "orders:read", "profile"]
        assert (await client.get("/who")).json() == []
    assert len(issuer.asked) == 2


async def test_what_is_refused_is_401_and_says_how_to_prove_oneself_and_nothing_of_the_token() -> None:
    borne = fresh(exp=1)
    async with browser(made()) as client:
        reply = await client.get("/who", headers=borne)
    assert (reply.status_code, reply.json()["type"]) == (401, "/problems/unauthenticated")
    assert reply.headers["www-authenticate"] == INVALID
    assert reply.headers["cache-control"] == "no-store"
    assert borne["authorization"].partition(" ")[2][:20] not in reply.text


async def test_who_shows_nothing_and_must_is_told_how_and_of_no_error() -> None:
    async with browser(made()) as client:
        for target in ("/orders", "/admin", "/page?required=true"):
            reply = await client.get(target)
            assert (reply.status_code, reply.headers["www-authenticate"]) == (401, REALM)


@pytest.mark.parametrize("shown", ["Basic YTpi", "Digest x"])
async def test_who_proves_it_in_a_way_that_nobody_looks_at_is_told_how(shown: str) -> None:
    async with browser(made()) as client:
        reply = await client.get("/who", headers={"authorization": shown})
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, REALM)


@pytest.mark.parametrize(
    ("target", "needed"),
    [("/admin", "admin profile"), ("/page?required=true&scope=admin", "admin")],
)
async def test_who_has_not_the_scope_is_told_which(target: str, needed: str) -> None:
    async with browser(made()) as client:
        reply = await client.get(target, headers=fresh())
    assert (reply.status_code, reply.json()["type"]) == (403, "/problems/forbidden")
    assert reply.headers["www-authenticate"] == f'{REALM}, error="insufficient_scope", scope="{needed}"'


async def test_a_part_for_some_is_there_for_them_and_forbidden_for_others() -> None:
    async with browser(made()) as client:
        there, missing = (
            await client.get("/page", headers=fresh()),
            await client.get("/page?scope=admin", headers=fresh()),
        )
        assert (await client.get("/orders", headers=fresh())).json() == "orders"
    assert (there.json(), there.headers["page-parts"]) == ("history", "history")
    assert (missing.json(), missing.headers["page-parts"]) == (None, "history;missing=forbidden")


async def test_an_issuer_that_is_down_is_503_for_who_shows_a_token_and_nothing_for_who_does_not() -> None:
    app = small_gateway(router, SimulatedInternet(), bearer=BEARER)
    async with browser(app) as client:
        reply = await client.get("/who", headers=fresh())
        assert (reply.status_code, reply.json()["type"]) == (503, "/problems/temporary-reduced-capacity")
        assert "www-authenticate" not in reply.headers
        assert reply.headers["retry-after"] == "1"
        assert "id.test" not in reply.text
        assert (await client.get("/who")).json() == []


async def test_a_token_that_is_shown_twice_is_malformed() -> None:
    shown = [(b"authorization", value.encode()) for value in fresh().values()] * 2
    visit = await Visit(made(), "/who", headers=[HOST, *shown]).end()
    assert visit.status == 400


async def test_a_client_that_leaves_while_its_token_is_looked_at_leaves_nothing_behind() -> None:
    issuer = TokenIssuer(pause=0.3)
    app = made(issuer)
    visit = Visit(app, "/who", headers=[HOST, (b"authorization", fresh()["authorization"].encode())])
    await asyncio.sleep(0.1)
    visit.leave()
    await asyncio.wait({visit.work})
    assert asyncio.get_running_loop().time() < 0.2
    await asyncio.sleep(1)
    assert len(asyncio.all_tasks()) == 1
    async with browser(app) as client:
        assert (await client.get("/who", headers=fresh())).status_code == 200
    assert len(issuer.asked) == 2


async def test_it_starts_and_ends_while_its_issuer_hangs() -> None:
    app = made(TokenIssuer(pause=3600))
    async with app.router.lifespan_context(app), browser(app) as client:
        assert (await client.get("/who")).json() == []
        assert (await client.get("/who", headers={**fresh(), "request-timeout": "0.2"})).status_code == 503
    assert len(asyncio.all_tasks()) == 1


async def test_an_issuer_is_called_over_the_wire_that_is_set_for_it() -> None:
    one, other = TokenIssuer(), TokenIssuer()
    wires = {"http1": SimulatedInternet({"id.test": one}), "httpx": SimulatedInternet({"id.test": other})}
    (proof,) = proofs_of(settings(bearer={**BEARER, "upstream": {"wire": "httpx"}}), wires, "bff-small/1")
    assert await proof.principal(Presented(**fresh()))
    assert (one.asked, len(other.asked)) == ([], 2)


async def test_two_ways_to_prove_oneself_that_are_told_alike_are_told_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise Unauthenticated(*current().challenges, detail="nobody")

    identity = Identity(app, [bearer(), bearer()])
    enter(RequestContext())
    with pytest.raises(Unauthenticated) as refused:
        await identity({"type": "http", "path": "/", "query_string": b"", "headers": []}, None, None)  # type: ignore[arg-type]
    assert refused.value.challenges == ('Bearer realm="mobile"',)


async def test_what_many_wait_for_knows_nothing_of_whoever_asked_first() -> None:
    theirs: ContextVar[str] = ContextVar("theirs", default="nobody's")

    async def work() -> tuple[str, bool]:
        return theirs.get(), current().until < 100

    theirs.set("the first one's")
    enter(RequestContext("an id", until=5000.0))
    assert await Together().result("work", work) == ("nobody's", True)


@pytest.mark.real_time
@pytest.mark.parametrize("wire", ["http1", "httpx"])
async def test_over_real_sockets_keys_are_fetched_rotated_and_lived_without(wire: str) -> None:
    issuer = TokenIssuer()
    async with Served(issuer) as served:
        url = issuer.issuer = f"http://127.0.0.1:{served.port}/realms/store"
        issuer.jwks_uri = f"http://localhost:{served.port}/realms/store/keys"
        issuer.opaque["opaque"] = {"active": True, "sub": "bob"}
        found: GatewaySettings = settings(
            bearer={
                "issuer": url,
                "audience": AUDIENCE,
                "upstream": {"wire": wire, "timeout": "2s"},
                "introspection": {"client_id": "gateway", "client_secret": "secret"},
            }
        )
        app = gateway(found, Clients, [router])

        def header(signer: Any) -> str:
            return f"authorization: Bearer {token(signer, claims(time.time(), iss=url))}"

        async with app.router.lifespan_context(app), Served(app) as front:
            client = await front.client()

            async def who(line: str) -> tuple[int, bytes]:
                reply = await (await client.say(get("/who", line))).reply()
                return reply.status, reply.body

            for signer in (rs256(), es256(), ed25519()):
                assert (await who(header(signer)))[0] == 200
            assert issuer.fetched == 1
            assert (await who("authorization: Bearer opaque"))[1] == b'["' + url.encode() + b'","bob"]'
            issuer.signers.append(es256("new"))
            assert (await who(header(es256("new"))))[0] == 200
            assert (await who(header(es256("newer"))))[0] == 401
            issuer.status = 500
            assert (await who(header(rs256())))[0] == 200
            assert issuer.fetched == 2
