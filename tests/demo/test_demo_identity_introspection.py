"""What the identity provider says about tokens and users, and how tokens are given back."""

import pytest

from demo.identity.clients import load
from tests.identity import ACME, ASKED, GATEWAY, ISSUER, WEB, Identity

INACTIVE = {"active": False}


async def test_whoever_is_shown_a_token_can_ask_what_it_is_worth(identity):
    token = (await identity.log_in())["access_token"]
    said = await identity.introspect(token)
    claims = await identity.claims(token, typ="at+jwt", aud="store")
    assert said == {"active": True, "token_type": "Bearer", "username": "alice", **claims}


async def test_a_program_has_no_username(identity):
    token = (await identity.token(ACME, grant_type="client_credentials")).json()["access_token"]
    said = await identity.introspect(token)
    assert (said["active"], said["sub"], said["client_id"], said["iss"]) == (True, "acme", "acme", ISSUER)
    assert "username" not in said


async def test_of_what_is_no_access_token_nothing_is_said(identity):
    tokens = await identity.log_in()
    for text in ("nonsense", "é", tokens["refresh_token"], tokens["id_token"], tokens["access_token"] + "x"):
        assert await identity.introspect(text) == INACTIVE


async def test_only_those_who_may_can_ask_and_only_about_what_is_meant_for_them(identity, keys):
    token = (await identity.log_in())["access_token"]
    for auth, status, error in ((None, 401, "invalid_client"), (WEB, 403, "unauthorized_client")):
        reply = await identity.http.post("/introspect", data={"token": token}, auth=auth)
        assert (reply.status_code, reply.json()["error"]) == (status, error)
    reply = await identity.http.post("/introspect", data={}, auth=GATEWAY)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")

    ours = load()
    elsewhere = Identity(keys, {**ours, "gateway": ours["gateway"].model_copy(update={"audiences": ("elsewhere",)})})
    assert await elsewhere.introspect((await elsewhere.log_in())["access_token"]) == INACTIVE


async def test_an_access_token_that_is_given_back_is_worth_nothing_and_the_rest_of_its_family_is(identity):
    tokens = await identity.log_in()
    assert (await identity.revoke(tokens["access_token"])).status_code == 200
    assert await identity.introspect(tokens["access_token"]) == INACTIVE
    assert (await identity.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_is_given_back_takes_its_family_along(identity):
    first = await identity.log_in()
    second = (await identity.refresh(first["refresh_token"])).json()
    assert (await identity.revoke(second["refresh_token"])).status_code == 200
    for tokens in (first, second):
        assert await identity.introspect(tokens["access_token"]) == INACTIVE
    assert (await identity.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"


async def test_giving_back_what_is_unknown_is_no_error_and_what_is_anothers_is(identity):
    tokens = await identity.log_in()
    assert (await identity.revoke("nonsense")).status_code == 200
    for text in (tokens["access_token"], tokens["refresh_token"]):
        reply = await identity.revoke(text, ACME)
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")
    reply = await identity.revoke(tokens["access_token"], ("web", "guess"))
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
    reply = await identity.http.post("/revoke", data={}, auth=WEB)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert (await identity.introspect(tokens["access_token"]))["active"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_userinfo_tells_what_the_scopes_allow(identity, method):
    known = {
        "openid": {"sub": "alice"},
        "openid profile": {"sub": "alice", "name": "Alice Archer", "preferred_username": "alice"},
        "openid email": {"sub": "alice", "email": "alice@example.org", "email_verified": False},
    }
    for scope, claims in known.items():
        token = (await identity.log_in(asked=ASKED | {"scope": scope}))["access_token"]
        reply = await identity.http.request(method, "/userinfo", headers={"authorization": f"Bearer {token}"})
        assert (reply.status_code, reply.json()) == (200, claims)


async def test_userinfo_is_for_tokens_of_openid(identity):
    users = (await identity.log_in(asked=ASKED | {"scope": "orders:read"}))["access_token"]
    programs = (await identity.token(ACME, grant_type="client_credentials")).json()["access_token"]
    for token in (users, programs):
        reply = await identity.http.get("/userinfo", headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 403
        assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


async def test_userinfo_is_for_nobody_else(identity):
    tokens = await identity.log_in()
    reply = await identity.http.get("/userinfo")
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    await identity.revoke(tokens["access_token"])
    for shown in (f"Bearer {tokens['access_token']}", f"Bearer {tokens['id_token']}", "Basic x", "Bearer", "Bearer é"):
        headers = {"authorization": shown.encode()}
        reply = await identity.http.get("/userinfo", headers=headers)
        assert reply.status_code == 401, shown
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]
