"""`python -m demo`: the whole store, or the services that are named."""

import logging
import socket
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from demo.access_log import AccessLog
from demo.app import create_service
from demo.database import prepare
from demo.instances import Instance, instances, port
from demo.server import listen, serve
from demo.services import SERVICES
from demo.shop import PRODUCTS, SEED

LAST_PORT = 65_535


def main(
    services: Annotated[list[str] | None, typer.Argument(help=f"Any of: {', '.join(SERVICES)}. All of them.")] = None,
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
            "--port", help="Port of the first service; the others follow. 0: free ones. Default: 7001 to 7007.", min=0
        ),
    ] = None,
    products: Annotated[int, typer.Option(help="Size of the catalogue.", min=0, max=1_000_000)] = PRODUCTS,
    data: Annotated[Path, typer.Option(help="Where the databases live.")] = Path(".demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another store.")] = SEED,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each request as a line of JSON.")] = False,
) -> None:
    """Run the store behind the gateways: real services with real databases, one port each."""
    names = _known(services or list(SERVICES))
    listeners = {one: _listen(one, host, port(one, names, first)) for one in _chosen(names, wanted or [])}
    prepare(data, products, seed, services=names)
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    apps = {one: create_service(one.service, data, number=one.number) for one in listeners}
    for one, listener in listeners.items():
        typer.echo(f"{one!s:<16} http://{_address(listener)}")  # echo flushes
    serve({listeners[one]: AccessLog(one, app) if verbose else app for one, app in apps.items()})


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in SERVICES:
            _stop(f"there is no service {name!r}; there are {', '.join(SERVICES)}")
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


def _stop(reason: str) -> NoReturn:
    typer.echo(f"demo: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
