"""Where browsers are sent to log in and out, and what the provider says of itself."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.pkce import challenge_of, new_verifier
from bff_core.auth.proofs import upstreams_of_proofs
from bff_core.auth.provider import Provider
from bff_core.context import RequestContext, enter
from bff_core.errors import IdentityUnavailable, Unauthenticated
from bff_core.settings import GatewaySettings
from bff_core.testing import SimulatedInternet, run
from tests.bff_core.openid_provider import (
    METADATA,
    NONCE,
    OpenIdProvider,
    id_token,
    logout_token,
    provider,
    session,
)
from tests.bff_core.token_issuer import ISSUER, NOW, Signer, TokenIssuer, bearer, bearing, es256, rs256

BACK = "https://www.test/login/callback"
HOUR = 3600.0


async def login(asked: Provider, **changed: str) -> str:
    says = {"state": "st4te", "nonce": NONCE, "challenge": "ch4llenge", "redirect_uri": BACK, **changed}
    return await asked.authorization_url(**says)


async def logout(asked: Provider, id_token: str = "a.b.c") -> str | None:
    return await asked.end_session_url(id_token, "https://www.test/")


def with_metadata(**changed: Any) -> Provider:
    return provider(OpenIdProvider(changed=changed))


# logging in


async def test_a_browser_is_sent_to_log_in_with_all_that_protects_it() -> None:
    assert await login(provider()) == (
        f"{ISSUER}/authorize?response_type=code&client_id=web"
        "&redirect_uri=https%3A%2F%2Fwww.test%2Flogin%2Fcallback&scope=openid+profile&state=st4te"
        f"&nonce={NONCE}&code_challenge=ch4llenge&code_challenge_method=S256"
    )


@pytest.mark.parametrize(
    ("endpoint", "begins"),
    [
        ("https://login.test/authorize?realm=a%20b", "https://login.test/authorize?realm=a%20b&response_type=code&"),
        ("https://login.test/authorize?", "https://login.test/authorize?response_type=code&"),
        ("https://login.test/authorize?a=1&", "https://login.test/authorize?a=1&response_type=code&"),
        ("https://login.test", "https://login.test?response_type=code&"),
        ("http://127.0.0.1:8080/auth", "http://127.0.0.1:8080/auth?response_type=code&"),
    ],
)
async def test_the_page_to_log_in_may_be_anywhere_and_keeps_its_query(endpoint: str, begins: str) -> None:
    assert (await login(with_metadata(authorization_endpoint=endpoint))).startswith(begins)


UNTRUSTWORTHY = [
    "http://login.test/authorize",
    "javascript:alert(1)",
    "data:text/html,x",
    "//login.test/authorize",
    "/authorize",
    "https://login.test/authorize#x",
    "https://www.test@login.test/",
    "https://login.test\\@www.test/",
    "https://login.test/\r\nset-cookie: a=b",
    'https://login.test/"onmouseover="x',
    "https://login.test/<script>",
    "https://",
    "",
]


@pytest.mark.parametrize("url", UNTRUSTWORTHY)
async def test_no_browser_is_sent_where_anyone_else_could_answer(url: str) -> None:
    with pytest.raises(IdentityUnavailable, match=r"nobody can log in: .* a URL in its metadata"):
        await login(with_metadata(authorization_endpoint=url))
    with pytest.raises(IdentityUnavailable, match=r"nobody can log out there: .* a URL in its metadata"):
        await logout(with_metadata(end_session_endpoint=url))


@pytest.mark.parametrize("query", ["client_id=evil", "a=1&state=", "redirect%5Furi=x", "nonce=a&nonce=b"])
async def test_what_is_for_us_to_say_is_said_once(query: str) -> None:
    with pytest.raises(IdentityUnavailable, match="for us to say"):
        await login(with_metadata(authorization_endpoint=f"https://login.test/?{query}"))


async def test_without_a_page_to_log_in_it_is_503() -> None:
    with pytest.raises(IdentityUnavailable, match="does not say where to ask"):
        await login(with_metadata(authorization_endpoint=None))


@given(*[st.text(st.characters(codec="utf-8"))] * 4)
def test_whatever_is_said_stays_in_its_place(state: str, nonce: str, challenge: str, redirect_uri: str) -> None:
    async def ask() -> None:
        url = await login(provider(), state=state, nonce=nonce, challenge=challenge, redirect_uri=redirect_uri)
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}/authorize"
        said = parse_qsl(parts.query, strict_parsing=True, keep_blank_values=True)
        assert dict(said) == {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        assert len(said) == 8

    run(ask())


def test_a_verifier_is_256_bits_and_its_challenge_that_of_the_rfc() -> None:
    verifiers = {new_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert {len(one) for one in verifiers} == {43}
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# logging out


async def test_a_browser_is_sent_to_log_out_there_too() -> None:
    assert await logout(provider()) == (
        f"{ISSUER}/end?id_token_hint=a.b.c&client_id=web&post_logout_redirect_uri=https%3A%2F%2Fwww.test%2F"
    )


@pytest.mark.parametrize("hint", ["", "x" * 4097])
async def test_without_a_hint_that_fits_into_a_url_the_provider_is_told_who_asks(hint: str) -> None:
    assert await logout(provider(), hint) == (
        f"{ISSUER}/end?client_id=web&post_logout_redirect_uri=https%3A%2F%2Fwww.test%2F"
    )
    assert "id_token_hint" in str(await logout(provider(), "x" * 4096))


async def test_where_nobody_can_log_out_browsers_are_sent_nowhere() -> None:
    assert await logout(with_metadata(end_session_endpoint=None)) is None


# what it says of itself


@pytest.mark.parametrize(("said", "names"), [(True, True), (False, False), (None, False)])
async def test_it_names_itself_with_each_code_where_it_says_so(said: Any, names: bool) -> None:
    assert await with_metadata(authorization_response_iss_parameter_supported=said).names_itself() is names


@pytest.mark.parametrize("issuer", ["https://evil.test", ISSUER + "/", None, 1])
async def test_metadata_of_another_are_none(issuer: Any) -> None:
    asked = with_metadata(issuer=issuer)
    for question in (login(asked), logout(asked), asked.names_itself()):
        with pytest.raises(IdentityUnavailable):
            await question


async def test_metadata_are_asked_for_once_an_hour_and_nobody_waits_the_second_time() -> None:
    app = OpenIdProvider()
    asked, loop = provider(app), asyncio.get_running_loop()
    await asyncio.gather(*[login(asked) for _ in range(100)])
    assert app.asked == [METADATA]
    await asyncio.sleep(HOUR - 1)
    await login(asked)
    assert app.asked == [METADATA]
    await asyncio.sleep(1)
    app.changed = {"authorization_endpoint": "https://login.test/"}
    before = loop.time()
    assert (await login(asked)).startswith(ISSUER)
    assert loop.time() == before
    await asyncio.sleep(1)
    assert (await login(asked)).startswith("https://login.test/")
    assert app.asked == [METADATA] * 2


async def test_while_it_is_down_the_last_that_it_said_stays_and_it_is_asked_once_a_minute() -> None:
    app = OpenIdProvider()
    asked = provider(app, upstream={"retry": {"attempts": 0}})
    await login(asked)
    app.down = True
    await asyncio.sleep(HOUR)
    for _ in range(180):
        assert await login(asked)
        await asyncio.sleep(1)
    assert len(app.asked) == 1 + 3
    app.down = False
    await asyncio.sleep(60)
    await login(asked)
    await asyncio.sleep(1)
    assert len(app.asked) == 1 + 4


async def test_a_provider_that_is_down_from_the_start_is_503_until_it_is_up() -> None:
    net = SimulatedInternet()
    asked = provider(net=net)
    await asked.start()
    with pytest.raises(IdentityUnavailable, match="connection refused"):
        await login(asked)
    net.hosts["id.test"] = OpenIdProvider()
    assert await login(asked)
    await asked.close()


async def test_a_request_waits_for_metadata_until_its_deadline_and_they_come_all_the_same() -> None:
    class Slow(OpenIdProvider):
        async def __call__(self, *asgi: Any) -> None:
            await asyncio.sleep(1)
            await super().__call__(*asgi)

    asked, loop = provider(Slow()), asyncio.get_running_loop()

    async def hasty() -> None:
        enter(RequestContext(until=loop.time() + 0.1))
        with pytest.raises(IdentityUnavailable):
            await login(asked)

    await asyncio.create_task(hasty())
    assert loop.time() == pytest.approx(0.1)
    await asyncio.sleep(1)
    before = loop.time()
    assert await login(asked)
    assert loop.time() == before


async def test_what_is_under_way_ends_with_the_gateway() -> None:
    app = OpenIdProvider()
    asked = provider(app)
    await asked.start()
    asking = asyncio.create_task(login(asked))
    await asyncio.sleep(0)
    await asked.close()
    with pytest.raises(IdentityUnavailable):
        await asking
    assert len(asyncio.all_tasks()) == 1


# its keys


async def who(asked: Provider, signer: Signer | None = None, **header: Any) -> str:
    return (await asked.logged_in(id_token(signer, **header), nonce=NONCE, access_token=None)).subject


async def test_the_last_keys_stay_while_it_is_down_and_operators_see_since_when() -> None:
    app = OpenIdProvider()
    asked = provider(app, clock=lambda: NOW)  # so that the token stays good
    assert asked.facts()["keys"] == {"number": None, "fetched_at": None, "failing_since": None}
    await who(asked)
    app.down = True
    for _ in range(3):
        await asyncio.sleep(HOUR)
        assert await who(asked) == "alice"
        await asyncio.sleep(1)
    keys = asked.facts()["keys"]
    assert keys["number"] == 3
    assert keys["failing_since"].startswith("20")
    app.down = False
    await asyncio.sleep(HOUR)
    assert await who(asked) == "alice"
    await asyncio.sleep(1)
    keys = asked.facts()["keys"]
    assert (keys["number"], keys["failing_since"]) == (3, None)


async def test_without_keys_nobody_can_say_who_is_logged_in() -> None:
    app = OpenIdProvider(down=True)
    asked = provider(app)
    with pytest.raises(IdentityUnavailable):
        await who(asked)
    assert asked.facts()["keys"]["failing_since"] is not None


async def test_a_key_that_nobody_has_heard_of_makes_one_fetch_a_minute_whoever_sends_it() -> None:
    app = OpenIdProvider()
    asked = provider(app)
    await who(asked)
    for _ in range(120):
        with pytest.raises(Exception, match="no such key"):
            await asked.logout_order(logout_token(kid=f"{asyncio.get_running_loop().time()}"))
        await asyncio.sleep(1)
    assert app.count("/keys") == 1 + 2


async def test_a_new_key_is_found_by_the_first_login_it_signs() -> None:
    app = OpenIdProvider(signers=[rs256()])
    asked = provider(app)
    await who(asked)
    app.signers.append(es256("new"))
    assert await who(asked, es256("new")) == "alice"
    assert app.count("/keys") == 2


async def test_a_login_asks_for_metadata_once_and_for_keys_once() -> None:
    app = OpenIdProvider()
    asked = provider(app)
    await login(asked)
    await asked.exchange("c0de", verifier="v" * 43, redirect_uri=BACK)
    await who(asked)
    assert [path.rpartition("/")[2] for path in app.asked] == ["openid-configuration", "token", "keys"]


# whose upstream is whose


def test_a_provider_and_an_issuer_of_bearers_are_called_by_names_of_their_own() -> None:
    given = {"issuer": ISSUER, "audience": "https://www.test"}
    settings = GatewaySettings(
        name="web",
        listen="127.0.0.1:8000",
        admin="127.0.0.1:9000",
        deadline="2s",
        hosts=["www.test"],
        upstreams={},
        bearer=given,
        session=json.loads(session().model_dump_json(include={"origin", "issuer", "client_id"}))
        | {"client_secret": "x", "keys": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
    )
    found = upstreams_of_proofs(settings)
    assert list(found) == ["bearer.issuer", "bearer.elsewhere", "session.issuer", "session.elsewhere"]
    assert (found["bearer.issuer"].timeout, found["session.elsewhere"].timeout) == (0.5, 2.0)


async def test_what_an_id_token_is_good_for_is_no_bearer_of_the_same_issuer() -> None:
    proof = bearer(TokenIssuer(), audience="web")
    with pytest.raises(Unauthenticated):
        await proof.principal(bearing(id_token()))
