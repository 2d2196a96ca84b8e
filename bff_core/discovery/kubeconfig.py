"""A kubeconfig: of the clusters, users and contexts in it, those that count.

What would make us somebody else than it says, or trust somebody whom it does not name, is refused: programs that it
wants to be run, impersonation, proxies, and verification turned off.
"""

from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bff_core.discovery.contract import SourceFailed
from bff_core.discovery.kubernetes_access import Access, Credentials, Token, TokenFile, text_of, why
from bff_core.tls import TlsSettings, client_context
from bff_core.wire.terms import Terms

__all__ = ["read_kubeconfig"]

_REFUSED: Final = {
    "insecure-skip-tls-verify": "verification cannot be turned off; give a certificate-authority",
    "proxy-url": "the API server is asked directly, never through a proxy",
    "exec": "a gateway runs no programs; give a token, a tokenFile or a client-certificate",
    "auth-provider": "a gateway has none; give a token, a tokenFile or a client-certificate",
    "username": "the API server knows no passwords any more; give a token, a tokenFile or a client-certificate",
    "as": "nobody is impersonated",
    "as-uid": "nobody is impersonated",
    "as-groups": "nobody is impersonated",
    "as-user-extra": "nobody is impersonated",
}


class _Part(BaseModel):
    # hides what was there, because it may be a secret
    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"), hide_input_in_errors=True)


class _Cluster(_Part):
    server: str
    tls_server_name: str | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None


class _User(_Part):
    token: str | None = None
    token_file: Annotated[str | None, Field(alias="tokenFile")] = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None


class _Context(_Part):
    cluster: str
    user: str | None = None
    namespace: str | None = None


class _Entry(_Part):
    name: str
    cluster: dict[str, Any] | None = None
    user: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class _File(_Part):
    current_context: str | None = None
    clusters: list[_Entry] | None = None
    users: list[_Entry] | None = None
    contexts: list[_Entry] | None = None


_P = TypeVar("_P", bound=_Part)


def read_kubeconfig(file: Path, context: str | None) -> Access:
    """Who is asked, and as whom, in ``context`` or else the current one. Raises ``SourceFailed``."""
    try:
        written = _File.model_validate(_yaml(file))
        context = context or written.current_context
        if not context:
            raise _Refused("there is no current-context, and discovery.kubernetes.context is not set")
        return _access(file.parent, written, _part(written.contexts, "context", context, _Context))
    except ValidationError as error:
        raise SourceFailed(f"kubernetes: {file}: {why(error)}") from None
    except (_Refused, OSError) as error:  # the second where there is no room for what it holds as data
        raise SourceFailed(f"kubernetes: {file}: {error}") from None


class _Refused(Exception):
    pass


def _yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(text_of(file))
    except yaml.MarkedYAMLError as error:  # whose message quotes the file
        raise _Refused(f"no YAML, line {error.problem_mark.line + 1 if error.problem_mark else '?'}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _Refused("no YAML") from None


def _part(entries: list[_Entry] | None, kind: str, name: str, shape: type[_P]) -> _P:
    entry = next((one for one in entries or () if one.name == name), None)
    if entry is None:
        raise _Refused(f"there is no {kind} {name!r}")
    found = getattr(entry, kind) or {}
    for key, reason in _REFUSED.items():
        if found.get(key):
            raise _Refused(f"{kind} {name!r}: {key}: {reason}")
    return shape.model_validate(found)


def _access(folder: Path, written: _File, context: _Context) -> Access:
    cluster = _part(written.clusters, "cluster", context.cluster, _Cluster)
    user = _part(written.users, "user", context.user, _User) if context.user else _User()
    scheme = _scheme(cluster.server)
    if scheme == "http" and (user.token or user.token_file):
        raise _Refused(f"user {context.user!r}: a token is never sent over http")
    terms = _terms(folder, cluster, user) if scheme == "https" else None
    return Access(cluster.server, context.namespace or "default", terms, _credentials(folder, user))


def _scheme(server: str) -> str:
    try:
        url = urlsplit(server)
        good = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        good = None
    if not good or url.query or url.fragment or "@" in url.netloc:
        raise _Refused("server: no URL that could be asked")
    return url.scheme


def _credentials(folder: Path, user: _User) -> Credentials:
    return TokenFile(folder / user.token_file) if user.token_file else Token(user.token)


def _terms(folder: Path, cluster: _Cluster, user: _User) -> Terms:
    with TemporaryDirectory() as written:  # because the ssl module reads keys from files alone
        room = Path(written)
        ca = _file(
            room, folder, "certificate-authority", cluster.certificate_authority_data, cluster.certificate_authority
        )
        cert = _file(room, folder, "client-certificate", user.client_certificate_data, user.client_certificate)
        key = _file(room, folder, "client-key", user.client_key_data, user.client_key)
        context = client_context(TlsSettings(ca=ca, cert=cert, key=key))
    return Terms(tls=context, server_name=cluster.tls_server_name or None)


def _file(room: Path, folder: Path, name: str, data: str | None, written: str | None) -> str | None:
    """The absolute path of what was given as data, or else as a path that may begin beside the kubeconfig."""
    if not data:
        return str(folder / written) if written else None
    try:
        (room / f"{name}-data").write_bytes(b64decode("".join(data.split()), validate=True))
    except ValueError:
        raise _Refused(f"{name}-data: no base64") from None
    return str(room / f"{name}-data")
