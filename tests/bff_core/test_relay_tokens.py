"""What a service is told in a token of the gateway, who believes it, and how long one is used."""

import asyncio
import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import JoseError

from bff_core.auth.relay_keys import RelayKeys
from bff_core.bearer_settings import BearerSettings
from bff_core.principal import Principal
from tests.bff_core.relayed import ALICE, BOB, NOW, pem, relay, told, wall
from tests.bff_core.token_issuer import base64url

KEYS = RelayKeys([pem()])
PRINCIPALS = st.builds(
    Principal,
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    st.frozensets(st.text("abc:", min_size=1, max_size=5), max_size=3),
    st.text(max_size=5),
    st.text(max_size=5),
)


def learnt(lines: bytes, keys: RelayKeys = KEYS, **wanted: Any) -> dict[str, Any]:
    return told(lines, keys.published, **{"now": wall(), **wanted}).claims


async def test_a_service_learns_who_asks_for_whom_and_what_they_may_and_nothing_else() -> None:
    header, claims = told(relay(KEYS).lines(ALICE), KEYS.published, now=wall())
    (published,) = json.loads(KEYS.published)["keys"]
    assert header == {"alg": "ES256", "typ": "relay+jwt", "kid": published["kid"]}
    assert claims == {
        "iss": "web",
        "aud": "orders",
        "iat": NOW,
        "exp": NOW + 60,
        "sub": "alice",
        "sub_id": {"format": "iss_sub", "iss": "https://id.test", "sub": "alice"},
        "scope": "basket orders:read",
        "client_id": "phone",
        "plan": "gold",
    }


async def test_what_is_not_known_of_somebody_is_not_said() -> None:
    assert learnt(relay(KEYS).lines(BOB)).keys() == {"iss", "aud", "iat", "exp", "sub", "sub_id"}


@given(PRINCIPALS)
def test_whoever_it_is_the_service_learns_it_as_it_is(one: Principal) -> None:
    lines = relay(KEYS, clock=lambda: NOW).lines(one)
    said = told(lines, KEYS.published, now=NOW).claims
    assert (said["sub_id"]["iss"], said["sub"], set(said.get("scope", "").split())) == (*one[:2], one.scopes)
    assert lines.count(b"\r\n") == 1


async def test_two_issuers_that_say_the_same_of_two_are_told_apart() -> None:
    one, other = (
        learnt(relay(KEYS).lines(Principal(issuer, "alice"))) for issuer in ("https://a.test", "https://b.test")
    )
    assert one["sub"] == other["sub"]
    assert one["sub_id"] != other["sub_id"]


# who believes it


async def test_another_service_a_later_hour_another_gateway_and_another_key_are_refused() -> None:
    lines = relay(KEYS).lines(ALICE)
    learnt(lines, now=NOW + 59)
    for wanted in ({"audience": "catalog"}, {"issuer": "mobile"}, {"now": NOW + 61}, {"now": NOW - 1}):
        with pytest.raises(JoseError):
            learnt(lines, **wanted)
    with pytest.raises(JoseError):
        learnt(lines, RelayKeys([pem(1)]))


async def test_a_byte_that_is_changed_is_noticed() -> None:
    head, said, signature = relay(KEYS).lines(BOB).removesuffix(b"\r\n").rpartition(b" ")[2].split(b".")
    forged = base64url(json.dumps(learnt(relay(KEYS).lines(BOB)) | {"sub": "alice"}).encode()).encode()
    for pieces in ((head, forged, signature), (head, said, signature[:-4] + b"AAAA")):
        with pytest.raises(JoseError):
            learnt(b"authorization: Bearer " + b".".join(pieces) + b"\r\n")


def test_no_gateway_takes_it_for_a_token_of_an_issuer() -> None:
    assert "relay+jwt" not in BearerSettings(issuer="https://id.test", audience="a").types


# keys


