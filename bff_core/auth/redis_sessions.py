"""Sessions in Redis, or Valkey, where all processes of a gateway know them.

Of the gateway ``web``, ``bff:web:session:id:...`` is a session: a hash of what is sealed, and of the keys of its
groups. ``bff:web:session:group:...`` is a group: a sorted set of names by the moment (ms) at which each ends, so that
those that have ended can be thrown away whenever another joins. It lasts as long as the one that lasts longest.

Redis must not evict (``maxmemory-policy noeviction``): a group that is gone is a logout that finds nobody. Replicas are
told after we are, so what was done last may be undone by a failover. Redis Cluster is not spoken: scripts find the keys
of groups in sessions, so all keys of a gateway would need one hash tag (``bff:{web}:``), and ``bff_core.redis`` would
have to follow ``MOVED``.
"""

import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

from bff_core.auth.session_store import Kept
from bff_core.errors import IdentityUnavailable
from bff_core.redis import Redis, RedisUnavailable, Script, Word

__all__ = ["RedisSessions"]

# `none` deletes what is not there, because a replica refuses that, and may not have heard yet of what is there
_TOGETHER: Final = """
local function groups(session)
    local found = {}
    for _, field in ipairs(redis.call('HKEYS', session)) do
        if field ~= 'sealed' then found[#found + 1] = field end
    end
    return found
end

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function stay(session, name, ttl)
    redis.call('PEXPIRE', session, ttl)
    for _, group in ipairs(groups(session)) do
        redis.call('ZADD', group, string.format('%.0f', now() + ttl), name)
        if redis.call('PTTL', group) < tonumber(ttl) then redis.call('PEXPIRE', group, ttl) end
    end
end

local function none(session)
    return redis.call('DEL', session)
end

local function leave(session, name)
    for _, group in ipairs(groups(session)) do redis.call('ZREM', group, name) end
end
"""

# HSET comes before anything else is written, because a Redis that is full refuses only what has written nothing yet
_ADD: Final = Script(
    _TOGETHER
    + """
local session, name, ttl, sealed = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local before = groups(session)
redis.call('HSET', session, 'sealed', sealed)
for _, group in ipairs(before) do
    redis.call('ZREM', group, name)
    redis.call('HDEL', session, group)
end
for i = 2, #KEYS do
    redis.call('HSET', session, KEYS[i], '')
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now()))
end
stay(session, name, ttl)
"""
)

_GET: Final = Script(
    _TOGETHER
    + """
local sealed = redis.call('HGET', KEYS[1], 'sealed')
if sealed then stay(KEYS[1], ARGV[1], ARGV[2]) else none(KEYS[1]) end
return sealed
"""
)

_REPLACE: Final = Script(
    _TOGETHER
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return none(KEYS[1]) end
redis.call('HSET', KEYS[1], 'sealed', ARGV[3])
stay(KEYS[1], ARGV[1], ARGV[2])
return 1
"""
)

_TAKE: Final = Script(
    _TOGETHER
    + """
local sealed = redis.call('HGET', KEYS[1], 'sealed')
leave(KEYS[1], ARGV[1])
redis.call('DEL', KEYS[1])
return sealed
"""
)

# whether a session is in the group is asked of the session, because another may have got its name since
_TAKE_GROUP: Final = Script(
    _TOGETHER
    + """
local taken = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local session = ARGV[1] .. name
    if redis.call('HEXISTS', session, KEYS[1]) == 1 then
        taken[#taken + 1] = name
        taken[#taken + 1] = redis.call('HGET', session, 'sealed')
        leave(session, name)
        redis.call('DEL', session)
    end
end
redis.call('DEL', KEYS[1])
return taken
"""
)

_UNLOCK: Final = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end")


class RedisSessions:
    """Those of one gateway. See ``SessionStore``. ``start`` and ``close`` are those of ``redis`` too."""

    def __init__(self, redis: Redis, gateway: str) -> None:
        self._redis = redis
        self._prefix = f"bff:{gateway}:session:"

    async def add(self, kept: Kept, groups: Collection[str], ttl: float) -> None:
        """See ``SessionStore``."""
        keys = [self._session(kept.name), *(self._group(group) for group in groups)]
        await self._script(_ADD, keys, kept.name, _ms(ttl), kept.sealed)

    async def get(self, name: str, ttl: float) -> bytes | None:
        """See ``SessionStore``."""
        found: bytes | None = await self._script(_GET, [self._session(name)], name, _ms(ttl), repeatable=True)
        return found

    async def replace(self, kept: Kept, ttl: float) -> bool:
        """See ``SessionStore``."""
        done = await self._script(_REPLACE, [self._session(kept.name)], kept.name, _ms(ttl), kept.sealed)
        return bool(done)

    async def take(self, name: str) -> bytes | None:
        """See ``SessionStore``."""
        found: bytes | None = await self._script(_TAKE, [self._session(name)], name)
        return found

    async def take_group(self, group: str) -> list[Kept]:
        """See ``SessionStore``."""
        found = await self._script(_TAKE_GROUP, [self._group(group)], self._session(""))
        return [Kept(name.decode(), sealed) for name, sealed in zip(found[::2], found[1::2], strict=True)]

    async def once(self, name: str, ttl: float) -> bool:
        """See ``SessionStore``."""
        return await self._set_first(self._once(name), "said", ttl)

    async def said(self, name: str) -> bool:
        """See ``SessionStore``."""
        try:
            return bool(await self._redis.command("EXISTS", self._once(name), repeatable=True))
        except RedisUnavailable as failure:
            raise IdentityUnavailable(f"sessions: {failure}") from None

    async def lock(self, name: str, ttl: float) -> str | None:
        """See ``SessionStore``."""
        held = secrets.token_urlsafe(16)
        return held if await self._set_first(self._lock(name), held, ttl) else None

    async def unlock(self, name: str, held: str) -> None:
        """See ``SessionStore``."""
        await self._script(_UNLOCK, [self._lock(name)], held, repeatable=True)

    async def start(self) -> None:
        """See ``SessionStore``."""
        await self._redis.start()

    async def close(self) -> None:
        """See ``SessionStore``."""
        await self._redis.close()

    def facts(self) -> dict[str, Any]:
        """Those of ``redis``."""
        return self._redis.facts()

    async def _script(self, script: Script, keys: Sequence[str], *arguments: Word, repeatable: bool = False) -> Any:
        try:
            return await self._redis.script(script, keys, arguments, repeatable=repeatable)
        except RedisUnavailable as failure:
            raise IdentityUnavailable(f"sessions: {failure}") from None

    async def _set_first(self, key: str, value: str, ttl: float) -> bool:
        try:
            return await self._redis.command("SET", key, value, "NX", "PX", _ms(ttl)) is not None
        except RedisUnavailable as failure:
            raise IdentityUnavailable(f"sessions: {failure}") from None

    def _session(self, name: str) -> str:
        return f"{self._prefix}id:{name}"

    def _group(self, group: str) -> str:
        return f"{self._prefix}group:{group}"

    def _once(self, name: str) -> str:
        return f"{self._prefix}once:{name}"

    def _lock(self, name: str) -> str:
        return f"{self._prefix}lock:{name}"


def _ms(ttl: float) -> int:
    return max(1, round(ttl * 1000))
