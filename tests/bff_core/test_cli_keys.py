"""What people who hand out API keys type, and what they get."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bff_core.auth.api_keys import ApiKeys
from bff_core.auth.contract import Presented
from bff_core.auth.key_format import read_key
from bff_core.auth.key_refusals import KeysRefused
from bff_core.cli.key_work import KeyWork
from bff_core.cli.spans import seconds
from bff_core.errors import Unauthenticated
from bff_core.key_settings import KeySettings
from bff_core.principal import Principal
from tests.bff_core.kept_keys import PEPPER
from tests.processes import ROOT, addresses, small_project

VARIABLE = "BFF_SHOP__KEYS__PEPPER"


class Said(NamedTuple):
    status: int
    out: str
    err: str


class Keys:
    """A gateway ``shop`` whose keys are in a file of SQLite, and a ``plain`` one without any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "keys.db"
        self.url = f"sqlite+aiosqlite:///{self.file}"
        keys = f'[keys]\ndatabase = "{self.url}"'
        small_project(folder, shop=f"{addresses(8000, 9000)}\n{keys}", plain=addresses(8001, 9001))

    def bff(self, *words: str, **env: str | None) -> Said:
        whole = {"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "200", VARIABLE: PEPPER, **env}
        done = subprocess.run(
            [sys.executable, "-m", "bff_core.cli", *words],
            cwd=self._folder,
            env={name: value for name, value in whole.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def create(self, *words: str) -> str:
        said = self.bff("keys", "create", "shop", "--owner", "acme", *words)
        assert said.status == 0, said.err
        return said.out.strip()

    def listed(self, *words: str, **env: str) -> list[dict[str, Any]]:
        return json.loads(self.bff("keys", "list", "shop", "--json", *words, **env).out)

    def principal(self, text: str) -> Principal | None:
        """Who a gateway says it is, that has not known it before."""

        async def ask() -> Principal | None:
            keys = ApiKeys("shop", KeySettings(pepper=PEPPER, database=self.url))
            try:
                return await keys.principal(Presented(api_key=text))
            finally:
                await keys.close()

        return asyncio.run(ask())


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_key_is_made_shown_used_rotated_and_revoked(keys: Keys) -> None:
    said = keys.bff(
        *("keys", "create", "shop", "--owner", "acme", "--plan", "gold", "--scope", "products:read"),
        *("--scope", "orders:read", "--expires", "90d", "--name", "the main one"),
    )
    key = read_key(said.out.removesuffix("\n"))  # the key, and nothing but the key
    audit, told = said.err.splitlines()
    assert json.loads(audit) | {"event": "made", "key_id": key.id, "owner": "acme"} == json.loads(audit)
    assert told.startswith(f"key {key.id} of acme for live, expires ")

    (row,) = keys.listed()
    assert row["scopes"] == ["orders:read", "products:read"]
    assert [row[name] for name in ("owner", "name", "plan", "state")] == ["acme", "the main one", "gold", "live"]
    assert row["last_used"] is None
    scopes = frozenset({"products:read", "orders:read"})
    assert keys.principal(key.text) == Principal("shop", "acme", scopes, "acme", "gold")
    assert keys.listed()[0]["last_used"] is not None

    said = keys.bff("keys", "rotate", "shop", key.id, "--overlap", "12h")
    new = read_key(said.out.strip())
    assert f"key {key.id} expires " in said.err
    assert keys.principal(new.text) == keys.principal(key.text)
    states = {row["id"]: (row["state"], row["replaces"]) for row in keys.listed()}
    assert states == {key.id: ("live", None), new.id: ("live", key.id)}

    said = keys.bff("keys", "revoke", "shop", key.id)
    assert (said.status, said.out) == (0, "")
    assert f"key {key.id} of acme is revoked, and refused everywhere within 10 s" in said.err
    assert json.loads(said.err.splitlines()[0])["event"] == "revoked"
    with pytest.raises(Unauthenticated, match="it is revoked"):
        keys.principal(key.text)
    assert keys.principal(new.text) is not None


def test_a_rotated_key_has_the_life_of_the_old_one_anew(keys: Keys) -> None:
    old = read_key(keys.create("--expires", "30d"))
    keys.bff("keys", "rotate", "shop", old.id, "--overlap", "0s")
    first, second = sorted(keys.listed(), key=lambda row: row["replaces"] or "")
    assert (first["state"], second["state"]) == ("revoked", "live")
    assert second["expires"] >= first["expires"]


def test_no_list_shows_anything_that_a_key_could_be_made_of(keys: Keys) -> None:
    secret = keys.create().split("_")[3]
    shown = keys.bff("keys", "list", "shop")
    assert " acme " in shown.out
    assert shown.out.count("\n") == 5
    for text in (shown.out, keys.bff("keys", "list", "shop", "--json").out):
        assert secret not in text
        assert "hash" not in text
        assert "pepper" not in text
    assert secret.encode() not in keys.file.read_bytes()


def test_a_list_may_be_of_one_owner(keys: Keys) -> None:
    keys.create()
    assert (len(keys.listed("--owner", "acme")), keys.listed("--owner", "other")) == (1, [])


def test_a_list_says_which_keys_lack_their_pepper(keys: Keys) -> None:
    keys.create()
    other = b64encode(os.urandom(32)).decode()
    assert keys.listed(**{VARIABLE: other})[0]["state"] == "without its pepper"
    assert keys.listed(**{VARIABLE: f"{other},{PEPPER}"})[0]["state"] == "live"


def line_of(said: Said) -> str:
    assert (said.status, said.out) == (1, "")
    assert said.err.count("\n") == 1, said.err
    return said.err.removeprefix("bff: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"owner": "a b"}, "--owner: 'a b' is not allowed here: letters, digits and ._:@/-, at most 100"),
        ({"owner": ""}, "--owner: '' is not allowed here: letters, digits and ._:@/-, at most 100"),
        ({"plan": "Gold!"}, "--plan: 'Gold!' is not allowed here: small letters, digits, _ and -"),
        ({"scopes": ["a", "a b"]}, "--scope: 'a b' is not allowed here: no blanks, no quotes (RFC 6749, 3.3)"),
        ({"label": "a\nb"}, "--name: 'a\\nb' cannot be printed, or is longer than 100 characters"),
    ],
)
def test_what_cannot_be_made_is_refused(keys: Keys, changed: dict[str, Any], line: str) -> None:
    work = KeyWork(KeySettings(pepper=PEPPER, database=keys.url))
    with pytest.raises(KeysRefused) as refused:
        work.create(**{"owner": "a", "plan": "", "scopes": [], "life": None, "label": "", **changed})
    assert str(refused.value) == line
    assert not keys.file.exists()


@pytest.mark.parametrize("written", ["", "7", "d", "-1d", "1.5d", "7 d", "40000d", "soon", "1\u0661d"])
def test_what_is_no_span_is_refused(written: str) -> None:
    with pytest.raises(KeysRefused, match=r"--expires: .* is no time; write it like"):
        seconds("--expires", written)


def test_a_key_that_would_not_live_is_refused_in_one_line(keys: Keys) -> None:
    said = keys.bff("keys", "create", "shop", "--owner", "acme", "--expires", "0d")
    assert line_of(said) == "--expires: a key must live for some time"


def test_a_third_key_is_refused_in_one_line(keys: Keys) -> None:
    key = read_key(keys.create())
    keys.create()
    said = keys.bff("keys", "create", "shop", "--owner", "acme")
    assert line_of(said) == "acme has 2 live keys in live; revoke one of them first"
    assert line_of(keys.bff("keys", "rotate", "shop", key.id)) == line_of(said)


def test_a_key_that_there_is_not_is_one_line(keys: Keys) -> None:
    assert line_of(keys.bff("keys", "rotate", "shop", "nobody's")) == """there is no key "nobody's" for live"""


def test_keys_of_another_environment_are_not_seen(keys: Keys) -> None:
    key = read_key(keys.create())
    said = keys.bff("keys", "revoke", "shop", key.id, BFF_SHOP__KEYS__ENVIRONMENT="test")
    assert line_of(said) == f"there is no key '{key.id}' for test"


def test_a_gateway_without_keys_says_so(keys: Keys) -> None:
    line = "plain takes no API keys: there is no [keys] in its settings"
    assert line_of(keys.bff("keys", "list", "plain")) == line


def test_a_database_that_fails_is_one_line_that_says_where(keys: Keys, tmp_path: Path) -> None:
    said = keys.bff("keys", "list", "shop", BFF_SHOP__KEYS__DATABASE=f"sqlite+aiosqlite:///{tmp_path}/no/keys.db")
    assert line_of(said) == f"keys: SQLite, {tmp_path}/no/keys.db: unable to open database file"


def test_a_missing_pepper_is_named_with_its_variable(keys: Keys) -> None:
    done = keys.bff("check", "shop", **{VARIABLE: None})
    assert done.status == 1
    assert f"keys.pepper: is missing; set {VARIABLE} in the environment\n" in done.err


def test_check_says_what_is_set_and_shows_no_secret(keys: Keys) -> None:
    said = keys.bff("check", "shop", BFF_SHOP__KEYS__DATABASE="postgresql+asyncpg://me:hush@db.internal:5433/keys")
    shown = " ".join(said.out.split())
    assert "takes API keys of live, kept in PostgreSQL, keys at db.internal:5433, with 1 pepper" in shown
    assert "hush" not in said.out + said.err
    assert PEPPER not in said.out + said.err


@pytest.mark.parametrize(("written", "span"), [("0s", 0), ("90m", 5400), ("12h", 43_200), ("7d", 604_800)])
def test_a_span_is_what_it_says(written: str, span: int) -> None:
    assert seconds("--overlap", written) == span
