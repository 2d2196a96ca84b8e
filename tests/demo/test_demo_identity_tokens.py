"""What clients get from the identity provider, and what they and thieves do not."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256

import pytest

from demo.identity.app import ISSUER
from demo.identity.clients import load
from tests.identity import ACME, APP, ASKED, VERIFIER, Identity

ITSELF = {"grant_type": "client_credentials"}
MOBILE, PUBLIC_API = "urn:bookshop:mobile", "urn:bookshop:public-api"


async def refused(reply, status=400):
    """The error of a refusal that looks as RFC 6749, section 5.2, wants it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json().keys() == {"error", "error_description"}
    return reply.json()["error"]


async def test_a_code_becomes_tokens_that_anybody_can_verify(identity):
    reply = await identity.redeem(await identity.browser().code())
    tokens = reply.json()
    assert reply.headers["cache-control"] == "no-store"
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, ASKED["scope"])

    now = int(identity.now)
    access = await identity.claims(tokens["access_token"], typ="at+jwt", aud="store")
    sid = access.pop("sid")
    assert len(access.pop("jti")) > 16
    assert access == {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "store",
        "client_id": "web",
        "scope": ASKED["scope"],
        "iat": now,
        "exp": now + 300,
        "auth_time": now,
    }
    half = sha256(tokens["access_token"].encode()).digest()[:16]
    assert await identity.claims(tokens["id_token"], typ="JWT", aud="web") == {
        "iss": ISSUER,
        "sub": "alice",
        "name": "Alice Archer",
        "preferred_username": "alice",
        "email": "alice@example.org",
        "email_verified": False,
        "aud": "web",
        "iat": now,
        "exp": now + 300,
        "auth_time": now,
        "nonce": "n0nce",
        "sid": sid,
        "at_hash": urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


async def test_an_app_needs_no_secret_and_cannot_have_one(identity):
    form = {"grant_type": "authorization_code", "redirect_uri": APP["redirect_uri"], "code_verifier": VERIFIER}
    code = await identity.browser().code(asked=APP)
    assert await refused(await identity.token(**form, code=code), 401) == "invalid_client"
    assert await refused(await identity.token(("mobile", ""), **form, code=code), 401) == "invalid_client"
    with_secret = form | {"client_id": "mobile", "client_secret": "guess"}
    assert await refused(await identity.token(**with_secret, code=code), 401) == "invalid_client"
    tokens = (await identity.token(**form, client_id="mobile", code=code)).json()
    assert (await identity.claims(tokens["access_token"], typ="at+jwt", aud=MOBILE))["client_id"] == "mobile"
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "mobile"}
    assert (await identity.token(**again)).status_code == 200


async def test_a_program_gets_tokens_for_itself(identity):
    tokens = (await identity.token(ACME, **ITSELF)).json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = await identity.claims(tokens["access_token"], typ="at+jwt", aud=PUBLIC_API)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("acme", "acme", "products:read")
    assert not claims.keys() & {"sid", "auth_time"}


async def test_a_program_gets_no_more_than_it_may_have(identity):
    assert await refused(await identity.token(ACME, **ITSELF, scope="orders:read")) == "invalid_scope"
    assert await refused(await identity.token(ACME, **ITSELF, scope="products:read admin")) == "invalid_scope"
    assert await refused(await identity.token(ACME, **ITSELF, resource="elsewhere")) == "invalid_target"
    assert await refused(await identity.token(ACME, **ITSELF, resource=MOBILE)) == "invalid_target"
    assert (await identity.token(ACME, **ITSELF, resource=PUBLIC_API)).status_code == 200


async def test_the_lifetime_of_tokens_is_a_setting(keys):
    identity = Identity(keys, access_lifetime=7)
    tokens = await identity.log_in()
    claims = await identity.claims(tokens["access_token"], typ="at+jwt", aud="store")
    assert tokens["expires_in"] == claims["exp"] - claims["iat"] == 7
    identity.now += 6
    assert (await identity.introspect(tokens["access_token"]))["active"]
    identity.now += 1
    assert not (await identity.introspect(tokens["access_token"]))["active"]


async def test_a_client_may_have_other_signatures_other_audiences_or_opaque_tokens(keys):
    ours = load()
    rsa = ours["acme"].model_copy(update={"algorithm": "RS256", "audiences": ("store", "https://api.test")})
    identity = Identity(keys, {**ours, "acme": rsa, "web": ours["web"].model_copy(update={"opaque": True})})
    token = (await identity.token(ACME, **ITSELF, resource="https://api.test")).json()["access_token"]
    assert (await identity.claims(token, typ="at+jwt", aud="https://api.test", alg="RS256"))["sub"] == "acme"
    opaque = await identity.log_in()
    assert "." not in opaque["access_token"]
    assert (await identity.introspect(opaque["access_token"]))["sub"] == "alice"
    await identity.claims(opaque["id_token"], typ="JWT", aud="web")


