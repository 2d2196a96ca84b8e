"""The end of sessions at the identity provider, and how clients learn of it."""

import asyncio
from urllib.parse import parse_qs

import pytest

from demo.identity.clients import load
from tests.identity import APP, ASKED, ISSUER, WEB, Identity, returned
from tests.store import answer

HOME = "http://localhost:8000/"
FORM = b"application/x-www-form-urlencoded"


class Listening:
    """A client that hears of logouts."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.paths: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        assert (b"content-type", FORM) in scope["headers"]
        (token,) = parse_qs((await receive())["body"].decode())["logout_token"]
        self.heard.append(token)
        self.paths.append(f"{dict(scope['headers'])[b'host'].decode()}{scope['path']}")
        await answer(b"")(scope, receive, send)


@pytest.fixture
def web() -> Listening:
    return Listening()


@pytest.fixture
def identity(keys, web) -> Identity:
    return Identity(keys, answering=web)


async def logged_in(identity, asked=ASKED):
    browser = identity.browser()
    return browser, (await identity.redeem(await browser.code(asked=asked))).json()


async def test_a_client_logs_its_user_out_and_has_the_browser_back(identity):
    browser, tokens = await logged_in(identity)
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": HOME, "state": "s &="}
    reply = await browser.http.get("/end_session", params=wish)
    assert reply.headers["location"].startswith(f"{HOME}?state=")
    assert returned(reply) == {"state": "s &="}
    assert "identity_session" not in browser.http.cookies
    assert (await browser.open()).status_code == 200
    assert not (await identity.introspect(tokens["access_token"]))["active"]
    assert (await identity.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_without_state_there_is_none(identity):
    browser, tokens = await logged_in(identity)
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": HOME}
    assert (await browser.http.post("/end_session", data=wish)).headers["location"] == HOME


async def test_an_id_token_that_has_expired_will_do_and_so_will_one_of_old_keys(tmp_path, web):
    identity = Identity(tmp_path, answering=web)
    browser, tokens = await logged_in(identity)
    identity.now += 3600
    await identity.http.post("/_rotate")
    reply = await browser.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert "You are signed out" in reply.text
    assert (await browser.open()).status_code == 200


async def test_the_client_is_told_by_a_token_that_anybody_can_verify(identity, web):
    _, tokens = await logged_in(identity)
    session = await identity.claims(tokens["id_token"], typ="JWT", aud="web")
    await identity.http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert web.paths == ["localhost:8000/logout/backchannel"]
    claims = await identity.claims(web.heard[0], typ="logout+jwt", aud="web")
    assert len(claims.pop("jti")) > 16
    assert claims == {
        "iss": ISSUER,
        "aud": "web",
        "sub": "alice",
        "sid": session["sid"],
        "iat": int(identity.now),
        "exp": int(identity.now) + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }


async def test_clients_that_never_knew_of_the_session_are_not_told(identity, web):
    browser = identity.browser()
    await browser.log_in(asked=APP)
    page = await browser.http.get("/end_session")
    assert "You are signed out" in (await browser.send(page)).text
    assert web.heard == []


async def test_without_an_id_token_the_user_is_asked_first(identity, web):
    browser, tokens = await logged_in(identity)
    wish = {"client_id": "web", "post_logout_redirect_uri": HOME, "state": "x"}
    page = await browser.http.get("/end_session", params=wish)
    assert page.status_code == 200
    assert "You are signed in as Alice Archer." in page.text
    assert "form-action 'self' http://localhost:8000;" in page.headers["content-security-policy"]
    assert (await identity.introspect(tokens["access_token"]))["active"]
    reply = await browser.send(page)
    assert reply.headers["location"] == f"{HOME}?state=x"
    assert not (await identity.introspect(tokens["access_token"]))["active"]
    assert len(web.heard) == 1


async def test_a_page_elsewhere_cannot_log_anybody_out(identity):
    browser, tokens = await logged_in(identity)
    theirs, _ = await logged_in(identity)
    page = await theirs.http.get("/end_session")
    proof = page.text.partition('name="proof" value="')[2].partition('"')[0]
    for form in ({"x": "y"}, {"proof": proof}, {"proof": "é"}):
        assert (await browser.http.post("/logout", data=form)).status_code == 403
    bobs = await identity.log_in("bob")
    page = await browser.http.get("/end_session", params={"id_token_hint": bobs["id_token"]})
    assert "You are signed in as Alice Archer." in page.text
    for one in (tokens, bobs):
        assert (await identity.introspect(one["access_token"]))["active"]


async def test_a_client_that_the_browser_comes_from_without_cookies_can_still_end_its_session(identity):
    browser, tokens = await logged_in(identity)
    reply = await identity.caller().post("/end_session", data={"id_token_hint": tokens["id_token"]})
    assert "You are signed out" in reply.text
    assert (await browser.open()).status_code == 200


async def test_who_is_not_logged_in_is_signed_out_already(identity):
    caller = identity.caller()
    assert "You are signed out" in (await caller.get("/end_session")).text
    wish = {"client_id": "web", "post_logout_redirect_uri": HOME}
    assert (await caller.get("/end_session", params=wish)).headers["location"] == HOME
    assert (await caller.post("/logout", params=wish, data={"x": "y"})).headers["location"] == HOME


@pytest.mark.parametrize(
    "wish",
    [
        {"post_logout_redirect_uri": HOME},
        {"post_logout_redirect_uri": HOME, "client_id": "nobody"},
        {"post_logout_redirect_uri": HOME, "client_id": "mobile"},
        {"post_logout_redirect_uri": HOME, "id_token_hint": "nonsense"},
        {"post_logout_redirect_uri": "http://evil.test/", "client_id": "web"},
        {"post_logout_redirect_uri": "http://localhost:8000", "client_id": "web"},
        {"post_logout_redirect_uri": "http://localhost:8000/x", "client_id": "web"},
        {"post_logout_redirect_uri": ASKED["redirect_uri"], "client_id": "web"},
    ],
)
async def test_a_place_that_is_not_registered_is_an_error_page_and_nobody_is_logged_out(identity, wish):
    browser, _ = await logged_in(identity)
    for reply in (await browser.http.get("/end_session", params=wish), await browser.http.post("/logout", params=wish)):
        assert (reply.status_code, reply.headers.get("location")) == (400, None)
    assert (await browser.open()).status_code == 303


async def test_one_client_cannot_use_the_token_of_another(identity):
    browser, tokens = await logged_in(identity)
    wish = {"id_token_hint": tokens["id_token"], "client_id": "mobile"}
    assert (await browser.http.get("/end_session", params=wish)).status_code == 400
    twice = [("client_id", "web"), ("client_id", "web")]
    assert (await browser.http.get("/end_session", params=twice)).status_code == 400
    access = {"id_token_hint": tokens["access_token"]}
    assert "Sign out?" in (await browser.http.get("/end_session", params=access)).text


async def test_an_operator_logs_a_user_out_everywhere(identity, web):
    _, first = await logged_in(identity)
    _, second = await logged_in(identity)
    bobs = await identity.log_in("bob")
    reply = await identity.http.post("/_logout_user/alice")
    assert reply.json() == {"sessions": 2, "told": [{"web": "told"}, {"web": "told"}]}
    assert len(web.heard) == 2
    for tokens in (first, second):
        assert not (await identity.introspect(tokens["access_token"]))["active"]
    assert (await identity.introspect(bobs["access_token"]))["active"]
    assert (await identity.http.post("/_logout_user/alice")).json() == {"sessions": 0, "told": []}
    assert (await identity.http.post("/_logout_user/mallory")).json()["error"] == "unknown_user"


@pytest.mark.parametrize(
    "header", [{"origin": "http://evil.test"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
async def test_what_is_for_operators_is_not_for_pages(identity, header):
    browser, _ = await logged_in(identity)
    for path in ("/_logout_user/alice", "/_rotate"):
        assert (await identity.http.post(path, headers=header)).status_code == 403
    assert (await browser.open()).status_code == 303


async def broken(scope, receive, send):
    raise ConnectionResetError


async def silent(scope, receive, send):
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    ("receiver", "outcome"),
    [
        (answer(b"", status=204), "told"),
        (answer(b"", status=400), "it answered 400"),
        (answer(b"", status=500), "it answered 500"),
        (answer(b"", status=302), "it answered 302"),
        (broken, "ConnectionResetError"),
        (silent, "TimeoutError"),
    ],
)
async def test_a_client_that_does_not_listen_is_logged_and_keeps_nobody_logged_in(keys, caplog, receiver, outcome):
    identity = Identity(keys, answering=receiver)
    browser, tokens = await logged_in(identity)
    start = asyncio.get_running_loop().time()
    reply = await identity.http.post("/_logout_user/alice")
    assert reply.json() == {"sessions": 1, "told": [{"web": outcome}]}
    assert asyncio.get_running_loop().time() - start <= 2
    assert (await browser.open()).status_code == 200
    assert not (await identity.introspect(tokens["access_token"]))["active"]
    logged = [record.getMessage() for record in caplog.records if record.name == "demo.identity"]
    assert logged == ([] if outcome == "told" else [f"identity: web was not told of a logout: {outcome}"])


async def test_all_clients_are_told_at_once(keys):
    ours = load()
    second = ours["web"].model_copy(update={"id": "second"})
    identity = Identity(keys, {**ours, "second": second}, answering=silent)
    browser = identity.browser()
    await browser.log_in()
    await browser.open(ASKED | {"client_id": "second"})
    start = asyncio.get_running_loop().time()
    reply = await identity.http.post("/_logout_user/alice")
    assert reply.json()["told"] == [{"second": "TimeoutError", WEB[0]: "TimeoutError"}]
    assert asyncio.get_running_loop().time() - start == pytest.approx(2)
