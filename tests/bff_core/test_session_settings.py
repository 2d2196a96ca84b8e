"""What is wrong in the settings of sessions stops the start, and no message repeats a secret."""

from base64 import b64encode
from pathlib import Path

import pytest

from bff_core.cli.doubts import doubts
from bff_core.cli.identity import identity
from bff_core.session_settings import SessionSettings
from bff_core.settings import GatewaySettings, SettingsError, load

KEY = b64encode(b"k" * 32).decode()
OTHER = b64encode(b"o" * 32).decode()
FILE = """
name = "shop"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
upstreams = {{}}
hosts = ["shop.test", "localhost", "127.0.0.1"]
{}
[session]
{}
"""
SET = {
    "origin": '"https://shop.test"',
    "issuer": '"https://id.test/realm"',
    "client_id": '"web"',
    "client_secret": '"hush"',
    "keys": f'"{KEY}"',
}


def loaded(folder: Path, above: str = "", **changed: str | None) -> GatewaySettings:
    lines = [f"{key} = {value}" for key, value in {**SET, **changed}.items() if value is not None]
    file = folder / "settings.toml"
    file.write_text(FILE.format(above, "\n".join(lines)))
    return load(file)


def test_what_is_not_said_has_its_documented_default(tmp_path: Path) -> None:
    found = loaded(tmp_path).session
    assert found is not None
    assert (found.idle, found.absolute, found.login, found.scopes) == (1800, 43_200, 600, ("openid",))
    assert (found.is_shared, found.is_secure, found.place) == (False, True, "memory")
    assert (str(found.called.instances[0]), found.called.timeout) == ("https://id.test:443", 2.0)


def test_secrets_come_from_the_environment_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFF_SHOP__SESSION__CLIENT_SECRET", "whisper")
    monkeypatch.setenv("BFF_SHOP__SESSION__KEYS", f"{OTHER},{KEY}")
    monkeypatch.setenv("BFF_SHOP__SESSION__STORE", "rediss://user:hush@redis.test:6380/2")
    settings = loaded(tmp_path, client_secret=None, keys=None)
    found = settings.session
    assert found is not None
    assert found.sealing_keys == (b"o" * 32, b"k" * 32)
    assert (found.client_secret.get_secret_value(), found.place) == ("whisper", "Redis at redis.test:6380")
    said = repr(settings) + "".join(identity(settings))
    assert not any(secret in said for secret in ("whisper", "hush", KEY, OTHER))


@pytest.mark.parametrize("name", ["client_secret", "keys"])
def test_a_missing_secret_names_the_variable_that_sets_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        loaded(tmp_path, **{name: None})
    variable = f"BFF_SHOP__SESSION__{name.upper()}"
    assert str(wrong.value).endswith(f"session.{name}: is missing; set {variable} in the environment")


WRONG = {
    "an origin that is not answered for": (
        {"origin": '"https://other.test:8443"'},
        "session.origin: its host 'other.test' is not among hosts, so that nobody would be answered",
    ),
    "no origin": ({"origin": '"shop.test"'}, "session.origin: is no URL"),
    "an origin with a path": (
        {"origin": '"https://shop.test/app"'},
        "session.origin: holds more than scheme, host",
    ),
    "an origin with a slash": ({"origin": '"https://shop.test/"'}, "session.origin: holds more than scheme, host"),
    "an origin with a question": ({"origin": '"https://shop.test?"'}, "session.origin: holds more than scheme, host"),
    "an origin with no port": ({"origin": '"https://shop.test:"'}, "session.origin: names a port"),
    "an origin with the usual port": ({"origin": '"https://shop.test:443"'}, "session.origin: names a port"),
    "one in the clear with it": ({"origin": '"http://localhost:80"'}, "session.origin: names a port"),
    "an origin in the clear": ({"origin": '"http://shop.test"'}, "session.origin: is http, and anyone on the way"),
    "an issuer in the clear": ({"issuer": '"http://id.test"'}, "session.issuer: is http, and anyone on the way"),
    "an issuer with a query": ({"issuer": '"https://id.test?a=b"'}, "session.issuer: holds a query"),
    "a key that is none": ({"keys": '"hush hush"'}, "session.keys: is no base64"),
    "a short key": ({"keys": '"aHVzaA=="'}, "session.keys: holds a key that has not 32 bytes"),
    "a short key beside another": ({"keys": f'"{KEY},aHVzaA=="'}, "session.keys: holds a key that has not 32 bytes"),
    "one key twice": ({"keys": f'"{KEY},{KEY}"'}, "session.keys: holds one twice"),
    "another store": ({"store": '"mysql://a:hush@b"'}, "session.store: "),
    "no openid": ({"scopes": '["profile"]'}, 'session.scopes: holds no "openid"'),
    "a scope that is two": ({"scopes": '["openid profile"]'}, "session.scopes.0: "),
    "another proof": ({"client_proof": '"private_key_jwt"'}, "session.client_proof: "),
    "another algorithm": ({"algorithms": '["HS256"]'}, "session.algorithms.0: "),
    "a login without end": ({"login": '"2h"'}, "session.login: Input should be less than or equal to 3600"),
    "an unknown setting": ({"cookie": '"hush"'}, "session.cookie: there is no such setting"),
}


