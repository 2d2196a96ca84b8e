"""What it costs a page to know who asks: ``python -m bench.identity_cost PAGES ROUNDS``.

The page of seven calls over a wire in memory, from a gateway that looks at nobody and from one that takes keys and
tokens: for nobody, for who bears a token that is known, and for who shows a key that is.

It prints a list with one object for each turn, in JSON. A process of its own, so that it can be pinned, and holds
nothing but what it measures.
"""

import asyncio
import json
import logging
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time, time
from typing import Any, Final

import uvloop
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey

from bench.memory_wire import MemoryWire
from bench.page.app import create
from bench.rounds import in_turn
from bff_core.auth.kept_key import KeptKey
from bff_core.auth.key_format import new_key
from bff_core.auth.key_store import KeyStore
from bff_core.auth.peppers import Peppers
from bff_core.bearer_settings import BearerSettings
from bff_core.key_settings import KeySettings
from bff_core.server import collector
from bff_core.settings import load
from bff_core.wire import Instance, Reply, Request

__all__ = ["WAYS", "Turn", "main"]

WAYS: Final = ("nobody is looked at", "anonymous", "bearer", "key")

_HERE: Final = Path(__file__).parent
_WARM_UP: Final = 300  # pages
_SLICE: Final = 50  # pages
_ISSUER: Final = "https://id.test"
_PEPPER: Final = b"of no use to anybody but a bench"
_SCOPE: Final = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/page/n-0",
    "raw_path": b"/page/n-0",
    "query_string": b"",
    "root_path": "",
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 8090),
}
_JSON: Final = ((b"content-type", b"application/json"),)
_LASTS: Final = 3600  # seconds: beyond the end of every turn

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One way to ask, in one round. Microseconds of the processor a page."""

    way: str
    cpu: float


class _Issuer(MemoryWire):
    """The store, and beside it an issuer of tokens."""

    def __init__(self, body: bytes, key: ECKey) -> None:
        super().__init__(body)
        metadata = {"issuer": _ISSUER, "jwks_uri": f"{_ISSUER}/keys"}
        self._published = {
            "/.well-known/openid-configuration": metadata,
            "/keys": {"keys": [{**key.as_dict(private=False), "kid": "ours", "use": "sig"}]},
        }

    async def send(self, instance: Instance, request: Request, *, until: float, max_body: int) -> Reply:
        """See ``Wire.send``."""
        if instance.host == "id.test":
            return Reply(200, _JSON, json.dumps(self._published[request.target]).encode())
        return await super().send(instance, request, until=until, max_body=max_body)


async def _page(app: FastAPI, headers: Headers) -> None:
    scope: MutableMapping[str, Any] = {**_SCOPE, "headers": headers}
    ended = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
        elif not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)


@asynccontextmanager
async def _ways(body: bytes, folder: Path) -> AsyncIterator[Sequence[tuple[str, FastAPI, Headers]]]:
    signer = ECKey.generate_key("P-256")
    settings = load(_HERE / "page" / "settings.toml")
    url = f"sqlite+aiosqlite:///{folder}/keys.db"
    knowing = settings.model_copy(
        update={
            "bearer": BearerSettings.model_validate({"issuer": _ISSUER, "audience": "page"}),
            # for as long as it may be, so that nobody is asked anew in each turn
            "keys": KeySettings.model_validate({"database": url, "pepper": b64encode(_PEPPER).decode(), "fresh": "5m"}),
        }
    )
    plain, known = (create(one, _Issuer(body, signer)) for one in (settings, knowing))
    host = (b"host", b"localhost")
    async with AsyncExitStack() as stack:
        for app in (plain, known):
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield [
            (WAYS[0], plain, [host]),
            (WAYS[1], known, [host]),
            (WAYS[2], known, [host, (b"authorization", f"Bearer {_token(signer)}".encode())]),
            (WAYS[3], known, [host, (b"x-api-key", (await _key(url)).encode())]),
        ]


def _token(signer: ECKey) -> str:
    now = int(time())
    said = {"iss": _ISSUER, "aud": "page", "sub": "alice", "iat": now, "exp": now + _LASTS, "scope": "products:read"}
    return jwt.encode({"alg": "ES256", "kid": "ours", "typ": "at+jwt"}, said, signer)


async def _key(url: str) -> str:
    key = new_key("live")
    pepper, digest = Peppers([_PEPPER]).hash(key.text)
    of = {"owner": "acme", "name": "", "plan": "", "scopes": frozenset({"products:read"}), "created_at": int(time())}
    store = KeyStore(url)
    await store.add(KeptKey(id=key.id, environment=key.environment, pepper=pepper, hash=digest, **of))  # type: ignore[arg-type]  # as each is declared
    await store.close()
    return key.text


async def _slice(app: FastAPI, headers: Headers) -> float:
    """Seconds of the processor."""
    await _page(app, headers)  # so that who asks is known
    cpu = process_time()
    for _ in range(_SLICE):
        await _page(app, headers)
    return process_time() - cpu


async def _round(ways: Sequence[tuple[str, FastAPI, Headers]], pages: int) -> list[Turn]:
    """Everyone's turn, in slices one after the other, so that what else the machine does disturbs all of them alike."""
    spent, slices = dict.fromkeys(WAYS, 0.0), max(1, pages // _SLICE)
    for _, (way, app, headers) in in_turn(ways, slices):
        spent[way] += await _slice(app, headers)
    return [Turn(way, seconds / slices / _SLICE * 1e6) for way, seconds in spent.items()]


async def _measure(pages: int, rounds: int) -> list[Turn]:
    body = (_HERE / "upstream" / "item.json").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        async with _ways(body, Path(folder)) as ways:
            await _round(ways, _WARM_UP)
            collector.tune()  # as `bff run` does when all is made that stays
            return [turn for _ in range(rounds) for turn in await _round(ways, pages)]


def main(pages: int, rounds: int) -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)  # the line of a request costs the same whoever asks
    json.dump([asdict(turn) for turn in uvloop.run(_measure(pages, rounds))], sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
