"""Who is asked and who asks: as a pod, or as a kubeconfig has it; and no secret is told to anyone else."""

import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bff_core.discovery import SourceFailed
from bff_core.discovery.kubeconfig import read_kubeconfig
from bff_core.discovery.kubernetes_access import Access, Token, TokenFile, access, as_pod
from bff_core.discovery_settings import KubernetesSettings
from tests.bff_core.authority import files_of
from tests.bff_core.kubernetes_server import kubeconfig, service_account

SECRET = "eyJhbGciOiJSUzI1NiJ9.secret.signature"
HERE = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


# as a pod


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pod_asks_the_api_server_of_its_cluster(host: str, url: str, tmp_path: Path) -> None:
    found = as_pod(Path(service_account(tmp_path, SECRET)), HERE | {"KUBERNETES_SERVICE_HOST": host})
    assert (found.url, found.namespace) == (url, "store")
    assert found.credentials.headers(0.0) == ((b"authorization", f"Bearer {SECRET}".encode()),)


@pytest.mark.parametrize("environment", [{}, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, HERE | dict.fromkeys(HERE, "")])
def test_who_is_no_pod_and_has_no_kubeconfig_is_told_so(environment: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"kubeconfig is not set, and this is no pod"):
        as_pod(Path(service_account(tmp_path, SECRET)), environment)


@pytest.mark.parametrize("name", ["namespace", "ca.crt"])
def test_a_pod_without_its_service_account_is_told_what_is_missing(name: str, tmp_path: Path) -> None:
    folder = Path(service_account(tmp_path, SECRET))
    (folder / name).unlink()
    with pytest.raises(SourceFailed, match=rf"{name}: No such file"):
        as_pod(folder, HERE)


def test_settings_without_a_kubeconfig_mean_the_cluster_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HERE.items():
        monkeypatch.setenv(name, value)
    settings = KubernetesSettings(service_account=service_account(tmp_path, SECRET))
    assert access(settings).url == "https://10.96.0.1:443"


# tokens


def test_a_token_that_somebody_renews_is_read_once_a_minute_and_when_it_was_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    token = TokenFile(tmp_path / "token")

    def sent(now: float) -> bytes:
        return token.headers(now)[0][1]

    assert sent(1000.0) == b"Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert (sent(1059.9), sent(1060.0)) == (b"Bearer first", b"Bearer second")
    (tmp_path / "token").write_text("third\n")
    assert sent(1061.0) == b"Bearer second"
    assert token.refused()
    assert sent(1061.0) == b"Bearer third"


def test_another_token_is_not_to_be_had_where_it_is_written_down() -> None:
    assert not Token(SECRET).refused()


@pytest.mark.parametrize("text", ["", "\n", "two words", "a\nb", "caf\u00e9", "\x00"])
def test_what_could_not_be_sent_is_no_token(text: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(SourceFailed, match="holds no token") as failed:
        TokenFile(tmp_path / "token").headers(0.0)
    assert not text.strip() or text.strip() not in str(failed.value)


def test_a_token_that_is_not_there_is_a_failure_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="token: No such file"):
        TokenFile(tmp_path / "token").headers(0.0)
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceFailed, match="is no text"):
        TokenFile(tmp_path / "token").headers(0.0)


# a kubeconfig

CLUSTER = {"server": "https://10.0.0.1:6443/clusters/one"}
USER = {"token": SECRET}


def read(
    folder: Path,
    *,
    cluster: Any = CLUSTER,
    user: Any = USER,
    context: dict[str, Any] | None = None,
    wanted: str | None = None,
    **top: Any,
) -> Access:
    written = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"} | (context or {})},
            {"name": "two", "context": {"cluster": "c", "namespace": "warehouse"}},
        ],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(written | top))
    return read_kubeconfig(file, wanted)


def sent(found: Access) -> list[bytes]:
    return [value for _, value in found.credentials.headers(0.0)]


def test_the_current_context_of_a_kubeconfig_counts(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.url, found.namespace, sent(found)) == (CLUSTER["server"], "default", [f"Bearer {SECRET}".encode()])


def test_another_context_can_be_named_and_need_not_have_a_user(tmp_path: Path) -> None:
    found = read(tmp_path, wanted="two")
    assert (found.namespace, sent(found)) == ("warehouse", [])


def test_a_token_file_lies_beside_the_kubeconfig_and_goes_before_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("renewed")
    assert sent(read(tmp_path, user={"token": SECRET, "tokenFile": "token"})) == [b"Bearer renewed"]


def test_an_authority_lies_beside_the_kubeconfig_or_in_it(tmp_path: Path) -> None:
    tls = files_of(tmp_path, "gateway.test")
    data = base64.encodebytes(Path(tls["ca"]).read_bytes()).decode()
    ways = {"certificate-authority": "ca.pem"}, {"certificate-authority-data": data}
    for way in ways:
        terms = read(tmp_path, cluster=CLUSTER | way | {"tls-server-name": "kubernetes"}).terms
        assert terms is not None
        assert len(terms.tls.get_ca_certs()) == 1
        assert terms.server_name == "kubernetes"


