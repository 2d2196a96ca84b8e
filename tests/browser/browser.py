"""A Chromium that tests steer: what it shows, what it complains about, how it is emulated."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
EVERY_PICTURE = """
const done = arguments[0], pictures = [...document.images];
pictures.forEach(picture => picture.loading = 'eager');
Promise.all(pictures.map(picture => picture.decode().then(() => null, () => picture.src)))
    .then(broken => done(broken.filter(Boolean)));
"""
VIOLATIONS = """
const done = arguments[0];
axe.run(document, {resultTypes: ['violations']}).then(({violations}) => done(violations.flatMap(
    ({id, impact, nodes}) => nodes.map(({html}) => `${impact} ${id}: ${html}`))));
"""


class Browser:
    """Paths are those of ``home``, the gateway in question."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.home = ""

    def open(self, path: str) -> None:
        """Go there, and come back once it has loaded. What was complained about before is forgotten."""
        self.complaints()
        self.driver.get(self.home + path)

    @property
    def status(self) -> int:
        """What the page was answered with."""
        return int(self.driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus"))

    @property
    def text(self) -> str:
        """All that there is to read."""
        return self.one("main").text

    def one(self, selector: str) -> WebElement:
        """The first element that this CSS selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Every element that this CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, script: str) -> None:
        """Return once this expression is true in the page; fail after five seconds."""
        WebDriverWait(self.driver, 5, poll_frequency=0.02).until(lambda it: it.execute_script(f"return {script}"))

    def broken_pictures(self) -> list[str]:
        """The addresses of those that cannot be drawn, the ones below the fold included."""
        return list(self.driver.execute_async_script(EVERY_PICTURE))

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page."""
        self.driver.execute_script((files("axe_playwright_python") / "axe.min.js").read_text())
        return list(self.driver.execute_async_script(VIOLATIONS))

    def complaints(self) -> list[str]:
        """What the console says, and requests that failed, since it was last asked."""
        console = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return console + [failure for event in events if (failure := _failure(event))]

    def emulate(self, *, width: int = 1280, scheme: str = "light") -> None:
        """A window of this many CSS pixels whose owner likes this colour scheme, and nothing that moves."""
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def forbid_scripts(self, *, forbidden: bool = True) -> None:
        """As if JavaScript were switched off."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": forbidden})

    def reset(self) -> None:
        """Forget every emulation."""
        self.forbid_scripts(forbidden=False)
        self.emulate()


@contextmanager
def chromium(binary: str, driver: str, profile: Path) -> Iterator[Browser]:
    """One with an empty profile; gone when the block is left."""
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=Service(driver)) as chrome:
        yield Browser(chrome)


def _failure(event: dict[str, Any]) -> str | None:
    told = event["params"]
    if event["method"] == "Network.responseReceived" and told["response"]["status"] >= 400:
        return f"{told['response']['status']} {told['response']['url']}"
    if event["method"] == "Network.loadingFailed" and not told.get("canceled"):
        return f"{told['errorText']} {told['type']}"
    return None
