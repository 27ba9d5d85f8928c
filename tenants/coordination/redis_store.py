"""Shared limits in Redis: one short script a call, by the server's own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import redis

_TAKE = """
for number = 0, ARGV[2] - 1 do
  local key = KEYS[1] .. ':' .. number
  if redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[3]) then return number end
end
return -1
"""
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
_ADMIT = """
local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + 1 / rate
local wait = full_at - now - burst / rate
if wait > 0 then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'EX', math.ceil(burst / rate) + 1)
return '0'
"""


class RedisCoordinator:
    """Keys carry the name of the limit; a slot's key holds its holder and expires by itself.

    `namespace` keeps installations apart that share a server.
    """

    def __init__(self, url: str, namespace: str = "cadence") -> None:
        self._namespace = namespace
        client = self._client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=3)
        self._take = client.register_script(_TAKE)
        self._free = client.register_script(_FREE)
        self._admit = client.register_script(_ADMIT)

    def take_slot(self, name: str, holder: str, limit: int, seconds: float) -> int | None:
        milliseconds = max(int(seconds * 1000), 1)
        slot = cast(int, self._take(keys=[f"{self._namespace}:slot:{name}"], args=[holder, limit, milliseconds]))
        return None if slot < 0 else slot

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        self._free(keys=[f"{self._namespace}:slot:{name}:{slot}"], args=[holder])

    def read(self, name: str) -> bytes | None:
        return cast(bytes | None, self._client.get(f"{self._namespace}:kept:{name}"))

    def modify(self, name: str, change: Callable[[bytes | None], bytes | None], seconds: float) -> bytes | None:
        key = f"{self._namespace}:kept:{name}"
        with self._client.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(key)  # type: ignore[no-untyped-call]  # redis-py has no types here
                    changed = change(cast(bytes | None, pipe.get(key)))
                    pipe.multi()
                    if changed is None:
                        pipe.delete(key)
                    else:
                        pipe.set(key, changed, px=max(int(seconds * 1000), 1))
                    pipe.execute()
                except redis.WatchError:
                    continue
                return changed

    def add(self, name: str, amounts: Mapping[str, float]) -> None:
        pipe = self._client.pipeline()
        for item, amount in amounts.items():
            pipe.hincrbyfloat(f"{self._namespace}:sums:{name}", item, amount)
        pipe.execute()

    def sums(self, name: str) -> dict[str, float]:
        found = cast(dict[bytes, bytes], self._client.hgetall(f"{self._namespace}:sums:{name}"))
        return {item.decode(): float(total) for item, total in found.items()}

    def admit(self, name: str, per_second: float, burst: int) -> float:
        return float(cast(bytes, self._admit(keys=[f"{self._namespace}:bucket:{name}"], args=[per_second, burst])))
