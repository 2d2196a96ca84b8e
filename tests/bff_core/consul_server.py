"""A Consul to ask: the API of its health endpoint over real sockets, with blocking queries, ACLs and a leader to lose.

It lives in a thread of its own, so that tests with and without an event loop start and stop it alike, and gateways in
other processes can ask it. What it does stands in https://developer.hashicorp.com/consul/api-docs/health and
.../features/blocking; headers are written as Go writes them.
"""

import asyncio
import json
import random
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote

__all__ = ["Answer", "ConsulServer", "Question", "registration"]

T = TypeVar("T")

_PATIENCE = 10.0  # seconds for what is done at once
_DEFAULT_WAIT, _LONGEST_WAIT = 300.0, 600.0
_CHUNKED = 2048  # bytes of a body, from which on Go does not know its length in time
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}

Entry = dict[str, Any]
"""One instance as Consul answers it: ``Node``, ``Service`` and ``Checks``."""


@dataclass(frozen=True)
class Question:
    """What was asked. Header names are lower case; ``target`` is as it came over the wire."""

    target: str
    headers: Mapping[str, str]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def value(self, name: str) -> str | None:
        return dict(self.query).get(name)


@dataclass(frozen=True)
class Answer:
    """What is said to it; the length of the body is added."""

    body: bytes = b"[]"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def registration(
    service: str,
    port: int,
    *,
    id: str | None = None,  # noqa: A002  its name in Consul
    address: str = "127.0.0.1",
    node_address: str = "127.0.0.1",
    tags: Sequence[str] = (),
    meta: Mapping[str, str] | None = None,
    node_meta: Mapping[str, str] | None = None,
    weight: Any = 1,
    datacenter: str = "dc1",
    status: str = "passing",
) -> Entry:
    """An instance with every member that Consul 1.21 answers."""
    name = id or f"{service}-{port}"
    check = {
        "Node": "node-1",
        "CheckID": f"service:{name}",
        "Name": f"Service '{service}' check",
        "Status": status,
        "Notes": "",
        "Output": "TCP connect: Success",
        "ServiceID": name,
        "ServiceName": service,
        "ServiceTags": list(tags),
        "Type": "tcp",
        "Interval": "10s",
        "Timeout": "1s",
        "ExposedPort": 0,
        "Definition": {},
        "CreateIndex": 21,
        "ModifyIndex": 21,
    }
    return {
        "Node": {
            "ID": "0e7f2f5c-7c3a-4d26-9d0a-3a1f0c1d2e3f",
            "Node": "node-1",
            "Address": node_address,
            "Datacenter": datacenter,
            "TaggedAddresses": {"lan": node_address, "wan": node_address},
            "Meta": None if node_meta is None else dict(node_meta),
            "CreateIndex": 13,
            "ModifyIndex": 14,
        },
        "Service": {
            "ID": name,
            "Service": service,
            "Tags": list(tags),
            "Address": address,
            "TaggedAddresses": {},
            "Meta": None if meta is None else dict(meta),
            "Port": port,
            "Weights": {"Passing": weight, "Warning": 1},
            "EnableTagOverride": False,
            "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}},
            "Connect": {},
            "PeerName": "",
            "CreateIndex": 20,
            "ModifyIndex": 20,
        },
        "Checks": [check],
    }


