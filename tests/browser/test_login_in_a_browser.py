"""Logging in and out as people do: a shop on `localhost`, and an identity provider on another site, `127.0.0.1`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic

import httpx
import pytest
from selenium.webdriver import Keys

from tests.browser.browser import Browser
from tests.identity import PASSWORDS, WEB
from tests.processes import free_ports, listens, process
from tests.store import SESSION_KEY, WEB_SECRET

pytestmark = pytest.mark.browser

BOOK = "/products/pojos-in-action"


@dataclass
class Place:
    """Where everything is."""

    shop: str
    provider: str
    elsewhere: str


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another site that recommends a book, at the path that is asked for."""

    def do_GET(self) -> None:
        port = self.path.strip("/")
        body = (
            "<!doctype html><html lang=en><title>Elsewhere</title><link rel=icon href='data:,'>"
            f"<main><a href='http://localhost:{port}{BOOK}'>A book</a></main>"
        )
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def place(services: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("identity")
    shop, admin, provider = free_ports(3)
    origin, issuer = f"http://localhost:{shop}", f"http://127.0.0.1:{provider}"
    (folder / "clients.toml").write_text(f"""
        [web]
        name = "the bookshop"
        secret = "{WEB[1]}"
        grants = ["authorization_code", "refresh_token"]
        scopes = ["openid", "profile", "orders:read"]
        redirect_uris = ["{origin}/login/callback"]
        post_logout_redirect_uris = ["{origin}/"]
        backchannel_logout_uri = "{origin}/logout/backchannel"
    """)
    env = {f"BFF_WEB__UPSTREAMS__{name.upper()}__INSTANCES": json.dumps([url]) for name, url in services.items()} | {
        "BFF_WEB__LISTEN": f"127.0.0.1:{shop}",
        "BFF_WEB__ADMIN": f"127.0.0.1:{admin}",
        "BFF_WEB__DRAIN": "10ms",
        "BFF_WEB__SESSION__ORIGIN": origin,
        "BFF_WEB__SESSION__ISSUER": issuer,
        "BFF_WEB__SESSION__CLIENT_SECRET": WEB_SECRET,
        "BFF_WEB__SESSION__KEYS": SESSION_KEY,
    }
    words = ("--port", str(provider), "--data", str(folder), "--clients", str(folder / "clients.toml"))
    with ExitStack() as stack:
        stack.enter_context(process("-m", "demo", "identity", *words))
        stack.enter_context(process("-m", "bff_core.cli", "run", "web", env=env))
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere))
        thread = Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        for port in (provider, shop):
            listens(port)
        yield Place(origin, issuer, f"http://127.0.0.1:{server.server_port}/{shop}")


@pytest.fixture
def visitor(window: Browser, place: Place) -> Browser:
    """A browser that is logged in nowhere."""
    window.home = place.shop
    window.reset()
    for site in (place.provider + "/health", place.shop + "/static/icon.svg"):
        window.driver.get(site)
        window.driver.delete_all_cookies()
    window.complaints()
    return window


def log_in(visitor: Browser, user: str = "alice") -> None:
    """From the page of a book, and back to it."""
    visitor.open(BOOK)
    visitor.one("#account a").click()
    visitor.until("document.querySelector('#username') !== null")
    visitor.one("#username").send_keys(user)
    visitor.one("#password").send_keys(PASSWORDS[user], Keys.ENTER)
    visitor.until(f"location.pathname === '{BOOK}' && document.querySelector('#account summary') !== null")


def bought(visitor: Browser) -> list[str]:
    return [one.text for one in visitor.all("#purchases li")]


@pytest.mark.parametrize("scripts", [True, False])
def test_alice_logs_in_and_sees_what_she_has_bought(visitor: Browser, place: Place, scripts: bool) -> None:
    visitor.forbid_scripts(forbidden=not scripts)
    visitor.open(BOOK)
    assert bought(visitor) == []
    assert visitor.one("#account").text == "Log in"

    log_in(visitor)
    assert visitor.one("#account summary").text == "Alice Archer"
    assert bought(visitor) == ["21 Aug 2024 e-book, $29.99", "9 Mar 2019 new, $44.99"]
    assert visitor.complaints() == []


def test_bob_sees_nothing_of_alice(visitor: Browser) -> None:
    log_in(visitor, "bob")
    assert visitor.one("#account summary").text == "Bob Binder"
    assert bought(visitor) == []


