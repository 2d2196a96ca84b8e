"""An API server of Kubernetes that knows EndpointSlices, over real sockets: lists in pages, and watches.

It serves in the event loop it is entered in, or, after ``start``, in a thread of its own; what tests say to it is the
same in both.
"""

import asyncio
import base64
import json
import random
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.bff_core.authority import authority

__all__ = ["KubernetesServer", "endpoint", "endpoint_slice", "kubeconfig", "service_account", "slice_list", "status"]

T = TypeVar("T")
Json = dict[str, Any]

GROUP = "/apis/discovery.k8s.io/v1"
TOO_OLD = "The resourceVersion for the provided watch is too old."
EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


def endpoint(address: str, *, ready: bool | None = True, **more: Any) -> Json:
    """As the controller writes it. ``uid`` is that of its pod; conditions, ``zone`` and the rest go by their names."""
    conditions = {"serving": more.pop("serving", ready), "terminating": more.pop("terminating", False), "ready": ready}
    found: Json = {"addresses": [address], "conditions": {k: v for k, v in conditions.items() if v is not None}}
    if uid := more.pop("uid", None):
        found["targetRef"] = {"kind": "Pod", "namespace": "store", "name": f"pod-{uid}", "uid": uid}
    return found | more


def endpoint_slice(name: str, *endpoints: Json, service: str = "catalog", **more: Any) -> Json:
    """One with the port http, 8080, unless ``ports`` says otherwise."""
    of = more.pop("addressType", "IPv6" if endpoints and ":" in endpoints[0]["addresses"][0] else "IPv4")
    return {
        "metadata": {
            "name": name,
            "generateName": f"{service}-",
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": service,
            },
        },
        "addressType": of,
        "endpoints": list(endpoints) or None,
        "ports": more.pop("ports", [{"name": "http", "protocol": "TCP", "port": 8080}]),
    }


def slice_list(*slices: Json, version: int, **meta: Any) -> Json:
    """What the answer to a list is."""
    metadata = {"resourceVersion": str(version)} | meta
    return {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "items": slices}


