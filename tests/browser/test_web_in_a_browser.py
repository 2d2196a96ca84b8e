"""The browsers' gateway as people meet it: in a browser, with and without eyes, scripts or a mouse."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.select import Select

from tests.browser.browser import Browser
from tests.processes import ask

pytestmark = pytest.mark.browser

BOOK = "/products/pojos-in-action"
NO_BOOK = "/products/no-such-book"
PAGES = pytest.mark.parametrize(
    "path",
    [BOOK, "/", "/?query=java&region=DE", "/?query=zzz", NO_BOOK],
    ids=["book", "home", "found", "empty", "gone"],
)


@pytest.mark.parametrize("path", [BOOK, "/", "/?query=java&region=DE"])
def test_a_page_loads_and_the_browser_has_nothing_to_complain_about(browser: Browser, path: str) -> None:
    browser.open(path)

    assert browser.status == 200
    assert browser.broken_pictures() == []
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@PAGES
def test_axe_finds_nothing_that_would_keep_anyone_out(browser: Browser, path: str, scheme: str, width: int) -> None:
    browser.emulate(width=width, scheme=scheme)
    browser.open(path)

    assert browser.violations() == []


def test_dark_is_dark(browser: Browser) -> None:
    browser.open(BOOK)
    light = browser.one("html").value_of_css_property("background-color")
    browser.emulate(scheme="dark")
    dark = browser.one("html").value_of_css_property("background-color")

    assert (light, dark) == ("rgba(246, 248, 246, 1)", "rgba(16, 21, 18, 1)")


@PAGES
def test_no_page_scrolls_sideways_on_the_narrowest_phone(browser: Browser, path: str) -> None:
    browser.emulate(width=320)
    browser.open(path)
    root = browser.one("html")

    assert int(root.get_property("scrollWidth")) <= int(root.get_property("clientWidth")) <= 320


def test_a_book_is_all_there_without_javascript(browser: Browser) -> None:
    browser.forbid_scripts()
    browser.open(BOOK)

    assert browser.one("h1").text == "POJOs in Action"
    assert "$" in browser.one(".price").text
    assert len(browser.all(".review")) > 3
    assert browser.one(".delivery").text.startswith("Arrives")


def test_search_works_without_javascript(browser: Browser) -> None:
    browser.forbid_scripts()
    browser.open(BOOK)
    browser.one("[name=query]").send_keys("java", Keys.ENTER)
    browser.until("location.pathname === '/'")

    assert browser.one("h1").text == "Results for “java”"
    assert browser.one("[name=query]").get_property("value") == "java"
    first = [card.text for card in browser.all(".card-title")]
    browser.one("a.button[rel=next]").click()
    browser.until("location.search.includes('cursor=')")
    assert not set(first) & {card.text for card in browser.all(".card-title")}


def test_a_region_is_chosen_without_javascript_and_stays_chosen(browser: Browser) -> None:
    browser.forbid_scripts()
    browser.open(BOOK)
    Select(browser.one("#region")).select_by_value("DE")
    browser.one(".place button").click()
    browser.until("location.search === '?region=DE'")

    assert "€" in browser.one(".price").text
    assert "Germany" in browser.one(".delivery").text
    links = [link.get_dom_attribute("href") for link in browser.all("main .card-link")]
    assert links
    assert all(link.endswith("?region=DE") for link in links)


def test_a_search_survives_another_region(browser: Browser) -> None:
    browser.open("/?query=java")
    Select(browser.one("#region")).select_by_value("JP")
    browser.one(".place button").click()
    browser.until("location.search.includes('region=JP')")

    assert browser.one("h1").text == "Results for “java”"


def test_the_back_of_a_book_is_one_click_away(browser: Browser) -> None:
    browser.forbid_scripts()
    browser.open(BOOK)
    browser.one("[href='#picture-back']").click()

    browser.until("document.querySelector('.gallery-strip').scrollLeft > 100")


def test_the_first_tab_reaches_a_link_that_skips_to_the_content(browser: Browser) -> None:
    browser.open(BOOK)
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    skip = browser.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.is_displayed()

    skip.send_keys(Keys.ENTER)
    assert browser.driver.switch_to.active_element.get_dom_attribute("id") == "main"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_keyboard_reaches_all_that_a_mouse_can_click_and_shows_where_it_is(browser: Browser, width: int) -> None:
    browser.emulate(width=width)
    browser.open(BOOK)
    for stop in browser.all("a[href], button, input:not([type=hidden]), select"):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()

        assert browser.driver.switch_to.active_element == stop
        assert stop.value_of_css_property("outline-style") == "solid"


def test_a_book_without_reviews_says_so(browser: Browser) -> None:
    browser.open("/products/design-patterns")

    assert "Nobody has reviewed it yet" in browser.text
    assert browser.violations() == []


@pytest.fixture
def only_the_catalog(
    services: Mapping[str, str], another_gateway: partial[AbstractContextManager[str]]
) -> Iterator[str]:
    """A gateway before a store of which only the catalogue answers."""
    others = [address for name, address in services.items() if name != "catalog"]
    with another_gateway() as address:
        for other in others:
            ask(f"{other}/_fault", method="PUT", content={"down": True})
        yield address
        for other in others:
            ask(f"{other}/_fault", method="DELETE")


def test_what_is_missing_leaves_a_quiet_placeholder(browser: Browser, only_the_catalog: str) -> None:
    browser.home = only_the_catalog
    browser.open(BOOK)

    assert browser.status == 200
    assert browser.one("h1").text == "POJOs in Action"
    assert [placeholder.text for placeholder in browser.all(".missing")] == [
        "Ratings are not available just now",
        "Price is not available just now",
        "Delivery is not known just now",
        "Suggestions are not available just now",
        "Other sellers are not available just now",
        "Ratings are not available just now",
        "Reviews are not available just now",
    ]
    assert browser.violations() == []
    assert browser.complaints() == []


def test_an_unknown_book_is_a_page_for_people_with_the_id_that_our_log_has(browser: Browser) -> None:
    browser.open(NO_BOOK)

    assert browser.status == 404
    assert browser.one("h1").text == "We looked on every shelf"
    assert len(browser.one(".calm code").text) == 16
    browser.one(".calm .button").click()
    browser.until("location.pathname === '/'")
