"""Logging in at the identity provider, as a browser does it."""

import re

import pytest

from demo.identity.app import ISSUER
from tests.identity import APP, ASKED, PASSWORDS, VERIFIER, WEB, Identity, returned, without


async def test_a_user_logs_in_and_the_client_gets_a_code_its_state_and_the_name_of_the_issuer(identity):
    reply = await identity.browser().log_in()
    assert reply.headers["location"].startswith(f"{ASKED['redirect_uri']}?")
    answer = returned(reply)
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("st4te", ISSUER)
    assert reply.headers["cache-control"] == "no-store"


async def test_the_login_page_shows_who_one_can_be_and_loads_nothing_from_elsewhere(identity):
    page = await identity.browser().open()
    assert page.status_code == 200
    for name, password in PASSWORDS.items():
        assert f"<code>{name}</code>" in page.text
        assert f"<code>{password}</code>" in page.text
    assert "to continue to the bookshop" in page.text
    assert "<script" not in page.text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost:8000;" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"


async def test_the_form_may_end_in_the_app_that_asked(identity):
    page = await identity.browser().open(APP)
    assert "form-action 'self' org.example.bookshop:;" in page.headers["content-security-policy"]
    reply = await identity.browser().log_in(asked=APP)
    assert reply.headers["location"].startswith("org.example.bookshop:/callback?code=")


async def test_a_request_may_come_as_a_form_too(identity):
    browser = identity.browser()
    page = await browser.http.post("/authorize", data=ASKED)
    assert "code" in returned(await browser.send(page, username="bob", password=PASSWORDS["bob"]))


async def test_who_is_logged_in_is_not_asked_again(identity):
    browser = identity.browser()
    await browser.log_in()
    for client in (ASKED, APP):
        assert "code" in returned(await browser.open(client))


async def test_the_cookie_is_for_the_provider_alone_and_new_at_every_login(identity):
    browser = identity.browser()
    set_cookie = (await browser.log_in()).headers["set-cookie"]
    name, value = set_cookie.partition(";")[0].split("=")
    assert name == "identity_session"
    assert len(value) >= 43
    assert set_cookie.partition("; ")[2].lower().split("; ") == ["httponly", "path=/", "samesite=lax"]
    again = (await browser.log_in(asked=ASKED | {"prompt": "login"})).headers["set-cookie"]
    assert not again.startswith(set_cookie.partition(";")[0])
    old = identity.browser()
    old.http.cookies.set(name, value, domain="127.0.0.1")
    assert (await old.open()).status_code == 200  # the login page


async def test_a_session_ends_by_itself_after_twelve_hours(identity):
    browser = identity.browser()
    await browser.log_in()
    identity.now += 12 * 3600 - 1
    assert (await browser.open()).status_code == 303
    identity.now += 1
    assert (await browser.open()).status_code == 200


async def test_a_second_login_of_the_same_user_is_the_same_session_and_a_fresh_proof(identity):
    browser = identity.browser()
    sessions = []
    for _ in range(2):
        tokens = (await identity.redeem(await browser.code(asked=ASKED | {"prompt": "login"}))).json()
        sessions.append(await identity.claims(tokens["id_token"], typ="JWT", aud="web"))
        identity.now += 60
    first, second = sessions
    assert first["sid"] == second["sid"]
    assert second["auth_time"] == first["auth_time"] + 60


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
async def test_a_client_may_have_the_user_asked_again(identity, prompt):
    browser = identity.browser()
    await browser.log_in()
    assert (await browser.open(ASKED | {"prompt": prompt})).status_code == 200


async def test_consent_is_never_asked_for(identity):
    browser = identity.browser()
    await browser.log_in()
    assert "code" in returned(await browser.open(ASKED | {"prompt": "consent"}))


async def test_a_client_that_wants_no_page_gets_a_code_or_login_required(identity):
    browser = identity.browser()
    answer = returned(await browser.open(ASKED | {"prompt": "none"}))
    assert (answer["error"], answer["state"], answer["iss"]) == ("login_required", "st4te", ISSUER)
    await browser.log_in()
    assert "code" in returned(await browser.open(ASKED | {"prompt": "none"}))


async def test_a_login_that_is_too_old_for_a_client_is_repeated(identity):
    browser = identity.browser()
    await browser.log_in()
    identity.now += 60
    assert "code" in returned(await browser.open(ASKED | {"max_age": "60"}))
    identity.now += 1
    assert (await browser.open(ASKED | {"max_age": "60"})).status_code == 200
    assert returned(await browser.open(ASKED | {"max_age": "60", "prompt": "none"}))["error"] == "login_required"
    tokens = (await identity.redeem(await browser.code(asked=ASKED | {"max_age": "0"}))).json()
    assert (await identity.claims(tokens["id_token"], typ="JWT", aud="web"))["auth_time"] == int(identity.now)


async def test_a_client_that_knows_whom_it_wants_gets_nobody_else(identity):
    alices = ASKED | {"id_token_hint": (await identity.log_in("alice"))["id_token"]}
    browser = identity.browser()
    await browser.log_in("bob")
    assert (await browser.open(alices)).status_code == 200
    assert returned(await browser.open(alices | {"prompt": "none"}))["error"] == "login_required"
    assert returned(await browser.log_in("bob", alices))["error"] == "login_required"
    assert "code" in returned(await browser.log_in("alice", alices))