@pytest.mark.parametrize(("changed", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_and_never_quoted(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        loaded(tmp_path, **changed)
    message = str(wrong.value)
    assert f"settings.toml: {said}" in message
    assert all(secret not in message for secret in ("hush", "aHVzaA", KEY))


def test_several_processes_need_a_store_that_all_of_them_know(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"session\.store: sessions in memory are known to one process alone"):
        loaded(tmp_path, above="workers = 2")
    assert loaded(tmp_path, above="workers = 2", store='"redis://127.0.0.1:6379/0"').workers == 2


def test_check_says_who_logs_in_where(tmp_path: Path) -> None:
    assert identity(loaded(tmp_path)) == [
        "browsers of https://shop.test log in with https://id.test/realm, as web",
        "that provider is called at https://id.test:443",
        "sessions are kept in memory, encrypted with 1 key; they end after 30 min unused, and after 12 h",
    ]
    on_this_machine = identity(loaded(tmp_path, origin='"http://localhost:8000"'))
    assert on_this_machine[0].endswith("; cookies without TLS, as on a machine for development")


def test_check_doubts_what_cannot_be_meant(tmp_path: Path) -> None:
    found = loaded(tmp_path, idle='"12h"', upstream='{ instances = ["http://id.internal:8080"] }')
    assert doubts(found, {}) == [
        "session.upstream: is called over http, and whoever is on the way can vouch for anyone",
        "session.idle: 12 h is not below session.absolute, 12 h, so that it never counts",
    ]


def test_a_cookie_without_tls_is_for_this_machine_alone() -> None:
    for origin, is_secure in (("http://localhost:8000", False), ("http://127.0.0.1", False), ("https://a.test", True)):
        assert of(origin).is_secure is is_secure


@pytest.mark.parametrize(
    "origin", ["https://Shop.TEST", "https://shop.test:8443", "http://[::1]:8000", "https://[::1]"]
)
def test_an_origin_is_kept_as_browsers_write_it(origin: str) -> None:
    assert of(origin).origin == origin.lower()


def of(origin: str) -> SessionSettings:
    return SessionSettings(origin=origin, issuer="https://id.test", client_id="web", client_secret="s", keys=KEY)


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    for name, text in (("secret", "from a file\n"), ("keys", f"{KEY},{OTHER}\r\n")):
        (tmp_path / name).write_text(text, newline="")
    found = loaded(tmp_path, client_secret=f'"file:{tmp_path}/secret"', keys=f'"file:{tmp_path}/keys"').session
    assert found is not None
    assert found.client_secret.get_secret_value() == "from a file"
    assert found.sealing_keys == (b"k" * 32, b"o" * 32)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("file:/no/such/file", "/no/such/file: No such file or directory"),
        ("file:secret", "is a relative path, and a gateway may be started from anywhere"),
        ("file:", "is a relative path, and a gateway may be started from anywhere"),
        ("file:/", "/: Is a directory"),
        ("file:HERE/binary", "HERE/binary: is no text"),
        ("file:HERE/empty", "Value should have at least 1 item after validation, not 0"),
    ],
)
def test_a_file_that_holds_no_secret_is_said(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError) as wrong:
        loaded(tmp_path, client_secret=f'"{value.replace("HERE", str(tmp_path))}"')
    assert str(wrong.value).endswith(f"session.client_secret: {said.replace('HERE', str(tmp_path))}")
