"""What a token must not get away with, each beside what it must."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given
from hypothesis import strategies as st

from bff_core.auth.contract import Presented
from bff_core.auth.jwt import TokenRefused, taken_apart
from bff_core.auth.known_tokens import KnownTokens
from bff_core.errors import Unauthenticated
from bff_core.principal import Principal
from bff_core.testing import run
from tests.bff_core.token_issuer import (
    ISSUER,
    NOW,
    Signer,
    TokenIssuer,
    base64url,
    bearer,
    bearing,
    claims,
    ed25519,
    es256,
    judge,
    rs256,
    sealed,
    token,
)

ALICE = Principal(ISSUER, "alice", frozenset({"orders:read", "profile"}), "phone")
STRANGER = Signer("RS256", "rsa", "RSA", 2048)
RSA, EC, ED = rs256(), es256(), ed25519()


def saying(**changed: Any) -> Callable[[], str]:
    return lambda: token(RSA, claims(**changed))


def with_header(**changed: Any) -> Callable[[], str]:
    return lambda: token(RSA, **changed)


def raw(header: str | None = None, payload: str | bytes | None = None, signer: Signer = RSA) -> Callable[[], str]:
    whole = header or json.dumps({"alg": signer.algorithm, "kid": signer.kid})
    return lambda: sealed(whole, payload or json.dumps(claims()), signer.sign)


def by_ec(sign: Callable[[bytes], bytes]) -> Callable[[], str]:
    """A token of the elliptic key, as it says, signed in this way."""
    return lambda: sealed('{"alg":"ES256","kid":"ec"}', json.dumps(claims()), sign)


def claiming(member: str) -> Callable[[], str]:
    """A token with ``member`` as it is written there, in place of the one of its name."""
    name = member.partition('"')[2].partition('"')[0]
    rest = json.dumps({key: value for key, value in claims().items() if key != name})
    return raw(payload=f"{rest[:-1]},{member}}}")


def with_public_key_as_secret() -> str:
    pem = RSA.key.raw_value.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = json.dumps({"alg": "HS256", "kid": "rsa"})
    return sealed(header, json.dumps(claims()), lambda text: hmac.new(pem, text, hashlib.sha256).digest())


def cut(piece: int, change: Callable[[str], str]) -> Callable[[], str]:
    """A good token, one segment of which was changed."""

    def make() -> str:
        segments = token(RSA).split(".")
        segments[piece] = change(segments[piece])
        return ".".join(segments)

    return make


def not_canonical(segment: str) -> str:
    """The same bytes, written with bits that decoders pass over."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(segment[-1])
    assert len(segment) % 4 == 2  # two characters, four bits of which nobody needs
    return segment[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last | 1]


def nothing(_: bytes) -> bytes:
    return b""


