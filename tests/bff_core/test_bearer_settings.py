"""What can be set of tokens, what stops the start, and what ``bff check`` says of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from bff_core.auth.issuer import BEARER, elsewhere
from bff_core.auth.proofs import upstreams_of_proofs
from bff_core.cli.check import show
from bff_core.cli.found import FoundGateway
from bff_core.gateway import gateway
from bff_core.settings import GatewaySettings, SettingsError, load
from bff_core.testing import SimulatedInternet
from tests.bff_core.authority import files_of
from tests.bff_core.small_gateway import Clients
from tests.bff_core.token_issuer import settings

HEAD = """
name = "mobile"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"

[upstreams.catalog]
instances = ["http://a.test"]

[bearer]
issuer = "https://id.test/realms/store"
audience = "https://mobile.test"
"""

Loaded = Callable[[str], GatewaySettings]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Settings, from what stands below those of tokens."""

    def read(below: str = "") -> GatewaySettings:
        (tmp_path / "settings.toml").write_text(HEAD + below)
        return load(tmp_path / "settings.toml")

    return read


GOOD = [
    "https://id.test",
    "https://id.test/",
    "https://id.test:8443/a/b",
    "http://127.0.0.1:9000",
    "http://localhost/x",
    "http://[::1]:1",
]
BAD = [
    "",
    "id.test",
    "//id.test",
    "http://id.test",
    "http://10.0.0.1",
    "ftp://id.test",
    "https://",
    "https://id.test?x=1",
    "https://id.test?",
    "https://id.test#x",
    "https://u:secret@id.test",
    "https://id.test:0",
    "https://id.test:x",
    "https://id.test/{a}",
    "https://id test",
    "https://id.test/\n",
]


@pytest.mark.parametrize("url", GOOD)
def test_an_issuer_is_called_where_its_url_says(url: str) -> None:
    (place,) = settings(issuer=url).called.instances
    assert url.startswith(place.url.rpartition(":")[0])


@pytest.mark.parametrize("url", BAD)
def test_an_issuer_that_anyone_could_answer_for_stops_the_start(url: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        settings(issuer=url)
    assert [error["loc"] for error in wrong.value.errors()] == [("issuer",)]
    assert all("secret" not in error["msg"] for error in wrong.value.errors())


@pytest.mark.parametrize(
    ("below", "said"),
    [
        ("algorithms = []", "bearer.algorithms: "),
        ('algorithms = ["HS256"]', "bearer.algorithms.0: "),
        ('algorithms = ["none"]', "bearer.algorithms.0: "),
        ('leeway = "6m"', "bearer.leeway: "),
        ("types = []", "bearer.types: "),
        ('jwks_uri = "https://id.test/keys"', "bearer.jwks_uri: there is no such setting"),
        ("[bearer.introspection]", "bearer.introspection.client_id: is missing"),
        ('[bearer.introspection]\nclient_id = "a"\nclient_secret = ""', "bearer.introspection.client_secret: "),
        ('[bearer.upstream]\ntimeout = "x"', "bearer.upstream.timeout: "),
        ('[bearer.upstream]\ninstances = ["id.test"]', "bearer.upstream.instances.0"),
        ('[discovery.dns]\nservers = ["127.0.0.1:53"]', "discovery.dns"),
    ],
)
def test_what_is_wrong_stops_the_start_with_its_key(loaded: Loaded, below: str, said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        loaded(below)
    assert said in str(wrong.value)


def test_the_secret_comes_from_the_environment_and_is_shown_nowhere(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BFF_MOBILE__BEARER__INTROSPECTION__CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("BFF_MOBILE__BEARER__UPSTREAM__TIMEOUT", "1s")
    found = loaded('[bearer.introspection]\nclient_id = "gateway"')
    assert found.bearer is not None
    assert found.bearer.introspection is not None
    assert found.bearer.introspection.client_secret.get_secret_value() == "s3cret"
    assert found.bearer.called.timeout == 1
    said = checked(found, capsys)
    assert "s3cret" not in said + repr(found) + str(found.model_dump())
    assert "asks it about tokens that are no JWT, as gateway" in said


def test_a_misspelt_name_in_the_environment_stops_the_start(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFF_MOBILE__BEARER__ISSUR", "https://id.test")
    with pytest.raises(SettingsError, match=r"bearer\.issur: there is no such setting"):
        loaded()


def checked(found: GatewaySettings, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed, in one line."""

    class Mobile(FoundGateway):
        __slots__ = ()

        def create(self, settings: GatewaySettings) -> FastAPI:
            return gateway(settings, Clients, [], wire=SimulatedInternet())

    show(Mobile("mobile", "shops.mobile", Path()), found)
    return " ".join(capsys.readouterr().out.split())


def test_check_says_whose_tokens_are_taken(loaded: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    said = checked(loaded(), capsys)
    assert (
        "takes tokens of https://id.test/realms/store for https://mobile.test, signed with RS256, ES256, EdDSA" in said
    )
    assert "whose clock may be 30 s off; it is called at https://id.test:443" in said
    assert "no JWT" not in said
    assert "warning" not in said


@pytest.mark.parametrize(
    ("place", "doubtful"),
    [
        ('instances = ["http://keycloak.internal:8080"]', True),
        ('discover = "dns:http://keycloak.internal"', True),
        ('instances = ["http://127.0.0.1:8080"]', False),
        ('instances = ["unix:/run/id.sock"]', False),
        ('discover = "dns:https://keycloak.internal"', False),
    ],
)
def test_an_issuer_that_is_called_without_tls_is_doubted(
    loaded: Loaded, capsys: pytest.CaptureFixture[str], place: str, doubtful: bool
) -> None:
    said = checked(loaded(f"[bearer.upstream]\n{place}"), capsys)
    assert ("warning: bearer.upstream: is called over http, and whoever is on the way can vouch" in said) is doubtful


def test_the_issuer_is_called_as_is_set_and_where(loaded: Loaded) -> None:
    found = loaded('[bearer.upstream]\ntimeout = "1s"\ndiscover = "dns:https://id.internal"')
    assert found.bearer is not None
    assert str(found.bearer.called.discover) == "dns:https://id.internal"
    assert found.bearer.called.instances == ()
    assert found.bearer.called.max_reply == 256 * 1024


def test_the_issuer_may_be_all_that_is_looked_up_somewhere(loaded: Loaded) -> None:
    below = '[bearer.upstream]\ndiscover = "dns:https://id.internal"\n[discovery.dns]\nservers = ["127.0.0.1:53"]'
    assert loaded(below).discovery.model_fields_set == {"dns"}


def test_where_the_issuer_leads_to_is_told_nothing_of_who_we_are(tmp_path: Path, loaded: Loaded) -> None:
    files: Any = files_of(tmp_path, "gateway.test")
    tls = "\n".join(f'tls.{name} = "{file}"' for name, file in files.items())
    found = loaded(f'[bearer.upstream]\n{tls}\ntls.server_name = "id.internal"\ncheck = {{ path = "/" }}')
    assert found.bearer is not None
    other = elsewhere(found.bearer)
    assert other.tls is not None
    assert other.tls.model_dump(exclude_none=True) == {"ca": files["ca"]}
    assert other.check is None
    assert upstreams_of_proofs(found) == {BEARER.issuer: found.bearer.called, BEARER.elsewhere: other}