def test_a_key_that_is_in_the_kubeconfig_is_left_lying_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = files_of(tmp_path, "gateway.test")
    data = {name: base64.b64encode(Path(tls[name]).read_bytes()).decode() for name in ("cert", "key")}
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    found = read(tmp_path, user={"client-certificate-data": data["cert"], "client-key-data": data["key"]})
    assert found.terms is not None
    assert list(room.iterdir()) == []


def test_a_kubeconfig_without_tls_is_taken_as_long_as_it_has_no_token(tmp_path: Path) -> None:
    plain = {"server": "http://127.0.0.1:8001"}
    assert read(tmp_path, cluster=plain, user={}).terms is None
    with pytest.raises(SourceFailed, match="'u': a token is never sent over http"):
        read(tmp_path, cluster=plain)


REFUSED = {
    "a program": (
        {"user": {"exec": {"command": "aws", "args": ["token"]}}},
        "user 'u': exec: a gateway runs no program",
    ),
    "a plugin": ({"user": {"auth-provider": {"name": "gcp"}}}, "user 'u': auth-provider: "),
    "a password": ({"user": {"username": "me", "password": SECRET}}, "user 'u': username: "),
    "impersonation": ({"user": USER | {"as": "admin"}}, "user 'u': as: nobody is impersonated"),
    "no verification": (
        {"cluster": CLUSTER | {"insecure-skip-tls-verify": True}},
        "cluster 'c': insecure-skip-tls-verify: verification cannot be turned off",
    ),
    "a proxy": ({"cluster": CLUSTER | {"proxy-url": "http://proxy"}}, "cluster 'c': proxy-url: "),
    "no current context": ({"current-context": ""}, "there is no current-context"),
    "an unknown context": ({"wanted": "three"}, "there is no context 'three'"),
    "an unknown cluster": ({"context": {"cluster": "x"}}, "there is no cluster 'x'"),
    "an unknown user": ({"context": {"user": "x"}}, "there is no user 'x'"),
    "no server": ({"cluster": {}}, "server: Field required"),
    "a server that is none": ({"cluster": {"server": "10.0.0.1:6443"}}, "server: no URL"),
    "a port that is none": ({"cluster": {"server": "https://a:70000"}}, "server: no URL"),
    "a secret in the URL": ({"cluster": {"server": f"https://me:{SECRET}@a"}}, "server: no URL"),
    "a token that is none": ({"user": {"token": [SECRET]}}, "token: Input should be a valid string"),
    "a token of two lines": ({"user": {"token": SECRET + "\n" + SECRET}}, "no token that could be sent"),
    "an authority that is not there": (
        {"cluster": CLUSTER | {"certificate-authority": "x.pem"}},
        "x.pem: No such file",
    ),
    "an authority that is none": (
        {"cluster": CLUSTER | {"certificate-authority-data": base64.b64encode(b"x").decode()}},
        "certificate-authority-data holds no certificate",
    ),
    "data that is none": ({"user": {"client-key-data": SECRET}}, "client-key-data: no base64"),
    "a key without its certificate": ({"user": {"client-key": "kubeconfig"}}, "there is no cert"),
    "contexts that are none": ({"contexts": 1}, "contexts: Input should be a valid list"),
}


@pytest.mark.parametrize(("changed", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_a_kubeconfig_cannot_have_is_told(changed: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(SourceFailed) as failed:
        read(tmp_path, **changed)
    assert str(failed.value).startswith(f"kubernetes: {tmp_path}/kubeconfig: ") or "token" in reason
    assert reason in str(failed.value)
    assert SECRET not in str(failed.value)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"users:\n- token: [{SECRET}\n  x: ]", "no YAML, line 3"),
        (f"token: 2026-99-99 # {SECRET}", "no YAML"),
        (f"- {SECRET}", "valid dictionary"),
        ("", "valid dictionary"),
        (f"!!python/object/apply:os.system ['{SECRET}']", "no YAML, line 1"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_told_without_what_is_in_it(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(SourceFailed, match=reason) as failed:
        read_kubeconfig(tmp_path / "kubeconfig", None)
    assert SECRET not in str(failed.value)


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="nowhere: No such file"):
        access(KubernetesSettings(kubeconfig=str(tmp_path / "nowhere")))


parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    cluster=parts
    | st.fixed_dictionaries({"server": st.just("https://a") | parts}, optional={"tls-server-name": parts}),
    user=parts | st.fixed_dictionaries({}, optional={"token": parts, "client-certificate-data": parts}),
    contexts=parts,
)
def test_no_kubeconfig_whatsoever_is_a_crash(
    cluster: Any, user: Any, contexts: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for top in ({}, {"contexts": contexts}):
        with suppress(SourceFailed):
            assert isinstance(read(folder, cluster=cluster, user=user, **top), Access)


def test_no_secret_is_in_what_is_logged_of_an_access(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "https://a", token=SECRET)
    found = access(KubernetesSettings(kubeconfig=file))
    shown = f"{found!r} {found.credentials!r} {found.terms!r} {found}"
    assert SECRET not in shown
    assert os.fspath(tmp_path) not in shown


# settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kubeconfig": "~/.kube/config"}, "relative"),
        ({"service_account": "account"}, "relative"),
        ({"context": "one"}, "context: there is no kubeconfig that 'one' could be in"),
    ],
)
def test_settings_that_lead_nowhere_stop_the_start(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        KubernetesSettings(**settings)
