"""What a provider grants and refuses, what its replies must not get away with, and that nothing is sent to it twice."""

import asyncio
import json
import logging
import re
import traceback
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bff_core.auth.provider import Granted, Provider
from bff_core.context import RequestContext, enter
from bff_core.errors import GrantRefused, IdentityUnavailable
from bff_core.testing import SimulatedInternet, run
from tests.bff_core.openid_provider import CLIENT, METADATA, SECRET, TOKENS, OpenIdProvider, provider, session
from tests.bff_core.token_issuer import ISSUER

CODE, VERIFIER, REFRESH = "c0de", "v" * 43, "refresh-1"
BACK = "https://www.test/login/callback"
GRANTED = Granted("access-1", None, None, None, None, None)


async def exchange(asked: Provider) -> Granted:
    return await asked.exchange(CODE, verifier=VERIFIER, redirect_uri=BACK)


async def refresh(asked: Provider) -> Granted:
    return await asked.refresh(REFRESH)


async def revoke(asked: Provider) -> None:
    await asked.revoke(REFRESH, "refresh_token")


ONCE = pytest.mark.parametrize("ask", [exchange, refresh])


# what is sent


async def test_a_code_is_exchanged_with_what_it_is_bound_to() -> None:
    app = OpenIdProvider()
    assert await exchange(provider(app)) == GRANTED
    assert app.asked == [METADATA, "/realms/store/token"]
    assert app.forms == [
        {
            "grant_type": ["authorization_code"],
            "code": ["c0de"],
            "redirect_uri": [BACK],
            "code_verifier": ["v" * 43],
        }
    ]


async def test_a_refresh_token_is_shown_alone() -> None:
    app = OpenIdProvider()
    await refresh(provider(app))
    assert app.forms == [{"grant_type": ["refresh_token"], "refresh_token": ["refresh-1"]}]


async def test_a_token_is_revoked_with_a_hint() -> None:
    app = OpenIdProvider(reply=b"", media_type="text/plain")
    await revoke(provider(app))
    assert app.asked == [METADATA, "/realms/store/revoke"]
    assert app.forms == [{"token": ["refresh-1"], "token_type_hint": ["refresh_token"]}]


async def test_where_tokens_cannot_be_revoked_nobody_is_asked() -> None:
    app = OpenIdProvider(changed={"revocation_endpoint": None})
    await revoke(provider(app))
    assert app.asked == [METADATA]


@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_who_we_are_is_shown_in_the_header_each_half_encoded_as_in_a_form(ask: Any) -> None:
    app = OpenIdProvider()
    await ask(provider(app, client_id="we:b"))
    (shown,) = app.credentials
    assert shown is not None
    assert b64decode(shown.removeprefix("Basic ")) == b"we%3Ab:s3cret%2F+of%3Aweb"
    assert not {"client_id", "client_secret"} & app.forms[0].keys()


@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_or_in_the_form_where_that_is_set_and_never_in_both(ask: Any) -> None:
    app = OpenIdProvider()
    await ask(provider(app, client_proof="client_secret_post"))
    assert app.credentials == [None]
    assert (app.forms[0]["client_id"], app.forms[0]["client_secret"]) == ([CLIENT], [SECRET])


async def test_values_stay_in_their_fields() -> None:
    app = OpenIdProvider()
    await provider(app).exchange("a&code=b+c %", verifier="v", redirect_uri="https://www.test/?a=1&b=\u00e9")
    assert app.forms[0]["code"] == ["a&code=b+c %"]
    assert app.forms[0]["redirect_uri"] == ["https://www.test/?a=1&b=\u00e9"]


@pytest.mark.parametrize("code", ["", "a\n", "\u00e9", "\x00", "\ud800"])
async def test_a_code_that_no_provider_gives_is_refused_here(code: str) -> None:
    app = OpenIdProvider()
    with pytest.raises(GrantRefused) as refused:
        await provider(app).exchange(code, verifier="v", redirect_uri=BACK)
    assert refused.value.code == "invalid_grant"
    assert app.asked == []


# what is granted