async def test_a_code_that_is_used_twice_takes_back_what_it_gave(identity):
    code = await identity.browser().code()
    tokens = (await identity.redeem(code)).json()
    assert (await identity.introspect(tokens["access_token"]))["active"]
    assert await refused(await identity.redeem(code)) == "invalid_grant"
    assert not (await identity.introspect(tokens["access_token"]))["active"]
    assert await refused(await identity.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_even_minutes_later(identity):
    code = await identity.browser().code()
    tokens = (await identity.redeem(code)).json()
    identity.now += 250
    assert await refused(await identity.redeem(code)) == "invalid_grant"
    assert not (await identity.introspect(tokens["access_token"]))["active"]


async def test_a_code_lasts_a_minute(identity):
    first, second = await identity.browser().code(), await identity.browser().code()
    identity.now += 59
    assert (await identity.redeem(first)).status_code == 200
    identity.now += 1
    assert await refused(await identity.redeem(second)) == "invalid_grant"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": VERIFIER + "x"}, "invalid_grant"),
        ({"code_verifier": ASKED["code_challenge"]}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": "é" * 43}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:8000/"}, "invalid_grant"),
        ({"redirect_uri": ASKED["redirect_uri"] + "/"}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"code": "guess"}, "invalid_grant"),
        ({"resource": "elsewhere"}, "invalid_target"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
    ],
)
async def test_a_code_is_worth_nothing_to_who_does_not_know_what_it_is_bound_to(identity, wrong, error):
    assert await refused(await identity.redeem(await identity.browser().code(), **wrong)) == error


@pytest.mark.parametrize("verifier", ["too-short", "x" * 129, "x" * 42 + "="])
async def test_a_verifier_that_is_none_will_not_do_even_where_it_fits(identity, verifier):
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = await identity.browser().code(asked=ASKED | {"code_challenge": challenge})
    assert await refused(await identity.redeem(code, code_verifier=verifier)) == "invalid_grant"


async def test_a_code_is_spent_by_the_first_wrong_verifier(identity):
    code = await identity.browser().code()
    assert await refused(await identity.redeem(code, code_verifier="x" * 43)) == "invalid_grant"
    assert await refused(await identity.redeem(code)) == "invalid_grant"


async def test_the_code_of_one_client_is_worth_nothing_to_another(identity):
    code = await identity.browser().code()
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    form |= {"redirect_uri": ASKED["redirect_uri"], "client_id": "mobile"}
    assert await refused(await identity.token(**form)) == "invalid_grant"
    assert (await identity.redeem(code)).status_code == 200


async def test_a_code_is_worth_nothing_after_a_logout(identity):
    code = await identity.browser().code()
    await identity.http.post("/_logout_user/alice")
    assert await refused(await identity.redeem(code)) == "invalid_grant"


