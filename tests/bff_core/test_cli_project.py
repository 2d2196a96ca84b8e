"""What a project names, and what ``bff`` finds of it."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bff_core.cli.dev import _label, _place
from bff_core.cli.dev import develop as dev
from bff_core.cli.found import NotFoundError, find, find_all, names
from bff_core.cli.project import Project, project
from bff_core.server.listener import PortTaken, bind
from bff_core.settings import SettingsError
from tests.processes import addresses, free_ports, small_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that commands are run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("shops", None)  # the next folder has others


WRONG = {
    "tool = 3": "tool: Input should be a table",
    "[tool]\nbff = 3": "tool.bff: Input should be a table",
    '[tool.bff]\ndev = "python -m demo"': "tool.bff.dev: Input should be a valid list",
    "[tool.bff]\ndev = [3]": "tool.bff.dev.0: Input should be a valid string",
    '[tool.bff]\ndev = [""]': "tool.bff.dev.0: '' is no command",
    '[tool.bff]\ndev = ["sh -c \'echo"]': 'tool.bff.dev.0: "sh -c \'echo" is no command: no closing quotation',
    "[tool.bff]\ngateways = 3": "tool.bff.gateways: Input should be a valid string",
    '[tool.bff]\ngateways = "..x"': "tool.bff.gateways: '..x' is no package",
    '[tool.bff]\ngateway = "bffs"': "tool.bff.gateway: there is no such setting",
}


@pytest.mark.parametrize(("content", "line"), WRONG.items())
def test_a_wrong_project_file_is_one_line_with_key_and_reason(folder: Path, content: str, line: str) -> None:
    (folder / "pyproject.toml").write_text(content)

    with pytest.raises(SettingsError) as error:
        project()
    assert str(error.value) == f"pyproject.toml: {line}"


def test_a_project_file_in_another_encoding_is_one_line(folder: Path) -> None:
    (folder / "pyproject.toml").write_bytes("[tool.bff] # café".encode("latin-1"))

    with pytest.raises(SettingsError, match=r"^pyproject\.toml: 'utf-8' codec can't decode .*$"):
        project()


def test_a_folder_without_project_file_is_as_it_comes(folder: Path) -> None:
    assert project() == Project(gateways="bffs", dev=[])


@pytest.mark.parametrize("package", ["nowhere", "no.where.at_all", "json.decoder.deeper"])
def test_a_package_that_does_not_exist_is_said_not_to(folder: Path, package: str) -> None:
    (folder / "pyproject.toml").write_text(f'[tool.bff]\ngateways = "{package}"')

    with pytest.raises(NotFoundError, match=f"^there is no gateway 'web'; there are: none: .*'{package}'"):
        find("web")
    with pytest.raises(NotFoundError, match=f"^there are no gateways: .*'{package}'"):
        find_all()


def test_a_gateway_is_a_package_with_an_app(folder: Path) -> None:
    package = folder / "stalls"
    for name in ("__init__.py", "one/__init__.py", "one/app.py", "two/__init__.py", "three/app.py", "four.py"):
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "pyproject.toml").write_text('[tool.bff]\ngateways = "stalls"')

    assert names() == ["one"]


def test_a_gateway_has_the_name_of_its_folder_because_the_environment_goes_by_it(folder: Path) -> None:
    small_project(folder, shop=addresses(8000, 9000))
    own, other = folder / "shops/shop/settings.toml", folder / "other.toml"
    other.write_text(own.read_text().replace('"shop"', '"shed"'))

    assert find("shop").settings().name == "shop"
    with pytest.raises(SettingsError) as error:
        find("shop").settings(other)
    own.write_text(other.read_text())
    with pytest.raises(SettingsError) as own_error:
        find("shop").settings()

    assert str(error.value) == f"{other}: name: 'shed' is not 'shop', the folder of the gateway"
    assert str(own_error.value) == f"{own}: name: 'shed' is not 'shop', the folder of the gateway"


def test_two_gateways_on_one_port_are_both_named(folder: Path) -> None:
    first, second, port = free_ports(3)
    small_project(
        folder,
        one=addresses(f"127.0.0.1:{port}", first),
        two=addresses(second, f"0.0.0.0:{port}"),
    )

    with pytest.raises(PortTaken) as error:
        dev()
    assert str(error.value) == (
        f"two.admin: cannot listen on 0.0.0.0:{port}: Address already in use (one.listen is 127.0.0.1:{port})"
    )


@pytest.mark.parametrize("other", ["0.0.0.0", "localhost", "127.0.0.1"])
def test_a_port_is_taken_by_whichever_name(other: str) -> None:
    with bind("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"^cannot listen on {other}:{port}: Address already in use$"):
            bind(f"{other}:{port}")


def test_who_is_bound_listens() -> None:
    with bind("127.0.0.1:0") as bound:
        socket.create_connection(bound.getsockname(), timeout=5).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "ü" * 70])
def test_a_host_that_nobody_knows_is_one_line(host: str) -> None:
    with pytest.raises(PortTaken, match=f"^cannot listen on {host}:80: .+$"):
        bind(f"{host}:80")


def test_an_instance_without_port_is_waited_for_on_its_schemes_own() -> None:
    assert _place("http://catalog.test") == ("catalog.test", 80)
    assert _place("https://[::1]") == ("::1", 443)


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (["python", "-m", "demo"], "demo"),
        (["python", "-m", "demo", "--instances", "catalog=2", "--instances", "reviews=2"], "demo"),
        (["python", "-m", "demo", "catalog", "--port", "7001"], "catalog"),
        (["python", "-m", "demo", "-v"], "demo"),
        (["node", "servers/shipping.js", "--port=7008"], "shipping.js"),
        (["sh", "-c", "echo up; exec sleep 60", "shipping"], "shipping"),
        (["/usr/bin/python3", "-c", "import time; time.sleep(60)"], "python3"),
        (["./shipping"], "shipping"),
        (["--odd"], "--odd"),
        (["python", "-m", "web"], "web-2"),
    ],
)
def test_a_command_is_shown_under_what_it_runs_and_not_under_its_options(command: list[str], label: str) -> None:
    assert _label(command, {"web"}) == label