UNSIGNED = '{"alg":"none"}'
KEYLESS = "no such key"
SIGNATURE = "signature"
ALG = "alg is not"

ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    # who has signed
    "alg none": (lambda: sealed(UNSIGNED, json.dumps(claims()), nothing), ALG),
    "alg None": (lambda: sealed('{"alg":"NoNe"}', json.dumps(claims()), nothing), ALG),
    "alg none with a signature": (lambda: sealed(UNSIGNED, json.dumps(claims()), RSA.sign), ALG),
    "HMAC with the public key": (with_public_key_as_secret, ALG),
    "no alg": (with_header(alg=None), ALG),
    "alg is a number": (with_header(alg=256), ALG),
    "alg is a list": (with_header(alg=["RS256"]), ALG),
    "alg in lower case": (with_header(alg="rs256"), ALG),
    "an algorithm that is not set": (with_header(alg="PS256"), ALG),
    "a signature of somebody else": (lambda: token(STRANGER), SIGNATURE),
    "no signature": (cut(2, lambda _: ""), SIGNATURE),
    "half a signature": (cut(2, lambda was: was[:172]), SIGNATURE),
    "a signature of nothing": (by_ec(lambda _: bytes(64)), SIGNATURE),
    "a signature of ES256 in DER": (by_ec(lambda text: b"\x30\x45" + EC.sign(text)), SIGNATURE),
    "the algorithm of another key": (with_header(kid="ec"), KEYLESS),
    "a key that nobody has heard of": (with_header(kid="other"), KEYLESS),
    "an empty kid": (with_header(kid=""), KEYLESS),
    "a kid that is a path": (with_header(kid="../../dev/null"), KEYLESS),
    "a kid that is SQL": (with_header(kid="' or '1'='1"), KEYLESS),
    "a kid that is a URL": (with_header(kid="https://evil.test/keys"), KEYLESS),
    "a kid that is a number": (with_header(kid=1), "kid is no text"),
    "a kid that is a list": (with_header(kid=["rsa"]), "kid is no text"),
    # a key of its own
    "jwk": (lambda: token(STRANGER, jwk=STRANGER.jwk), SIGNATURE),
    "jwk without a kid of ours": (lambda: token(STRANGER, kid="mine", jwk={**STRANGER.jwk, "kid": "mine"}), KEYLESS),
    "jku": (lambda: token(STRANGER, jku="https://evil.test/keys"), SIGNATURE),
    "x5u": (lambda: token(STRANGER, x5u="https://evil.test/cert"), SIGNATURE),
    "x5c": (lambda: token(STRANGER, x5c=["MIIB"]), SIGNATURE),
    "iss of its own": (saying(iss="https://evil.test"), "iss is another"),
    # what was understood
    "crit with something unknown": (with_header(crit=["exp2"], exp2=1), "crit"),
    "crit with b64": (with_header(crit=["b64"], b64=False), "crit"),
    "an empty crit": (with_header(crit=[]), "crit"),
    "crit that is null": (raw('{"alg":"RS256","kid":"rsa","crit":null}'), "crit"),
    "alg twice": (raw('{"alg":"none","kid":"rsa","alg":"RS256"}'), "twice"),
    "kid twice": (raw('{"alg":"RS256","kid":"other","kid":"rsa"}'), "twice"),
    "sub twice": (raw(payload=json.dumps(claims())[:-1] + ',"sub":"bob"}'), "twice"),
    "sub twice, once escaped": (raw(payload=json.dumps(claims())[:-1] + ',"s\\u0075b":"bob"}'), "twice"),
    "a member twice deep inside": (raw(payload=json.dumps(claims())[:-1] + ',"a":[{"b":1,"b":2}]}'), "twice"),
    "an encrypted token": (
        lambda: ".".join([base64url(b'{"alg":"RSA-OAEP","enc":"A256GCM"}'), "AA", "AA", "AA", "AA"]),
        "three segments",
    ),
    "a nested token": (raw(payload='"eyJhbGciOiJub25lIn0.e30."'), "no object"),
    "no claims": (raw(payload="[]"), "no object"),
    "claims that are no JSON": (raw(payload='{"sub":"alice"'), "no JSON"),
    "more behind the claims": (raw(payload=json.dumps(claims()) + "{}"), "no JSON"),
    "claims in UTF-16": (raw(payload=json.dumps(claims()).encode("utf-16")), "no JSON"),
    "claims that are no UTF-8": (raw(payload=b'{"sub":"\xff"}'), "no JSON"),
    "claims that are very deep": (raw(payload='{"a":' + "[" * 5000), "no JSON"),
    "a number without end": (claiming('"exp":' + "9" * 4400), "no JSON"),
    "too long": (saying(padding="x" * 8000), "too long"),
    "padding": (cut(2, lambda was: was + "=="), "no base64url"),
    "bits that nobody needs": (cut(2, not_canonical), "no base64url"),
    "a + for a -": (cut(1, lambda was: was[:-4] + "+" + was[-3:]), "no base64url"),
    "a segment too many": (lambda: token(RSA) + ".", "no JWT"),
    "a segment too few": (lambda: token(RSA).rpartition(".")[0], "no JWT"),
    "an empty header": (lambda: "." + token(RSA).partition(".")[2], "no JWT"),
    "a header that is a list": (raw("[]"), "no JWT"),
    "blanks before the header": (raw(' {"alg":"RS256","kid":"rsa"}'), "no JWT"),
    "the header of the JSON serialization": (lambda: base64url(json.dumps({"payload": "e30"}).encode()), "no JWT"),
    # for whom, by whom, when
    "no iss": (saying(iss=None), "iss is another"),
    "iss with a slash more": (saying(iss=ISSUER + "/"), "iss is another"),
    "iss in upper case": (saying(iss=ISSUER.upper()), "iss is another"),
    "iss as a list": (saying(iss=[ISSUER]), "iss is another"),
    "no aud": (saying(aud=None), "aud is another"),
    "another aud": (saying(aud="https://web.test"), "aud is another"),
    "aud that begins like ours": (saying(aud="https://mobile.test.evil.test"), "aud is another"),
    "other auds": (saying(aud=["https://web.test", "phone"]), "aud is another"),
    "no auds": (saying(aud=[]), "aud is another"),
    "auds that are no texts": (saying(aud=["https://mobile.test", 1]), "aud is another"),
    "aud as an object": (saying(aud={"https://mobile.test": 1}), "aud is another"),
    "no exp": (saying(exp=None), "exp or sub is missing"),
    "exp that is null": (claiming('"exp":null'), "exp is no moment"),
    "expired": (saying(exp=NOW - 31), "expired"),
    "exp as a text": (saying(exp=str(NOW + 600)), "exp is no moment"),
    "exp that is true": (saying(exp=True), "exp is no moment"),
    "exp that is NaN": (claiming('"exp":NaN'), "a number is none"),
    "exp that is infinite": (claiming('"exp":Infinity'), "a number is none"),
    "exp that becomes infinite": (claiming('"exp":1e999'), "exp is no moment"),
    "exp beyond all time": (claiming('"exp":1e30'), "exp is no moment"),
    "exp before all time": (saying(exp=-1), "exp is no moment"),
    "exp as a list": (saying(exp=[NOW + 600]), "exp is no moment"),
    "nbf later": (saying(nbf=NOW + 31), "not valid yet"),
    "nbf as a text": (saying(nbf="0"), "nbf is no moment"),
    "iat later": (saying(iat=NOW + 31), "not valid yet"),
    "iat that is false": (saying(iat=False), "iat is no moment"),
    # who
    "no sub": (saying(sub=None), "exp or sub is missing"),
    "an empty sub": (saying(sub=""), "sub is empty"),
    "sub as a number": (saying(sub=1), "sub is no text"),
    "sub that is null": (claiming('"sub":null'), "sub is no text"),
    "a long sub": (saying(sub="a" * 256), "sub is no text"),
    "sub with a line break": (saying(sub="alice\r\nx-admin: 1"), "sub is no text"),
    "sub with half a character": (claiming('"sub":"\\ud800"'), "sub is no text"),
    "client_id as a list": (saying(client_id=["phone"]), "client_id is no text"),
    "scope as a number": (saying(scope=1), "scope is no list"),
    "scope as an object": (saying(scope={"admin": 1}), "scope is no list"),
    "scopes that are no texts": (saying(scope=None, scp=[["admin"]]), "scope is no list"),
    "scope with a quotation mark": (saying(scope='a"b'), "scope is no list"),
    # of another kind
    "a typ that is not set": (with_header(typ="logout+jwt"), "typ is another"),
    "typ as a list": (with_header(typ=["at+jwt"]), "typ is another"),
    "an ID token by its nonce": (lambda: token(RSA, claims(nonce="n"), typ="JWT"), "ID token"),
    "an ID token by its at_hash": (lambda: token(RSA, claims(at_hash="h"), typ=None), "ID token"),
    "a logout token": (lambda: token(RSA, claims(events={}), typ="JWT"), "logout token"),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