async def test_a_refresh_token_is_new_every_time_and_so_is_what_comes_with_it(identity):
    first = await identity.log_in()
    identity.now += 200
    second = (await identity.refresh(first["refresh_token"])).json()
    assert second.keys() == first.keys()
    assert second["refresh_token"] != first["refresh_token"]
    before, after = [await identity.claims(one["id_token"], typ="JWT", aud="web") for one in (first, second)]
    assert "nonce" not in after
    assert after["iat"] == before["iat"] + 200
    assert [after[name] for name in ("sub", "sid", "auth_time")] == [
        before[name] for name in ("sub", "sid", "auth_time")
    ]
    assert (await identity.refresh(second["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_is_used_twice_ends_its_whole_family_and_no_other(identity):
    other = await identity.log_in()
    stolen = await identity.log_in()
    tokens = (await identity.refresh(stolen["refresh_token"])).json()
    assert await refused(await identity.refresh(stolen["refresh_token"])) == "invalid_grant"
    assert await refused(await identity.refresh(tokens["refresh_token"])) == "invalid_grant"
    for one in (stolen, tokens):
        assert not (await identity.introspect(one["access_token"]))["active"]
    assert (await identity.introspect(other["access_token"]))["active"]
    assert (await identity.refresh(other["refresh_token"])).status_code == 200


async def test_refreshing_asks_for_less_and_never_for_more(identity):
    tokens = await identity.log_in(asked=ASKED | {"scope": "openid orders:read"})
    for scope in ("openid orders:read email", "products:read", " "):
        reply = await identity.refresh(tokens["refresh_token"], scope=scope)
        assert await refused(reply) == "invalid_scope"
    less = (await identity.refresh(tokens["refresh_token"], scope="orders:read")).json()
    assert less["scope"] == "orders:read"
    assert (await identity.introspect(less["access_token"]))["scope"] == "orders:read"
    assert (await identity.refresh(less["refresh_token"])).json()["scope"] == "openid orders:read"


async def test_a_refresh_token_of_one_client_is_worth_nothing_to_another(identity):
    tokens = await identity.log_in()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "mobile"}
    assert await refused(await identity.token(**form)) == "invalid_grant"
    assert (await identity.refresh(tokens["refresh_token"])).status_code == 200


async def test_however_often_it_is_refreshed_a_login_lasts_twelve_hours(identity):
    token = (await identity.log_in())["refresh_token"]
    for _ in range(11):
        identity.now += 3600
        token = (await identity.refresh(token)).json()["refresh_token"]
    identity.now += 3600
    assert await refused(await identity.refresh(token)) == "invalid_grant"


async def test_without_openid_there_is_no_id_token(identity):
    assert "id_token" not in await identity.log_in(asked=ASKED | {"scope": "orders:read"})


async def test_a_client_may_show_its_secret_in_two_ways_but_one_at_a_time(identity):
    name, secret = ACME
    shown = {"client_id": name, "client_secret": secret}
    assert (await identity.token(**ITSELF, **shown)).status_code == 200
    assert (await identity.token(ACME, **ITSELF, client_id=name)).status_code == 200
    assert await refused(await identity.token(ACME, **ITSELF, **shown)) == "invalid_request"
    assert await refused(await identity.token(ACME, **ITSELF, client_id="web")) == "invalid_request"


async def test_a_secret_of_odd_characters_is_encoded_twice(keys):
    secret = "p%40ss: w+örd&"
    odd = load()["acme"].model_copy(update={"secret": secret})
    identity = Identity(keys, {"acme": odd})
    reply = await identity.token(("acme", "p%2540ss%3A+w%2B%C3%B6rd%26"), **ITSELF)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic " + b64encode(b"acme:wrong").decode(),
        "Basic " + b64encode(b"acme:").decode(),
        "Basic " + b64encode(b"acme").decode(),
        "Basic " + b64encode(b"nobody:secret").decode(),
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Basic " + b64encode(b"mobile:").decode(),
        "Basic ???",
        "Bearer x",
        "Basic",
        "",
    ],
)
async def test_a_client_that_proves_nothing_gets_nothing(identity, authorization):
    reply = await identity.http.post("/token", data=ITSELF, headers={"authorization": authorization})
    assert await refused(reply, 401) == "invalid_client"
    assert reply.headers["www-authenticate"].startswith("Basic ")


async def test_assertions_prove_nothing_signed_or_not(identity):
    unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJhY21lIiwic3ViIjoiYWNtZSJ9."
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = ITSELF | {"client_assertion": unsigned, "client_assertion_type": kind, "client_id": "acme"}
    assert await refused(await identity.token(**form), 401) == "invalid_client"
    assert await refused(await identity.token(ACME, **form), 401) == "invalid_client"


async def test_what_is_sent_twice_or_is_no_form_is_refused(identity):
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (
        await refused(await identity.http.post("/token", content=twice, headers=form, auth=ACME)) == "invalid_request"
    )
    assert await refused(await identity.http.post("/token", json=ITSELF, auth=ACME)) == "invalid_request"
    large = {"scope": "x" * 20_000}
    assert await refused(await identity.http.post("/token", data=large, auth=ACME), 413) == "invalid_request"
    assert (await identity.http.get("/token", params=ITSELF)).status_code == 405


async def test_a_client_without_refresh_tokens_gets_none(keys):
    ours = load()
    web = ours["web"].model_copy(update={"grants": ("authorization_code",)})
    identity = Identity(keys, {"web": web})
    assert "refresh_token" not in await identity.log_in()
    assert await refused(await identity.refresh("x")) == "unauthorized_client"


async def test_tokens_of_another_provider_are_worth_nothing_here(identity, keys):
    other = Identity(keys, issuer="https://other.test")
    tokens = await other.log_in()
    assert not (await identity.introspect(tokens["access_token"]))["active"]
    assert await refused(await identity.refresh(tokens["refresh_token"])) == "invalid_grant"
