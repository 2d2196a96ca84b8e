"""What people type, and what they are told."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bff_core.kept_keys import PEPPER
from tests.store import SECRETS

ROOT = Path(__file__).parent.parent.parent


def bff(*words: str, folder: Path = ROOT, **env: str) -> tuple[int, str]:
    """Exit status, and everything it said."""
    done = subprocess.run(
        [sys.executable, "-m", "bff_core.cli", *words],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "200", **SECRETS, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("name", "told"), [("web", {}), ("mobile", {}), ("public_api", {"BFF_PUBLIC_API__KEYS__PEPPER": PEPPER})]
)
def test_the_settings_in_the_repository_are_right(name: str, told: dict[str, str]) -> None:
    status, said = bff("check", name, **told)

    assert (status, "ok" in said, "warning" in said) == (0, True, False)


def test_no_gateway_that_takes_keys_starts_without_its_pepper() -> None:
    status, said = bff("run", "public_api")

    assert status == 1
    missing, hint = said.splitlines()[-2:]
    assert missing.endswith("keys.pepper: is missing; set BFF_PUBLIC_API__KEYS__PEPPER in the environment")
    assert hint == "While developing, --dev makes up what nobody has set, for this folder alone."


def test_check_shows_what_the_settings_come_to() -> None:
    _, said = bff("check", "web", BFF_WEB__UPSTREAMS__CATALOG__TIMEOUT="250ms")

    assert "250 ms" in said
    assert "http://127.0.0.1:7001" in said


def test_check_shows_where_instances_are_looked_up() -> None:
    status, said = bff(
        "check",
        "web",
        BFF_WEB__UPSTREAMS__CATALOG__DISCOVER="dns:http://catalog.internal:7001",
        BFF_WEB__UPSTREAMS__CATALOG__INSTANCES="[]",
    )

    assert status == 0
    assert "dns:http://catalog.internal:7001" in said


def test_check_warns_of_a_timeout_that_never_counts() -> None:
    status, said = bff("check", "web", BFF_WEB__UPSTREAMS__CATALOG__TIMEOUT="3s")

    assert status == 0
    assert "warning: upstreams.catalog.timeout: 3 s is not below the deadline of 2 s" in said


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"BFF_WEB__DEADLINE": "2"}, """deadline: '2' is no duration; write it like "250ms", "2s" or "1m\""""),
        ({"BFF_WEB__DEADLINES": "2s"}, "environment BFF_WEB__DEADLINES: there is no setting 'deadlines'"),
        (
            {"BFF_WEB__UPSTREAMS__STOCK__INSTANCES": '["http://a"]'},
            "web: upstreams.stock: this gateway calls no such service",
        ),
        (
            {"BFF_WEB__UPSTREAMS__CATALOG__DISCOVER": "dns:http://catalog.internal:7001"},
            "upstreams.catalog: instances and discover are both given: take one out, or set instances to []",
        ),
        (
            {"BFF_WEB__UPSTREAMS__CATALOG__DISCOVER": "dns:7001", "BFF_WEB__UPSTREAMS__CATALOG__INSTANCES": "[]"},
            """upstreams.catalog.discover: 'dns:7001' is no name; write it like "dns:http://catalog.internal:7001\"""",
        ),
        ({"BFF_WEB__DISCOVERY__DNS__FLOOR": "1s"}, "discovery.dns: no upstream is looked up there"),
    ],
)
def test_a_wrong_setting_is_one_line_with_key_and_reason(env: dict[str, str], line: str) -> None:
    status, said = bff("check", "web", **env)

    assert status == 1
    assert said.startswith("bff: ")
    assert said.endswith(f"{line}\n")
    assert said.count("\n") == 1


def test_an_unknown_gateway_is_told_which_there_are() -> None:
    assert bff("run", "desktop") == (1, "bff: there is no gateway 'desktop'; there are: mobile, public_api, web\n")


def test_a_folder_without_gateways_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.bff]\ngateways = "shops"\n')

    assert bff("run", "web", folder=tmp_path) == (
        1,
        "bff: there is no gateway 'web'; there are: none: there is no package 'shops' in this folder\n",
    )


def test_a_broken_project_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.bff")
    status, said = bff("dev", folder=tmp_path)

    assert status == 1
    assert said.startswith("bff: pyproject.toml: ")
    assert said.count("\n") == 1
