"""The identity provider as people meet it: they come from a shop on another site, log in, and go back."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from selenium.webdriver import Keys

from tests.browser.browser import Browser
from tests.identity import ASKED, PASSWORDS, VERIFIER, WEB
from tests.processes import free_ports, listens, process

pytestmark = pytest.mark.browser


class Shop(BaseHTTPRequestHandler):
    """A relying party that says which address it was visited at."""

    def do_GET(self) -> None:
        body = (
            b"<!doctype html><html lang=en><title>Shop</title><link rel=icon href='data:,'><main><h1>Shop</h1></main>"
        )
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def provider(shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("identity")
    (folder / "clients.toml").write_text(f"""
        [web]
        name = "a shop"
        secret = "{WEB[1]}"
        grants = ["authorization_code"]
        scopes = ["openid"]
        redirect_uris = ["{shop}/callback"]
        post_logout_redirect_uris = ["{shop}/"]
    """)
    (port,) = free_ports(1)
    words = ("--port", str(port), "--data", str(folder), "--clients", str(folder / "clients.toml"))
    with process("-m", "demo", "identity", *words):
        listens(port)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def visitor(window: Browser, provider: str) -> Browser:
    """A browser that is logged in nowhere."""
    window.home = provider
    window.reset()
    window.driver.get(provider + "/health")
    window.driver.delete_all_cookies()
    return window


def asked(shop: str, **more: str) -> str:
    return "/authorize?" + urlencode(ASKED | {"redirect_uri": f"{shop}/callback", "scope": "openid"} | more)


def came_back(visitor: Browser) -> dict[str, str]:
    visitor.until("location.pathname === '/callback'")
    return {name: value for name, (value,) in parse_qs(urlsplit(visitor.driver.current_url).query).items()}


def fill_in(visitor: Browser, name: str, password: str) -> None:
    visitor.one("#username").clear()
    visitor.one("#username").send_keys(name)
    visitor.one("#password").send_keys(password, Keys.ENTER)


def redeemed(provider: str, shop: str, code: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{shop}/callback"}
    return httpx.post(f"{provider}/token", auth=WEB, data=form | {"code_verifier": VERIFIER}).json()


@pytest.mark.parametrize("scripts", [True, False])
def test_alice_logs_in_goes_back_to_the_shop_and_logs_out(
    visitor: Browser, provider: str, shop: str, scripts: bool
) -> None:
    visitor.forbid_scripts(forbidden=not scripts)
    visitor.driver.get(shop)  # so that she comes from another site
    visitor.open(asked(shop))
    fill_in(visitor, "alice", PASSWORDS["alice"])
    answer = came_back(visitor)
    assert (answer["state"], answer["iss"]) == ("st4te", provider)
    tokens = redeemed(provider, shop, answer["code"])
    assert visitor.complaints() == []

    visitor.open(asked(shop, state="again"))
    assert came_back(visitor)["state"] == "again"

    wish = {"client_id": "web", "post_logout_redirect_uri": f"{shop}/", "state": "bye"}
    visitor.open(f"/end_session?{urlencode(wish)}")
    assert "Alice Archer" in visitor.text
    visitor.one("button").click()
    visitor.until("location.search === '?state=bye'")

    visitor.open(asked(shop))
    assert visitor.one("h1").text == "Sign in"
    fill_in(visitor, "alice", PASSWORDS["alice"])
    came_back(visitor)
    visitor.open(f"/end_session?{urlencode({'id_token_hint': tokens['id_token']})}")
    assert visitor.one("h1").text == "Sign out?"  # the token is of the session that is over
    assert visitor.complaints() == []


def test_a_wrong_password_keeps_the_name_and_is_told_to_all(visitor: Browser, shop: str) -> None:
    visitor.open(asked(shop))
    fill_in(visitor, "alice", "wrong")
    visitor.until("document.querySelector('[role=alert]')")

    assert visitor.one("[role=alert]").text == "The name or the password is wrong."
    assert visitor.one("#username").get_property("value") == "alice"
    assert visitor.driver.switch_to.active_element == visitor.one("#password")
    assert visitor.violations() == []


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["login", "error", "signed out"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(
    visitor: Browser, shop: str, scheme: str, width: int, page: str
) -> None:
    visitor.emulate(width=width, scheme=scheme)
    paths = {"login": asked(shop), "error": "/authorize", "signed out": "/end_session"}
    visitor.open(paths[page])
    root = visitor.one("html")

    assert visitor.violations() == []
    assert int(root.get_property("scrollWidth")) <= width
    assert visitor.status == (400 if page == "error" else 200)