def status(code: int, reason: str, message: str) -> Json:
    """What the answer is where something goes wrong."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def kubeconfig(folder: Path, url: str, **user: str) -> str:
    """The path of one, for somebody with these credentials in the namespace store."""
    cluster = {"server": url, "certificate-authority": "ca.pem"}
    authority("ours").cert_pem.write_to_path(str(folder / "ca.pem"))
    written = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "gateway", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "cluster", "user": "gateway", "namespace": "store"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(written))  # which is YAML too
    return str(file)


def service_account(folder: Path, token: str) -> str:
    """The folder that a pod of the namespace store finds, with that token."""
    authority("ours").cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / "namespace").write_text("store")
    (folder / "token").write_text(token)
    return str(folder)


@dataclass
class Asked:
    """A request that came."""

    path: str
    query: dict[str, str]
    token: str | None


@dataclass
class Watcher:
    """Where the events of one watch go. ``None`` ends it."""

    namespace: str
    service: str | None
    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


class Refused(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status(code, reason, message)


class KubernetesServer:
    """``tokens`` are those it takes; without any, whoever asks is known.

    It remembers what happened until ``compact`` is called; a restart forgets nothing but its connections. Events are
    cut into pieces anywhere, each time in another way that ``seed`` decides.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, tokens: set[str] | None = None, page: int = 500, seed: int = 0
    ) -> None:
        self.tokens = tokens
        self.page = page
        self.asked: list[Asked] = []
        """Every request that came, the last one last."""
        self.gone_as_event = True
        """Of a version that is not kept, an event tells, or else a status."""
        self.expiring = 0
        """How many of the next tokens that continue a list are too old."""
        self.refusal: tuple[int, str, str] | None = None
        """What every list and every watch is answered with."""
        self.port = 0
        self.version = 1000
        self._slices: dict[tuple[str, str], Json] = {}
        self._history: list[tuple[int, str, Json]] = []
        self._snapshots: dict[int, dict[tuple[str, str], Json]] = {}
        self._oldest = self.version
        self._tls = tls
        self._random = random.Random(seed)
        self._watchers: list[Watcher] = []
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where it is, or was."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def watching(self) -> int:
        """How many watches there are."""
        return len(self._watchers)

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    # what tests say

    def put(self, one: Json, namespace: str = "store") -> None:
        """A slice is there, or is another now."""
        self._say(lambda: self._put(one, namespace))

    def delete(self, name: str, namespace: str = "store") -> None:
        """A slice is no more."""
        self._say(lambda: self._delete(name, namespace))

    def bookmark(self) -> None:
        """Tell whoever watches how far it is, after something happened that they did not ask for."""
        self._say(self._bookmark)

    def compact(self) -> None:
        """Forget what happened up to now, and let something happen that nobody asked for."""
        self._say(self._compact)

    def end_watches(self) -> None:
        """End them, as a server does after a while."""
        self._say(lambda: self._tell(None))

    def say(self, line: bytes) -> None:
        """Say this to whoever watches, whatever it is."""
        self._say(lambda: self._tell(line))

    def cut(self) -> None:
        """Break every connection."""
        self._say(self._cut)

    def slices(self, service: str = "catalog", namespace: str = "store") -> list[Json]:
        """Those there are now, by name."""
        return [one for (_, _), one in sorted(self._slices.items()) if _is_of(one, namespace, service)]

    # in an event loop

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        while self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()

    # in a thread

    def start(self) -> Self:
        """Serve in a thread of its own, at the same port as before where there was one."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="kubernetes", daemon=True)
        self._thread.start()
        assert ready.wait(10), "the server has not come up"
        return self

    def stop(self) -> None:
        """The end of that. What it knows stays."""
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        self._loop = self._thread = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with self:
            ready.set()
            await self._stopped.wait()

    def _say(self, what: Callable[[], T]) -> T:
        if self._loop is None:
            return what()

        async def say() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(say(), self._loop).result(10)

    # what is known

    def _put(self, one: Json, namespace: str) -> None:
        self.version += 1
        name = one["metadata"]["name"]
        before = self._slices.get((namespace, name))
        metadata = {
            **one["metadata"],
            "namespace": namespace,
            "uid": f"00000000-0000-4000-8000-{abs(hash((namespace, name))) % 10**12:012}",
            "resourceVersion": str(self.version),
            "generation": 1 + (before["metadata"]["generation"] if before else 0),
            "creationTimestamp": "2026-11-02T09:14:07Z",
        }
        kept = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", **one, "metadata": metadata}
        self._slices[namespace, name] = kept
        self._happened("MODIFIED" if before else "ADDED", kept)

    def _delete(self, name: str, namespace: str) -> None:
        gone = self._slices.pop((namespace, name))
        self.version += 1
        metadata = gone["metadata"] | {"resourceVersion": str(self.version)}
        self._happened("DELETED", gone | {"metadata": metadata})

    def _happened(self, kind: str, one: Json) -> None:
        self._history.append((self.version, kind, one))
        for watcher in self._watchers:
            if _is_of(one, watcher.namespace, watcher.service):
                watcher.events.put_nowait(_event(kind, one))

    def _bookmark(self) -> None:
        self.version += 1
        self._tell(_bookmark(self.version))

    def _tell(self, line: bytes | None) -> None:
        for watcher in self._watchers:
            watcher.events.put_nowait(line)

    def _compact(self) -> None:
        self.version += 1
        self._oldest = self.version
        self._history.clear()
        self._snapshots.clear()

    def _cut(self) -> None:
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()

    # what is answered

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the other side left, or we did
            while True:
                await self._answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = _asked(head)
        self.asked.append(asked)
        try:
            answer = self._answer_to(asked)
        except Refused as refused:
            answer = refused.status
        if isinstance(answer, Watcher):
            await self._stream(answer, reader, writer)
        else:
            writer.write(_reply(answer))
            await writer.drain()

    def _answer_to(self, asked: Asked) -> Json | Watcher:
        if self.tokens is not None and asked.token not in self.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")
        if asked.path in _DISCOVERY:
            return _DISCOVERY[asked.path]
        parts = asked.path.removeprefix(GROUP).split("/")
        if not asked.path.startswith(GROUP) or parts[1] != "namespaces" or parts[3:] != ["endpointslices"]:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        if self.refusal is not None:
            raise Refused(*self.refusal)
        selector = asked.query.get("labelSelector", "")
        service = selector.removeprefix("kubernetes.io/service-name=") or None
        if asked.query.get("watch") in {"1", "true"}:
            return self._watch(unquote(parts[2]), service, asked.query)
        return self._list(unquote(parts[2]), service, asked.query)

    def _list(self, namespace: str, service: str | None, query: dict[str, str]) -> Json:
        version, after = self.version, ""
        if token := query.get("continue"):
            version, after = json.loads(base64.b64decode(token))
            if self.expiring:
                self.expiring -= 1
                raise Refused(410, "Expired", EXPIRED)
        # as it was at that version, which is what makes pages one list
        snapshot = (
            self._snapshots.setdefault(version, dict(self._slices)) if not token else self._snapshots.get(version)
        )
        if snapshot is None:
            raise Refused(410, "Expired", EXPIRED)
        there = [one for _, one in sorted(snapshot.items()) if _is_of(one, namespace, service)]
        left = [one for one in there if one["metadata"]["name"] > after]
        limit = min(int(query.get("limit", 0)) or self.page, self.page)
        meta: Json = {}
        if len(left) > limit:
            rest = json.dumps([version, left[limit - 1]["metadata"]["name"]])
            meta = {"continue": base64.b64encode(rest.encode()).decode(), "remainingItemCount": len(left) - limit}
        return slice_list(*left[:limit], version=version, **meta)

    def _watch(self, namespace: str, service: str | None, query: dict[str, str]) -> Watcher:
        watcher = Watcher(namespace, service)
        since = int(query["resourceVersion"])
        if since < self._oldest:
            if not self.gone_as_event:
                raise Refused(410, "Expired", TOO_OLD)
            gone = status(410, "Expired", f"too old resource version: {since} ({self._oldest})")
            watcher.events.put_nowait(_line({"type": "ERROR", "object": gone}))
            watcher.events.put_nowait(None)
        for when, kind, one in self._history:
            if when > since and _is_of(one, namespace, service):
                watcher.events.put_nowait(_event(kind, one))
        return watcher

    async def _stream(self, watcher: Watcher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        self._watchers.append(watcher)
        left = asyncio.ensure_future(reader.read(1))  # whoever watches says nothing, until it goes
        try:
            while True:
                line = asyncio.ensure_future(watcher.events.get())
                await asyncio.wait({line, left}, return_when=asyncio.FIRST_COMPLETED)
                if not line.done():
                    line.cancel()
                    raise ConnectionResetError
                data = line.result()
                if data is None:
                    break
                for piece in self._pieces(data):
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
        finally:
            self._watchers.remove(watcher)
            left.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await left
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        cuts = sorted(self._random.randrange(1, len(data)) for _ in range(self._random.randrange(4)) if len(data) > 1)
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if data[start:end]:
                yield data[start:end]


def _asked(head: bytes) -> Asked:
    first, *rest = head.decode("latin-1").split("\r\n")
    url = urlsplit(first.split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    authorization = headers.get("authorization", "")
    token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else None
    return Asked(url.path, {key: values[-1] for key, values in parse_qs(url.query).items()}, token)


def _reply(answer: Json) -> bytes:
    body = json.dumps(answer).encode()
    code = answer["code"] if answer.get("kind") == "Status" else 200
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (code, len(body), body)


def _line(event: Json) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _event(kind: str, one: Json) -> bytes:
    return _line({"type": kind, "object": one})


def _bookmark(version: int) -> bytes:
    about = {"metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
    nothing = {"addressType": "", "endpoints": None, "ports": None}
    return _event("BOOKMARK", {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", **about, **nothing})


def _is_of(one: Json, namespace: str, service: str | None) -> bool:
    labels = one["metadata"]["labels"]
    in_it = one["metadata"]["namespace"] == namespace
    return in_it and service in {None, labels["kubernetes.io/service-name"]}


# what kubectl asks before it asks for anything

_VERSION = {"groupVersion": "discovery.k8s.io/v1", "version": "v1"}
_DISCOVERY: dict[str, Json] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "discovery.k8s.io", "versions": [_VERSION], "preferredVersion": _VERSION}],
    },
    GROUP: {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "discovery.k8s.io/v1",
        "resources": [
            {
                "name": "endpointslices",
                "singularName": "endpointslice",
                "namespaced": True,
                "kind": "EndpointSlice",
                "verbs": ["get", "list", "watch"],
            }
        ],
    },
}
