"""Whole logins with the demo's identity provider, a process of its own, over sockets and each of our wires."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from bff_core.auth.jwt import TokenRefused
from bff_core.auth.pkce import challenge_of, new_verifier
from bff_core.auth.provider import Granted, LoggedIn, Provider
from bff_core.errors import GrantRefused, IdentityUnavailable
from bff_core.wire.http1 import Http1Wire
from bff_core.wire.httpx import HttpxWire
from tests.bff_core.openid_provider import session
from tests.identity import PASSWORDS, Visitor, returned
from tests.processes import free_ports, process

pytestmark = pytest.mark.real

BACK = "http://localhost:8000/login/callback"
HOME = "http://localhost:8000/"
ID, SECRET = "we b", "s3cret: 100 % of+it"
CLIENTS = """
["{id}"]
name = "a test"
secret = "{secret}"
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "orders:read"]
redirect_uris = ["{back}"]
post_logout_redirect_uris = ["{home}"]
backchannel_logout_uri = "http://127.0.0.1:{port}/logout"
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of the provider, and the port at which it tells us of logouts."""
    folder: Path = tmp_path_factory.mktemp("identity")
    (port,) = free_ports(1)
    (folder / "clients.toml").write_text(CLIENTS.format(id=ID, secret=SECRET, back=BACK, home=HOME, port=port))
    words = ["-m", "demo", "identity", "--port", "0", "--data", str(folder), "--clients", str(folder / "clients.toml")]
    with process(*words) as child:
        assert child.stdout is not None
        yield child.stdout.readline().split()[1], port


@pytest.fixture(params=["http1", "httpx"])
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    opened = Http1Wire() if request.param == "http1" else HttpxWire()
    yield opened
    await opened.close()


@dataclass
class Login:
    """One browser, from the first redirect to the tokens."""

    asked: Provider
    http: httpx.AsyncClient
    verifier: str = field(default_factory=new_verifier)
    code: str = ""

    async def come_back(self, user: str = "alice") -> str:
        """The code with which the browser comes back."""
        challenge = challenge_of(self.verifier)
        url = await self.asked.authorization_url(state="st&te", nonce="n=nce", challenge=challenge, redirect_uri=BACK)
        visitor = Visitor(self.http)
        said = returned(await visitor.send(await self.http.get(url), username=user, password=PASSWORDS[user]))
        assert said["state"] == "st&te"
        assert await self.asked.names_itself()
        assert said["iss"] == str(self.http.base_url).rstrip("/")
        self.code = said["code"]
        return self.code

    async def exchange(self, verifier: str = "") -> Granted:
        """What the code comes to."""
        return await self.asked.exchange(self.code, verifier=verifier or self.verifier, redirect_uri=BACK)

    async def who(self, granted: Granted) -> LoggedIn:
        """Who has logged in."""
        assert granted.id_token is not None
        return await self.asked.logged_in(granted.id_token, nonce="n=nce", access_token=granted.access_token)


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
async def login(request: pytest.FixtureRequest, started: tuple[str, int], wire: Any) -> AsyncIterator[Login]:
    scopes = ("openid", "profile", "orders:read")
    settings = session(issuer=started[0], client_id=ID, client_secret=SECRET, client_proof=request.param, scopes=scopes)
    asked = Provider(settings, wire, "bff-web/1")
    await asked.start()
    async with httpx.AsyncClient(base_url=started[0]) as http:
        yield Login(asked, http)
    await asked.close()


async def refused(asking: Any) -> str:
    with pytest.raises(GrantRefused) as refusal:
        await asking
    return refusal.value.code


async def refresh(login: Login, granted: Granted) -> Granted:
    assert granted.refresh_token is not None
    return await login.asked.refresh(granted.refresh_token)


async def test_somebody_logs_in_stays_and_ends_it(login: Login) -> None:
    await login.come_back()
    first = await login.exchange()
    who = await login.who(first)
    assert (who.subject, who.issuer) == ("alice", str(login.http.base_url).rstrip("/"))
    assert who.session_id
    assert first.scopes == {"openid", "profile", "orders:read"}
    assert first.expires_in == 300

    second = await refresh(login, first)
    assert second.refresh_token not in {None, first.refresh_token}
    assert second.id_token is not None
    again = await login.asked.logged_in(second.id_token, nonce=None, access_token=second.access_token)
    assert again == who

    assert second.refresh_token is not None
    await login.asked.revoke(second.refresh_token, "refresh_token")
    assert await refused(refresh(login, second)) == "invalid_grant"
    facts = login.asked.facts()
    assert facts["upstream"]["attempts"] == {"success": 6}  # metadata, code, keys, refresh, revoke, refresh
    assert (facts["keys"]["number"], facts["keys"]["failing_since"]) == (2, None)


async def test_a_token_is_good_for_what_it_is_and_for_nothing_else(login: Login) -> None:
    await login.come_back()
    granted = await login.exchange()
    assert granted.id_token is not None
    for borne, nonce, access in (
        (granted.access_token, "n=nce", None),
        (granted.id_token, "another", None),
        (granted.id_token, "n=nce", granted.access_token + "x"),
    ):
        with pytest.raises(TokenRefused):
            await login.asked.logged_in(borne, nonce=nonce, access_token=access)
    for borne in (granted.id_token, granted.access_token):
        with pytest.raises(TokenRefused):
            await login.asked.logout_order(borne)


async def test_a_refresh_token_that_is_shown_twice_ends_the_whole_family(login: Login) -> None:
    await login.come_back()
    first = await login.exchange()
    second = await refresh(login, first)
    assert await refused(refresh(login, first)) == "invalid_grant"
    assert await refused(refresh(login, second)) == "invalid_grant"


async def test_a_code_is_good_once_and_for_whoever_has_asked_for_it(login: Login) -> None:
    await login.come_back()
    granted = await login.exchange()
    assert await refused(login.exchange()) == "invalid_grant"
    assert await refused(refresh(login, granted)) == "invalid_grant"
    thief = Login(login.asked, login.http)
    thief.code = "made-up"
    assert await refused(thief.exchange()) == "invalid_grant"


async def test_a_code_is_worth_nothing_without_its_verifier(login: Login) -> None:
    await login.come_back()
    assert await refused(login.exchange(new_verifier())) == "invalid_grant"


async def test_another_secret_is_not_taken_and_says_so(login: Login, wire: Any) -> None:
    settings = session(issuer=str(login.http.base_url).rstrip("/"), client_id=ID, client_secret="other")
    asked = Provider(settings, wire, "bff-web/1")
    assert await refused(asked.refresh("x")) == "invalid_client"
    assert await refused(asked.revoke("x", "refresh_token")) == "invalid_client"
    await asked.close()


async def test_keys_may_be_replaced_at_any_time(login: Login) -> None:
    await login.come_back()
    await login.who(await login.exchange())
    await login.http.post("/_rotate")
    login.http.cookies.clear()
    await login.come_back()
    assert (await login.who(await login.exchange())).subject == "alice"


async def test_somebody_who_logs_out_here_logs_out_there(login: Login) -> None:
    await login.come_back()
    granted = await login.exchange()
    url = await login.asked.end_session_url(granted.id_token or "", HOME)
    assert url is not None
    reply = await login.http.get(url)
    assert (reply.status_code, reply.headers["location"]) == (303, HOME)
    assert await refused(refresh(login, granted)) == "invalid_grant"


async def test_somebody_who_is_logged_out_there_is_to_be_logged_out_here(
    login: Login, started: tuple[str, int]
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        heard.put_nowait(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    await login.come_back("bob")
    granted = await login.exchange()
    who = await login.who(granted)
    async with await asyncio.start_server(hear, "127.0.0.1", started[1]):
        reply = await login.http.post("/_logout_user/bob")
    assert {outcome for session in reply.json()["told"] for outcome in session.values()} == {"told"}
    tokens = [parse_qs(heard.get_nowait().decode())["logout_token"][0] for _ in range(heard.qsize())]
    orders = [await login.asked.logout_order(one) for one in tokens]
    (order,) = [order for order in orders if order.session_id == who.session_id]
    assert order.subject == "bob"
    assert order.until > order.issued
    with pytest.raises(TokenRefused):
        await login.asked.logged_in(tokens[0], nonce=None, access_token=None)
    assert await refused(refresh(login, granted)) == "invalid_grant"


async def test_one_that_is_gone_is_503(login: Login, wire: Any) -> None:
    (port,) = free_ports(1)
    asked = Provider(session(issuer=f"http://127.0.0.1:{port}"), wire, "bff-web/1")
    with pytest.raises(IdentityUnavailable):
        await asked.names_itself()
    await asked.close()