async def test_a_token_that_proves_nothing_is_refused(what: str) -> None:
    make, reason = ATTACKS[what]
    proof = bearer()
    for _ in range(2):  # the second time the keys are known
        with pytest.raises(Unauthenticated) as refused:
            await judge(proof, make())
        assert reason in str(refused.value)
    assert proof.known(bearing(make()).fingerprint) is None


GOOD: dict[str, tuple[Callable[[], str], Principal]] = {
    "RS256": (lambda: token(RSA), ALICE),
    "ES256": (lambda: token(EC), ALICE),
    "Ed25519": (lambda: token(ED), ALICE),
    "Ed25519 by its older name": (lambda: token(ED, alg="EdDSA"), ALICE),
    "typ in full": (with_header(typ="application/at+jwt"), ALICE),
    "typ in upper case": (with_header(typ="AT+JWT"), ALICE),
    "typ JWT": (with_header(typ="JWT"), ALICE),
    "no typ": (with_header(typ=None), ALICE),
    "headers that nobody needs": (with_header(cty="x", x5t="y", jku="https://evil.test", b64=False), ALICE),
    "a long header": (with_header(x5c=["A" * 2000]), ALICE),
    "an access token with a nonce": (lambda: token(RSA, claims(nonce="n")), ALICE),
    "expired by less than the leeway": (saying(exp=NOW - 29), ALICE),
    "nbf later by less than the leeway": (saying(nbf=NOW + 29), ALICE),
    "iat later by less than the leeway": (saying(iat=NOW + 29), ALICE),
    "exp with a fraction": (saying(exp=NOW + 0.5), ALICE),
    "no iat": (saying(iat=None), ALICE),
    "several auds": (saying(aud=["account", "https://mobile.test"]), ALICE),
    "scp as a list": (saying(scope=None, scp=["orders:read", "profile"]), ALICE),
    "scp as a text": (saying(scope=None, scp="orders:read profile"), ALICE),
    "scope before scp": (saying(scp=["admin"]), ALICE),
    "no scope": (saying(scope=None), ALICE._replace(scopes=frozenset())),
    "an empty scope": (saying(scope=""), ALICE._replace(scopes=frozenset())),
    "azp": (saying(client_id=None, azp="tablet"), ALICE._replace(client_id="tablet")),
    "client_id before azp": (saying(azp="tablet"), ALICE),
    "nobody's program": (saying(client_id=None), ALICE._replace(client_id="")),
    "a long sub": (saying(sub="é" * 255), ALICE._replace(subject="é" * 255)),
}