GOOD: dict[str, tuple[dict[str, Any], Granted]] = {
    "the least": ({}, GRANTED),
    "everything": (
        {
            "expires_in": 300,
            "refresh_token": "refresh-2",
            "refresh_expires_in": 1800,
            "id_token": "a.b.c",
            "scope": "openid profile",
        },
        Granted("access-1", 300.0, "refresh-2", 1800.0, "a.b.c", frozenset({"openid", "profile"})),
    ),
    "what we do not know": ({"not-before-policy": 0, "session_state": "x", "error": 1}, GRANTED),
    "a type in lower case": ({"token_type": "bearer"}, GRANTED),
    "a type in upper case": ({"token_type": "BEARER"}, GRANTED),
    "nulls": (dict.fromkeys(["expires_in", "refresh_token", "refresh_expires_in", "id_token", "scope"]), GRANTED),
    "empty tokens": ({"refresh_token": "", "id_token": ""}, GRANTED),
    "a time as a text": ({"expires_in": "3599"}, GRANTED._replace(expires_in=3599.0)),
    "a time with a fraction": ({"expires_in": 0.5}, GRANTED._replace(expires_in=0.5)),
    "no time at all": ({"expires_in": 0}, GRANTED._replace(expires_in=0.0)),
    "for ever": ({"expires_in": 10**400}, GRANTED._replace(expires_in=315_360_000.0)),
    "a refresh token that never expires": ({"refresh_expires_in": 0}, GRANTED),
    "no scope": ({"scope": ""}, GRANTED._replace(scopes=frozenset())),
    "a scope twice": ({"scope": "a  b a"}, GRANTED._replace(scopes=frozenset("ab"))),
    "a token with a space": ({"access_token": "a b~"}, GRANTED._replace(access_token="a b~")),
    "a long token": ({"id_token": "x" * 16_384}, GRANTED._replace(id_token="x" * 16_384)),
}


@pytest.mark.parametrize("what", GOOD)
@ONCE
async def test_a_good_reply_is_what_it_says(ask: Any, what: str) -> None:
    said, expected = GOOD[what]
    assert await ask(provider(OpenIdProvider(reply={**TOKENS, **said}))) == expected


BAD: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"access_token=a&token_type=bearer",
    "a list": [TOKENS],
    "a text": '"access-1"',
    "no access token": {"token_type": "Bearer"},
    "an empty access token": {**TOKENS, "access_token": ""},
    "an access token that is a number": {**TOKENS, "access_token": 1},
    "an access token with a line break": {**TOKENS, "access_token": "a\r\nx: 1"},
    "an access token that is not ASCII": {**TOKENS, "access_token": "\u00e9"},
    "half a character": b'{"access_token":"\\ud800","token_type":"Bearer"}',
    "no UTF-8": b'{"access_token":"\xff","token_type":"Bearer"}',
    "a very long access token": {**TOKENS, "access_token": "x" * 16_385},
    "a very long refresh token": {**TOKENS, "refresh_token": "x" * 16_385},
    "a very long ID token": {**TOKENS, "id_token": "x" * 16_385},
    "a very long reply": {**TOKENS, "x": "x" * 300_000},
    "an ID token that is an object": {**TOKENS, "id_token": {"sub": "alice"}},
    "a refresh token that is a list": {**TOKENS, "refresh_token": ["a"]},
    "no type": {"access_token": "a"},
    "another type": {**TOKENS, "token_type": "DPoP"},
    "a type that is no access token's": {**TOKENS, "token_type": "N_A"},
    "a type that is a list": {**TOKENS, "token_type": ["Bearer"]},
    "a time that is true": {**TOKENS, "expires_in": True},
    "a time before now": {**TOKENS, "expires_in": -1},
    "a time that is no number": b'{"access_token":"a","token_type":"Bearer","expires_in":NaN}',
    "a time without end": b'{"access_token":"a","token_type":"Bearer","expires_in":Infinity}',
    "a time that becomes infinite": b'{"access_token":"a","token_type":"Bearer","expires_in":1e999}',
    "a time in words": {**TOKENS, "expires_in": "1h"},
    "a time of many digits": {**TOKENS, "expires_in": "9" * 5000},
    "a time that is a list": {**TOKENS, "refresh_expires_in": [1]},
    "scopes as a list": {**TOKENS, "scope": ["a"]},
    "scopes with a quotation mark": {**TOKENS, "scope": 'a"b'},
    "scopes of nonsense": {**TOKENS, "scope": "a\x00b"},
    "very many scopes": {**TOKENS, "scope": "a " * 20_000},
    "very deep": b'{"access_token":' + b"[" * 20_000,
}


