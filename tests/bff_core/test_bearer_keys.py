"""When the keys of an issuer are fetched, and what it costs that it is down, slow, wrong or changing."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from bff_core.auth.bearer import Bearer
from bff_core.context import RequestContext, enter
from bff_core.errors import IdentityUnavailable, Unauthenticated
from bff_core.testing import SimulatedInternet
from tests.bff_core.token_issuer import (
    ISSUER,
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
    token,
)

RSA = rs256()
METADATA = "/realms/store/.well-known/openid-configuration"
OTHER_METADATA = "/.well-known/oauth-authorization-server/realms/store"
KEYS = "/realms/store/keys"
HOUR = 3600.0


def fresh(signer: Signer = RSA, **header: Any) -> str:
    """A token that is good for long, and was not seen before."""
    fresh.count += 1  # type: ignore[attr-defined]
    return token(signer, claims(exp=2e9 + 1e9, jti=fresh.count), **header)  # type: ignore[attr-defined]


fresh.count = 0  # type: ignore[attr-defined]


async def refused(proof: Bearer, borne: str) -> bool:
    try:
        await judge(proof, borne)
    except Unauthenticated:
        return True
    return False


async def test_nothing_is_fetched_before_there_is_need() -> None:
    issuer = TokenIssuer()
    proof = bearer(issuer)
    await proof.start()
    await asyncio.sleep(HOUR)
    for borne in ("opaque", token(RSA, claims(aud="other")), token(RSA, claims(exp=1)), token(RSA, alg="none")):
        assert await refused(proof, borne)
    assert issuer.asked == []
    await judge(proof, fresh())
    assert issuer.asked == [METADATA, KEYS]
    await proof.close()


async def test_a_gateway_whose_issuer_is_down_starts_and_says_503_until_it_is_up() -> None:
    net = SimulatedInternet()
    proof = bearer(net=net)
    await proof.start()
    with pytest.raises(IdentityUnavailable, match="connection refused"):
        await judge(proof, fresh())
    net.hosts["id.test"] = TokenIssuer()
    assert await judge(proof, fresh())
    await proof.close()


async def test_an_issuer_that_is_down_is_left_alone_for_a_while() -> None:
    issuer = TokenIssuer(status=500)
    proof = bearer(issuer)
    for _ in range(200):
        with pytest.raises(IdentityUnavailable):
            await judge(proof, fresh())
    assert len(issuer.asked) < 25
    issuer.status = 200
    await asyncio.sleep(10)
    assert await judge(proof, fresh())


async def test_one_fetch_serves_all_that_wait_for_it() -> None:
    issuer = TokenIssuer(pause=0.1)
    proof = bearer(issuer)
    found = await asyncio.gather(*[judge(proof, fresh()) for _ in range(200)])
    assert {who.subject for who in found if who} == {"alice"}
    assert issuer.asked == [METADATA, KEYS]


async def test_all_that_wait_hear_of_its_failure_each_with_an_error_of_its_own() -> None:
    issuer = TokenIssuer(pause=0.1, status=403)
    proof = bearer(issuer)
    found = await asyncio.gather(*[judge(proof, fresh()) for _ in range(20)], return_exceptions=True)
    assert {type(error) for error in found} == {IdentityUnavailable}
    assert len({id(error) for error in found}) == 20
    assert issuer.asked == [METADATA, OTHER_METADATA]


async def test_clients_that_leave_cost_the_others_nothing_and_the_fetch_goes_on() -> None:
    issuer = TokenIssuer(pause=0.2)
    proof = bearer(issuer)
    asking = [asyncio.create_task(judge(proof, fresh())) for _ in range(10)]
    await asyncio.sleep(0.1)
    for task in asking[:5]:
        task.cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in found] == [True] * 5 + [False] * 5
    assert issuer.asked == [METADATA, KEYS]


async def test_when_all_have_left_the_next_one_finds_the_keys() -> None:
    issuer = TokenIssuer(pause=0.2)
    proof = bearer(issuer)
    asking = asyncio.create_task(judge(proof, fresh()))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.sleep(10)
    issuer.status = 500
    assert await judge(proof, fresh())
    assert issuer.asked == [METADATA, KEYS]


async def test_a_request_waits_for_keys_until_its_deadline_and_the_others_until_theirs() -> None:
    issuer = TokenIssuer(pause=0.4)
    proof = bearer(issuer)
    loop = asyncio.get_running_loop()

    async def within(seconds: float) -> float:
        enter(RequestContext(until=loop.time() + seconds))
        try:
            await judge(proof, fresh())
        except IdentityUnavailable:
            return loop.time()
        return -loop.time()

    hasty, patient = await asyncio.gather(*[asyncio.create_task(within(seconds)) for seconds in (0.1, 5)])
    assert hasty == pytest.approx(0.1)
    assert patient == pytest.approx(-0.8)


async def test_an_issuer_that_hangs_costs_its_timeout_and_no_more() -> None:
    issuer = TokenIssuer(pause=HOUR)
    proof = bearer(issuer, upstream={"timeout": "1s", "retry": {"attempts": 0}})
    with pytest.raises(IdentityUnavailable, match="no whole reply in time"):
        await judge(proof, fresh())
    assert asyncio.get_running_loop().time() == pytest.approx(1)


async def test_what_is_under_way_ends_with_the_gateway() -> None:
    issuer = TokenIssuer(pause=0.4)
    proof = bearer(issuer)
    asking = asyncio.create_task(judge(proof, fresh()))
    await asyncio.sleep(0.1)
    await proof.close()
    with pytest.raises(IdentityUnavailable):
        await asking
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    assert len(asyncio.all_tasks()) == 1


async def test_an_issuer_that_fails_leaves_nothing_for_the_collector(garbage: Callable[[], list[str]]) -> None:
    proof = bearer(TokenIssuer(status=500))
    for found in await asyncio.gather(*[judge(proof, fresh()) for _ in range(5)], return_exceptions=True):
        assert isinstance(found, IdentityUnavailable)
    del found
    assert [name for name in garbage() if "bff_core" in name] == []


# keys that change


async def test_a_new_key_is_found_by_the_first_token_that_names_it() -> None:
    issuer = TokenIssuer(pause=0.05)
    proof = bearer(issuer)
    assert await judge(proof, fresh())
    issuer.signers.append(es256("new"))
    found = await asyncio.gather(*[judge(proof, fresh(es256("new"))) for _ in range(200)])
    assert all(found)
    assert issuer.fetched == 2


async def test_a_storm_of_names_that_nobody_knows_fetches_once_a_minute() -> None:
    issuer = TokenIssuer(pause=0.01)
    proof = bearer(issuer)
    await judge(proof, fresh())
    for second in range(180):
        kids = [f"{second}-{turn}" for turn in range(5)]
        assert all(await asyncio.gather(*[refused(proof, fresh(kid=kid)) for kid in kids]))
        before = asyncio.get_running_loop().time()
        if second % 60:
            assert await refused(proof, fresh(kid="at once"))
            assert asyncio.get_running_loop().time() == before
        await asyncio.sleep(1.0)
    assert issuer.fetched == 1 + 3


async def test_the_first_token_of_all_makes_one_fetch_whatever_it_names() -> None:
    issuer = TokenIssuer()
    assert await refused(bearer(issuer), fresh(kid="unknown"))
    assert issuer.fetched == 1


async def test_a_name_that_is_known_and_for_another_algorithm_makes_nobody_fetch() -> None:
    issuer = TokenIssuer()
    proof = bearer(issuer)
    await judge(proof, fresh())
    assert await refused(proof, fresh(kid="ec"))
    assert await refused(proof, fresh(es256("x"), kid=None))
    assert issuer.fetched == 1


async def test_a_key_that_is_gone_vouches_for_nothing_that_was_known_either() -> None:
    issuer = TokenIssuer(signers=[RSA, es256()])
    proof = bearer(issuer)
    borne = fresh()
    await judge(proof, borne)
    issuer.signers = [es256()]
    await refused(proof, fresh(kid="look"))
    assert proof.known(bearing(borne).fingerprint) is None
    assert await refused(proof, borne)


async def test_where_the_keys_are_as_they_were_what_is_known_stays_known() -> None:
    issuer = TokenIssuer(signers=[RSA, es256()])
    proof = bearer(issuer)
    borne = fresh()
    await judge(proof, borne)
    issuer.signers.reverse()
    await refused(proof, fresh(kid="look"))
    assert issuer.fetched == 2
    assert proof.known(bearing(borne).fingerprint) is not None


async def test_keys_under_an_old_name_are_others_after_an_hour() -> None:
    issuer = TokenIssuer(signers=[RSA])
    proof = bearer(issuer)
    await judge(proof, fresh())
    other = Signer("RS256", "rsa", "RSA", 2048)
    issuer.signers = [other]
    await asyncio.sleep(HOUR - 1)
    assert await judge(proof, fresh())
    assert await refused(proof, fresh(other))
    await asyncio.sleep(1)
    await refused(proof, fresh())  # which begins it, and does not wait
    await asyncio.sleep(1)
    assert await judge(proof, fresh(other))
    assert await refused(proof, fresh())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, HOUR),
        ({"cache-control": "public, max-age=300"}, 300),
        ({"cache-control": "max-age=5"}, 60),
        ({"cache-control": "no-cache"}, 60),
        ({"cache-control": "max-age=9999999"}, 86_400),
        ({"cache-control": "s-maxage=5, nonsense"}, HOUR),
    ],
)
async def test_keys_are_fetched_again_in_the_background_when_they_are_old(said: Any, seconds: float) -> None:
    issuer = TokenIssuer(headers=said, pause=0.1)
    proof = bearer(issuer)
    await judge(proof, fresh())
    got = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds - 1)
    await judge(proof, fresh())
    await asyncio.sleep(got + seconds - asyncio.get_running_loop().time())
    assert issuer.fetched == 1
    before = asyncio.get_running_loop().time()
    for _ in range(10):
        assert await judge(proof, fresh())
    assert asyncio.get_running_loop().time() == before
    await asyncio.sleep(1)
    assert issuer.fetched == 2


async def test_the_last_keys_stay_while_the_issuer_is_down_which_the_log_says_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "bff.auth")
    issuer = TokenIssuer()
    proof = bearer(issuer)
    await judge(proof, fresh())
    issuer.status = 503
    for _ in range(100):
        await asyncio.sleep(HOUR / 10)
        assert await judge(proof, fresh())
    issuer.status = 200
    await asyncio.sleep(HOUR)
    assert await judge(proof, fresh())
    await asyncio.sleep(1)
    said = [record.getMessage() for record in caplog.records if record.name == "bff.auth"]
    assert len(said) == 2
    assert said[0].startswith(f"the keys of {ISSUER} could not be fetched; those that are known stay: ")
    assert said[1] == f"the keys of {ISSUER} are there again"


async def test_while_the_issuer_is_down_a_name_that_may_be_new_is_503_and_it_is_not_asked_for_each() -> None:
    issuer = TokenIssuer()
    proof = bearer(issuer, upstream={"retry": {"attempts": 0}})
    await judge(proof, fresh())
    issuer.status = 503
    before = len(issuer.asked)
    for _ in range(10):
        with pytest.raises(IdentityUnavailable):
            await judge(proof, fresh(kid="new"))
    assert len(issuer.asked) == before + 1
    assert await judge(proof, fresh())


async def test_an_issuer_that_is_down_when_its_keys_are_old_is_asked_once_a_minute() -> None:
    issuer = TokenIssuer()
    proof = bearer(issuer, upstream={"retry": {"attempts": 0}})
    await judge(proof, fresh())
    issuer.status = 503
    await asyncio.sleep(HOUR)
    before = len(issuer.asked)
    for _ in range(180):
        assert await judge(proof, fresh())
        await asyncio.sleep(1)
    assert len(issuer.asked) == before + 3


# what the issuer publishes


async def test_metadata_is_looked_for_where_rfc_8414_says_too() -> None:
    issuer = TokenIssuer(metadata_path=OTHER_METADATA)
    assert await judge(bearer(issuer), fresh())
    assert issuer.asked == [METADATA, OTHER_METADATA, KEYS]


@pytest.mark.parametrize("named", ["https://id.test", f"{ISSUER}/", "https://ID.test/realms/store", ""])
async def test_the_metadata_of_another_issuer_leads_nowhere(named: str) -> None:
    issuer = TokenIssuer(issuer=named, jwks_uri=f"{ISSUER}/keys")
    with pytest.raises(IdentityUnavailable, match="another issuer"):
        await judge(bearer(issuer), fresh())
    assert KEYS not in issuer.asked


async def test_keys_may_be_at_another_origin() -> None:
    issuer, keys = TokenIssuer(jwks_uri="https://keys.test:8443/v2/keys?tenant=store"), TokenIssuer()
    net = SimulatedInternet({"id.test": issuer, "keys.test": keys})
    assert await judge(bearer(net=net), fresh())
    assert (issuer.asked, keys.asked) == ([METADATA], ["/v2/keys"])
    instance, request = net.requests[-1]
    assert (str(instance), request.target) == ("https://keys.test:8443", "/v2/keys?tenant=store")


async def test_where_the_issuer_is_set_its_own_urls_lead_there_and_others_do_not() -> None:
    issuer = TokenIssuer()
    net = SimulatedInternet({"keycloak.internal": issuer})
    proof = bearer(net=net, upstream={"instances": ["http://keycloak.internal:8080"]})
    assert await judge(proof, fresh())
    assert issuer.asked == [METADATA, KEYS]
    issuer.jwks_uri = "https://keys.test/keys"
    await asyncio.sleep(HOUR)
    await judge(proof, fresh())
    await asyncio.sleep(1)
    assert net.requests[-1][0].host == "keys.test"


UNTRUSTWORTHY = [
    "http://keys.test/keys",
    "ftp://keys.test/keys",
    "/keys",
    "",
    "https://",
    "https://u:p@keys.test/",
    "https://keys.test/a b",
    "https://keys.test/{kid}",
    "https://keys.test/#x",
    "https://keys.test/\r\nx: y",
    "https://keys.test:99999/",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("uri", UNTRUSTWORTHY)
async def test_keys_are_fetched_from_no_url_that_anyone_else_could_answer_for(uri: str) -> None:
    net = SimulatedInternet({"id.test": TokenIssuer(jwks_uri=uri), "keys.test": TokenIssuer()})
    with pytest.raises(IdentityUnavailable):
        await judge(bearer(net=net), fresh())
    assert all(instance.host == "id.test" for instance, _ in net.requests)


RSA_SMALL = Signer("RS256", "small", "RSA", 1024)
UNUSABLE: dict[str, Any] = {
    "null": None,
    "a text": "key",
    "nothing": {},
    "a kind that is a list": {"kty": ["RSA"]},
    "a secret": {"kty": "oct", "kid": "rsa", "k": base64url(b"x" * 32), "alg": "HS256"},
    "a weak one": RSA_SMALL.jwk,
    "a long one": {**RSA.jwk, "n": base64url(b"\xff" * 1025)},
    "a long exponent": {**RSA.jwk, "e": base64url(b"\x01" * 64)},
    "an exponent of 1": {**RSA.jwk, "e": "AQ"},
    "n that is no base64url": {**RSA.jwk, "n": "*" * 400},
    "n that is a number": {**RSA.jwk, "n": 65537},
    "for encryption": {**RSA.jwk, "use": "enc"},
    "for signing alone": {**RSA.jwk, "key_ops": ["sign"]},
    "for what is no list": {**RSA.jwk, "key_ops": "verify"},
    "for another algorithm": {**RSA.jwk, "alg": "PS256"},
    "for an algorithm that is a list": {**RSA.jwk, "alg": ["RS256"]},
    "with its private part": {**RSA.jwk, "d": "AQAB"},
    "another curve": {**es256().jwk, "kid": "rsa", "crv": "secp256k1"},
    "a point that is on no curve": {**es256().jwk, "kid": "rsa", "x": base64url(b"\x01" * 32)},
    "X25519": {**ed25519().jwk, "kid": "rsa", "crv": "X25519"},
    "half an Ed25519": {**ed25519().jwk, "kid": "rsa", "x": "AAAA"},
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_a_key_that_cannot_be_used_is_passed_over(what: str) -> None:
    named = {**UNUSABLE[what], "kid": "broken"} if isinstance(UNUSABLE[what], dict) else UNUSABLE[what]
    proof = bearer(TokenIssuer(keys={"keys": [named, es256().jwk]}))
    assert await judge(proof, fresh(es256()))
    for signer in (RSA, RSA_SMALL, es256("x"), ed25519()):
        assert await refused(proof, fresh(signer, kid="broken"))


@pytest.mark.parametrize(
    "changed", [{"use": None}, {"alg": None}, {"key_ops": ["verify"]}, {"x5c": ["MIIB"], "more": {}}]
)
async def test_a_key_may_say_less_of_itself_or_more(changed: Any) -> None:
    jwk = {name: value for name, value in {**RSA.jwk, **changed}.items() if value is not None}
    assert await judge(bearer(TokenIssuer(keys={"keys": [jwk]})), fresh())


async def test_of_two_keys_of_one_name_each_is_for_its_algorithm_and_the_first_counts() -> None:
    one, other = rs256("same"), Signer("RS256", "same", "RSA", 2048)
    proof = bearer(TokenIssuer(signers=[one, es256("same"), other]))
    assert await judge(proof, fresh(one))
    assert await judge(proof, fresh(es256("same")))
    assert await refused(proof, fresh(other))


async def test_no_more_than_a_hundred_keys_are_looked_at() -> None:
    many = [{**es256().jwk, "kid": str(number)} for number in range(101)]
    proof = bearer(TokenIssuer(keys={"keys": many}))
    assert await judge(proof, fresh(es256(), kid="99"))
    assert await refused(proof, fresh(es256(), kid="100"))


@pytest.mark.parametrize(
    "keys",
    [b"[]", b"{}", b"no JSON", b'{"keys":{}}', b'{"keys":[]' + b" " * 300_000 + b"}"],
    ids=lambda keys: keys[:12],
)
async def test_what_is_no_key_set_changes_nothing(keys: bytes) -> None:
    issuer = TokenIssuer(keys=keys)
    with pytest.raises(IdentityUnavailable):
        await judge(bearer(issuer), fresh())
    issuer.keys = None
    proof = bearer(issuer)
    await judge(proof, fresh())
    issuer.keys = keys
    await asyncio.sleep(HOUR)
    await judge(proof, fresh())
    await asyncio.sleep(1)
    assert await judge(proof, fresh())


async def test_a_set_without_keys_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    proof = bearer(TokenIssuer(signers=[]))
    assert await refused(proof, fresh())
    assert f"{ISSUER} has no key that can be used" in caplog.text