async def test_the_hint_of_another_client_or_of_anybody_is_refused(identity):
    mobiles = await identity.browser().code(asked=APP)
    form = {"client_id": "mobile", "redirect_uri": APP["redirect_uri"]}
    tokens = await identity.token(
        grant_type="authorization_code",
        code=mobiles,
        code_verifier=VERIFIER,
        **form,
    )
    for hint in (tokens.json()["id_token"], (await identity.log_in())["access_token"], "nonsense"):
        assert returned(await identity.browser().open(ASKED | {"id_token_hint": hint}))["error"] == "invalid_request"


async def test_a_hint_at_the_name_fills_it_in_and_cannot_be_more_than_a_name(identity):
    page = await identity.browser().open(ASKED | {"login_hint": '"><script>alert(1)</script>'})
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page.text
    assert "<script>" not in page.text


async def test_a_wrong_password_is_said_and_gives_nothing(identity):
    browser = identity.browser()
    page = await browser.open()
    for name, password in (("alice", PASSWORDS["bob"]), ("alice", ""), ("mallory", "x"), ("", "")):
        reply = await browser.send(page, username=name, password=password)
        assert reply.status_code == 403
        assert "The name or the password is wrong." in reply.text
        assert "identity_session" not in reply.headers["set-cookie"]
    assert (await browser.open(ASKED)).status_code == 200


async def test_guessing_is_bounded_and_even_the_right_password_waits_it_out(identity):
    browser, right = identity.browser(), PASSWORDS["alice"]
    page = await browser.open()
    for _ in range(5):
        assert (await browser.send(page, username="alice", password="guess")).status_code == 403
        identity.now += 1
    reply = await identity.browser().log_in()
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "55")
    assert "Please wait 55 seconds." in reply.text
    assert (await browser.send(page, username="bob", password=PASSWORDS["bob"])).status_code == 303
    identity.now += 55
    assert (await browser.send(page, username="alice", password=right)).status_code == 303


async def test_a_right_password_makes_up_for_wrong_ones(identity):
    for _ in range(3):
        browser = identity.browser()
        page = await browser.open()
        for _ in range(4):
            assert (await browser.send(page, username="alice", password="guess")).status_code == 403
        assert (await browser.send(page, username="alice", password=PASSWORDS["alice"])).status_code == 303


async def test_names_that_nobody_has_are_bounded_together(identity):
    browser = identity.browser()
    page = await browser.open()
    found = [(await browser.send(page, username=f"user-{n}", password="guess")).status_code for n in range(6)]
    assert found == [403] * 5 + [429]


async def test_a_form_that_is_not_ours_logs_nobody_in(identity):
    victim, attacker = identity.browser(), identity.browser()
    page, theirs = await victim.open(), await attacker.open()
    right = {"username": "alice", "password": PASSWORDS["alice"]}
    url = f"/login?{victim.http.build_request('GET', '/', params=ASKED).url.query.decode()}"
    proofs = [re.search(r'name="proof" value="([^"]+)"', text)[1] for text in (page.text, theirs.text)]
    forged = [right, right | {"proof": ""}, right | {"proof": proofs[1]}, right | {"proof": "é"}]
    for form in forged:
        reply = await victim.http.post(url, data=form)
        assert reply.status_code == 403
        assert "identity_session" not in reply.headers.get("set-cookie", "")
    assert (await identity.caller().post(url, data=right | {"proof": proofs[0]})).status_code == 403
    assert (await victim.http.post(url, data=right | {"proof": proofs[0]})).status_code == 303


async def test_the_form_of_one_request_does_not_answer_another(identity):
    browser = identity.browser()
    proof = re.search(r'name="proof" value="([^"]+)"', (await browser.open()).text)[1]
    form = {"username": "alice", "password": PASSWORDS["alice"], "proof": proof}
    assert (await browser.http.post("/login", params=APP, data=form)).status_code == 403
    assert (await browser.http.post("/login", params=ASKED, data=form)).status_code == 303


async def test_two_login_pages_may_be_open_at_once(identity):
    browser = identity.browser()
    first, second = await browser.open(), await browser.open(APP)
    for page in (first, second):
        assert (await browser.send(page, username="bob", password=PASSWORDS["bob"])).status_code == 303


async def test_another_user_in_the_same_browser_ends_what_the_first_one_had(identity):
    browser = identity.browser()
    alices = (await identity.redeem(await browser.code("alice"))).json()
    await browser.code("bob", ASKED | {"prompt": "login"})
    assert not (await identity.introspect(alices["access_token"]))["active"]
    assert (await identity.refresh(alices["refresh_token"])).json()["error"] == "invalid_grant"


async def test_over_tls_cookies_are_bound_to_the_host(keys):
    identity = Identity(keys, issuer="https://id.example.org")
    reply = await identity.browser().open()
    assert reply.headers["set-cookie"].startswith("__Host-identity_form=")
    assert "; Secure" in reply.headers["set-cookie"]


async def test_without_a_nonce_there_is_none_in_the_id_token(identity):
    tokens = await identity.log_in(asked=without(ASKED, "nonce"))
    assert "nonce" not in await identity.claims(tokens["id_token"], typ="JWT", aud=WEB[0])
