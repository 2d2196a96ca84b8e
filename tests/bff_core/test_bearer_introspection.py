"""Tokens that say nothing by themselves, and what the issuer says of them."""

import asyncio
from typing import Any

import pytest

from bff_core.errors import IdentityUnavailable, Unauthenticated
from bff_core.principal import Principal
from tests.bff_core.token_issuer import AUDIENCE, ISSUER, NOW, TokenIssuer, bearer, bearing, judge, rs256, token

ASKED = {"introspection": {"client_id": "gate:way", "client_secret": "s3cret/ ü"}}
ACTIVE = {"active": True, "sub": "alice", "scope": "orders:read", "client_id": "phone"}
ALICE = Principal(ISSUER, "alice", frozenset({"orders:read"}), "phone")


def issuer(answer: Any = ACTIVE, **how: Any) -> TokenIssuer:
    return TokenIssuer(opaque={"opaque": answer}, **how)


async def test_the_issuer_is_asked_with_a_form_by_someone_it_knows() -> None:
    asked = issuer()
    assert await judge(bearer(asked, **ASKED), "opaque") == ALICE
    assert asked.asked == ["/realms/store/.well-known/openid-configuration", "/realms/store/introspect"]
    assert asked.forms == [{"token": ["opaque"], "token_type_hint": ["access_token"]}]
    assert asked.credentials == ["gate%3Away:s3cret%2F+%C3%BC"]


async def test_without_a_word_about_it_nobody_is_asked() -> None:
    asked = issuer()
    with pytest.raises(Unauthenticated):
        await judge(bearer(asked), "opaque")
    assert asked.asked == []


async def test_a_jwt_is_never_asked_about() -> None:
    asked = issuer()
    proof = bearer(asked, **ASKED)
    forged = token(rs256())[:-4] + "AAAA"
    asked.opaque[forged] = ACTIVE
    with pytest.raises(Unauthenticated):
        await judge(proof, forged)
    assert asked.forms == []


ANSWERS: dict[str, tuple[dict[str, Any], Principal | str]] = {
    "all there is": ({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 9, "iat": NOW, "nbf": NOW, "username": "a"}, ALICE),
    "auds": ({"aud": ["other", AUDIENCE]}, ALICE),
    "a program": ({"sub": None}, Principal(ISSUER, "phone", frozenset({"orders:read"}), "phone")),
    "nobody": ({"sub": None, "client_id": None}, "sub is no text"),
    "not active": ({"active": False}, "not active"),
    "another iss": ({"iss": "https://evil.test"}, "iss is another"),
    "another aud": ({"aud": ["other"]}, "aud is another"),
    "expired": ({"exp": NOW - 31}, "expired"),
    "exp as a text": ({"exp": "2000000000"}, "exp is no moment"),
    "exp that is true": ({"exp": True}, "exp is no moment"),
    "not yet": ({"nbf": NOW + 31}, "not valid yet"),
    "an empty sub": ({"sub": ""}, "sub is empty"),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_what_the_issuer_says_is_held_against_our_rules(what: str) -> None:
    changed, expected = ANSWERS[what]
    said = {name: value for name, value in {**ACTIVE, **changed}.items() if value is not None}
    proof = bearer(issuer(said), **ASKED)
    if isinstance(expected, Principal):
        assert await judge(proof, "opaque") == expected
        return
    with pytest.raises(Unauthenticated, match=expected):
        await judge(proof, "opaque")
    assert proof.known(bearing("opaque").fingerprint) is None


@pytest.mark.parametrize("answer", [{}, {"active": "true"}, {"active": 1}, {"active": None}, [], b"no JSON"])
async def test_an_answer_that_says_neither_is_503(answer: Any) -> None:
    with pytest.raises(IdentityUnavailable):
        await judge(bearer(issuer(answer), **ASKED), "opaque")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_an_endpoint_that_fails_is_503_and_never_401(status: int) -> None:
    asked = issuer()
    proof = bearer(asked, **ASKED)
    await judge(proof, "opaque")
    asked.status = status
    with pytest.raises(IdentityUnavailable):
        await judge(proof, "other")


async def test_an_issuer_without_such_an_endpoint_is_503() -> None:
    with pytest.raises(IdentityUnavailable, match="does not say where to ask"):
        await judge(bearer(TokenIssuer(introspects=False), **ASKED), "opaque")


async def test_a_question_that_failed_is_asked_again_because_it_changes_nothing() -> None:
    asked = issuer()
    proof = bearer(asked, **ASKED)
    await judge(proof, "opaque")
    asked.status = 503
    with pytest.raises(IdentityUnavailable):
        await judge(proof, "other")
    assert asked.asked.count("/realms/store/introspect") == 1 + 3


async def test_two_hundred_requests_with_one_token_are_one_question() -> None:
    asked = issuer(pause=0.1)
    found = await asyncio.gather(*[judge(proof, "opaque") for proof in [bearer(asked, **ASKED)] for _ in range(200)])
    assert set(found) == {ALICE}
    assert len(asked.forms) == 1


async def test_many_tokens_at_once_are_a_question_each_and_one_for_where_to_ask() -> None:
    asked = TokenIssuer(pause=0.1, opaque={f"t{number}": {**ACTIVE, "sub": f"s{number}"} for number in range(50)})
    proof = bearer(asked, **ASKED)
    found = await asyncio.gather(*[judge(proof, borne) for borne in asked.opaque])
    assert [who.subject for who in found if who] == [f"s{number}" for number in range(50)]
    assert len(asked.asked) == 51


async def test_a_client_that_leaves_takes_the_answer_from_nobody() -> None:
    asked = issuer(pause=0.1)
    proof = bearer(asked, **ASKED)
    first, second = (asyncio.create_task(judge(proof, "opaque")) for _ in range(2))
    await asyncio.sleep(0.15)
    first.cancel()
    assert await second == ALICE
    assert len(asked.forms) == 1


async def test_an_answer_holds_for_half_a_minute_and_not_longer_than_the_token() -> None:
    asked = issuer()
    asked.opaque["short"] = {**ACTIVE, "exp": NOW + 10}
    proof = bearer(asked, **ASKED)
    for borne in ("opaque", "short"):
        await judge(proof, borne)
    await asyncio.sleep(9)
    assert proof.known(bearing("opaque").fingerprint) == proof.known(bearing("short").fingerprint) == ALICE
    await asyncio.sleep(2)
    assert proof.known(bearing("short").fingerprint) is None
    await asyncio.sleep(18)
    assert proof.known(bearing("opaque").fingerprint) == ALICE
    asked.opaque["opaque"] = {"active": False}
    await asyncio.sleep(1)
    with pytest.raises(Unauthenticated):
        await judge(proof, "opaque")


async def test_where_to_ask_is_found_out_again_after_an_hour() -> None:
    asked = issuer()
    proof = bearer(asked, **ASKED)
    for seconds in (0, 3500, 200):
        await asyncio.sleep(seconds)
        await judge(proof, "opaque")
    assert asked.asked.count("/realms/store/.well-known/openid-configuration") == 2