@pytest.mark.parametrize("what", GOOD)
async def test_a_good_token_is_who_it_says(what: str) -> None:
    make, who = GOOD[what]
    borne = make()
    proof = bearer()
    assert proof.known(bearing(borne).fingerprint) is None
    assert await proof.principal(bearing(borne)) == who


@pytest.mark.parametrize("algorithms", [("EdDSA",), ("Ed25519",)])
@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
async def test_both_names_of_one_algorithm_are_taken_where_either_is_set(algorithms: Any, name: str) -> None:
    proof = bearer(TokenIssuer(signers=[RSA, ED]), algorithms=algorithms)
    assert await judge(proof, token(ED, alg=name)) == ALICE
    with pytest.raises(Unauthenticated):
        await judge(proof, token(RSA))


async def test_a_token_without_kid_is_tried_where_there_is_one_key_of_its_algorithm() -> None:
    proof = bearer(TokenIssuer(signers=[RSA, EC, es256("another")]))
    assert await judge(proof, token(RSA, kid=None)) == ALICE
    with pytest.raises(Unauthenticated, match="no such key"):
        await judge(proof, token(EC, kid=None))


# what is shown


@pytest.mark.parametrize("shown", ["Bearer {}", "bearer {}", "BEARER {}", "bEaReR   {}"])
async def test_the_scheme_is_written_in_any_case(shown: str) -> None:
    proof = bearer()
    presented = Presented(authorization=shown.format(token(RSA)))
    assert await proof.principal(presented) == ALICE
    assert proof.known(presented.fingerprint) == ALICE


@pytest.mark.parametrize(
    "shown", [None, "", "Basic {}", "Bearers {}", "Bearer{}", "Bearer\t{}", "DPoP {}", " Bearer {}"]
)
async def test_another_scheme_is_nobody_here(shown: str | None) -> None:
    proof = bearer()
    await judge(proof, token(RSA))
    presented = Presented(authorization=shown and shown.format(token(RSA)))
    assert proof.known(presented.fingerprint) is None
    assert await proof.principal(presented) is None


@pytest.mark.parametrize(
    "shown", ["Bearer", "Bearer ", "Bearer {} ", "Bearer {} {}", "Bearer {},", 'Bearer "{}"', "Bearer {}\n"]
)
async def test_anything_but_one_token_is_refused(shown: str) -> None:
    proof = bearer()
    await judge(proof, token(RSA))
    presented = Presented(authorization=shown.replace("{}", token(RSA)))
    assert proof.known(presented.fingerprint) is None
    with pytest.raises(Unauthenticated):
        await proof.principal(presented)


async def test_whoever_is_refused_learns_nothing_and_everyone_the_same() -> None:
    said = set()
    for make, _ in ATTACKS.values():
        with pytest.raises(Unauthenticated) as refused:
            await judge(bearer(), make())
        said.add(refused.value.challenges)
    assert said == {
        ('Bearer realm="mobile", error="invalid_token", error_description="The access token is not valid"',)
    }


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")), st.sampled_from(["", "Bearer ", "bearer  "]))
@example("\ud800", "Bearer ")
def test_whatever_is_shown_is_somebody_nobody_or_refused(text: str, before: str) -> None:
    async def show() -> None:
        proof = bearer()
        presented = Presented(authorization=before + text)
        assert proof.known(presented.fingerprint) is None
        try:
            assert await proof.principal(presented) is None
        except Unauthenticated:
            assert (before + text + " ")[:7].lower() == "bearer "

    run(show())


