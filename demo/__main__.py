"""`python -m demo`: the whole store, or the services that are named."""

import logging
import socket
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from demo.access_log import AccessLog
from demo.app import create_service
from demo.database import prepare
from demo.server import listen, serve
from demo.services import FIRST_PORT, SERVICES
from demo.shop import PRODUCTS, SEED


def main(
    services: Annotated[list[str] | None, typer.Argument(help=f"Any of: {', '.join(SERVICES)}. All of them.")] = None,
    *,
    host: str = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the first service; the others follow. 0: free ones. Default: 7001 to 7007.", min=0, max=65_529
        ),
    ] = None,
    products: Annotated[int, typer.Option(help="Size of the catalogue.", min=0, max=1_000_000)] = PRODUCTS,
    data: Annotated[Path, typer.Option(help="Where the databases live.")] = Path(".demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another store.")] = SEED,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each request as a line of JSON.")] = False,
) -> None:
    """Run the store behind the gateways: real services with real databases, one port each."""
    names = _known(services or list(SERVICES))
    listeners = {name: _listen(name, host, _port(name, names, port)) for name in names}
    prepare(data, products, seed, services=names)
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    apps = {name: create_service(name, data) for name in names}
    for name, listener in listeners.items():
        typer.echo(f"{name:<16} http://{_address(listener)}")  # echo flushes
    serve({listeners[name]: AccessLog(name, app) if verbose else app for name, app in apps.items()})


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in SERVICES:
            _stop(f"there is no service {name!r}; there are {', '.join(SERVICES)}")
    return list(dict.fromkeys(names))


def _port(name: str, names: list[str], first: int | None) -> int:
    if first is None:
        return FIRST_PORT + list(SERVICES).index(name)
    return first and first + names.index(name)


def _listen(name: str, host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        _stop(f"{name} cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.")


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _stop(reason: str) -> NoReturn:
    typer.echo(f"demo: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