def test_what_is_published_is_public_and_named_after_what_it_is() -> None:
    keys = json.loads(RelayKeys([pem(), pem(1)]).published)["keys"]
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
        written = '{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.format(**key)  # RFC 7638, 3
        assert key["kid"] == base64url(hashlib.sha256(written.encode()).digest())


async def test_through_a_change_of_keys_every_token_is_believed_by_whoever_knows_the_key_set_of_one_step_before() -> (
    None
):
    steps = [RelayKeys([pem(key) for key in keys]) for keys in ((0,), (0, 1), (1, 0), (1,))]
    for before, after in pairwise(steps):
        for signs, known in ((before, after), (after, before)):
            assert learnt(relay(signs).lines(ALICE), known)["sub"] == "alice"
    with pytest.raises(JoseError):
        learnt(relay(steps[3]).lines(ALICE), steps[0])


async def test_without_a_key_one_is_made_that_nobody_else_has() -> None:
    one, other = RelayKeys(), RelayKeys()
    assert learnt(relay(one).lines(ALICE), one)["sub"] == "alice"
    assert one.published != other.published


# how long one is used


async def test_a_token_is_used_while_half_of_its_life_is_left_and_then_renewed() -> None:
    web = relay(KEYS)
    first = web.lines(ALICE)
    await asyncio.sleep(29.9)
    assert web.lines(ALICE) is first
    await asyncio.sleep(0.1)
    second = web.lines(ALICE)
    assert (learnt(second)["iat"], learnt(second)["exp"]) == (NOW + 30, NOW + 90)
    assert web.lines(ALICE) is second


@pytest.mark.parametrize("lifetime", ["10s", "10500ms", "60s", "300s"])
@pytest.mark.parametrize("begun", [0.0, 0.5, 0.999])
async def test_whenever_it_is_asked_for_at_least_half_of_its_life_is_left(lifetime: str, begun: float) -> None:
    await asyncio.sleep(begun)
    web = relay(KEYS, lifetime=lifetime)
    for _ in range(200):
        said = learnt(web.lines(ALICE))
        assert said["iat"] <= wall()
        assert said["exp"] - wall() >= (said["exp"] - said["iat"]) / 2 - 0.001
        await asyncio.sleep(0.7)


async def test_one_that_a_clock_has_made_too_early_is_not_used() -> None:
    now = NOW
    web = relay(KEYS, clock=lambda: now)
    web.lines(ALICE)
    now -= 3600
    assert learnt(web.lines(ALICE), now=now)["iat"] == now


async def test_so_many_are_kept_and_no_more_and_the_oldest_go_first() -> None:
    web = relay(KEYS, most=3)
    people = [Principal("https://id.test", name) for name in "abcd"]
    kept = [web.lines(one) for one in people]
    assert [web.lines(one) is lines for one, lines in zip(people[1:], kept[1:], strict=True)] == [True] * 3
    assert web.lines(people[0]) is not kept[0]
    assert len(web) == 3


async def test_one_that_was_renewed_is_not_the_oldest_any_more() -> None:
    web = relay(KEYS, most=3)
    web.lines(ALICE)
    await asyncio.sleep(20)
    web.lines(BOB)
    await asyncio.sleep(15)
    renewed = web.lines(ALICE)
    for name in ("carol", "dave"):
        web.lines(Principal("https://id.test", name))
    assert web.lines(ALICE) is renewed


@given(st.lists(PRINCIPALS, min_size=2, max_size=6))
def test_whoever_differs_in_anything_has_a_token_of_their_own(people: list[Principal]) -> None:
    web = relay(KEYS, clock=lambda: NOW)
    assert len({web.lines(one) for one in people * 2}) == len(set(people))


async def test_two_services_are_never_told_in_the_same_words() -> None:
    one, other = relay(KEYS), relay(KEYS, audience="reviews")
    assert learnt(other.lines(ALICE), audience="reviews")["sub"] == "alice"
    with pytest.raises(JoseError):
        learnt(one.lines(ALICE), audience="reviews")