class ConsulServer:
    """One agent. With a ``token``, its ACLs deny whatever they do not allow, and they allow everything to that token.

    ``url`` is the same each time it is started.
    """

    def __init__(self, *, token: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.questions: list[Question] = []
        self.held = 0
        """Questions that wait for news."""
        self.connections = self.accepted = 0
        """Connections that are open, and that ever were."""
        self.leader = True
        self.stale_reads = False
        """``discovery_max_stale``: without a leader it answers what it knows."""
        self.last_contact: object = 0
        self.streaming = False
        """``use_streaming_backend``, the default since 1.10: what is asked with an index knows of no leader."""
        self.blinded = False
        """The policy of the token allows nothing any more."""
        self.late = 0.0
        """Seconds that an answer without news is later than it should be."""
        self.says: Answer | None = None
        """To every question, at once."""
        self._token, self._tls = token, tls
        self._entries: dict[str, Entry] = {}
        self._index = 100
        self._indexes: dict[str, int] = {}
        self._abandoned = 0
        self._port = 0
        self._thread: Thread | None = None

    # what tests do

    def start(self) -> Self:
        """It answers when this returns."""
        started: Future[None] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._main(started)), daemon=True)
        self._thread.start()
        started.result(_PATIENCE)
        return self

    def stop(self) -> None:
        """It dies: connections break, and its port refuses. What is registered stays."""
        if self._thread is not None:
            self._do(self._end.set)
            self._thread.join(_PATIENCE)
            assert not self._thread.is_alive()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    def register(self, service: str, port: int, **more: Any) -> None:
        """See ``registration``."""
        self.put(registration(service, port, **more))

    def put(self, *entries: Entry) -> None:
        """Register these, all in one step; one with the same id is replaced."""

        def change() -> None:
            for entry in entries:
                self._entries[entry["Service"]["ID"]] = entry
                self._touch(entry["Service"]["Service"])

        self._do(change)

    def deregister(self, *ids: str) -> None:
        def change() -> None:
            for one in ids:
                self._touch(self._entries.pop(one)["Service"]["Service"])

        self._do(change)

    def check(self, id: str, status: str) -> None:  # noqa: A002  its name in Consul
        """A check of it turns ``passing``, ``warning`` or ``critical``."""

        def change() -> None:
            self._entries[id]["Checks"][0]["Status"] = status
            self._touch(self._entries[id]["Service"]["Service"])

        self._do(change)

    def touch(self, service: str) -> None:
        """A write that changes nothing, which moves the index all the same."""
        self._do(lambda: self._touch(service))

    def restore(self, index: int, *entries: Entry) -> None:
        """A snapshot is restored, or an agent without a disk was restarted: its index begins anew, below or above."""

        def change() -> None:
            self._index, self._indexes, self._entries = index, {}, {}
            for entry in entries:
                self._entries[entry["Service"]["ID"]] = entry
                self._indexes[entry["Service"]["Service"]] = index
            self._abandoned += 1
            self._wake()

        self._do(change)

    def change(self, **attributes: object) -> None:
        """Set attributes, of which whoever waits hears at once."""

        def change() -> None:
            for name, value in attributes.items():
                assert hasattr(self, name), name
                setattr(self, name, value)
            self._wake()

        self._do(change)

    # what happens in its thread

    def _do(self, change: Callable[[], T]) -> T:
        if self._thread is None:
            return change()
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(change())
            except Exception as error:  # noqa: BLE001  it is raised where the change was asked for
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_PATIENCE)

    def _touch(self, service: str) -> None:
        self._index += 1
        self._indexes[service] = self._index
        self._wake()

    def _wake(self) -> None:
        if self._thread is not None:
            self._news.set()
            self._news = asyncio.Event()

    async def _main(self, started: "Future[None]") -> None:
        self._loop, self._news, self._end = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            server = await asyncio.start_server(accept, "127.0.0.1", self._port, ssl=self._tls)
        except OSError as error:
            started.set_exception(error)
            return
        self._port = server.sockets[0].getsockname()[1]
        started.set_result(None)
        await self._end.wait()
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.accepted += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    question = _read(await reader.readuntil(b"\r\n\r\n"))
                    self.questions.append(question)
                    writer.write(_written(await self._answer(question, reader)))
                    await writer.drain()
        finally:
            self.connections -= 1
            writer.transport.abort()

    async def _answer(self, question: Question, reader: asyncio.StreamReader) -> Answer:
        if self.says is not None:
            return self.says
        path = question.target.partition("?")[0]
        if not path.startswith("/v1/health/service/"):
            return Answer(b"404 page not found", 404)
        service = unquote(path.removeprefix("/v1/health/service/"))
        index = int(question.value("index") or 0)
        if index:
            await self._hold(service, index, _seconds(question.value("wait")), reader)
        return self.says or self._found(service, question, streaming=self.streaming and index > 0)

    async def _hold(self, service: str, index: int, wait: float, reader: asyncio.StreamReader) -> None:
        until = self._loop.time() + wait + random.uniform(0, wait / 16) + self.late
        abandoned = self._abandoned
        self.held += 1
        left = asyncio.create_task(reader.read(1))
        try:
            while self.leader and self._index_of(service) <= index and self._abandoned == abandoned:
                news = asyncio.create_task(self._news.wait())
                done, _ = await asyncio.wait(
                    {left, news}, timeout=until - self._loop.time(), return_when=asyncio.FIRST_COMPLETED
                )
                news.cancel()
                if left in done:
                    raise ConnectionResetError  # whoever asked is gone, because nobody asks two things at once
                if not done or self.says is not None:
                    return
        finally:
            self.held -= 1
            left.cancel()
            await asyncio.wait({left})

    def _index_of(self, service: str) -> int:
        return self._indexes.get(service, 1)

    def _found(self, service: str, question: Question, *, streaming: bool) -> Answer:
        token, datacenter = question.headers.get("x-consul-token"), question.value("dc") or "dc1"
        if token is not None and token != self._token:
            return Answer(b"ACL not found", 403)
        if not self.leader and not self.stale_reads:
            return Answer(b"No cluster leader", 500)
        if datacenter not in {"dc1", "dc2"}:
            return Answer(b"No path to datacenter", 500)
        entries = [entry for entry in self._entries.values() if _matches(entry, service, datacenter, question)]
        headers = [("X-Consul-Index", str(self._index_of(service)))]
        headers += [("X-Consul-Default-Acl-Policy", "allow" if self._token is None else "deny")]
        if self._token is not None and (token is None or self.blinded):
            if token is not None and entries:
                headers.append(("X-Consul-Results-Filtered-By-Acls", "true"))
            entries = []
        headers.append(("X-Consul-Knownleader", "true" if self.leader and not streaming else "false"))
        headers.append(("X-Consul-Lastcontact", str(self.last_contact)))
        headers.append(("X-Consul-Query-Backend", "streaming" if streaming else "blocking-query"))
        return Answer(json.dumps(entries).encode(), 200, tuple(headers))


