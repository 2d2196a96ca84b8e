"""What is said of bearer tokens can be set, and is what holds."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bff_core.cli.doubts import doubts
from bff_core.settings import load
from tests.bff_core.authority import authority
from tests.bff_core.token_issuer import settings
from tests.docs.reading import DOCS, blocks, rows

PAGE = DOCS / "identity-bearer.md"
NEEDED = """
name = "mobile"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
upstreams.catalog.instances = ["http://a.test"]
"""
DEFAULTS = [(key.strip("`"), said.strip("`")) for key, said, _ in rows(PAGE, "setting") if said.startswith("`")]


@pytest.mark.parametrize("snippet", blocks(PAGE, "toml"))
def test_what_is_shown_can_be_set_and_is_not_doubted(snippet: str, tmp_path: Path) -> None:
    authority("ours").cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    shown = re.sub(r'"/etc/bff/[a-z-]+\.pem"', f'"{tmp_path}/ca.pem"', snippet)
    (tmp_path / "settings.toml").write_text(NEEDED + shown)
    found = load(tmp_path / "settings.toml")

    assert found.bearer is not None
    assert doubts(found, {}) == []


@pytest.mark.parametrize(("key", "said"), DEFAULTS)
def test_a_documented_default_is_the_true_one(key: str, said: str) -> None:
    name = key.removeprefix("bearer.")
    given: Any = json.loads(said)
    assert getattr(settings(**{name: given}), name) == getattr(settings(), name)


def test_every_setting_is_documented() -> None:
    documented = {key.strip("`").split(".")[1] for key, *_ in rows(PAGE, "setting")}
    assert documented == set(type(settings()).model_fields)
    assert len(DEFAULTS) == 3


@pytest.mark.parametrize("issuer", ["Keycloak", "Auth0", "Entra"])
def test_each_issuer_has_its_five_lines(issuer: str) -> None:
    text = PAGE.read_text().partition(f"## {issuer}\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^- ", text, re.MULTILINE)) == 5
