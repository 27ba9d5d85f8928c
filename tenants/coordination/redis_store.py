"""Shared limits in Redis: one short script a call, by the server's own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import redis

from tenants.coordination.terms import BUCKET_SECONDS, BUCKETS, MARK_SECONDS, Refusal, Terms

# Numbered keys hold the places, `:calls` counts by ten seconds what was begun, `:waiting` says who waits since when.
_TAKE = """
local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)
local holder, lease, since = ARGV[1], ARGV[2], t[1] * 1000000 + t[2] - ARGV[3]
local places, calls, spare, rank = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local step, buckets, mark = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local counted, waiting = KEYS[1] .. ':calls', KEYS[1] .. ':waiting'

local bucket, spent, counts = math.floor(now / step), 0, {}
local kept = redis.call('HGETALL', counted)
for i = 1, #kept, 2 do
  local number = tonumber(kept[i])
  if number <= bucket - buckets then
    redis.call('HDEL', counted, kept[i])
  else
    spent = spent + kept[i + 1]
    counts[#counts + 1] = {number, tonumber(kept[i + 1])}
  end
end
if spent >= calls then
  table.sort(counts, function(a, b) return a[1] < b[1] end)
  for _, count in ipairs(counts) do
    spent = spent - count[2]
    if spent < calls then return {-2, (count[1] + buckets) * step - now} end
  end
  return {-2, buckets * step}
end

local before, marks = 0, redis.call('HGETALL', waiting)
for i = 1, #marks, 2 do
  if marks[i] == holder then since = math.min(since, tonumber(string.match(marks[i + 1], '%d+ (%d+)'))) end
end
for i = 1, #marks, 2 do
  local theirs, began, ends = string.match(marks[i + 1], '(%d+) (%d+) (%d+)')
  theirs, began = tonumber(theirs), tonumber(began)
  if tonumber(ends) < now then
    redis.call('HDEL', waiting, marks[i])
  elseif marks[i] ~= holder and (theirs < rank or (theirs == rank and began < since)) then
    before = before + 1
  end
end
local free, first = 0, -1
for number = places - 1, 0, -1 do
  if redis.call('EXISTS', KEYS[1] .. ':' .. number) == 0 then free, first = free + 1, number end
end
if free > before + spare then
  redis.call('SET', KEYS[1] .. ':' .. first, holder, 'PX', lease)
  redis.call('HINCRBY', counted, bucket, 1)
  redis.call('PEXPIRE', counted, buckets * step)
  if #marks > 0 then redis.call('HDEL', waiting, holder) end
  return {first, 0}
end
redis.call('HSET', waiting, holder, string.format('%d %.0f %.0f', rank, since, now + mark))
redis.call('PEXPIRE', waiting, mark)
return {-1, 0}
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

    def take_slot(self, name: str, holder: str, terms: Terms, *, seconds: float, waited: float = 0.0) -> int | Refusal:
        times: tuple[int, ...] = (max(int(seconds * 1000), 1), int(waited * 1_000_000))
        wanted: tuple[int, ...] = (terms.places, terms.calls, terms.spare, terms.rank)
        rules: tuple[int, ...] = (BUCKET_SECONDS * 1000, BUCKETS, int(MARK_SECONDS * 1000))
        answer = self._take(keys=[f"{self._namespace}:slot:{name}"], args=[holder, *times, *wanted, *rules])
        slot, wait = cast(tuple[int, int], answer)
        return slot if slot >= 0 else Refusal(wait / 1000)

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        self._free(keys=[f"{self._namespace}:slot:{name}:{slot}"], args=[holder])

    def stop_waiting(self, name: str, holder: str) -> None:
        self._client.hdel(f"{self._namespace}:slot:{name}:waiting", holder)

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
