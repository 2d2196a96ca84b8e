"""What an ID token must not get away with, each beside what it must; and what it says of who is logged in."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.jwt import TokenRefused
from bff_core.auth.provider import LoggedIn
from bff_core.testing import run
from tests.bff_core.openid_provider import (
    CLIENT,
    EVENT,
    NONCE,
    OpenIdProvider,
    id_claims,
    id_token,
    logout_token,
    provider,
)
from tests.bff_core.token_issuer import ISSUER, NOW, Signer, base64url, ed25519, es256, rs256, sealed, token

RSA = rs256()
STRANGER = Signer("RS256", "rsa", "RSA", 2048)
ACCESS = "access-1"
ALICE = LoggedIn("alice", "s1", "", ISSUER)


def half(hashed: Any, text: str = ACCESS) -> str:
    digest = hashed(text.encode()).digest()
    return base64url(digest[: len(digest) // 2])


HALF = half(hashlib.sha256)


def saying(**changed: Any) -> Callable[[], str]:
    return lambda: id_token(said=id_claims(**changed))


def with_header(**changed: Any) -> Callable[[], str]:
    return lambda: id_token(**changed)


def claiming(member: str) -> Callable[[], str]:
    """A token with ``member`` as it is written there, in place of the one of its name."""
    name = member.partition('"')[2].partition('"')[0]
    rest = json.dumps({key: value for key, value in id_claims().items() if key != name})
    return lambda: sealed('{"alg":"RS256","kid":"rsa"}', f"{rest[:-1]},{member}}}", RSA.sign)


def with_public_key_as_secret() -> str:
    pem = RSA.key.raw_value.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = json.dumps({"alg": "HS256", "kid": "rsa"})
    return sealed(header, json.dumps(id_claims()), lambda text: hmac.new(pem, text, hashlib.sha256).digest())


def with_our_secret() -> str:
    secret = b"s3cret/ of:web"  # which OpenID Connect allows, and we do not
    header = json.dumps({"alg": "HS256"})
    return sealed(header, json.dumps(id_claims()), lambda text: hmac.new(secret, text, hashlib.sha256).digest())


ALG = "alg is not"
MISSING = "exp, iat or sub is missing"

ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    # who has signed
    "alg none": (lambda: sealed('{"alg":"none"}', json.dumps(id_claims()), lambda _: b""), ALG),
    "HMAC with the public key": (with_public_key_as_secret, ALG),
    "HMAC with our own secret": (with_our_secret, ALG),
    "an algorithm that is not set": (with_header(alg="PS256"), ALG),
    "crit": (with_header(crit=["exp"]), "crit"),
    "a signature of somebody else": (lambda: id_token(STRANGER), "signature"),
    "no signature": (lambda: id_token().rpartition(".")[0] + ".", "signature"),
    "a key of its own": (lambda: id_token(STRANGER, jwk=STRANGER.jwk), "signature"),
    "a key that nobody has heard of": (with_header(kid="other"), "no such key"),
    "a kid that is a list": (with_header(kid=["rsa"]), "kid is no text"),
    "the algorithm of another key": (with_header(kid="ec"), "no such key"),
    # what it is
    "an access token": (with_header(typ="at+jwt"), "typ is another"),
    "an access token, in full": (with_header(typ="application/at+jwt"), "typ is another"),
    "a logout token": (logout_token, "typ is another"),
    "a logout token of typ JWT": (lambda: logout_token(typ="JWT"), "logout token"),
    "a logout token of no typ": (lambda: logout_token(typ=None), "logout token"),
    "a logout token with a nonce": (saying(events={EVENT: {}}), "logout token"),
    "events that are nothing": (claiming('"events":null'), "logout token"),
    "typ as a list": (with_header(typ=["JWT"]), "typ is another"),
    "an encrypted token": (lambda: ".".join([base64url(b'{"alg":"dir","enc":"A256GCM"}'), *["AA"] * 4]), "segments"),
    "no token": (lambda: "opaque", "segments"),
    "nothing": (lambda: "", "segments"),
    "not ASCII": (lambda: id_token() + "\u00e9", "base64url"),
    "too long": (saying(padding="x" * 16_000), "too long"),
    "sub twice": (claiming('"x":1,"sub":"bob"'), "twice"),
    # whose it is, and for whom
    "another iss": (saying(iss="https://evil.test"), "iss is another"),
    "iss with a slash": (saying(iss=ISSUER + "/"), "iss is another"),
    "no iss": (saying(iss=None), "iss is another"),
    "another aud": (saying(aud="mobile"), "aud is another"),
    "no aud": (saying(aud=None), "aud is another"),
    "no auds": (saying(aud=[]), "aud is another"),
    "aud that begins like ours": (saying(aud="web2"), "aud is another"),
    "auds that are no texts": (saying(aud=["web", 1], azp="web"), "aud is another"),
    "several auds and no azp": (saying(aud=["web", "mobile"]), "azp is another"),
    "several auds and another azp": (saying(aud=["web", "mobile"], azp="mobile"), "azp is another"),
    "another azp": (saying(azp="mobile"), "azp is another"),
    "azp as a list": (saying(azp=["web"]), "azp is another"),
    "azp that is null": (claiming('"azp":null'), "azp is another"),
    # when
    "no exp": (saying(exp=None), MISSING),
    "no iat": (saying(iat=None), MISSING),
    "expired": (saying(exp=NOW - 31), "expired"),
    "exp as a text": (saying(exp=str(NOW + 300)), "exp is no moment"),
    "exp that is true": (saying(exp=True), "exp is no moment"),
    "exp beyond all time": (claiming('"exp":1e30'), "exp is no moment"),
    "exp that is NaN": (claiming('"exp":NaN'), "number is none"),
    "exp that is null": (claiming('"exp":null'), "exp is no moment"),
    "iat later": (saying(iat=NOW + 31), "not valid yet"),
    "iat as a text": (saying(iat="0"), "iat is no moment"),
    "nbf later": (saying(nbf=NOW + 31), "not valid yet"),
    # of this login
    "no nonce": (saying(nonce=None), "nonce"),
    "another nonce": (saying(nonce="other"), "nonce"),
    "an empty nonce": (saying(nonce=""), "nonce"),
    "a nonce that begins like ours": (saying(nonce=NONCE[:-1]), "nonce"),
    "nonce as a list": (saying(nonce=[NONCE]), "nonce"),
    "nonce with half a character": (claiming('"nonce":"\\ud800"'), "nonce"),
    "at_hash of another token": (saying(at_hash=half(hashlib.sha256, "other")), "at_hash"),
    "at_hash in whole": (saying(at_hash=base64url(hashlib.sha256(ACCESS.encode()).digest())), "at_hash"),
    "at_hash with padding": (saying(at_hash=HALF + "=="), "at_hash"),
    "at_hash by another hash": (saying(at_hash=half(hashlib.sha512)), "at_hash"),
    "at_hash as a list": (saying(at_hash=[HALF]), "at_hash"),
    "at_hash that is null": (claiming('"at_hash":null'), "at_hash"),
    # who
    "no sub": (saying(sub=None), MISSING),
    "an empty sub": (saying(sub=""), "sub is empty"),
    "a long sub": (saying(sub="a" * 256), "sub is no text"),
    "sub as a number": (saying(sub=1), "sub is no text"),
    "sub with a line break": (saying(sub="alice\r\nx: 1"), "sub is no text"),
    "sid as a number": (saying(sid=1), "sid is no text"),
    "sid with a line break": (saying(sid="a\nb"), "sid is no text"),
    "a long sid": (saying(sid="a" * 256), "sid is no text"),
}


@pytest.mark.parametrize("what", ATTACKS)
async def test_an_id_token_that_proves_nothing_is_refused(what: str) -> None:
    make, reason = ATTACKS[what]
    asked = provider()
    for _ in range(2):  # the second time the keys are known
        with pytest.raises(TokenRefused, match=reason):
            await asked.logged_in(make(), nonce=NONCE, access_token=ACCESS)


GOOD: dict[str, tuple[Callable[[], str], LoggedIn]] = {
    "RS256": (id_token, ALICE),
    "ES256": (lambda: id_token(es256()), ALICE),
    "Ed25519": (lambda: id_token(ed25519()), ALICE),
    "EdDSA": (lambda: id_token(ed25519(), alg="EdDSA"), ALICE),
    "no typ": (with_header(typ=None), ALICE),
    "typ in lower case": (with_header(typ="jwt"), ALICE),
    "headers that nobody needs": (with_header(cty="x", jku="https://evil.test", b64=False), ALICE),
    "auds with us and an azp that is us": (saying(aud=["api", "web"], azp="web"), ALICE),
    "us twice": (saying(aud=["web", "web"]), ALICE),
    "us as a list": (saying(aud=["web"]), ALICE),
    "azp": (saying(azp="web"), ALICE),
    "expired by less than the leeway": (saying(exp=NOW - 29), ALICE),
    "iat later by less than the leeway": (saying(iat=NOW + 29), ALICE),
    "at_hash": (saying(at_hash=HALF), ALICE),
    "at_hash of ES256": (lambda: id_token(es256(), id_claims(at_hash=HALF)), ALICE),
    "at_hash of Ed25519": (lambda: id_token(ed25519(), id_claims(at_hash=half(hashlib.sha512))), ALICE),
    "no sid": (saying(sid=None), ALICE._replace(session_id="")),
    "a long sub": (saying(sub="é" * 255), ALICE._replace(subject="é" * 255)),
    "a name": (saying(name="Alice L."), ALICE._replace(name="Alice L.")),
    "a name before what she calls herself": (
        saying(name="Alice", preferred_username="al"),
        ALICE._replace(name="Alice"),
    ),
    "what she calls herself": (saying(preferred_username="al"), ALICE._replace(name="al")),
    "an empty name": (saying(name=" \n", preferred_username="al"), ALICE._replace(name="al")),
    "a name that is a list": (saying(name=["<b>"], preferred_username=1), ALICE),
    "a name that turns what follows around": (saying(name="a\u202e\x1b[31m\r\nb"), ALICE._replace(name="a[31mb")),
    "a name with half a character": (claiming('"name":"a\\ud800b"'), ALICE._replace(name="ab")),
    "a very long name": (saying(name="a" * 5000), ALICE._replace(name="a" * 100)),
}


@pytest.mark.parametrize("what", GOOD)
async def test_a_good_id_token_is_who_it_says(what: str) -> None:
    make, who = GOOD[what]
    assert await provider().logged_in(make(), nonce=NONCE, access_token=ACCESS) == who


async def test_at_a_refresh_no_nonce_is_needed_and_everything_else_is() -> None:
    asked = provider()
    for said in (id_claims(nonce=None), id_claims()):
        found = await asked.logged_in(id_token(said=said), nonce=None, access_token=ACCESS)
        assert (found.issuer, found.subject) == (ISSUER, "alice")
    with pytest.raises(TokenRefused, match="at_hash"):
        await asked.logged_in(id_token(said=id_claims(at_hash=HALF)), nonce=None, access_token="another")


async def test_without_an_access_token_there_is_nothing_to_hold_at_hash_against() -> None:
    assert await provider().logged_in(id_token(said=id_claims(at_hash="x")), nonce=NONCE, access_token=None) == ALICE


async def test_an_empty_nonce_is_that_of_no_login() -> None:
    with pytest.raises(TokenRefused, match="nonce"):
        await provider().logged_in(id_token(said=id_claims(nonce="")), nonce="", access_token=None)


async def test_only_algorithms_that_are_set_are_taken() -> None:
    asked = provider(algorithms=("ES256",))
    assert await asked.logged_in(id_token(es256()), nonce=NONCE, access_token=None) == ALICE
    with pytest.raises(TokenRefused, match=ALG):
        await asked.logged_in(id_token(), nonce=NONCE, access_token=None)


async def test_what_cannot_be_ours_makes_nobody_fetch_a_key() -> None:
    app = OpenIdProvider()
    for said in ({"iss": "x"}, {"aud": "x"}, {"exp": 1}, {"nonce": "x"}, {"events": {}}):
        with pytest.raises(TokenRefused):
            await provider(app).logged_in(id_token(said=id_claims(**said)), nonce=NONCE, access_token=None)
    assert app.asked == []


async def test_a_good_id_token_with_any_character_changed_is_good_no_more() -> None:
    asked, good = provider(), id_token(es256())
    assert await asked.logged_in(good, nonce=NONCE, access_token=None) == ALICE
    for place, was in enumerate(good):
        for other in {"A", "_", "=", chr(ord(was) ^ 1)} - {was}:
            with pytest.raises(TokenRefused):
                await asked.logged_in(good[:place] + other + good[place + 1 :], nonce=NONCE, access_token=None)


async def test_what_is_refused_is_not_repeated_to_whoever_reads_why() -> None:
    for said in ({"iss": "s3cret"}, {"nonce": "s3cret"}, {"sub": "s3cret\n"}, {"at_hash": "s3cret"}, {"exp": "s3cret"}):
        with pytest.raises(TokenRefused) as refused:
            await provider().logged_in(id_token(said=id_claims(**said)), nonce=NONCE, access_token=ACCESS)
        assert "s3cret" not in repr(refused.value)


WORDS = st.sampled_from(["", "alice", ISSUER, CLIENT, NONCE, HALF, "RS256", "ed", "JWT", "a\n", "\ud800", "é"])
SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JSON = SINGLE | st.lists(SINGLE, max_size=3) | st.dictionaries(WORDS, SINGLE, max_size=2)
NAMES = [
    "iss",
    "aud",
    "azp",
    "sub",
    "sid",
    "exp",
    "nbf",
    "iat",
    "nonce",
    "at_hash",
    "name",
    "events",
    "typ",
    "alg",
    "kid",
]


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_a_signed_token_says_somebody_is_logged_in_or_it_is_refused(
    header: dict[str, Any], said: dict[str, Any]
) -> None:
    async def show() -> None:
        written = json.dumps({"alg": "Ed25519", "kid": "ed", **header})
        borne = sealed(written, json.dumps({**id_claims(), **said}), ed25519().sign)
        try:
            found = await provider().logged_in(borne, nonce=NONCE, access_token=ACCESS)
        except TokenRefused:
            return
        assert found.subject == said.get("sub", "alice")
        assert said.get("nonce", NONCE) == NONCE
        assert (found.subject + found.session_id + found.name).isprintable()
        assert "events" not in said

    run(show())


@given(st.text())
def test_whatever_text_is_shown_it_is_refused(text: str) -> None:
    async def show() -> None:
        with pytest.raises(TokenRefused):
            await provider().logged_in(text, nonce=NONCE, access_token=None)
        with pytest.raises(TokenRefused):
            await provider().logout_order(text)

    run(show())


async def test_an_access_token_of_the_same_client_is_no_id_token_where_it_says_what_it_is() -> None:
    with pytest.raises(TokenRefused, match="typ is another"):
        await provider().logged_in(token(RSA, id_claims()), nonce=NONCE, access_token=None)
