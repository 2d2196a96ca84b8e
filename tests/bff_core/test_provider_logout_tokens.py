"""What a logout token must not get away with, each beside what it must; and whom it orders to be logged out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.jwt import TokenRefused
from bff_core.auth.provider import LogoutOrder
from bff_core.errors import IdentityUnavailable
from bff_core.testing import run
from tests.bff_core.openid_provider import (
    EVENT,
    OpenIdProvider,
    id_token,
    logout_claims,
    logout_token,
    provider,
)
from tests.bff_core.token_issuer import ISSUER, NOW, Signer, ed25519, es256, rs256, sealed

RSA = rs256()
STRANGER = Signer("RS256", "rsa", "RSA", 2048)
ALICE = LogoutOrder("alice", "s1", "j1", NOW, NOW + 150)


def saying(**changed: Any) -> Callable[[], str]:
    return lambda: logout_token(said=logout_claims(**changed))


def with_header(**changed: Any) -> Callable[[], str]:
    return lambda: logout_token(**changed)


def claiming(member: str) -> Callable[[], str]:
    name = member.partition('"')[2].partition('"')[0]
    rest = json.dumps({key: value for key, value in logout_claims().items() if key != name})
    return lambda: sealed('{"alg":"RS256","kid":"rsa"}', f"{rest[:-1]},{member}}}", RSA.sign)


NO_LOGOUT = "does not say that somebody has logged out"

ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    # who has signed
    "alg none": (lambda: sealed('{"alg":"none"}', json.dumps(logout_claims()), lambda _: b""), "alg is not"),
    "an algorithm that is not set": (with_header(alg="HS256"), "alg is not"),
    "a signature of somebody else": (lambda: logout_token(STRANGER), "signature"),
    "a key of its own": (lambda: logout_token(STRANGER, jwk=STRANGER.jwk), "signature"),
    "a key that nobody has heard of": (with_header(kid="other"), "no such key"),
    # what it is
    "an ID token": (id_token, "ID token"),
    "an ID token without a nonce": (saying(events=None), NO_LOGOUT),
    "a nonce": (saying(nonce="n"), "ID token"),
    "a nonce that is null": (claiming('"nonce":null'), "ID token"),
    "an access token": (with_header(typ="at+jwt"), "typ is another"),
    "another typ": (with_header(typ="secevent+jwt"), "typ is another"),
    "typ as a list": (with_header(typ=["logout+jwt"]), "typ is another"),
    "another event": (saying(events={"http://schemas.openid.net/event/other": {}}), NO_LOGOUT),
    "no event": (saying(events={}), NO_LOGOUT),
    "events as a list": (saying(events=[EVENT]), NO_LOGOUT),
    "events as a text": (saying(events=EVENT), NO_LOGOUT),
    "an event that is a text": (saying(events={EVENT: "x"}), NO_LOGOUT),
    "an event that is null": (saying(events={EVENT: None}), NO_LOGOUT),
    "too long": (saying(padding="x" * 16_000), "too long"),
    "sub twice": (claiming('"x":1,"sub":"bob"'), "twice"),
    # whose it is, and for whom
    "another iss": (saying(iss="https://evil.test"), "iss is another"),
    "no iss": (saying(iss=None), "iss is another"),
    "another aud": (saying(aud="mobile"), "aud is another"),
    "other auds": (saying(aud=["mobile"]), "aud is another"),
    "no aud": (saying(aud=None), "aud is another"),
    # when
    "no iat": (saying(iat=None), "iat or jti is missing"),
    "iat later": (saying(iat=NOW + 31), "not valid yet"),
    "iat as a text": (saying(iat="0"), "iat is no moment"),
    "old": (saying(iat=NOW - 331, exp=NOW + 600), "too old"),
    "old, without exp": (saying(iat=NOW - 331, exp=None), "too old"),
    "expired": (saying(exp=NOW - 31), "expired"),
    "exp that is null": (claiming('"exp":null'), "exp is no moment"),
    "exp beyond all time": (claiming('"exp":1e30'), "exp is no moment"),
    # which, and who
    "no jti": (saying(jti=None), "iat or jti is missing"),
    "an empty jti": (saying(jti=""), "jti is empty"),
    "jti as a number": (saying(jti=1), "jti is no text"),
    "a long jti": (saying(jti="a" * 256), "jti is no text"),
    "jti with a line break": (saying(jti="a\nb"), "jti is no text"),
    "neither sub nor sid": (saying(sub=None, sid=None), "neither"),
    "an empty sub": (saying(sub=""), "sub is empty"),
    "an empty sid": (saying(sid=""), "sid is empty"),
    "sub that is null": (claiming('"sub":null'), "sub is no text"),
    "sid as a list": (saying(sid=["s1"]), "sid is no text"),
    "sub with a line break": (saying(sub="a\r\nb"), "sub is no text"),
}


@pytest.mark.parametrize("what", ATTACKS)
async def test_a_logout_token_that_proves_nothing_is_refused(what: str) -> None:
    make, reason = ATTACKS[what]
    asked = provider()
    for _ in range(2):
        with pytest.raises(TokenRefused, match=reason):
            await asked.logout_order(make())


GOOD: dict[str, tuple[Callable[[], str], LogoutOrder]] = {
    "RS256": (logout_token, ALICE),
    "ES256": (lambda: logout_token(es256()), ALICE),
    "Ed25519": (lambda: logout_token(ed25519()), ALICE),
    "typ in full": (with_header(typ="application/logout+jwt"), ALICE),
    "typ in upper case": (with_header(typ="LOGOUT+JWT"), ALICE),
    "typ JWT": (with_header(typ="JWT"), ALICE),
    "no typ": (with_header(typ=None), ALICE),
    "auds": (saying(aud=["mobile", "web"]), ALICE),
    "a person": (saying(sid=None), ALICE._replace(session_id="")),
    "a login": (saying(sub=None), ALICE._replace(subject="")),
    "no exp": (saying(exp=None), ALICE._replace(until=NOW + 330)),
    "a late exp": (saying(exp=NOW + 9e9), ALICE._replace(until=NOW + 330)),
    "an event that says more": (saying(events={EVENT: {"x": 1}, "urn:other": 1}), ALICE),
    "old by less than that": (saying(iat=NOW - 329, exp=None), ALICE._replace(issued=NOW - 329, until=NOW + 1)),
    "iat later by less than the leeway": (saying(iat=NOW + 29), ALICE._replace(issued=NOW + 29)),
    "expired by less than the leeway": (saying(exp=NOW - 29), ALICE._replace(until=NOW + 1)),
}


@pytest.mark.parametrize("what", GOOD)
async def test_a_good_logout_token_is_an_order(what: str) -> None:
    make, order = GOOD[what]
    assert await provider().logout_order(make()) == order


async def test_an_order_is_refused_once_its_name_may_be_forgotten() -> None:
    app, borne = OpenIdProvider(), logout_token(said=logout_claims(exp=NOW + 9e9))
    until = (await provider(app).logout_order(borne)).until
    for moment, good in ((until - 0.01, True), (until, False)):
        asked = provider(app, clock=lambda moment=moment: moment)
        try:
            assert await asked.logout_order(borne)
            assert good
        except TokenRefused:
            assert not good


async def test_what_anyone_can_send_makes_nobody_fetch_a_key() -> None:
    app = OpenIdProvider()
    asked = provider(app)
    for make, _ in (
        ATTACKS["another iss"],
        ATTACKS["old"],
        ATTACKS["a nonce"],
        ATTACKS["no event"],
        ATTACKS["alg none"],
    ):
        with pytest.raises(TokenRefused):
            await asked.logout_order(make())
    assert app.asked == []


async def test_without_keys_nobody_can_say_whether_it_is_one() -> None:
    with pytest.raises(IdentityUnavailable):
        await provider(OpenIdProvider(down=True)).logout_order(logout_token())


WORDS = st.sampled_from(["", "alice", ISSUER, "web", "j1", EVENT, "a\n", "\ud800"])
SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JSON = SINGLE | st.lists(SINGLE, max_size=3) | st.dictionaries(WORDS, SINGLE | st.just({}), max_size=2)
NAMES = st.sampled_from(["iss", "aud", "sub", "sid", "exp", "nbf", "iat", "jti", "events", "nonce"])


@given(st.dictionaries(NAMES, JSON))
def test_whatever_a_signed_token_says_it_is_an_order_or_refused(said: dict[str, Any]) -> None:
    async def show() -> None:
        borne = sealed('{"alg":"Ed25519","kid":"ed"}', json.dumps({**logout_claims(), **said}), ed25519().sign)
        try:
            found = await provider().logout_order(borne)
        except TokenRefused:
            return
        assert "nonce" not in said
        assert found.jti
        assert found.subject or found.session_id
        assert (found.subject + found.session_id + found.jti).isprintable()

    run(show())
