"""What another site can make a browser do here: nothing that changes anything, or that it could read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.cookies import shown
from tests.bff_core.login_gateway import CLICK, FORM, FROM_OUTSIDE, LINK, ORIGIN, SCRIPT, LoginGateway

JSON = {"content-type": "application/json"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}
NOT_DONE = {"type": "/problems/cross-site-request", "status": 403}


@pytest.fixture
def gateway(tmp_path):
    return LoginGateway(tmp_path)


@pytest.fixture
async def alice(gateway):
    browser = gateway.browser()
    await browser.log_in("alice")
    return browser


OURS = {
    "a script": {**SCRIPT, "origin": ORIGIN, **JSON},
    "a script of an old browser": {"origin": ORIGIN, "x-csrf": "1", **JSON},
    "a script that sends no Origin": {"sec-fetch-site": "same-origin", "x-csrf": "1", **JSON},
    "a script without a body": {**SCRIPT, "origin": ORIGIN},
    "a script with a file": {**SCRIPT, "origin": ORIGIN, "content-type": "multipart/form-data; boundary=x"},
}
OTHERS = {
    "another site": {**FROM_OUTSIDE, **JSON},
    "another site with the header": {**FROM_OUTSIDE, **JSON, "x-csrf": "1"},
    "another origin of the same site": {**SCRIPT, "sec-fetch-site": "same-site", "origin": "http://localhost:9999"},
    "a subdomain": {**SCRIPT, "sec-fetch-site": "same-site", "origin": "http://a.localhost:8000"},
    "the same host over TLS": {"origin": "https://localhost:8000", "x-csrf": "1"},
    "a sandbox": {"origin": "null", "x-csrf": "1"},
    "an origin that begins like ours": {"origin": f"{ORIGIN}.evil.test", "x-csrf": "1"},
    "two origins": {"origin": f"{ORIGIN}, https://evil.test", "x-csrf": "1"},
    "nobody says from where": {"x-csrf": "1", **JSON},
    "our origin, and a browser that knows better": {
        "origin": ORIGIN,
        "sec-fetch-site": "cross-site",
        "x-csrf": "1",
    },
    "somebody who typed it": {"sec-fetch-site": "none", "x-csrf": "1"},
    "JSON without the header": {**FORM, **JSON},
    "JSON as text": {**FORM, "content-type": "text/plain"},
    "no content type": FORM,
    "a file without the header": {**FORM, "content-type": "multipart/form-data; boundary=x"},
    "a form without a token": {**FORM, **URLENCODED},
    "two content types": {**FORM, "content-type": "application/x-www-form-urlencoded, application/json"},
    "another value of the header": {**FORM, **JSON, "x-csrf": "0"},
}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("sent", OURS.values(), ids=OURS)
async def test_what_a_page_of_ours_sends_is_done(method, sent, alice):
    reply = await alice.http.request(method, "/change", headers=sent, content=b'{"a":1}')
    assert (reply.status_code, reply.json()) == (200, '{"a":1}')


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("sent", OTHERS.values(), ids=OTHERS)
async def test_what_others_send_is_not_done(method, sent, alice):
    reply = await alice.http.request(method, "/change", headers=sent, content=b"a=1")
    assert NOT_DONE.items() <= reply.json().items()
    assert reply.status_code == 403


async def test_a_form_with_the_token_of_its_session_is_done_and_arrives_whole(alice):
    token = (await alice.session())["csrf"]
    reply = await alice.http.post("/change", data={"text": "ü&=", "csrf": token}, headers=FORM)
    assert (reply.status_code, reply.json()) == (200, f"text=%C3%BC%26%3D&csrf={token}")


@pytest.mark.parametrize("spoil", [lambda token: token[:-1], lambda token: token.upper(), lambda _: "", lambda _: "ü"])
async def test_a_form_with_another_token_is_not_done(spoil, alice):
    token = spoil((await alice.session())["csrf"])
    reply = await alice.http.post("/change", data={"csrf": token}, headers=FORM)
    assert reply.status_code == 403


async def test_the_token_of_another_session_will_not_do(gateway, alice):
    bob = gateway.browser()
    await bob.log_in("bob")
    reply = await alice.http.post("/change", data={"csrf": (await bob.session())["csrf"]}, headers=FORM)
    assert reply.status_code == 403


async def test_a_token_that_is_sent_twice_is_none(alice):
    token = (await alice.session())["csrf"]
    reply = await alice.http.post("/change", content=f"csrf={token}&csrf={token}", headers={**FORM, **URLENCODED})
    assert reply.status_code == 403


async def test_a_form_of_somebody_unknown_has_no_session_to_ride_on(gateway):
    reply = await gateway.browser().http.post("/change", data={"a": "1"}, headers=FORM)
    assert reply.status_code == 200


async def test_a_form_of_a_browser_whose_session_has_ended_is_done_with_the_token_of_its_page(gateway, alice):
    kept = alice.http.cookies["session"]
    await alice.log_out()
    alice.http.cookies["session"] = kept
    token = (await alice.get("/form", CLICK)).json()

    assert (await alice.get("/who")).json() == []
    assert (await alice.http.post("/change", data={"csrf": token}, headers=FORM)).status_code == 200
    assert (await alice.http.post("/change", data={"a": "b"}, headers=FORM)).status_code == 403


async def test_a_form_that_never_ends_is_not_read_to_its_end(alice):
    reply = await alice.http.post("/change", data={"a": "x" * 70_000}, headers=FORM)
    assert reply.status_code == 413


READ_BY_OTHERS = {
    "a script of another origin": {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "accept": "*/*"},
    "a script tag of another origin": {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "accept": "*/*"},
    "a script tag of an old browser": {"accept": "*/*"},
    "a program": {},
}
READ_BY_US = {
    "a script of ours": SCRIPT,
    "a script of ours without the header": {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
    "a script of ours in an old browser": {"x-csrf": "1", "accept": "*/*"},
    "somebody who follows a link": LINK,
    "somebody who types the address": {**CLICK, "sec-fetch-site": "none"},
    "somebody with an old browser": {"accept": "text/html,application/xhtml+xml"},
}


@pytest.mark.parametrize("sent", READ_BY_OTHERS.values(), ids=READ_BY_OTHERS)
async def test_what_another_site_could_read_is_answered_for_somebody_unknown(sent, alice):
    assert (await alice.get("/who", sent)).json() == []
    assert (await alice.get("/mine", sent)).status_code == 401
    assert (await alice.get("/session", sent)).status_code == 403
    assert (await alice.get("/page", sent)).json() == {"public": "public", "private": None}


@pytest.mark.parametrize("sent", READ_BY_US.values(), ids=READ_BY_US)
async def test_what_only_we_can_read_is_answered_for_who_it_is(sent, alice):
    assert (await alice.get("/who", sent)).json()[1] == "alice"
    assert (await alice.get("/page", sent)).json() == {"public": "public", "private": "private"}


@pytest.mark.parametrize("theirs", READ_BY_OTHERS.values(), ids=READ_BY_OTHERS)
@pytest.mark.parametrize("ours", READ_BY_US.values(), ids=READ_BY_US)
async def test_no_cache_takes_what_others_are_answered_for_what_we_are(theirs, ours, alice):
    vary = (await alice.get("/who", theirs)).headers["vary"].lower().split(", ")
    assert (await alice.get("/who", ours)).headers["vary"].lower().split(", ") == vary
    assert [theirs.get(name) for name in vary] != [ours.get(name) for name in vary]  # RFC 9111, 4.1


@pytest.mark.parametrize("sent", [CLICK, SCRIPT])
async def test_who_is_not_logged_in_is_refused_and_never_sent_to_log_in(sent, gateway):
    reply = await gateway.browser().get("/mine", sent)
    assert (reply.status_code, reply.json()["type"]) == (401, "/problems/unauthenticated")
    assert "location" not in reply.headers


async def test_of_two_cookies_by_the_name_nobody_knows_which_is_ours(gateway, alice):
    mine = alice.http.cookies["session"]
    other = gateway.browser()
    for tossed in (f"session={mine}; session=x", f"session=x; session={mine}", f"session={mine};session={mine}"):
        assert (await other.get("/who", {**SCRIPT, "cookie": tossed})).json() == []
    assert (await other.get("/who", {**SCRIPT, "cookie": f"a=b; session={mine}; sessions=x"})).json()[1] == "alice"


@given(st.text(alphabet='session=; \t,"x', max_size=60))
def test_a_cookie_is_read_or_not_and_nothing_breaks(header):
    pairs = [pair.partition("=") for pair in header.split(";")]
    named = [value.strip(" \t") for name, _, value in pairs if name.strip(" \t") == "session"]
    assert shown(header, "session") == (named[0] if len(named) == 1 else None)
