"""Where a gateway listens, and what becomes of the file of a Unix socket."""

import socket
from pathlib import Path

import pytest
import trustme

from bff_core.cli.run import changed
from bff_core.server.listener import PortTaken, bind
from bff_core.settings import SettingsError
from tests.bff_core.small_gateway import settings


def unix(path: Path | str) -> str:
    return f"unix:{path}"


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        return client.connect_ex(str(path)) == 0


def left_behind(path: Path) -> None:
    """As someone who was killed leaves it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_a_unix_socket_is_listened_on_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    with bind(unix(path)):
        assert answers(path)
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    left_behind(path)
    with bind(unix(path)):
        assert answers(path)


@pytest.mark.parametrize("busy", [False, True])
def test_a_socket_on_which_someone_listens_is_left_alone(tmp_path: Path, busy: bool) -> None:
    path = tmp_path / "shop.sock"
    with socket.socket(socket.AF_UNIX) as living, socket.socket(socket.AF_UNIX) as waiting:
        living.bind(str(path))
        living.listen(0)
        if busy:
            waiting.connect(str(path))  # now its queue is full
        with pytest.raises(PortTaken, match=f"^cannot listen on unix:{path}: Address already in use$"):
            bind(unix(path))
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(PortTaken, match="Address already in use"):
        bind(unix(path))
    assert path.read_text() == "data"


def test_what_another_has_put_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    first = bind(unix(path))
    path.unlink()
    with bind(unix(path)):
        first.close()
        assert answers(path)


def test_a_file_that_was_removed_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    with bind(unix(path)):
        path.unlink()


@pytest.mark.parametrize(
    ("name", "why"), [("no/folder", "No such file or directory"), ("x" * 200, "AF_UNIX path too long")]
)
def test_a_place_where_no_socket_can_be_is_one_line(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(PortTaken, match=f"^cannot listen on unix:{tmp_path / name}: {why}$"):
        bind(unix(tmp_path / name))


def test_a_folder_is_no_place_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=f"^cannot listen on unix:{tmp_path}: .+$"):
        bind(unix(tmp_path))


def test_what_the_command_says_goes_before_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = tmp_path / "one.pem"
    pem.write_bytes(trustme.CA().issue_cert("gateway.test").private_key_and_cert_chain_pem.bytes())
    given = settings(listen="0.0.0.0:80")
    assert changed(given) == given
    assert changed(given, port=81).listen == "0.0.0.0:81"
    assert changed(given, uds=tmp_path / "a").listen == f"unix:{tmp_path}/a"
    monkeypatch.chdir(tmp_path)
    assert changed(given, uds=Path("a")).listen == f"unix:{tmp_path}/a"
    tls = changed(given, cert=pem, key=pem).tls
    assert tls is not None
    assert tls.cert == str(pem)
    assert changed(given, workers=3).workers == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"port": 80, "uds": Path("a")}, "--port and --uds: a gateway listens in one place"),
        ({"cert": Path("a")}, "--tls-cert and --tls-key: one is nothing without the other"),
        ({"key": Path("a")}, "--tls-cert and --tls-key: one is nothing without the other"),
        ({"cert": Path("/no"), "key": Path("/no")}, "--tls-cert: /no: No such file or directory"),
        ({"port": 9000}, "127.0.0.1:9000 is where the operators' listener is"),
    ],
)
def test_what_does_not_go_together_is_one_line(said: dict, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        changed(settings(listen="127.0.0.1:80", admin="127.0.0.1:9000"), **said)
    assert str(refused.value) == why


def test_a_socket_has_no_port_to_change() -> None:
    with pytest.raises(SettingsError, match=r"^--port: listen is unix:/a, which has none$"):
        changed(settings(listen="unix:/a"), port=80)
