"""Instances that Consul knows: asked for with blocking queries, so that news comes as soon as there is any.

What the questions owe to https://developer.hashicorp.com/consul/api-docs/features/blocking is said where it is done.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from bff_core.discovery.asking import Api
from bff_core.discovery.consul_entries import Entries
from bff_core.discovery.contract import Member, SourceFailed
from bff_core.discovery.rate import Rate
from bff_core.discovery_settings import ConsulSettings
from bff_core.lookups import ConsulLookup
from bff_core.tls import client_context
from bff_core.wire import Reply, header
from bff_core.wire.terms import Terms

__all__ = ["Consul"]

_log = logging.getLogger("bff.discovery")

_PATIENCE: Final = 10.0  # seconds for an answer that Consul does not hold back
_JITTER: Final = 1 / 16  # of the wait, which Consul may add to it
_BURST: Final = 4  # questions at once, and then
_INTERVAL: Final = 1.0  # seconds between two
_LONGEST_SILENCE: Final = 10_000  # milliseconds since the leader was heard of; elections take a second or two
_NAMED: Final = 5  # of those that are left out, in the log
_NUMBER: Final = re.compile(r"[0-9]{1,20}")


class Consul:
    """A ``Source``. ``upstream`` is the name that instances get."""

    known: Sequence[Member] = ()

    def __init__(self, upstream: str, lookup: ConsulLookup, settings: ConsulSettings) -> None:
        self._upstream, self._lookup, self._settings = upstream, lookup, settings
        self._name = f"Consul at {settings.url}"
        self._api = Api(self._name, settings.url, _terms(settings))
        self._rate = Rate(burst=_BURST, interval=_INTERVAL)
        self._left_out: frozenset[str] = frozenset()

    async def sets(self) -> AsyncGenerator[Sequence[Member], None]:
        """See ``Source``."""
        index = 0  # which asks without waiting for news
        while True:
            reply = await self._ask(index)
            answered = self._index(reply)
            members = self._members(reply)
            if index and not members:
                # it may come from an agent's own view, which knows of no leader (streaming), or which was emptied when
                # a token was revoked (hashicorp/consul#20790): so it is asked for again, of the leader
                index = 0
                continue
            if not members:
                self._believe(reply)
            yield members
            # backwards it goes where Consul has lost its memory, and with the old one news would be missed
            index = answered if answered >= index else 0

    async def close(self) -> None:
        """See ``Source``."""
        await self._api.close()

    async def _ask(self, index: int) -> Reply:
        # limited, because an index that moves all the time would make this a busy loop; no pause otherwise, because it
        # would only delay the news
        delay = self._rate.delay(asyncio.get_running_loop().time())
        if delay:
            await asyncio.sleep(delay)
        wait = self._settings.wait if index else 0.0
        within = wait + wait * _JITTER + _PATIENCE
        try:
            return await self._api.get(self._target(index), self._credentials(), within=within)
        except SourceFailed as failure:
            raise self._failure(str(failure)) from None

    def _target(self, index: int) -> str:
        query = [("passing", "true"), *(("tag", tag) for tag in self._lookup.tags)]
        if self._lookup.datacenter is not None:
            query.append(("dc", self._lookup.datacenter))
        if index:
            query += [("index", str(index)), ("wait", f"{self._settings.wait:g}s")]
        service = quote(self._lookup.service, safe="")
        return f"/v1/health/service/{service}?{urlencode(query, quote_via=quote, safe='')}"

    def _credentials(self) -> list[tuple[bytes, bytes]]:
        token = self._settings.token
        return [] if token is None else [(b"x-consul-token", token.get_secret_value().encode("ascii"))]

    def _failure(self, what: str) -> SourceFailed:
        # what stands between us and an agent may answer with what it was sent
        token = self._settings.token
        return SourceFailed(what if token is None else what.replace(token.get_secret_value(), str(token)))

    def _members(self, reply: Reply) -> Sequence[Member]:
        try:
            entries = Entries.read(self._upstream, self._lookup.scheme, reply.body)
        except SourceFailed as failure:
            raise self._failure(f"{self._name}: answered {failure}") from None
        self._tell(frozenset(entries.left_out))
        return entries.members

    def _tell(self, left_out: frozenset[str]) -> None:
        if left_out - self._left_out:  # once, and not with every answer
            some = ", ".join(sorted(left_out)[:_NAMED])
            _log.warning("%s: %s: %d left out, no instances: %s", self._upstream, self._name, len(left_out), some)
        self._left_out = left_out

    def _index(self, reply: Reply) -> int:
        text = header(reply.headers, b"x-consul-index") or ""
        if not _NUMBER.fullmatch(text):
            raise self._failure(f"{self._name}: answered without an index: X-Consul-Index is {text!r}")
        return max(int(text), 1)  # 0 would not wait for news, and is a bug that some versions have

    def _believe(self, reply: Reply) -> None:
        """Nothing was found, and whoever says so is sure of it. Raises ``SourceFailed``."""
        if why := _doubt(reply, anonymous=self._settings.token is None):
            raise self._failure(f"{self._name}: answered with no instance, which is not believed: {why}")


def _doubt(reply: Reply, *, anonymous: bool) -> str:
    leader = header(reply.headers, b"x-consul-knownleader")
    silence = header(reply.headers, b"x-consul-lastcontact") or ""
    if leader != "true":
        return f"X-Consul-KnownLeader is {leader}"
    if not _NUMBER.fullmatch(silence) or int(silence) > _LONGEST_SILENCE:
        return f"X-Consul-LastContact is {silence!r}"
    if header(reply.headers, b"x-consul-results-filtered-by-acls") == "true":
        return "the token may not see what there is; it needs service:read and node:read"
    if anonymous and header(reply.headers, b"x-consul-default-acl-policy") == "deny":
        return "its ACLs hide from who has no token what there is"  # and it does not tell them that it does
    return ""


def _terms(settings: ConsulSettings) -> Terms | None:
    if settings.tls is None:
        return None
    return Terms(tls=client_context(settings.tls), server_name=settings.tls.server_name)