@pytest.mark.parametrize("what", BAD)
async def test_a_reply_that_is_none_is_503_and_the_providers_failure(what: str) -> None:
    asked = provider(OpenIdProvider(reply=BAD[what]))
    with pytest.raises(IdentityUnavailable, match="no tokens were granted"):
        await exchange(asked)
    assert asked.facts()["upstream"]["attempts"] == {"success": 1, "failure": 1}


@pytest.mark.parametrize("media_type", ["text/html", "application/x-www-form-urlencoded", "application/jwt", ""])
async def test_tokens_of_another_media_type_are_none(media_type: str) -> None:
    with pytest.raises(IdentityUnavailable):
        await exchange(provider(OpenIdProvider(media_type=media_type)))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = [
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "refresh_expires_in",
    "id_token",
    "scope",
    "error",
]


@given(
    st.dictionaries(st.sampled_from(MEMBERS), ANYTHING).map(lambda said: json.dumps({**TOKENS, **said}).encode())
    | ANYTHING.map(lambda said: json.dumps(said).encode())
    | st.binary(),
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 418, 429, 500, 503]),
)
@example(b'{"access_token":"a","token_type":"Bearer","expires_in":' + b"9" * 6000 + b"}", 200)
def test_whatever_comes_back_is_granted_refused_or_503(reply: bytes, status: int) -> None:
    async def ask() -> None:
        asked = provider(OpenIdProvider(reply=reply, status=status))
        try:
            found = await exchange(asked)
        except IdentityUnavailable:
            return
        except GrantRefused as refused:
            assert status in {400, 401, 403}
            assert re.fullmatch("[!-~]{1,64}", refused.code)  # noqa: PT017  it may as well be granted
            return
        assert 200 <= status < 300
        assert found.access_token.isascii()
        assert found.access_token.isprintable()
        assert found.expires_in is None or 0 <= found.expires_in <= 315_360_000

    run(ask())


# what is refused


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_a_refusal_is_an_answer_and_says_nothing_against_the_provider(ask: Any, status: int) -> None:
    app = OpenIdProvider(status=status, reply={"error": "invalid_grant", "error_description": "gone"})
    asked = provider(app)
    for _ in range(40):
        with pytest.raises(GrantRefused) as refused:
            await ask(asked)
        assert refused.value.code == "invalid_grant"
    facts = asked.facts()["upstream"]
    assert (facts["circuit"], facts["attempts"]) == ("closed", {"success": 41})
    assert len(app.forms) == 40


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>",
        [],
        {},
        {"error": None},
        {"error": 1},
        {"error": ""},
        {"error": "invalid grant"},
        {"error": "a\nb"},
        {"error": "a" * 65},
        {"error": "x\u00e9"},
        {"error": {"code": 1}},
    ],
)
async def test_a_refusal_without_a_reason_is_no_answer(reply: Any) -> None:
    with pytest.raises(IdentityUnavailable, match="answered 400"):
        await exchange(provider(OpenIdProvider(status=400, reply=reply)))


async def test_a_kind_of_token_that_cannot_be_revoked_is_let_be() -> None:
    await revoke(provider(OpenIdProvider(status=400, reply={"error": "unsupported_token_type"})))


