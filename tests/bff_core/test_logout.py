"""The end of a session: by its browser, everywhere at once, and by the provider."""

import asyncio

import pytest

from tests.bff_core.login_gateway import FORM, LINK, SCRIPT, LoginGateway, goes_on_to, set_cookies
from tests.identity import ISSUER


@pytest.fixture
def gateway(tmp_path):
    return LoginGateway(tmp_path)


@pytest.fixture
async def alice(gateway):
    browser = gateway.browser()
    await browser.log_in("alice")
    return browser


async def again(gateway, cookie):
    """What somebody is told who kept the cookie."""
    keeper = gateway.browser()
    keeper.http.cookies["session"] = cookie
    return (await keeper.get("/who")).json()


async def test_a_logout_ends_the_session_and_takes_the_cookie(gateway, alice):
    kept = alice.http.cookies["session"]
    reply = await alice.log_out()

    assert set_cookies(reply)["session"] == "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    assert "session" not in alice.http.cookies
    assert await again(gateway, kept) == []


async def test_the_provider_forgets_the_login_too_and_sends_the_browser_home(gateway, alice):
    location = goes_on_to(await alice.log_out())
    assert location.startswith(f"{ISSUER}/end_session?")

    reply = await alice.provider.http.get(location)
    assert reply.headers["location"] == "http://localhost:8000/"
    assert "identity_session" not in alice.provider.http.cookies


async def test_what_the_provider_gave_is_worth_nothing_afterwards(gateway, alice):
    await alice.log_out()
    for _ in range(100):  # turns of the loop, because revoking goes on beside the reply
        if gateway.asked("/revoke") and not gateway.internet.in_flight:
            break
        await asyncio.sleep(0.01)
    given = gateway.given[0]
    assert (await gateway.identity.refresh(given["refresh_token"])).json()["error"] == "invalid_grant"
    assert not (await gateway.identity.introspect(given["access_token"]))["active"]


async def test_a_script_is_told_where_to_go_on(alice):
    reply = await alice.http.post("/logout", headers={**SCRIPT, "origin": FORM["origin"]})
    assert reply.json()["continue_at"].startswith(f"{ISSUER}/end_session?")
    assert "session" not in alice.http.cookies


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
async def test_nobody_is_logged_out_by_a_link_or_by_another_site(path, alice):
    assert (await alice.get(path, LINK)).status_code == 405
    others = {"origin": "https://evil.test", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await alice.http.post(path, headers=others, data={"csrf": "x"})).status_code == 403
    assert (await alice.http.post(path, headers=FORM, data={})).status_code == 403
    assert (await alice.get("/who")).json()[1] == "alice"


async def test_who_is_not_logged_in_can_log_out_all_the_same(gateway):
    reply = await gateway.browser().http.post("/logout", headers=FORM, data={"a": "b"})
    assert goes_on_to(reply) == "/"


async def hanging(scope, receive, send):
    await asyncio.sleep(1000)


async def refusing(scope, receive, send):
    raise ConnectionResetError


@pytest.mark.parametrize("provider", [hanging, refusing])
@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
async def test_a_logout_while_the_provider_does_not_answer_is_one(path, provider, gateway, alice):
    kept, csrf = alice.http.cookies["session"], (await alice.session())["csrf"]
    gateway.internet.hosts["127.0.0.1"] = provider
    gateway.identity.now += 301  # so that it would have to be renewed
    reply = await alice.http.post(path, headers=FORM, data={"csrf": csrf})

    assert reply.status_code == 200, reply.text
    assert goes_on_to(reply).startswith(f"{ISSUER}/end_session?")
    assert "session" not in alice.http.cookies
    assert await again(gateway, kept) == []


@pytest.mark.real_time
async def test_who_logs_out_at_a_process_that_has_not_heard_of_the_provider_yet_is_logged_out(redis_server, tmp_path):
    before, after = (LoginGateway(tmp_path / name, store=redis_server.url) for name in ("before", "after"))
    async with before.app.router.lifespan_context(before.app), after.app.router.lifespan_context(after.app):
        browser, other = before.browser(), after.browser()
        await browser.log_in()
        csrf = (await browser.session())["csrf"]
        after.internet.hosts["127.0.0.1"] = hanging
        other.http.cookies["session"] = browser.http.cookies["session"]
        async with asyncio.timeout(1.5):  # of the 2 s that it has
            reply = await other.http.post("/logout", headers=FORM, data={"csrf": csrf})

        assert (reply.status_code, goes_on_to(reply)) == (200, "/")
        assert "Max-Age=0" in set_cookies(reply)["session"]
        assert (await browser.get("/who")).json() == []


async def test_logging_out_everywhere_ends_every_session_of_that_person(gateway, alice):
    phone, bob = gateway.browser(), gateway.browser()
    await phone.log_in("alice")
    await bob.log_in("bob")
    await alice.log_out("/logout/everywhere")

    assert (await phone.get("/who")).json() == []
    assert (await bob.get("/who")).json()[1] == "bob"


async def test_the_provider_ends_a_session_and_its_browser_is_nobody_at_once(gateway, alice):
    other, bob = gateway.browser(), gateway.browser()
    await other.log_in("alice")
    await bob.log_in("bob")
    told = (await gateway.identity.http.post("/_logout_user/alice")).json()

    assert told == {"sessions": 2, "told": [{"web": "told"}, {"web": "told"}]}
    assert (await alice.get("/who")).json() == (await other.get("/who")).json() == []
    assert (await bob.get("/who")).json()[1] == "bob"


async def test_a_login_that_the_provider_ends_is_that_one_alone(gateway, alice):
    other = gateway.browser()
    await other.log_in("alice")
    await other.provider.http.get("/end_session", params={"id_token_hint": gateway.given[1]["id_token"]})

    assert (await other.get("/who")).json() == []
    assert (await alice.get("/who")).json()[1] == "alice"


async def sent(gateway, **form):
    return await gateway.browser().http.post("/logout/backchannel", data=form)


async def test_what_is_no_logout_token_of_the_provider_ends_nothing(gateway, alice):
    given = gateway.given[0]
    for token in ("", "x", "a.b.c", given["id_token"], given["access_token"], "x" * 9000):
        reply = await sent(gateway, logout_token=token)
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
        assert reply.headers["cache-control"] == "no-store"
    assert (await sent(gateway)).status_code == 400
    assert (await alice.get("/who")).json()[1] == "alice"


async def test_a_logout_token_ends_sessions_once(gateway, alice):
    heard = []
    hear = gateway.app

    async def listening(scope, receive, send):
        async def watched():
            message = await receive()
            heard.append(message["body"])
            return message

        await hear(scope, watched, send)

    gateway.app = listening
    await gateway.identity.http.post("/_logout_user/alice")
    gateway.app = hear
    assert (await alice.get("/who")).json() == []

    await alice.log_in("alice")
    replayed = await gateway.browser().http.post(
        "/logout/backchannel", content=heard[0], headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert replayed.status_code == 400
    assert (await alice.get("/who")).json()[1] == "alice"


async def test_a_login_that_the_provider_ends_while_it_is_on_its_way_is_none(gateway):
    async def logged_out():
        return await gateway.identity.http.post("/_logout_user/alice")

    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    gateway.meanwhile = logged_out
    assert (await browser.come_back(location)).status_code == 400
    gateway.meanwhile = None
    assert await browser.session() == {"signed_in": False, "shown_as": None, "ends_in": None, "csrf": None}

    await browser.log_in("alice")
    assert (await browser.get("/who")).json()[1] == "alice"