def _matches(entry: Entry, service: str, datacenter: str, question: Question) -> bool:
    tags = {value for name, value in question.query if name == "tag"}
    passing = question.value("passing") is None or all(check["Status"] == "passing" for check in entry["Checks"])
    named = (entry["Service"]["Service"], entry["Node"]["Datacenter"]) == (service, datacenter)
    return named and passing and tags <= set(entry["Service"]["Tags"])


def _read(head: bytes) -> Question:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1"), first
    pairs = (line.split(": ", 1) for line in lines)
    return Question(target, {name.lower(): value for name, value in pairs})


def _written(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}", "Content-Type: application/json"]
    lines += ["Vary: Accept-Encoding", *(f"{name}: {value}" for name, value in answer.headers)]
    body = answer.body
    if len(body) < _CHUNKED:
        lines.append(f"Content-Length: {len(body)}")
    else:
        lines.append("Transfer-Encoding: chunked")
        pieces = [body[start : start + _CHUNKED] for start in range(0, len(body), _CHUNKED)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _seconds(text: str | None) -> float:
    """Of a duration as Go reads it."""
    if text is None:
        return _DEFAULT_WAIT
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)", text)
    assert match, text
    return min(float(match[1]) * _UNITS[match[2]] or _DEFAULT_WAIT, _LONGEST_WAIT)
