"""What is wrong in the settings of keys stops the start, and no message repeats a secret."""

from base64 import b64encode
from pathlib import Path

import pytest

from bff_core.key_settings import KeySettings
from bff_core.settings import GatewaySettings, SettingsError, load
from tests.bff_core.kept_keys import PEPPER

FILE = """
name = "shop"
listen = "127.0.0.1:8000"
admin = "127.0.0.1:9000"
deadline = "2s"
upstreams = {{}}
[keys]
{}
"""

OTHER = b64encode(b"another pepper, as many bytes as it takes").decode()


def loaded(folder: Path, *lines: str) -> GatewaySettings:
    file = folder / "settings.toml"
    file.write_text(FILE.format("\n".join(lines)))
    return load(file)


def test_what_is_not_said_has_its_documented_default() -> None:
    keys = KeySettings(pepper=PEPPER)
    assert (keys.place, keys.environment, keys.fresh) == ("SQLite, /var/lib/bff/keys.db", "live", 10.0)


def test_a_pepper_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFF_SHOP__KEYS__PEPPER", f"{OTHER}, {PEPPER}")
    found = loaded(tmp_path, 'environment = "test"').keys
    assert found is not None
    assert [b64encode(pepper).decode() for pepper in found.peppers] == [OTHER, PEPPER]
    assert found.environment == "test"
    assert OTHER not in repr(found)


WRONG = {
    "no base64": ('pepper = "hush hush"', "keys.pepper: is no base64"),
    "a short pepper": ('pepper = "aHVzaA=="', "keys.pepper: is too short: base64 of at least 32 random bytes"),
    "a short pepper beside another": (f'pepper = "{PEPPER},aHVzaA=="', "keys.pepper: is too short"),
    "no pepper at all": ('pepper = ""', "keys.pepper: is too short"),
    "a comma too much": (f'pepper = "{PEPPER},"', "keys.pepper: is too short"),
    "one pepper twice": (f'pepper = "{PEPPER},{PEPPER}"', "keys.pepper: holds one twice"),
    "no URL": ('database = "hush"', "keys.database: is no URL of a database"),
    "an odd port": ('database = "postgresql+asyncpg://a:hush@b:c/d"', "keys.database: is no URL of a database"),
    "another database": ('database = "mysql://a:hush@b/c"', "keys.database: keys are kept in SQLite or PostgreSQL"),
    "another driver": ('database = "postgresql://a:hush@b/c"', "keys.database: keys are kept in SQLite or PostgreSQL"),
    "a relative path": ('database = "sqlite+aiosqlite:///hush.db"', "keys.database: is relative"),
    "memory": ('database = "sqlite+aiosqlite:///:memory:"', "keys.database: names no database that lasts"),
    "no file": ('database = "sqlite+aiosqlite://"', "keys.database: names no database that lasts"),
    "no database": ('database = "postgresql+asyncpg://a:hush@b"', "keys.database: names no database that lasts"),
    "an odd environment": ('environment = "Live"', "keys.environment: "),
    "keys that stay fresh too long": ('fresh = "10m"', "keys.fresh: Input should be less than or equal to 300"),
    "an unknown setting": ('pepers = "hush"', "keys.pepers: there is no such setting"),
}


@pytest.mark.parametrize(("line", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_and_never_quoted(tmp_path: Path, line: str, said: str) -> None:
    lines = [line] if line.startswith("pepper ") else [f'pepper = "{PEPPER}"', line]
    with pytest.raises(SettingsError) as wrong:
        loaded(tmp_path, *lines)
    message = str(wrong.value)
    assert f"settings.toml: {said}" in message
    assert message.count("\n") == 0
    assert all(secret not in message for secret in ("hush", "aHVzaA", PEPPER))


def test_a_missing_pepper_names_the_variable_that_sets_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as wrong:
        loaded(tmp_path)
    assert str(wrong.value).endswith("keys.pepper: is missing; set BFF_SHOP__KEYS__PEPPER in the environment")
