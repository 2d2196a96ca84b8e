"""`python -m demo`: the whole store, or the services that are named."""

import logging
import socket
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from demo.access_log import AccessLog
from demo.app import ServiceApp, create_service
from demo.database import prepare
from demo.identity import NAME as IDENTITY
from demo.identity import PORT as IDENTITY_PORT
from demo.identity.app import ACCESS_LIFETIME, create_identity
from demo.identity.clients import OURS, load, told_at
from demo.instances import Instance, instances, port
from demo.relay import EVERYONE, Relays, Trust
from demo.server import listen, serve
from demo.services import SERVICES
from demo.shop import PRODUCTS, SEED

ALL = (*SERVICES, IDENTITY)
LAST_PORT = 65_535
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  where one may listen, and nobody can be found


def main(
    services: Annotated[list[str] | None, typer.Argument(help=f"Any of: {', '.join(ALL)}. All of them.")] = None,
    *,
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--instances",
            metavar="[SERVICE=]NUMBER",
            help="Instances of a service, or of each; may be repeated. A further one listens 100 ports above.",
        ),
    ] = None,
    host: str = "127.0.0.1",
    first: Annotated[
        int | None,
        typer.Option(
            "--port", help="Port of the first service; the others follow. 0: free ones. Default: 7001 to 7008.", min=0
        ),
    ] = None,
    products: Annotated[int, typer.Option(help="Size of the catalogue.", min=0, max=1_000_000)] = PRODUCTS,
    data: Annotated[Path, typer.Option(help="Where the databases live.")] = Path(".demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another store.")] = SEED,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each request as a line of JSON.")] = False,
    relay_jwks: Annotated[
        str,
        typer.Option(
            metavar="[ISSUER=]URL[,...]",
            envvar="DEMO_RELAY_JWKS",
            help="Keys of the gateways that orders believes, and nobody else then. Default: everyone.",
            show_default=False,
        ),
    ] = "",
    issuer: Annotated[
        str | None, typer.Option(help="What identity calls itself in tokens. Default: where it listens.")
    ] = None,
    clients: Annotated[Path, typer.Option(help="The clients of identity, in TOML.", show_default=False)] = OURS,
    logouts: Annotated[
        list[str] | None,
        typer.Option(
            "--logouts",
            metavar="CLIENT=URL",
            help="Where identity tells a client of logouts, rather than where its file says; may be repeated.",
            show_default=False,
        ),
    ] = None,
    access_token_lifetime: Annotated[
        int, typer.Option(help="Of access and ID tokens, in seconds.", min=1, max=86_400)
    ] = ACCESS_LIFETIME,
) -> None:
    """Run the store behind the gateways: real services with real databases, one port each."""
    names = _known(services or list(ALL))
    stored = [name for name in names if name != IDENTITY]
    listeners = {one: _listen(one, host, port(one, stored, first)) for one in _chosen(stored, wanted or [])}
    prepare(data, products, seed, services=stored)
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    trust = _trust(relay_jwks)
    apps = {one: create_service(one.service, data, number=one.number, trust=trust) for one in listeners}
    if IDENTITY in names:
        one = Instance(IDENTITY)
        listeners[one] = _listen(one, host, _after(stored, first))
        url = issuer or f"http://{_reached(listeners[one])}"
        apps[one] = _identity(data, clients, logouts or [], url, access_token_lifetime)
    for one, listener in listeners.items():
        typer.echo(f"{one!s:<16} http://{_address(listener)}")  # echo flushes
    serve({listeners[one]: AccessLog(one, app) if verbose else app for one, app in apps.items()})


def _identity(data: Path, clients: Path, logouts: list[str], issuer: str, access_lifetime: int) -> ServiceApp:
    try:
        known = told_at(load(clients), logouts)
        return create_identity(data, known, issuer=issuer, access_lifetime=access_lifetime)
    except ValueError as error:
        _stop(str(error))


def _trust(places: str) -> Trust:
    try:
        return Relays(places.split(",")) if places else EVERYONE
    except ValueError as error:
        _stop(f"--relay-jwks: {error}")


def _after(stored: list[str], first: int | None) -> int:
    """The port of the identity provider, which comes after the services."""
    if first is None:
        return IDENTITY_PORT
    return first and first + len(stored)


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in ALL:
            _stop(f"there is no service {name!r}; there are {', '.join(ALL)}")
    return list(dict.fromkeys(names))


def _chosen(names: list[str], wanted: list[str]) -> list[Instance]:
    try:
        return instances(names, wanted)
    except ValueError as error:
        _stop(str(error))


def _listen(instance: Instance, host: str, port: int) -> socket.socket:
    cannot = f"{instance} cannot listen on {host}:{port}"
    if port > LAST_PORT:  # which the system would take for one far below
        _stop(f"{cannot}: ports end at {LAST_PORT}. Choose another with --port.")
    try:
        return listen(host, port)
    except OSError as error:
        _stop(f"{cannot}: {error.strerror}. Choose another with --port.")


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reached(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    return f"127.0.0.1:{port}" if host in EVERYWHERE else _address(listener)


def _stop(reason: str) -> NoReturn:
    typer.echo(f"demo: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
