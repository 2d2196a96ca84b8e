"""Where the identity provider sends browsers, and where it never does."""

import pytest

from demo.identity.app import ISSUER
from demo.identity.clients import load
from tests.identity import ACME, APP, ASKED, PASSWORDS, Identity, returned, without

LOOPBACK = "http://127.0.0.1/callback"


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        "http://localhost:8000/login/callback/",
        "http://localhost:8000/login/callback?x=1",
        "http://localhost:8000/login/callback#x",
        "http://localhost:8000/login/callback/../evil",
        "http://localhost:8000/login/Callback",
        "http://LOCALHOST:8000/login/callback",
        "http://localhost:8001/login/callback",
        "http://localhost/login/callback",
        "https://localhost:8000/login/callback",
        "http://127.0.0.1:8000/login/callback",
        "http://localhost:8000@evil.test/login/callback",
        "http://localhost:8000.evil.test/login/callback",
        "http://evil.test/?http://localhost:8000/login/callback",
        "//localhost:8000/login/callback",
        " http://localhost:8000/login/callback",
        "http://localhost:8000/login%2Fcallback",
        "javascript:alert(1)",
        LOOPBACK,
    ],
)
async def test_a_place_that_is_not_registered_to_the_letter_is_an_error_page(identity, uri):
    asked = without(ASKED, "redirect_uri") | ({} if uri is None else {"redirect_uri": uri})
    logged_in = identity.browser()
    await logged_in.log_in()
    for browser in (identity.browser(), logged_in):
        for reply in (await browser.open(asked), await browser.open(asked | {"prompt": "none"})):
            assert reply.status_code == 400
            assert "location" not in reply.headers
            assert reply.headers["content-type"].startswith("text/html")
            assert "Something is wrong" in reply.text


@pytest.mark.parametrize("client", [None, "", "nobody", "WEB", "web "])
async def test_a_client_that_is_not_registered_is_an_error_page(identity, client):
    asked = without(ASKED, "client_id") | ({} if client is None else {"client_id": client})
    reply = await identity.browser().open(asked)
    assert (reply.status_code, reply.headers.get("location")) == (400, None)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_two_places_to_go_to_are_an_error_page_even_when_they_are_one(identity, name):
    reply = await identity.browser().open([*ASKED.items(), (name, ASKED[name])])
    assert (reply.status_code, reply.headers.get("location")) == (400, None)


async def test_the_login_form_is_no_way_around(identity):
    browser = identity.browser()
    for asked in (ASKED | {"redirect_uri": "http://evil.test/"}, ASKED | {"client_id": "nobody"}):
        form = {"username": "alice", "password": PASSWORDS["alice"]}
        reply = await browser.http.post("/login", params=asked, data=form)
        assert (reply.status_code, reply.headers.get("location")) == (400, None)


@pytest.mark.parametrize("uri", [LOOPBACK, "http://127.0.0.1:49152/callback", "http://127.0.0.1:1/callback"])
async def test_an_app_on_this_machine_may_listen_on_any_port(identity, uri):
    reply = await identity.browser().log_in(asked=APP | {"redirect_uri": uri})
    assert reply.headers["location"].startswith(f"{uri}?code=")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/callback/x",
        "http://127.0.0.1:49152/callback#x",
        "http://127.0.0.1:49152@evil.test/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1.evil.test/callback",
        "http://127.0.0.2/callback",
        "http://localhost:49152/callback",
        "https://127.0.0.1:49152/callback",
        "http://127.0.0.1:49152\n/callback",
        "http://127.0.0.1:49152/callback\n",
        "http://127.0.0.1:49152/callback evil",
        "org.example.bookshop://callback",
        "org.example.evil:/callback",
    ],
)
async def test_and_on_nothing_else(identity, uri):
    reply = await identity.browser().open(APP | {"redirect_uri": uri})
    assert (reply.status_code, reply.headers.get("location")) == (400, None)


async def test_a_server_has_its_port_and_no_other(keys):
    web = load()["web"].model_copy(update={"redirect_uris": (LOOPBACK,)})
    identity = Identity(keys, {"web": web})
    for uri, status in ((LOOPBACK, 200), ("http://127.0.0.1:49152/callback", 400)):
        assert (await identity.browser().open(ASKED | {"redirect_uri": uri})).status_code == status


@pytest.mark.parametrize("state", ["a b+c%20&d=e#f?g/h", "åß☃", '"><script>', "x" * 2000, "code=evil&iss=evil"])
async def test_the_state_of_a_client_comes_back_untouched(identity, state):
    browser = identity.browser()
    answer = returned(await browser.log_in(asked=ASKED | {"state": state}))
    assert (answer["state"], answer["iss"]) == (state, ISSUER)
    assert returned(await browser.open(ASKED | {"state": state, "response_type": "token"}))["state"] == state


async def test_a_client_without_state_gets_none(identity):
    assert returned(await identity.browser().log_in(asked=without(ASKED, "state"))).keys() == {"code", "iss"}


WRONG = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": ""}, "invalid_request"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "form_post"}, "invalid_request"),
    ({"code_challenge": ""}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge": "+" * 43}, "invalid_request"),
    ({"code_challenge_method": ""}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"scope": ""}, "invalid_scope"),
    ({"scope": "admin"}, "invalid_scope"),
    ({"resource": "https://elsewhere.test"}, "invalid_target"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "create"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://evil.test/request"}, "request_uri_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
]


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(("wrong", "error"), WRONG)
async def test_what_is_wrong_otherwise_is_told_to_the_client(identity, wrong, error, public):
    reply = await identity.browser().open((APP if public else ASKED) | wrong)
    answer = returned(reply)
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "st4te", ISSUER)
    assert answer.keys() == {"error", "error_description", "state", "iss"}


@pytest.mark.parametrize("name", ["scope", "nonce", "code_challenge", "extra"])
async def test_a_parameter_that_is_sent_twice_is_wrong(identity, name):
    reply = await identity.browser().open([*(ASKED | {"extra": "1"}).items(), (name, "again")])
    assert (returned(reply)["error"], returned(reply)["state"]) == ("invalid_request", "st4te")


async def test_a_state_that_is_sent_twice_is_not_sent_back(identity):
    answer = returned(await identity.browser().open([*ASKED.items(), ("state", "other")]))
    assert answer.keys() == {"error", "error_description", "iss"}


async def test_a_client_that_acts_for_itself_alone_sends_nobody_here(identity):
    reply = await identity.browser().open(ASKED | {"client_id": ACME[0]})
    assert reply.status_code == 400  # it has nowhere to be sent back to


@pytest.mark.parametrize("query", ["client_id=%ff", "x=" + "y" * 17_000, "&".join(f"p{n}=1" for n in range(60))])
async def test_a_request_that_cannot_be_read_is_an_error_page(identity, query):
    reply = await identity.http.get(f"/authorize?{query}")
    assert (reply.status_code, reply.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert (await identity.http.post(f"/login?{query}", data={"username": "alice"})).status_code == 400


async def test_scopes_that_a_client_may_not_have_are_passed_over_and_the_answer_says_so(identity):
    tokens = await identity.log_in(asked=ASKED | {"scope": "openid admin openid orders:read offline_access"})
    assert tokens["scope"] == "openid orders:read"
