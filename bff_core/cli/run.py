"""``bff run``: a gateway as its settings say, and as the command says over them."""

import socket
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bff_core.cli.found import FoundGateway
from bff_core.server.listener import bind
from bff_core.server.process import serve
from bff_core.server.supervisor import supervise
from bff_core.settings import GatewaySettings, SettingsError
from bff_core.tls import ServerTlsSettings

__all__ = ["changed", "run", "run_worker"]


def run(found: FoundGateway, settings: GatewaySettings) -> None:
    """Serve until told to stop. Raises ``PortTaken`` before anything is answered."""
    app = found.create(settings)
    with bind(settings.listen) as front, bind(settings.admin) as back:
        if settings.workers > 1:
            supervise(sys.argv[1:], settings, front, back)
        else:
            serve(app, settings, front, back)


def run_worker(found: FoundGateway, settings: GatewaySettings, inherited: int, operators: Path) -> None:
    """Serve as one of several, at a socket that whoever started us listens on."""
    app = found.create(settings)
    with socket.socket(fileno=inherited) as front, bind(f"unix:{operators}") as back:
        serve(app, settings, front, back)


def changed(
    settings: GatewaySettings,
    *,
    workers: int | None = None,
    port: int | None = None,
    uds: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
) -> GatewaySettings:
    """The settings with what the command says over them; ``SettingsError`` for what does not go together."""
    if port and uds:
        raise SettingsError("--port and --uds: a gateway listens in one place")
    if bool(cert) != bool(key):
        raise SettingsError("--tls-cert and --tls-key: one is nothing without the other")
    update: dict[str, Any] = {}
    if workers:
        update["workers"] = workers
    if port:
        if settings.listen.startswith("unix:"):
            raise SettingsError(f"--port: listen is {settings.listen}, which has none")
        update["listen"] = f"{settings.listen.rpartition(':')[0]}:{port}"
    if uds:
        update["listen"] = f"unix:{uds.absolute()}"
    if update.get("listen") == settings.admin:
        raise SettingsError(f"{settings.admin} is where the operators' listener is")
    if cert and key:
        update["tls"] = _tls(cert, key)
    found = settings.model_copy(update=update)
    if (lacking := found.not_shared) is not None:  # a copy is not validated
        raise SettingsError(f"--workers: {lacking}")
    return found


def _tls(cert: Path, key: Path) -> ServerTlsSettings:
    try:
        return ServerTlsSettings(cert=str(cert.absolute()), key=str(key.absolute()))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise SettingsError(f"--tls-{wrong['loc'][0]}: {wrong['msg'].removeprefix('Value error, ')}") from error
