"""The shared cache in Redis: keys that expire by themselves, and an index by which the oldest are found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast

import redis

from tenants.coordination.claims import Claim

_AT_ONCE = 200
# The index holds every key with the time of its end. Lua's numbers hold milliseconds exactly.
_PUT = """
local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, longest = tonumber(ARGV[1]), redis.call('PTTL', KEYS[1])
for i = 2, #KEYS do
  local life = tonumber(ARGV[2 * i - 1])
  redis.call('SET', KEYS[i], ARGV[2 * i - 2], 'PX', life)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + life), KEYS[i])
  longest = math.max(longest, life)
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', longest))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local over = redis.call('ZCARD', KEYS[1]) - most
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], over)
  for i = 1, #oldest, 2 do redis.call('DEL', oldest[i]) end
end
"""
# A claim is `R<holder>` while under way, `D<holder>\n<note>` when it is over.
_CLAIM = """
local others = {}
for i, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if not held or string.sub(held, 1, 1) == 'D' or held == 'R' .. ARGV[1] then
    redis.call('SET', key, 'R' .. ARGV[1], 'PX', ARGV[2])
    others[i] = ''
  else
    others[i] = string.sub(held, 2)
  end
end
return others
"""
_RENEW = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == 'R' .. ARGV[1] then redis.call('PEXPIRE', key, ARGV[2]) end
end
"""
_RELEASE = """
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == 'R' .. ARGV[1] then
    if ARGV[i + 2] == '' then redis.call('DEL', key)
    else redis.call('SET', key, 'D' .. ARGV[1] .. '\\n' .. ARGV[i + 2], 'PX', ARGV[2]) end
  end
end
"""


class RedisCache:
    """`namespace` keeps installations apart that share a server."""

    def __init__(self, url: str, namespace: str = "cadence") -> None:
        self._index = f"{namespace}:cached"
        self._claims = f"{namespace}:claim"
        client = self._client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=3)
        self._put, self._claim = client.register_script(_PUT), client.register_script(_CLAIM)
        self._renew, self._release = client.register_script(_RENEW), client.register_script(_RELEASE)

    def get_many(self, names: Collection[str]) -> dict[str, bytes]:
        if not names:
            return {}
        found = cast(list[bytes | None], self._client.mget([f"{self._index}:{name}" for name in names]))
        return {name: value for name, value in zip(names, found, strict=True) if value is not None}

    def put_many(self, values: Mapping[str, tuple[bytes, float]], most: int) -> None:
        names = list(values)
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            keys = [f"{self._index}:{name}" for name in some]
            args: list[bytes | int] = [most]
            for value, seconds in map(values.__getitem__, some):
                args += [value, _milliseconds(seconds)]
            self._put(keys=[self._index, *keys], args=args)

    def forget(self, prefix: str) -> None:
        found = [key for key, _ in self._client.zscan_iter(self._index, match=f"{self._index}:{prefix}*", count=1000)]
        if found:
            self._client.unlink(*found)
            self._client.zrem(self._index, *found)

    def prune(self) -> int:
        """Redis forgets by itself."""
        return 0

    def claim(self, names: Iterable[str], holder: str, seconds: float) -> dict[str, str]:
        wanted = list(names)
        keys = [f"{self._claims}:{name}" for name in wanted]
        others = cast(list[bytes], self._claim(keys=keys, args=[holder, _milliseconds(seconds)]))
        return {name: other.decode() for name, other in zip(wanted, others, strict=True) if other}

    def claims(self, names: Collection[str]) -> dict[str, Claim]:
        if not names:
            return {}
        found = cast(list[bytes | None], self._client.mget([f"{self._claims}:{name}" for name in names]))
        return {name: _claim(held) for name, held in zip(names, found, strict=True) if held is not None}

    def renew(self, names: Iterable[str], holder: str, seconds: float) -> None:
        self._renew(keys=[f"{self._claims}:{name}" for name in names], args=[holder, _milliseconds(seconds)])

    def release(self, notes: Mapping[str, bytes | None], holder: str, seconds: float) -> None:
        keys = [f"{self._claims}:{name}" for name in notes]
        self._release(keys=keys, args=[holder, _milliseconds(seconds), *(note or b"" for note in notes.values())])


def _claim(held: bytes) -> Claim:
    holder, _, note = held[1:].partition(b"\n")
    return Claim(holder.decode(), note if held[:1] == b"D" else None)


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
