"""Logging in: what a browser is sent with, what it comes back with, and everything that somebody else may try."""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.bff_core.login_gateway import (
    CLICK,
    LINK,
    ORIGIN,
    SCRIPT,
    SECURE,
    Browser,
    LoginGateway,
    goes_on_to,
    set_cookies,
)
from tests.identity import ISSUER
from tests.store import answer


@pytest.fixture
def gateway(tmp_path):
    return LoginGateway(tmp_path)


async def test_a_browser_is_sent_to_the_provider_with_a_challenge_a_state_and_a_nonce(gateway):
    location = urlsplit(await gateway.browser().begin("/products/x"))
    asked = parse_qs(location.query, strict_parsing=True)

    assert f"{location.scheme}://{location.netloc}{location.path}" == f"{ISSUER}/authorize"
    assert {name: asked[name] for name in asked if name not in {"state", "nonce", "code_challenge"}} == {
        "response_type": ["code"],
        "client_id": ["web"],
        "redirect_uri": [f"{ORIGIN}/login/callback"],
        "scope": ["openid profile orders:read"],
        "code_challenge_method": ["S256"],
    }
    assert all(len(asked[name][0]) == 43 for name in ("state", "nonce", "code_challenge"))


async def test_whoever_logs_in_is_known_and_goes_on_to_where_they_wanted_to(gateway):
    browser = gateway.browser()
    reply = await browser.log_in("alice", "/products/x?region=GB&a=%22")

    assert goes_on_to(reply) == "/products/x?region=GB&a=%22"
    assert (await browser.get("/who")).json() == [ISSUER, "alice", "openid", "orders:read", "profile"]
    assert (await browser.get("/mine")).json() == "mine"
    assert (await browser.session())["shown_as"] == "Alice Archer"


async def test_cookies_are_for_this_host_alone_and_no_script_reads_them(gateway):
    browser = gateway.browser()
    begun = await browser.http.get("/login", headers=CLICK)
    back = await browser.come_back(await browser.allow(begun.headers["location"]))

    login, session = set_cookies(begun)["login"], set_cookies(back)["session"]
    assert login.endswith("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax")
    assert session.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert len(browser.http.cookies["session"]) == 43
    assert set_cookies(back)["login"] == "login=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


async def test_with_tls_nobody_else_can_set_them(tmp_path):
    gateway = LoginGateway(tmp_path, origin=SECURE)
    browser = gateway.browser()
    begun = await browser.http.get("/login", headers=CLICK)
    back = await browser.come_back(await browser.allow(begun.headers["location"]))

    assert "; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax" in set_cookies(begun)["__Host-Http-login"]
    assert "; Path=/; Secure; HttpOnly; SameSite=Strict" in set_cookies(back)["__Host-Http-session"]
    assert (await browser.get("/who")).json()[1] == "alice"


async def test_nothing_that_the_provider_gave_reaches_the_browser(gateway):
    browser = gateway.browser()
    begun = await browser.http.get("/login", headers=CLICK)
    back = await browser.come_back(await browser.allow(begun.headers["location"]))
    seen = [begun, back, await browser.get("/session"), await browser.get("/who")]
    over = await browser.log_out()
    said = "".join(f"{reply.headers.raw}{reply.text}" for reply in seen)
    given = gateway.given[0]

    assert not any(given[name] in said for name in ("access_token", "refresh_token", "id_token"))
    # at a logout it carries the ID token to the provider, which is what tells whose logout it is
    assert not any(given[name] in over.text for name in ("access_token", "refresh_token"))


async def test_the_answer_to_a_callback_is_a_page_because_a_redirect_would_carry_no_strict_cookie(gateway):
    reply = await gateway.browser().log_in()

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in reply.headers["content-security-policy"]


# What somebody else may try


async def another_state(browser: Browser, location: str) -> str:
    return changed(location, state="A" * 43)


async def no_state(browser: Browser, location: str) -> str:
    return changed(location, state=None)


async def no_code(browser: Browser, location: str) -> str:
    return changed(location, code=None)


async def made_up_code(browser: Browser, location: str) -> str:
    return changed(location, code="A" * 43)


async def another_issuer(browser: Browser, location: str) -> str:
    return changed(location, iss="https://evil.test")


async def no_issuer(browser: Browser, location: str) -> str:
    return changed(location, iss=None)


async def error_of_the_provider(browser: Browser, location: str) -> str:
    return changed(location, error="server_error")


async def no_cookie(browser: Browser, location: str) -> str:
    browser.http.cookies.clear()
    return location


async def two_cookies(browser: Browser, location: str) -> str:
    browser.http.headers["cookie"] = f"login={browser.http.cookies['login']}; login=x"
    return location


async def a_cookie_that_was_changed(browser: Browser, location: str) -> str:
    value = browser.http.cookies["login"]
    browser.http.cookies.clear()
    browser.http.cookies["login"] = value[:-2] + ("AA" if value[-2:] != "AA" else "BB")
    return location


