"""Reading a database: a connection that cannot write, and how an endpoint gets it."""

import sqlite3
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request


def database(folder: Path, service: str) -> Path:
    """The file that holds what this service knows."""
    return folder / f"{service}.sqlite"


def read_only(path: Path) -> sqlite3.Connection:
    """A connection for reading a file that no one changes in place; FileNotFoundError when there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: make it with demo.database.prepare")
    # immutable: no locks are taken, because a new database replaces the file and never writes into it
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


async def _connection(request: Request) -> sqlite3.Connection:
    connection: sqlite3.Connection = request.app.state.connection
    return connection


Database = Annotated[sqlite3.Connection, Depends(_connection)]
