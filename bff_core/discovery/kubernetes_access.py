"""Which API server is asked, and how it is told who asks: as a pod, or as a kubeconfig has it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from bff_core.discovery.contract import SourceFailed
from bff_core.discovery_settings import KubernetesSettings
from bff_core.tls import TlsSettings, client_context
from bff_core.wire.terms import Terms

__all__ = ["Access", "Credentials", "Token", "TokenFile", "access", "as_pod", "text_of", "why"]

_KEPT: Final = 60.0  # seconds

Headers = Sequence[tuple[bytes, bytes]]


class Credentials(Protocol):
    """How we say who we are."""

    def headers(self, now: float) -> Headers:
        """What goes with a request. Raises ``SourceFailed``."""
        ...

    def refused(self) -> bool:
        """They were; whether there may be better ones now."""
        ...


@dataclass(frozen=True, repr=False)  # or credentials would be in what is logged of it
class Access:
    """``url`` may have a path, ``namespace`` is where a Service is that names none."""

    url: str
    namespace: str
    terms: Terms | None
    credentials: Credentials


def access(settings: KubernetesSettings) -> Access:
    """As the settings have it. Raises ``SourceFailed`` where that leads nowhere."""
    if settings.kubeconfig is None:
        return as_pod(Path(settings.service_account), os.environ)
    # here, because it brings YAML, which no pod needs
    from bff_core.discovery.kubeconfig import read_kubeconfig  # noqa: PLC0415

    return read_kubeconfig(Path(settings.kubeconfig), settings.context)


def as_pod(folder: Path, environment: Mapping[str, str]) -> Access:
    """With the service account in ``folder``."""
    host, port = (environment.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    if not host or not port:
        raise SourceFailed(
            "kubernetes: discovery.kubernetes.kubeconfig is not set, and this is no pod of a cluster: "
            "there is no KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT"
        )
    token = TokenFile(folder / "token")
    namespace = text_of(folder / "namespace")
    try:
        tls = TlsSettings(ca=str(folder / "ca.crt"))
    except ValidationError as error:
        raise SourceFailed(f"kubernetes: {why(error)}") from None
    shown = f"[{host}]" if ":" in host else host
    return Access(f"https://{shown}:{port}", namespace, Terms(tls=client_context(tls)), token)


class Token:
    """One that stays as it is; ``None`` is nobody in particular."""

    def __init__(self, token: str | None) -> None:
        self._headers = () if token is None else _bearer(token, "the kubeconfig")

    def headers(self, now: float) -> Headers:  # noqa: ARG002
        """See ``Credentials``."""
        return self._headers

    def refused(self) -> bool:
        """See ``Credentials``."""
        return False


class TokenFile:
    """One that somebody renews, as the kubelet does: read again once a minute, and when it was refused."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._headers: Headers = ()
        self._read_at = float("-inf")

    def headers(self, now: float) -> Headers:
        """See ``Credentials``."""
        if now - self._read_at >= _KEPT:
            self._headers = _bearer(text_of(self._file), str(self._file))
            self._read_at = now
        return self._headers

    def refused(self) -> bool:
        """See ``Credentials``."""
        self._read_at = float("-inf")
        return True


def text_of(file: Path) -> str:
    """What is in a file, without blanks around it. Raises ``SourceFailed``."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SourceFailed(f"kubernetes: {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SourceFailed(f"kubernetes: {file} is no text") from None  # of which the error would say a part


def why(error: ValidationError) -> str:
    """The first thing that does not fit, without saying what was there: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = "".join(f"{one}: " for one in first["loc"])
    return place + first["msg"].removeprefix("Value error, ")


def _bearer(token: str, source: str) -> Headers:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SourceFailed(f"kubernetes: {source} holds no token that could be sent")
    return ((b"authorization", b"Bearer " + token.encode("ascii")),)
