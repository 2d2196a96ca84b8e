"""What caches that many share may keep, where a gateway looks at who asks."""

import time
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Response

from bff_core.context import current
from bff_core.principal import Principal
from bff_core.testing import SimulatedInternet, signed_in_as
from tests.bff_core.kept_keys import PEPPER
from tests.bff_core.small_gateway import browser, small_gateway
from tests.bff_core.token_issuer import AUDIENCE, ISSUER, TokenIssuer, claims, rs256, token

BEARER = {"issuer": ISSUER, "audience": AUDIENCE}
SOMEBODY = Principal("https://id.test", "alice")

router = APIRouter()


@router.get("/said")
async def said(control: str | None = None, vary: str | None = None, twice: bool = False) -> Response:
    response = Response("content")
    for name, value in (("cache-control", control), ("vary", vary)):
        for _ in range(1 + twice) if value is not None else ():
            response.headers.append(name, value)
    return response


@router.get("/anybodys")
async def anybodys() -> Response:
    current().for_anybody = True
    return Response("content", headers={"cache-control": "public, max-age=60"})


def app(**proofs: Any) -> Any:
    return small_gateway(router, SimulatedInternet({"id.test": TokenIssuer()}), **(proofs or {"bearer": BEARER}))


async def known(target: str, **params: str) -> httpx.Response:
    """What is answered to somebody."""
    made = app()
    shown = signed_in_as(made, SOMEBODY)
    async with browser(made) as client:
        return await client.get(target, params=params, headers=shown)


async def anonymous(target: str, *, made: Any = None, **params: str) -> httpx.Response:
    async with browser(made or app()) as client:
        return await client.get(target, params=params or None)


@pytest.mark.parametrize(
    ("control", "kept"),
    [
        (None, "private"),
        ("", "private"),
        ("no-cache", "private, no-cache"),
        ("max-age=60", "private, max-age=60"),
        ("public", "private"),
        ("public, max-age=60, s-maxage=600, proxy-revalidate", "private, max-age=60"),
        ("Public,Max-Age=60,,  must-revalidate ", "private, Max-Age=60, must-revalidate"),
        ("private", "private"),
        ("max-age=1, private", "private, max-age=1"),
        ('private="x-one, x-two", max-age=1', "private, max-age=1"),
        ('no-cache="set-cookie, public", public', 'private, no-cache="set-cookie, public"'),
        ("no-store", "no-store"),
        ("public, No-Store", "public, No-Store"),
    ],
)
async def test_what_somebody_known_gets_is_theirs_and_else_as_the_page_has_it(control: str | None, kept: str) -> None:
    reply = await known("/said", **({} if control is None else {"control": control}))
    assert reply.headers.get_list("cache-control") == [kept]


@pytest.mark.parametrize("control", [None, "public, s-maxage=60", "no-cache", "private"])
async def test_what_anybody_gets_is_as_the_page_has_it(control: str | None) -> None:
    reply = await anonymous("/said", **({} if control is None else {"control": control}))
    assert reply.headers.get("cache-control") == control


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        (None, "Authorization"),
        ("accept", "accept, Authorization"),
        ("Accept, authorization", "Accept, authorization"),
        ("*", "*"),
        ("accept, *", "*"),
    ],
)
async def test_every_reply_varies_with_what_is_looked_at_known_or_not(vary: str | None, merged: str) -> None:
    params = {} if vary is None else {"vary": vary}
    for reply in (await known("/said", **params), await anonymous("/said", **params)):
        assert reply.headers.get_list("vary") == [merged]


async def test_what_is_said_in_two_lines_is_read_as_one() -> None:
    reply = await known("/said", control="max-age=1", vary="accept", twice="true")
    assert reply.headers.get_list("cache-control") == ["private, max-age=1, max-age=1"]
    assert reply.headers.get_list("vary") == ["accept, accept, Authorization"]


@pytest.mark.parametrize(
    ("proofs", "varies"),
    [
        ({"bearer": BEARER}, "Authorization"),
        ({"keys": {"pepper": PEPPER}}, "Authorization, X-API-Key"),
        ({"bearer": BEARER, "keys": {"pepper": PEPPER}}, "Authorization, X-API-Key"),
    ],
)
async def test_each_way_to_prove_who_one_is_names_what_it_looks_at_once(proofs: Any, varies: str) -> None:
    assert (await anonymous("/said", made=app(**proofs))).headers["vary"] == varies


@pytest.mark.parametrize(("target", "status"), [("/nowhere", 404), ("/said?twice=maybe", 422), ("/livez", 200)])
async def test_problems_vary_too(target: str, status: int) -> None:
    reply = await anonymous(target)
    assert (reply.status_code, reply.headers["vary"]) == (status, "Authorization")


async def test_a_refused_token_is_answered_with_what_no_cache_keeps() -> None:
    async with browser(app()) as client:
        reply = await client.get("/said?control=public", headers={"authorization": "Bearer nonsense"})
    assert (reply.status_code, reply.headers["cache-control"], reply.headers["vary"]) == (
        401,
        "no-store",
        "Authorization",
    )


async def test_what_is_the_same_for_everybody_stays_so_whoever_asks() -> None:
    for reply in (await known("/anybodys"), await anonymous("/anybodys")):
        assert reply.headers["cache-control"] == "public, max-age=60"
        assert "vary" not in reply.headers


async def test_a_token_in_earnest_is_no_other_than_one_of_a_test() -> None:
    shown = {"authorization": f"Bearer {token(rs256(), claims(time.time()))}"}
    async with browser(app()) as client:
        for _ in range(2):  # asked for, and known
            reply = await client.get("/said?control=public", headers=shown)
            assert reply.headers["cache-control"] == "private"


async def test_where_nobody_looks_at_who_asks_nothing_is_said_of_it() -> None:
    reply = await anonymous("/said", made=small_gateway(router), control="public")
    assert (reply.headers["cache-control"], "vary" in reply.headers) == ("public", False)
