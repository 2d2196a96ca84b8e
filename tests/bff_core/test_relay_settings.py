"""What is wrong in the settings of a relay stops the start, and no message repeats a key."""

import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bff_core.auth.relays import relay_keys_of
from bff_core.cli.identity import identity
from bff_core.cli.run import changed
from bff_core.settings import GatewaySettings, SettingsError, load
from tests.bff_core.relayed import pem

FILE = """
name = "shop"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
upstreams = {{}}
{}
[relay]
issuer = "shop"
{}
"""

PARAMETERS = (
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"  # as openssl ecparam has them
)


def loaded(folder: Path, *lines: str, above: str = "") -> GatewaySettings:
    file = folder / "settings.toml"
    file.write_text(FILE.format(above, "\n".join(lines)))
    return load(file)


def wrong(folder: Path, *lines: str, above: str = "") -> str:
    """What is said of it; the same whoever looks at the error, and however closely."""
    with pytest.raises(SettingsError) as refused:
        loaded(folder, *lines, above=above)
    told = "".join(traceback.format_exception(refused.value))
    for line in "".join(pem(number) for number in range(3)).splitlines():
        assert "-----" in line or line not in told
    assert "hush" not in told
    (message,) = str(refused.value).splitlines()
    return message


def traditional(number: int) -> str:
    """The key of that number as OpenSSL wrote it of old."""
    key = load_pem_private_key(pem(number).encode(), None)
    how = Encoding.PEM, PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(*how, NoEncryption()).decode()


def locked() -> str:
    key = load_pem_private_key(pem().encode(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")).decode()


def test_what_is_not_said_has_its_documented_default(tmp_path: Path) -> None:
    relay = loaded(tmp_path).relay
    assert relay is not None
    assert (relay.issuer, relay.lifetime, relay.pems, relay.is_shared) == ("shop", 60.0, (), False)
    assert loaded(tmp_path).baggage == ()


def test_keys_come_from_the_environment_or_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = f"{PARAMETERS}{traditional(1)}\n{pem()}"
    (tmp_path / "keys.pem").write_bytes(both.replace("\n", "\r\n").encode())
    in_a_file = loaded(tmp_path, f'keys = "file:{tmp_path}/keys.pem"')
    monkeypatch.setenv("BFF_SHOP__RELAY__KEYS", both)
    in_the_environment = loaded(tmp_path)
    for found in (in_a_file, in_the_environment):
        assert found.relay is not None
        assert found.relay.is_shared
        assert [ECKey.import_key(one).thumbprint() for one in found.relay.pems] == [
            ECKey.import_key(pem(number)).thumbprint() for number in (1, 0)
        ]
        assert pem().splitlines()[1] not in repr(found)
    one, other = relay_keys_of(in_a_file), relay_keys_of(in_the_environment)
    assert one is not None
    assert other is not None
    assert one.published == other.published


WRONG_KEYS = {
    "nothing": ("", "holds no private key in PEM; make one with `openssl genpkey"),
    "words": ("hush", "holds something that is no PEM"),
    "words beside a key": (f"{pem()}hush", "holds something that is no PEM"),
    "a key without its end": (pem() + pem(1).replace("-----END", "hush"), "holds something that is no PEM"),
    "a broken key": (pem().replace("M", "m"), "holds something that is no private key"),
    "no key but its parameters": (PARAMETERS, "holds no private key in PEM"),
    "a public key": (
        ECKey.generate_key("P-256").as_pem(private=False).decode(),
        "holds something that is no private key",
    ),
    "another curve": (ECKey.generate_key("P-384").as_pem(private=True).decode(), "holds a key that is not on P-256"),
    "a key of RSA": (RSAKey.generate_key(2048).as_pem(private=True).decode(), "holds a key that is not on P-256"),
    "a key of Ed25519": (OKPKey.generate_key("Ed25519").as_pem(private=True).decode(), "a key that is not on P-256"),
    "a key under a password": (locked(), "holds a key under a password"),
    "one twice": (f"{pem()}{pem(1)}{pem()}", "holds one twice"),
    "one twice, written in two ways": (f"{pem()}{traditional(0)}", "holds one twice"),
}


@pytest.mark.parametrize(("keys", "said"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_wrong_keys_are_named_and_never_quoted(
    tmp_path: Path, keys: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.pem").write_text(keys)
    message = wrong(tmp_path, f'keys = "file:{tmp_path}/keys.pem"')
    assert "settings.toml: relay.keys: " in message
    assert said in message
    monkeypatch.setenv("BFF_SHOP__RELAY__KEYS", keys)
    message = wrong(tmp_path)
    assert "settings.toml: relay.keys: " in message
    assert said in message


WRONG = {
    "a relative file": ('keys = "file:keys.pem"', "relay.keys: is a relative path"),
    "a file that is not there": ('keys = "file:/no/such/keys.pem"', "relay.keys: /no/such/keys.pem: No such file"),
    "no text": ("keys = 3", "relay.keys: Input should be a valid string"),
    "no name": ('issuer = ""', "relay.issuer: String should have at least 1 character"),
    "a name with a space": ('issuer = "my shop"', "relay.issuer: String should match pattern"),
    "a life too short": ('lifetime = "9s"', "relay.lifetime: Input should be greater than or equal to 10"),
    "a life too long": ('lifetime = "6m"', "relay.lifetime: Input should be less than or equal to 300"),
    "an unknown setting": ('key = "hush"', "relay.key: there is no such setting"),
}


@pytest.mark.parametrize(("line", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(FILE.format("", line).replace('issuer = "shop"\nissuer', "issuer"))
    with pytest.raises(SettingsError) as refused:
        load(file)
    assert f"settings.toml: {said}" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_several_processes_need_a_key_that_all_of_them_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "relay.keys: several workers must sign with the same key" in wrong(tmp_path, above="workers = 2")
    (tmp_path / "keys.pem").write_text(pem())
    assert loaded(tmp_path, f'keys = "file:{tmp_path}/keys.pem"', above="workers = 2").workers == 2
    monkeypatch.setenv("BFF_SHOP__RELAY__KEYS", pem())
    assert loaded(tmp_path, above="workers = 2").workers == 2


@pytest.mark.parametrize("key", ["", "a b", "a,b", "a=b", "\u00e9"])
def test_baggage_is_named_by_what_can_be_a_key_of_it(tmp_path: Path, key: str) -> None:
    assert "baggage.1: String should match pattern" in wrong(tmp_path, above=f'baggage = ["tenant", "{key}"]')


def test_an_operator_reads_what_is_set_and_nothing_secret(tmp_path: Path) -> None:
    (tmp_path / "keys.pem").write_text(pem() + pem(1))
    told = "tells services who asks, as shop, in tokens of 60 s, signed with"
    assert identity(loaded(tmp_path)) == [f"{told} a key made at the start"]
    line = f'keys = "file:{tmp_path}/keys.pem"'
    assert identity(loaded(tmp_path, line)) == [f"{told} 2 keys, the first of them"]
    (tmp_path / "keys.pem").write_text(pem())
    assert identity(loaded(tmp_path, line)) == [f"{told} 1 key"]


def test_processes_that_only_the_command_asks_for_need_one_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--workers: relay\.keys: several workers must sign with the same key"):
        changed(loaded(tmp_path), workers=2)
    (tmp_path / "keys.pem").write_text(pem())
    assert changed(loaded(tmp_path, f'keys = "file:{tmp_path}/keys.pem"'), workers=2).workers == 2