async def test_that_we_are_not_known_is_said_to_operators_in_so_many_words(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(GrantRefused):
        await refresh(provider(OpenIdProvider(status=401, reply={"error": "invalid_client"})))
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "the provider does not take us for the client that is set: invalid_client"


async def test_why_is_in_the_log_on_one_line_and_only_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bff.auth")
    why = "c0de was used\r\nby \x1b[31m" + "x" * 5000
    with pytest.raises(GrantRefused) as refused:
        await exchange(provider(OpenIdProvider(status=400, reply={"error": "invalid_grant", "error_description": why})))
    (line,) = [record.getMessage() for record in caplog.records if "refuses a grant" in record.getMessage()]
    assert line.startswith("the provider refuses a grant: invalid_grant: ... was used  by  [31mxxx")
    assert len(line) < 300
    assert "used" not in str(refused.value)


# what goes wrong


@pytest.mark.parametrize("status", [302, 404, 405, 408, 418, 425, 429, 500, 502, 503, 504])
async def test_what_is_neither_is_503(status: int) -> None:
    app = OpenIdProvider(status=status, headers={"retry-after": "7"}, reply={"error": "invalid_grant"})
    with pytest.raises(IdentityUnavailable) as unavailable:
        await exchange(provider(app))
    assert unavailable.value.retry_after == (7.0 if status in {408, 425, 429, 503} else 1.0)


@ONCE
@pytest.mark.parametrize(
    "broken",
    [
        {"lost": True},
        {"pause": 1e6},
        {"status": 503},
        {"status": 503, "headers": {"retry-after": "0"}},
        {"status": 429, "headers": {"retry-after": "0"}},
        {"status": 502},
        {"status": 500},
        {"reply": b"no JSON"},
    ],
    ids=str,
)
async def test_what_changes_something_is_sent_once_whatever_becomes_of_it(ask: Any, broken: dict[str, Any]) -> None:
    app = OpenIdProvider()
    asked = provider(app, upstream={"retry": {"attempts": 5, "budget": 1.0}, "hedge": {"enabled": True}})
    for _ in range(30):  # and the provider is known to be quick
        await ask(asked)
        await asyncio.sleep(1)
    for name, value in broken.items():
        setattr(app, name, value)
    with pytest.raises(IdentityUnavailable):
        await ask(asked)
    assert len(app.forms) == 31
    assert asked.facts()["upstream"]["retried"] == asked.facts()["upstream"]["hedged"] == 0


@ONCE
async def test_one_that_is_not_there_is_not_asked_again_either(ask: Any) -> None:
    app, net = OpenIdProvider(), SimulatedInternet()
    net.hosts["id.test"] = app
    asked = provider(net=net)
    await ask(asked)
    del net.hosts["id.test"]
    before = len(net.requests)
    with pytest.raises(IdentityUnavailable, match="connection refused"):
        await ask(asked)
    assert len(net.requests) == before + 1


@ONCE
async def test_two_at_once_are_two_because_each_is_somebody_elses(ask: Any) -> None:
    app = OpenIdProvider(pause=0.1)
    asked = provider(app)
    await asyncio.gather(*[asyncio.create_task(ask(asked)) for _ in range(10)])
    assert len(app.forms) == 10
    assert app.asked.count(METADATA) == 1


async def test_what_is_revoked_twice_is_revoked_and_so_it_is_sent_again() -> None:
    app = OpenIdProvider(status=503, reply=b"")
    with pytest.raises(IdentityUnavailable, match="could not be revoked"):
        await revoke(provider(app))
    assert len(app.forms) == 3


@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_one_that_hangs_has_two_seconds_unless_the_settings_say_otherwise(ask: Any) -> None:
    loop = asyncio.get_running_loop()
    for upstream, seconds in (({}, 2.0), ({"timeout": "1s"}, 1.0)):
        app = OpenIdProvider()
        asked = provider(app, upstream={"retry": {"attempts": 0}, **upstream})
        await asked.names_itself()
        app.pause = 1e6
        before = loop.time()
        with pytest.raises(IdentityUnavailable):
            await ask(asked)
        assert loop.time() - before == pytest.approx(seconds, abs=0.01)
        await asyncio.sleep(60)


@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_nobody_waits_longer_than_the_deadline_of_the_request(ask: Any) -> None:
    app = OpenIdProvider()
    asked, loop = provider(app), asyncio.get_running_loop()
    await asked.names_itself()
    app.pause = 1e6

    async def within(seconds: float) -> float:
        before = loop.time()
        enter(RequestContext(until=before + seconds))
        with pytest.raises(IdentityUnavailable):
            await ask(asked)
        return loop.time() - before

    assert await asyncio.create_task(within(0.3)) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_what_was_sent_is_heard_to_its_end_when_whoever_asked_has_left(ask: Any) -> None:
    app, net = OpenIdProvider(), SimulatedInternet()
    net.hosts["id.test"] = app
    asked = provider(net=net)
    await asked.names_itself()
    app.pause = 0.5
    asking = asyncio.create_task(ask(asked))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.sleep(0.1)
    assert net.in_flight == 1
    await asyncio.sleep(0.5)
    assert net.in_flight == 0
    assert asked.facts()["upstream"]["attempts"] == {"success": 2}


async def test_a_provider_that_fails_is_left_alone_for_a_while() -> None:
    app = OpenIdProvider(down=True)
    asked = provider(app)
    for _ in range(100):
        with pytest.raises(IdentityUnavailable):
            await exchange(asked)
    assert len(app.asked) < 40
    assert asked.facts()["upstream"]["circuit"] == "open"


async def test_what_goes_wrong_leaves_nothing_for_the_collector(garbage: Callable[[], list[str]]) -> None:
    app = OpenIdProvider()
    asked = provider(app)
    for status, reply in ((400, {"error": "invalid_grant"}), (500, b""), (200, b"")):
        app.status, app.reply = status, reply
        for ask in (exchange, refresh):
            with pytest.raises((GrantRefused, IdentityUnavailable)):
                await ask(asked)
    assert [name for name in garbage() if "bff_core" in name] == []


# what is secret


@pytest.mark.parametrize("proof", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("ask", [exchange, refresh, revoke])
async def test_nothing_secret_gets_into_logs_errors_facts_or_what_is_printed(
    ask: Any, proof: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = {"access_token": "s3cr3t-a", "refresh_token": "s3cr3t-r", "id_token": "s3cr3t-i", "token_type": "Bearer"}
    app, seen = OpenIdProvider(), []
    asked = provider(app, client_proof=proof, upstream={"circuit": {"enabled": False}})
    await ask(asked)
    told = [
        app.forms[0][name][0] for name in ("code", "code_verifier", "refresh_token", "token") if name in app.forms[0]
    ]
    told.append(SECRET)
    echo = {"error_description": " ".join(told)}
    for status, reply in (
        (200, said),
        (200, {**said, "token_type": "s3cr3t-t"}),
        (200, {**said, "expires_in": "s3cr3t-e", "scope": ["s3cr3t-s"]}),
        (200, json.dumps(said).encode() + b"s3cr3t"),
        (400, {**said, **echo, "error": "invalid_grant"}),
        (401, {**said, **echo, "error": "invalid_client"}),
        (500, {**said, **echo}),
    ):
        app.status, app.reply = status, reply
        try:
            seen.append(repr(await ask(asked)))
        except (GrantRefused, IdentityUnavailable) as error:
            seen.append("".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)))
    seen += [json.dumps(asked.facts()), repr(asked), repr(vars(asked)), repr(session())]
    seen += [record.getMessage() for record in caplog.records]
    whole = "\n".join(seen)
    assert "invalid_grant: ..." in whole
    for secret in ("s3cr3t", *told, "s3cret%2F", app.credentials[0]):
        assert secret is None or secret not in whole


# where it is


async def test_tokens_may_be_granted_at_another_origin_and_with_a_query() -> None:
    app, other = (
        OpenIdProvider(changed={"token_endpoint": "https://oauth.test:8443/t/token?realm=a%20b&x="}),
        OpenIdProvider(),
    )
    net = SimulatedInternet({"id.test": app, "oauth.test": other})
    asked = provider(net=net)
    assert await exchange(asked) == GRANTED
    instance, request = net.requests[-1]
    assert (str(instance), request.target) == ("https://oauth.test:8443", "/t/token?realm=a%20b&x=")
    assert instance.upstream == "session.elsewhere"
    assert asked.facts()["elsewhere"]["https://oauth.test:8443"]["attempts"] == {"success": 1}


@pytest.mark.parametrize(
    "url",
    [
        "http://id.test/token",
        "/token",
        "ftp://id.test/",
        "https://u:p@id.test/",
        "https://id.test/#x",
        "javascript:x",
        "",
    ],
)
@pytest.mark.parametrize(("ask", "name"), [(exchange, "token_endpoint"), (revoke, "revocation_endpoint")])
async def test_no_secret_is_sent_where_anyone_else_could_answer(ask: Any, name: str, url: str) -> None:
    app = OpenIdProvider(changed={name: url})
    net = SimulatedInternet({"id.test": app})
    with pytest.raises(IdentityUnavailable, match="a URL in its metadata"):
        await ask(provider(net=net))
    assert len(net.requests) == 1


async def test_without_a_token_endpoint_it_is_503() -> None:
    with pytest.raises(IdentityUnavailable, match="does not say where to ask"):
        await exchange(provider(OpenIdProvider(changed={"token_endpoint": None})))


def test_the_timeout_of_a_provider_is_two_seconds_and_may_be_set() -> None:
    assert session().called.timeout == 2.0
    assert session(upstream={"timeout": "300ms"}).called.timeout == 0.3
    assert session(issuer=ISSUER).called.max_reply == 256 * 1024