async def the_login_of_another_browser(browser: Browser, location: str) -> str:
    """The attacker has logged in as themselves, and has the victim come back with that."""
    attacker = browser._gateway.browser()
    return await attacker.allow(await attacker.begin(), "bob")


async def the_code_of_another_browser(browser: Browser, location: str) -> str:
    attacker = browser._gateway.browser()
    stolen = await attacker.allow(await attacker.begin(), "bob")
    return changed(location, code=parse_qs(urlsplit(stolen).query)["code"][0])


async def too_late(browser: Browser, location: str) -> str:
    browser._gateway.identity.now += 601
    return location


ATTACKS = [
    another_state,
    no_state,
    no_code,
    made_up_code,
    another_issuer,
    no_issuer,
    error_of_the_provider,
    no_cookie,
    two_cookies,
    a_cookie_that_was_changed,
    the_login_of_another_browser,
    the_code_of_another_browser,
    too_late,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_nobody_is_logged_in_by(attack: Callable, gateway):
    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    reply = await browser.come_back(await attack(browser, location))

    assert reply.status_code == 400
    assert reply.json()["type"] == "/problems/login-failed"
    assert "session" not in set_cookies(reply)
    browser.http.headers.pop("cookie", None)
    assert (await browser.session()) == {"signed_in": False, "shown_as": None, "ends_in": None, "csrf": None}


async def test_what_was_brought_once_is_not_taken_again(gateway):
    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    kept = browser.http.cookies["login"]
    assert (await browser.come_back(location)).status_code == 200

    thief = gateway.browser()
    thief.http.cookies["login"] = kept
    assert (await thief.come_back(location)).status_code == 400
    assert gateway.asked("/token") == 1


async def test_a_storm_of_what_is_refused_is_none_of_lines_and_all_of_it_is_counted_at_the_end(gateway, caplog):
    caplog.set_level(logging.INFO, "bff.audit")
    browser = gateway.browser()
    async with gateway.app.router.lifespan_context(gateway.app):
        for _ in range(50):
            assert (await browser.http.get("/login/callback?code=a&state=b", headers=LINK)).status_code == 400
            assert (await browser.http.post("/logout/backchannel", data={"logout_token": "x"})).status_code == 400
            assert (await browser.http.post("/logout", headers=LINK)).status_code == 403
    lines = [record.getMessage() for record in caplog.records if record.name == "bff.audit"]
    assert len(lines) == 33
    assert [line.partition(":")[0] for line in lines[30:]] == [
        "login refused 40 more times",
        "logout refused 40 more times",
        "cross-site request refused 40 more times",
    ]


async def test_cookies_in_two_lines_are_one(gateway):
    browser = gateway.browser()
    location = urlsplit(await browser.allow(await browser.begin()))
    login = browser.http.cookies["login"]
    browser.http.cookies.clear()

    async def come_back(*lines):
        shown = [*LINK.items(), *(("cookie", line) for line in lines)]
        return (await browser.http.get(f"{location.path}?{location.query}", headers=shown)).status_code

    assert await come_back(f"login={login}", "login=x") == 400
    assert await come_back("a=b", f"login={login}") == 200


async def test_who_does_not_want_to_log_in_goes_back_as_nobody(gateway):
    browser = gateway.browser()
    state = parse_qs(urlsplit(await browser.begin("/page")).query)["state"][0]
    answered = urlencode({"error": "access_denied", "state": state, "iss": ISSUER})
    reply = await browser.come_back(f"/login/callback?{answered}")

    assert reply.status_code == 200
    assert goes_on_to(reply) == "/page"
    assert "session" not in set_cookies(reply)


async def test_an_id_that_somebody_else_chose_becomes_nobodys(gateway):
    browser = gateway.browser()
    browser.http.cookies["session"] = fixed = "F" * 43
    reply = await browser.log_in()

    assert not set_cookies(reply)["session"].startswith(f"session={fixed}")
    attacker = gateway.browser()
    attacker.http.cookies["session"] = fixed
    assert (await attacker.get("/who")).json() == []


async def test_a_new_login_ends_the_session_before(gateway):
    browser, thief = gateway.browser(), gateway.browser()
    await browser.log_in("alice")
    before = browser.http.cookies["session"]
    await browser.log_in("alice")

    assert browser.http.cookies["session"] != before
    thief.http.cookies["session"] = before
    assert (await thief.get("/who")).json() == []
    assert (await browser.get("/who")).json()[1] == "alice"


PATHS = [
    "/",
    "/products/x",
    "/products/x?region=GB&query=a%20b",
    "/a/../b",
    "/login",
    "/%2F%2Fevil.test",
    "/@evil.test",
]
ELSEWHERE = [
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "\\/evil.test",
    "https://evil.test/",
    "https:evil.test",
    "javascript:alert(1)",
    "evil.test",
    "",
    " /",
    "/a b",
    "/a\n//evil.test",
    "/\t/evil.test",
    "/a\x00",
    "/a\\b",
    "/ünder",
    "/a#b",
    '/a"b',
    "/" + "a" * 2000,
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_of_ours_is_gone_back_to(path: str, gateway):
    assert goes_on_to(await gateway.browser().log_in(return_to=path)) == path


@pytest.mark.parametrize("place", ELSEWHERE)
async def test_nobody_is_sent_elsewhere_after_logging_in(place: str, gateway):
    reply = await gateway.browser().http.get("/login", params={"return_to": place}, headers=LINK)

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "query.return_to"
    assert "location" not in reply.headers


async def test_whatever_path_it_comes_from_a_browser_can_keep_what_it_must(gateway):
    browser = gateway.browser()
    for letter in map(chr, set(range(0x21, 0x7F)) - set(b'/"#\\')):
        reply = await browser.http.get("/login", params={"return_to": "/" + letter * 1999}, headers=CLICK)
        assert len(set_cookies(reply)["login"]) < 4096  # RFC 6265bis, 5.6


NOBODY_GOES_THERE = {
    "a picture": {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    "a frame": {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    "a script": {**SCRIPT, "sec-fetch-dest": "empty"},
    "a browser that is ahead": {**CLICK, "sec-fetch-dest": "document", "sec-purpose": "prefetch;prerender"},
}


@pytest.mark.parametrize("sent", NOBODY_GOES_THERE.values(), ids=NOBODY_GOES_THERE)
async def test_a_login_that_is_under_way_is_not_lost_to(sent, gateway):
    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    reply = await browser.get("/login", sent)

    assert (reply.status_code, reply.json()["type"]) == (403, "/problems/cross-site-request")
    assert (await browser.come_back(location)).status_code == 200


async def test_a_browser_that_calls_us_by_another_name_begins_again_by_ours(gateway):
    reply = await gateway.browser().http.get(
        "http://127.0.0.1:8000/login", params={"return_to": "/page?a=b"}, headers=CLICK
    )

    assert reply.headers["location"] == f"{ORIGIN}/login?return_to=%2Fpage%3Fa%3Db"
    assert not set_cookies(reply)


async def test_while_the_provider_is_down_nobody_can_log_in_and_is_told_so(gateway):
    browser = gateway.browser()
    gateway.internet.hosts["127.0.0.1"] = answer(b"", status=500)

    reply = await browser.http.get("/login", headers=CLICK)
    assert reply.status_code in {502, 503}
    assert not set_cookies(reply)


async def test_a_provider_that_hangs_costs_a_page_what_is_private_and_nothing_else(gateway):
    browser = gateway.browser()
    await browser.log_in()
    provider = gateway.internet.hosts["127.0.0.1"]

    async def hanging(scope, receive, send):
        await asyncio.sleep(1000)

    gateway.internet.hosts["127.0.0.1"] = hanging
    gateway.identity.now += 301
    for target, status in (("/page", 200), ("/mine", 503)):
        reply = await browser.get(target)
        assert reply.status_code == status, reply.text
    assert (await browser.get("/page")).headers["page-parts"] == "public, private;missing=unavailable"

    gateway.internet.hosts["127.0.0.1"] = provider
    await asyncio.sleep(10)
    assert (await browser.get("/page")).json()["private"] == "private"


async def test_where_the_provider_does_not_take_us_for_who_we_are_nobody_is_told_to_try_again(tmp_path):
    browser = LoginGateway(tmp_path, client_secret="another").browser()
    reply = await browser.come_back(await browser.allow(await browser.begin()))

    assert (reply.status_code, reply.json()["type"]) == (503, "/problems/temporary-reduced-capacity")
    assert "session" not in set_cookies(reply)


async def test_a_code_is_sent_once_whatever_becomes_of_it(gateway):
    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    provider = gateway.internet.hosts["127.0.0.1"]

    async def down_for_tokens(scope, receive, send):
        await (answer(b"", status=503) if scope["path"] == "/token" else provider)(scope, receive, send)

    gateway.internet.hosts["127.0.0.1"] = down_for_tokens
    assert (await browser.come_back(location)).status_code in {502, 503}
    assert gateway.asked("/token") == 1


async def test_what_is_granted_when_its_browser_can_wait_no_longer_is_revoked(gateway):
    browser = gateway.browser()
    location = await browser.allow(await browser.begin())
    provider = gateway.internet.hosts["127.0.0.1"]

    async def slow_with_keys(scope, receive, send):
        if scope["path"] == "/jwks":
            await asyncio.sleep(2)
        await provider(scope, receive, send)

    gateway.internet.hosts["127.0.0.1"] = slow_with_keys
    assert (await browser.come_back(location)).status_code == 503
    await asyncio.sleep(10)
    (given,) = gateway.given
    assert (await gateway.identity.refresh(given["refresh_token"])).json()["error"] == "invalid_grant"


def changed(location: str, **parameters: str | None) -> str:
    parts = urlsplit(location)
    found = {name: value for name, (value,) in parse_qs(parts.query).items()} | parameters
    return f"{parts.path}?{urlencode({name: value for name, value in found.items() if value is not None})}"
