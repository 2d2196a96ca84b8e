"""What the identity provider says about itself, its keys and its clients."""

import json
import stat

import pytest

from demo.identity.app import ISSUER, create_identity
from demo.identity.clients import load
from tests.identity import ACME, ASKED, Identity

WELL_KNOWN = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


async def test_both_documents_say_the_same(identity):
    first, second = [(await identity.http.get(path)) for path in WELL_KNOWN]
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/json"
    assert first.json() == second.json()


async def test_it_says_what_it_can_do_and_where(identity):
    said = (await identity.http.get(WELL_KNOWN[0])).json()
    assert said["issuer"] == ISSUER
    assert all(said[name].startswith(f"{ISSUER}/") for name in said if name.endswith(("_endpoint", "_uri")))
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["response_types_supported"] == ["code"]
    assert said["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert said["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["backchannel_logout_session_supported"] is True
    assert said["request_uri_parameter_supported"] is False
    assert said["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post", "none"]
    assert said["introspection_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]


async def test_everything_it_names_is_there(identity):
    said = (await identity.http.get(WELL_KNOWN[0])).json()
    for name in (name for name in said if name.endswith(("_endpoint", "_uri"))):
        reply = await identity.http.get(said[name])
        assert reply.status_code != 404, name


async def test_the_keys_are_public_ones(identity):
    keys = (await identity.http.get("/jwks")).json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("EC", "ES256", "sig"), ("RSA", "RS256", "sig")]
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}


async def test_after_a_rotation_new_keys_sign_and_old_tokens_can_still_be_verified(tmp_path):
    identity = Identity(tmp_path)
    old = (await identity.log_in())["access_token"]
    before = (await identity.http.get("/jwks")).json()["keys"]
    kids = (await identity.http.post("/_rotate")).json()["kids"]
    new = (await identity.log_in())["access_token"]
    for token in (old, new):
        await identity.claims(token, typ="at+jwt", aud="store")
    assert kids[2:] == [key["kid"] for key in before]
    for _ in range(3):
        kids = (await identity.http.post("/_rotate")).json()["kids"]
    assert len(kids) == len((await identity.http.get("/jwks")).json()["keys"]) == 6


async def test_keys_outlive_the_process_and_nothing_else_does(tmp_path):
    identity = Identity(tmp_path)
    await identity.http.post("/_rotate")
    tokens = await identity.log_in()
    again = Identity(tmp_path)
    assert (await again.http.get("/jwks")).json() == (await identity.http.get("/jwks")).json()
    await again.claims(tokens["access_token"], typ="at+jwt", aud="store")
    assert await again.introspect(tokens["access_token"]) == {"active": False}
    assert (await again.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_only_its_owner_may_read_the_keys(tmp_path):
    Identity(tmp_path)
    file = tmp_path / "identity-keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {key["kty"] for key in json.loads(file.read_text())["keys"]} == {"EC", "RSA"}
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "identity-keys.json"}


@pytest.mark.parametrize("issuer", ["", "x", "http://a/", "http://a/b", "http://a?b", "ftp://a", "//a", "http://"])
def test_an_issuer_that_is_no_origin_stops_the_start(keys, issuer):
    with pytest.raises(ValueError, match="is no issuer"):
        create_identity(keys, load(), issuer=issuer)


def test_the_clients_of_the_demo():
    clients = load()
    assert list(clients) == ["web", "mobile", "acme", "gateway"]
    assert [name for name, client in clients.items() if client.secret is None] == ["mobile"]
    assert [name for name, client in clients.items() if client.introspects] == ["gateway"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[web", "Expected"),
        ("web = 1", "not a mapping"),
        ("[web]\nsecret = 'x'", "Client.name: Field required"),
        ("[web]\nname = 'x'\ncolour = 'red'", "Client.colour: Extra inputs"),
        ("[web]\nname = 'x'\ngrants = ['password']", "Client.grants.0: Input should be"),
        ("[web]\nname = 'x'\ngrants = ['client_credentials']", "it needs a secret"),
        ("[web]\nname = 'x'\nintrospects = true", "it needs a secret"),
        ("[web]\nname = 'x'\nredirect_uris = ['/callback']", "is no absolute URI"),
        ("[web]\nname = 'x'\nredirect_uris = ['http:///callback']", "is no absolute URI"),
        ("[web]\nname = 'x'\nredirect_uris = ['http://a/b#c']", "is no absolute URI"),
    ],
)
def test_a_file_of_clients_that_makes_no_sense_is_one_line(tmp_path, text, reason):
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=reason) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


async def test_it_has_a_fault_switch_and_health_as_every_service(identity):
    assert (await identity.http.get("/health")).json() == {"status": "ok", "service": "identity"}
    await identity.http.put("/_fault", json={"error_rate": 1})
    reply = await identity.token(ACME, grant_type="client_credentials")
    assert (reply.status_code, reply.json()["detail"]) == (500, "identity was told to fail")
    assert (await identity.browser().open(ASKED)).status_code == 500
    await identity.http.delete("/_fault")
    assert (await identity.token(ACME, grant_type="client_credentials")).status_code == 200
    assert (await identity.http.get("/nowhere")).json()["error"] == "not_found"