def test_no_script_can_read_the_cookie(visitor: Browser) -> None:
    log_in(visitor)
    (cookie,) = visitor.driver.get_cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == ("session", True, "Strict", "/")
    assert visitor.driver.execute_script("return document.cookie") == ""


def test_a_visit_by_a_link_from_another_site_completes_itself(visitor: Browser, place: Place) -> None:
    log_in(visitor)
    visitor.driver.get(place.elsewhere)
    visitor.one("a").click()
    visitor.until("document.querySelectorAll('#purchases li').length === 2")

    assert visitor.one("#account summary").text == "Alice Archer"
    assert visitor.complaints() == []


def test_without_scripts_such_a_visit_is_that_of_somebody_unknown_until_the_next_click(
    visitor: Browser, place: Place
) -> None:
    log_in(visitor)
    visitor.forbid_scripts()
    visitor.driver.get(place.elsewhere)
    visitor.one("a").click()
    assert (visitor.one("#account").text, bought(visitor)) == ("Log in", [])

    visitor.one(".brand").click()
    assert visitor.one("#account summary").text == "Alice Archer"


def test_who_logs_out_in_one_tab_is_logged_out_in_the_other(visitor: Browser, place: Place) -> None:
    log_in(visitor)
    first = visitor.driver.current_window_handle
    visitor.driver.switch_to.new_window("tab")
    visitor.open(BOOK)
    visitor.one("#account summary").click()
    visitor.one("form[action='/logout'] button").click()
    # by the provider, which forgets the login too, and back home
    visitor.until("location.pathname === '/' && document.querySelector('#account a') !== null")
    assert visitor.driver.current_url == f"{place.shop}/"
    assert visitor.driver.get_cookies() == []

    visitor.driver.close()
    visitor.driver.switch_to.window(first)
    visitor.until("document.querySelector('#account a') !== null")
    assert bought(visitor) == []
    visitor.driver.refresh()
    assert (visitor.one("#account").text, bought(visitor)) == ("Log in", [])

    visitor.one("#account a").click()
    visitor.until("document.querySelector('#username') !== null")


def test_who_logs_out_everywhere_is_logged_out_in_every_browser(visitor: Browser, place: Place) -> None:
    log_in(visitor)
    (other,) = visitor.driver.get_cookies()
    visitor.driver.delete_all_cookies()
    visitor.open(BOOK)
    visitor.one("#account a").click()  # the provider knows her still, and asks nothing
    visitor.until("document.querySelector('#account summary') !== null")
    visitor.one("#account summary").click()
    visitor.one("form[action='/logout/everywhere'] button").click()
    visitor.until("location.pathname === '/' && document.querySelector('#account a') !== null")

    assert not who(place, other["value"])["signed_in"]


def test_a_logout_at_the_provider_ends_the_session_within_a_second(visitor: Browser, place: Place) -> None:
    log_in(visitor)
    (cookie,) = visitor.driver.get_cookies()
    assert who(place, cookie["value"])["signed_in"]

    began = monotonic()
    told = httpx.post(f"{place.provider}/_logout_user/alice").json()
    assert {"web": "told"} in told["told"]
    assert not who(place, cookie["value"])["signed_in"]
    assert monotonic() - began < 1

    visitor.driver.refresh()
    assert (visitor.one("#account").text, bought(visitor)) == ("Log in", [])


def test_another_site_cannot_log_anybody_out(visitor: Browser, place: Place) -> None:
    log_in(visitor)
    visitor.driver.get(place.elsewhere)
    visitor.driver.execute_script(
        "const form = Object.assign(document.createElement('form'), {method: 'post', action: arguments[0]});"
        "document.body.append(form); form.submit();",
        f"{place.shop}/logout",
    )
    visitor.until(f"location.origin === '{place.shop}'")
    assert visitor.status == 403
    visitor.open(BOOK)
    assert visitor.one("#account summary").text == "Alice Archer"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_page_of_somebody_known(visitor: Browser, scheme: str, width: int) -> None:
    log_in(visitor)
    visitor.emulate(width=width, scheme=scheme)
    visitor.driver.refresh()
    visitor.one("#account summary").click()
    assert visitor.violations() == []


def who(place: Place, session: str) -> dict[str, object]:
    headers = {"cookie": f"session={session}", "x-csrf": "1", "host": place.shop.removeprefix("http://")}
    found: dict[str, object] = httpx.get(
        place.shop.replace("localhost", "127.0.0.1") + "/session", headers=headers
    ).json()
    return found
