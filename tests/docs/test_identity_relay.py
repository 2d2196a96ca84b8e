"""What is said of telling services who asks can be set, and is what holds."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc.errors import JoseError

from bff_core.auth.relay_keys import RelayKeys
from bff_core.relay_settings import RelaySettings
from bff_core.settings import load
from tests.bff_core.relayed import ALICE, pem, relay, told
from tests.docs.reading import DOCS, blocks, rows

PAGE = DOCS / "identity-relay.md"
NEEDED = """
name = "web"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
{}
[upstreams.orders]
instances = ["http://a.test"]
{}
"""
SETTINGS = rows(PAGE, "setting")
KEYS = RelayKeys([pem()])


def token(**changed: Any) -> str:
    lines = relay(KEYS, **{"clock": time.time, **changed}).lines(ALICE)
    return lines.removeprefix(b"authorization: Bearer ").removesuffix(b"\r\n").decode()


@pytest.mark.parametrize(
    ("above", "below"),
    [
        *[("", shown) for shown in blocks(PAGE, "toml")],
        *[(shown, "") for shown in blocks(DOCS / "reaching-upstreams.md", "toml") if shown.startswith("baggage")],
    ],
)
def test_what_is_shown_can_be_set(above: str, below: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(NEEDED.format(above, below))
    found = load(tmp_path / "settings.toml")
    assert (found.relay is not None, bool(found.baggage)) == (bool(below), bool(above))


def test_every_setting_is_documented_with_its_true_default() -> None:
    said = {key.strip("`").removeprefix("relay."): default.strip("`") for key, default, _ in SETTINGS}
    assert said == {"issuer": "required", "keys": "none", "lifetime": '"60s"'}
    assert said.keys() == RelaySettings.model_fields.keys()
    plain = RelaySettings(issuer="web")
    assert plain.keys is None
    assert plain == RelaySettings(issuer="web", lifetime=json.loads(said["lifetime"]))


def test_every_claim_is_documented_and_no_other() -> None:
    said = {name for cell, *_ in rows(PAGE, "claim") for name in re.findall(r"`(\w+)`", cell)}
    claims = told(b"authorization: Bearer " + token().encode() + b"\r\n", KEYS.published).claims
    assert said == claims.keys()


def test_a_service_that_verifies_as_it_is_shown_believes_the_gateway_and_nobody_else() -> None:
    (shown,) = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(shown, names)
    who_asks, jwks = names["who_asks"], json.loads(KEYS.published)
    assert who_asks(token(), jwks) == "alice"
    for wrong in (
        token(audience="catalog"),
        token(issuer="mobile"),
        token(clock=lambda: time.time() - 100),
        token()[:-4] + "AAAA",
    ):
        with pytest.raises(JoseError):
            who_asks(wrong, jwks)
    with pytest.raises((JoseError, ValueError)):
        who_asks(token(), json.loads(RelayKeys([pem(1)]).published))
