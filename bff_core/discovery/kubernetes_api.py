"""Asking an API server for the EndpointSlices of one Service, and for what changes in them."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ValidationError

from bff_core.discovery.asking import Api, Headers, without_secrets
from bff_core.discovery.contract import SourceFailed
from bff_core.discovery.endpoint_slices import Slices
from bff_core.discovery.json_lines import Lines
from bff_core.discovery.kubernetes_access import Access, why
from bff_core.discovery.kubernetes_shapes import (
    EVENT,
    Bookmark,
    Change,
    EndpointSlice,
    EndpointSliceList,
    Failure,
    Status,
)
from bff_core.errors import GatewayError, TimedOut, Unreachable
from bff_core.wire import ReplyStream

__all__ = ["EndpointSliceApi", "Gone", "WatchBroken"]

_LIST: Final = 30.0  # seconds for all pages
_PAGE: Final = 500  # slices
_STARTS: Final = 3
_ANSWER: Final = 10.0  # seconds until the head of a reply
_WATCH: Final = 300  # seconds
_GRACE: Final = 30.0
_LINE: Final = 8 * 1024 * 1024  # bytes: a slice has at most 1000 endpoints, and etcd takes 1.5 MiB of it
_ENOUGH: Final = 32 * 1024 * 1024  # bytes of one watch, which no reply may have without end
_SAID: Final = 400  # characters of what it says went wrong

_HINTS: Final = {
    401: "it does not know who asks: see the token, or the user of the kubeconfig",
    403: "who asks needs a Role with get, list and watch on endpointslices of discovery.k8s.io in that namespace",
}

_M = TypeVar("_M", bound=BaseModel)


class Gone(Exception):
    """The version that was asked for is not kept any more."""


class WatchBroken(Exception):
    """The connection ended in the middle."""


class EndpointSliceApi:
    """Of one Service, in its namespace or else in that of ``access``. Whatever fails otherwise is ``SourceFailed``."""

    def __init__(self, access: Access, namespace: str | None, service: str) -> None:
        self._api = Api("kubernetes", access.url, access.terms)
        self._credentials = access.credentials
        self._sent: Headers = ()
        path = urlsplit(access.url).path.rstrip("/")
        self.namespace = namespace or access.namespace
        self._path = f"{path}/apis/discovery.k8s.io/v1/namespaces/{quote(self.namespace, safe='')}/endpointslices"
        self._selector = f"kubernetes.io/service-name={service}"

    async def list(self) -> Slices:
        """All there are."""
        until = _now() + _LIST
        for _ in range(_STARTS):
            try:
                return await self._pages(until)
            except Gone as gone:
                why_gone = gone
        raise SourceFailed(f"kubernetes: pages of the list expire before they are read: {why_gone}")

    async def watch(self, version: str) -> AsyncGenerator[Change | Bookmark, None]:
        """What has happened since ``version``, until the server has said enough for once.

        Raises ``Gone`` where it does not know any more, and ``WatchBroken``.
        """
        # jittered, because otherwise all watches that began together would end together
        seconds = random.randint(_WATCH * 9 // 10, _WATCH * 11 // 10)  # noqa: S311  no secret
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        said, lines = 0, Lines(_LINE)
        async with self._asked(query, within=_ANSWER, body_within=seconds + _GRACE) as reply, _pieces(reply) as pieces:
            async for piece in pieces:
                for line in lines.of(piece):
                    yield _event(without_secrets(line, self._sent))
                said += len(piece)
                if said > _ENOUGH:
                    return

    async def close(self) -> None:
        """End all connections."""
        await self._api.close()

    async def _pages(self, until: float) -> Slices:
        found: list[EndpointSlice] = []
        query: dict[str, object] = {"limit": _PAGE}
        while True:
            left = until - _now()
            if left <= 0:
                raise SourceFailed(f"kubernetes: no whole list within {_LIST:.0f} s")
            async with self._asked(query, within=min(left, _ANSWER), body_within=left) as reply:
                page = _fitting(EndpointSliceList, await _whole(reply))
            found += page.items or ()
            if not page.metadata.continue_:
                return Slices(page.metadata.resource_version, found)
            query["continue"] = page.metadata.continue_

    @asynccontextmanager
    async def _asked(
        self, query: dict[str, object], *, within: float, body_within: float
    ) -> AsyncIterator[ReplyStream]:
        """A reply with status 200."""
        target = f"{self._path}?{urlencode({'labelSelector': self._selector, **query})}"
        reply = await self._send(target, within, body_within)
        try:
            if reply.status == 401 and self._credentials.refused():
                await reply.close()
                reply = await self._send(target, within, body_within)
            if reply.status != 200:
                raise _refusal(reply.status, self._path, without_secrets(await _whole(reply), self._sent))
            yield reply
        finally:
            await reply.close()

    async def _send(self, target: str, within: float, body_within: float) -> ReplyStream:
        self._sent = self._credentials.headers(_now())
        return await self._api.stream(target, self._sent, within=within, body_within=body_within)


@asynccontextmanager
async def _pieces(reply: ReplyStream) -> AsyncIterator[AsyncIterator[bytes]]:
    # it is a generator, and one that is left to itself is closed by a task that nobody waits for
    async with aclosing(cast("AsyncGenerator[bytes, None]", aiter(reply))) as pieces:
        try:
            yield pieces
        except (Unreachable, TimedOut) as error:
            raise WatchBroken(str(error)) from error
        except GatewayError as error:
            raise SourceFailed(str(error)) from error


async def _whole(reply: ReplyStream) -> bytes:
    try:
        return b"".join([piece async for piece in reply])
    except GatewayError as error:
        raise SourceFailed(str(error)) from error


def _event(line: bytes) -> Change | Bookmark:
    try:
        event = EVENT.validate_json(line)
    except ValidationError as error:
        raise SourceFailed(f"kubernetes: a watch said what is no event: {why(error)}") from None
    if isinstance(event, Failure):
        raise _failed(event.object)
    return event


def _failed(status: Status) -> Exception:
    if status.code == 410:
        return Gone(status.message)
    return SourceFailed(f"kubernetes: a watch failed with {status.code}: {status.message[:_SAID]}")


def _refusal(status: int, path: str, body: bytes) -> Exception:
    try:
        said = Status.model_validate_json(body).message[:_SAID]
    except ValidationError:
        said = body[:_SAID].decode("utf-8", "replace").strip()
    if status == 410:
        return Gone(said)
    hint = f" ({_HINTS[status]})" if status in _HINTS else ""
    return SourceFailed(f"kubernetes: answered {status} to {path}: {said}{hint}")


def _fitting(shape: type[_M], body: bytes) -> _M:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise SourceFailed(f"kubernetes: answered what is no list of endpoint slices: {why(error)}") from None


def _now() -> float:
    return asyncio.get_running_loop().time()
