"""What `--dev` makes up: once for a folder, for its owner alone, and never in the place of what somebody has set."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from bff_core.auth.key_format import read_key
from bff_core.cli.found import FoundGateway
from bff_core.cli.made_up import FOLDER, made_up
from bff_core.settings import GatewaySettings, SettingsError
from tests.bff_core.kept_keys import PEPPER
from tests.processes import ROOT, addresses, small_project

KEYS = f"{addresses(8000, 9000)}\n[keys]"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which we are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(here: Path, name: str = "shop") -> GatewaySettings:
    return FoundGateway(name, f"shops.{name}", here / "shops" / name).settings(dev=True)


def test_a_gateway_with_keys_starts_without_anything_set_and_keeps_them_in_this_folder(here: Path) -> None:
    small_project(here, shop=KEYS)
    found = settings(here).keys
    assert found is not None
    assert found.environment == "dev"
    assert found.database.get_secret_value() == f"sqlite+aiosqlite:///{here}/.bff/shop.keys.db"
    assert settings(here).keys == found


def test_no_two_gateways_and_no_two_purposes_have_the_same(here: Path) -> None:
    drawn = [
        made_up("shop", "keys")["pepper"],
        made_up("web", "keys")["pepper"],
        made_up("shop", "session")["keys"],
        made_up("web", "session")["keys"],
    ]
    assert len(set(drawn)) == 4
    assert {len(b64decode(one, validate=True)) for one in drawn} == {32}


def test_the_environment_goes_over_what_is_made_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_project(here, shop=KEYS)
    monkeypatch.setenv("BFF_SHOP__KEYS__PEPPER", PEPPER)
    found = settings(here).keys
    assert found is not None
    assert found.pepper.get_secret_value() == PEPPER


def test_who_has_the_secret_is_the_owner_of_the_folder_alone(here: Path) -> None:
    made_up("shop", "keys")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (FOLDER, FOLDER / "secret")}
    assert modes == {".bff": 0o700, "secret": 0o600}
    assert sorted(path.name for path in FOLDER.iterdir()) == [".gitignore", "secret"]
    assert (FOLDER / ".gitignore").read_text() == "*\n"


def test_where_nothing_has_to_be_made_up_nothing_is_made(here: Path) -> None:
    small_project(here, plain=addresses(8001, 9001))
    settings(here, "plain")
    assert not FOLDER.exists()


@pytest.mark.parametrize("content", ["", "c2hvcnQ=", "no base64!", "\u00e9"])
def test_a_secret_that_is_none_is_one_line_and_not_replaced(here: Path, content: str) -> None:
    FOLDER.mkdir()
    (FOLDER / "secret").write_text(content)
    with pytest.raises(SettingsError, match=r"^\.bff/secret: [^\n]+$"):
        made_up("shop", "keys")
    assert (FOLDER / "secret").read_text() == content


def test_a_folder_that_cannot_be_made_is_one_line(here: Path) -> None:
    FOLDER.write_text("in the way")
    with pytest.raises(SettingsError, match=r"^\.bff/secret: [^\n]+$"):
        made_up("shop", "keys")


def bff(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    words = (sys.executable, "-m", "bff_core.cli", *words)
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_key_that_is_made_for_development_is_taken_by_no_other_environment(here: Path) -> None:
    small_project(here, shop=KEYS)
    key = read_key(bff(here, "keys", "create", "shop", "--owner", "me", "--dev").stdout.strip())
    assert key.environment == "dev"
    (row,) = json.loads(bff(here, "keys", "list", "shop", "--json", "--dev").stdout)
    assert (row["id"], row["state"]) == (key.id, "live")
    assert bff(here, "keys", "rotate", "shop", key.id, "--dev").returncode == 0
    assert bff(here, "keys", "revoke", "shop", key.id, "--dev").returncode == 0
    assert bff(here, "check", "shop", "--dev").returncode == 0


@pytest.mark.parametrize("words", [["run", "shop"], ["check", "shop"], ["keys", "list", "shop"]])
def test_without_being_asked_for_nothing_is_made_up_and_no_gateway_starts(here: Path, words: list[str]) -> None:
    small_project(here, shop=KEYS)
    made_up("shop", "keys")  # though it is there
    said = bff(here, *words)
    assert said.returncode == 1
    assert "keys.pepper: is missing; set BFF_SHOP__KEYS__PEPPER in the environment\n" in said.stderr


def test_two_that_come_at_once_have_the_same(here: Path) -> None:
    code = "from bff_core.cli.made_up import made_up; print(made_up('shop', 'keys')['pepper'])"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = [
        subprocess.Popen([sys.executable, "-c", code], cwd=here, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert len({child.communicate(timeout=60)[0] for child in children}) == 1