WORDS = st.sampled_from(["", "alice", ISSUER, "https://mobile.test", "RS256", "EdDSA", "ed", "a\n", "\ud800", "é"])
SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JSON = SINGLE | st.lists(SINGLE, max_size=3) | st.dictionaries(WORDS, SINGLE, max_size=2)
NAMES = [
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "scope",
    "scp",
    "client_id",
    "azp",
    "nonce",
    "typ",
    "alg",
    "kid",
    "crit",
]


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_a_signed_token_says_it_is_somebody_or_refused(header: dict[str, Any], said: dict[str, Any]) -> None:
    async def show() -> None:
        written = json.dumps({"alg": "Ed25519", "kid": "ed", **header})
        borne = sealed(written, json.dumps({**claims(), **said}), ED.sign)
        try:
            found = await judge(bearer(), borne)
        except Unauthenticated:
            return
        assert found is not None
        assert found.subject == said.get("sub", "alice")
        assert isinstance(said.get("exp", 1.0), float | int)

    run(show())


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=80))
def test_whatever_three_segments_hold_they_are_taken_apart_or_refused(
    header: bytes, said: bytes, signature: bytes
) -> None:
    borne = ".".join(map(base64url, (header, said, signature)))
    try:
        found = taken_apart(borne)
    except TokenRefused:
        return
    assert isinstance(found.header, dict)
    assert found.signature == signature


@pytest.mark.parametrize("signer", [EC, ED], ids=lambda signer: signer.algorithm)
async def test_a_good_token_with_any_character_changed_is_good_no_more(signer: Signer) -> None:
    good = token(signer)
    proof = bearer()
    assert await judge(proof, good) == ALICE
    for place, was in enumerate(good):
        for other in {"A", "B", "_", "=", ".", chr(ord(was) ^ 1)} - {was}:
            with pytest.raises(Unauthenticated):
                await judge(proof, good[:place] + other + good[place + 1 :])


# what is remembered


async def test_what_is_known_is_known_until_the_token_expires_and_five_minutes_at_most() -> None:
    now = NOW
    proof = bearer(clock=lambda: now)
    short, long = token(RSA, claims(exp=NOW + 100)), token(RSA, claims(exp=NOW + 9000))
    for borne in (short, long):
        await proof.principal(bearing(borne))
    for now, known in ((NOW + 99, (ALICE, ALICE)), (NOW + 100, (None, ALICE)), (NOW + 299, (None, ALICE))):  # noqa: B007
        assert (proof.known(bearing(short).fingerprint), proof.known(bearing(long).fingerprint)) == known
    now = NOW + 300
    assert proof.known(bearing(long).fingerprint) is None
    assert await proof.principal(bearing(long)) == ALICE


async def test_nobody_is_known_for_longer_because_a_clock_was_set_back() -> None:
    now = NOW
    proof, borne = bearer(clock=lambda: now), bearing(token(RSA))
    await proof.principal(borne)
    now = NOW - 1
    assert proof.known(borne.fingerprint) is None
    await proof.principal(borne)
    assert proof.known(borne.fingerprint) == ALICE


def test_of_the_known_the_oldest_go_first_and_who_comes_again_is_the_newest() -> None:
    known = KnownTokens(most=3)
    for name in (b"a", b"b", b"c", b"a", b"d"):
        known.keep(name, ALICE, 0.0, 10.0)
    assert [known.principal(name, 0.0) for name in (b"a", b"b", b"c", b"d")] == [ALICE, None, ALICE, ALICE]
    assert known.principal(b"a", 10.0) is None
    assert len(known) == 2
    known.clear()
    assert known.principal(b"c", 0.0) is None


async def test_no_more_than_ten_thousand_are_known() -> None:
    known = KnownTokens()
    for number in range(10_001):
        known.keep(number.to_bytes(4), ALICE, 0.0, 10.0)
    assert len(known) == 10_000


async def test_what_is_refused_and_what_is_not_leaves_nothing_for_the_collector(
    garbage: Callable[[], list[str]],
) -> None:
    proof = bearer()
    for borne in [token(RSA), "opaque", *[make() for make, _ in list(ATTACKS.values())[::5]]]:
        with suppress(Unauthenticated):
            await judge(proof, borne)
    assert [name for name in garbage() if "bff_core.auth" in name or "Unauthenticated" in name] == []


async def test_by_default_the_time_is_that_of_the_wall() -> None:
    proof = bearer(clock=time.time)
    assert await judge(proof, token(RSA, claims(now=time.time()))) == ALICE
    with pytest.raises(Unauthenticated, match="not valid yet" if time.time() < NOW else "expired"):
        await judge(proof, token(RSA, claims(now=NOW if time.time() < NOW else 0)))
