"""The latest small values of many owners, for a while: bounded for each owner and in all, written by one call.

Beside the limits in the same store: Redis, or in embedded mode their SQLite file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, cast

from django.conf import settings
from redis.exceptions import RedisError

from tenants.coordination.embedded import SqliteCoordinator
from tenants.coordination.redis_store import RedisCoordinator

MOST_OF_OWNER = 500
MOST = 10_000
StoreAway = (RedisError, sqlite3.Error)

# One list of each owner's keys and one of all, the newest first; a value that falls off either is deleted.
_PUT = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for number = 2, 3 do
  redis.call('LREM', KEYS[number], 1, KEYS[1])
  redis.call('LPUSH', KEYS[number], KEYS[1])
  redis.call('PEXPIRE', KEYS[number], ARGV[2])
  while redis.call('LLEN', KEYS[number]) > tonumber(ARGV[number + 1]) do
    redis.call('DEL', redis.call('RPOP', KEYS[number]))
  end
end
"""
_FORGET = """
for _, key in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
"""
# `until` has an index, or each value would look at all others for those that are over.
_TABLE = """
CREATE TABLE IF NOT EXISTS latest (number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, name TEXT, value BLOB,
  until REAL, UNIQUE (owner, name));
CREATE INDEX IF NOT EXISTS latest_until ON latest (until);
CREATE INDEX IF NOT EXISTS latest_of_owner ON latest (owner, number);
"""


class Latest(Protocol):
    """What both stores can do. Each raises one of StoreAway while the store is away."""

    def put(self, owner: str, name: str, value: bytes, seconds: float) -> None:
        """Keeps the value for `seconds`, in the place of one of the same name; the owner's oldest may go for it."""

    def get(self, owner: str, name: str) -> bytes | None:
        """The value, None when there is none or its time is over."""

    def forget(self, owner: str) -> None:
        """Deletes all of the owner's."""


class RedisLatest(RedisCoordinator):
    """A key for each value, which expires by itself."""

    def __init__(self, url: str, namespace: str, *, most_of_owner: int = MOST_OF_OWNER, most: int = MOST) -> None:
        super().__init__(url, namespace)
        self._most = [most_of_owner, most]
        self._put = self._client.register_script(_PUT)
        self._forget = self._client.register_script(_FORGET)

    def put(self, owner: str, name: str, value: bytes, seconds: float) -> None:
        keys = [self._key(owner, name), self._list(owner), f"{self._namespace}:latest"]
        self._put(keys=keys, args=[value, max(int(seconds * 1000), 1), *self._most])

    def get(self, owner: str, name: str) -> bytes | None:
        return cast(bytes | None, self._client.get(self._key(owner, name)))

    def forget(self, owner: str) -> None:
        self._forget(keys=[self._list(owner)])

    def _key(self, owner: str, name: str) -> str:
        return f"{self._namespace}:latest:{owner}:{name}"

    def _list(self, owner: str) -> str:
        return f"{self._namespace}:latest-of:{owner}"


class SqliteLatest(SqliteCoordinator):
    """A row for each value; what is over goes with the next that comes."""

    def __init__(
        self,
        file: str,
        *,
        clock: Callable[[], float] = time.time,
        most_of_owner: int = MOST_OF_OWNER,
        most: int = MOST,
    ) -> None:
        super().__init__(file, clock=clock)
        self._most_of_owner, self._most = most_of_owner, most
        self._file.connection().executescript(_TABLE)

    def put(self, owner: str, name: str, value: bytes, seconds: float) -> None:
        with self._file.transaction() as db:
            now = self._clock()
            db.execute(
                "REPLACE INTO latest (owner, name, value, until) VALUES (?, ?, ?, ?)",
                (owner, name, value, now + seconds),
            )
            db.execute("DELETE FROM latest WHERE until <= ?", (now,))
            db.execute(
                "DELETE FROM latest WHERE owner = ? AND number <= "
                "(SELECT number FROM latest WHERE owner = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (owner, owner, self._most_of_owner),
            )
            db.execute(
                "DELETE FROM latest WHERE number <= (SELECT number FROM latest ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (self._most,),
            )

    def get(self, owner: str, name: str) -> bytes | None:
        query = "SELECT value FROM latest WHERE owner = ? AND name = ? AND until > ?"
        row = self._file.connection().execute(query, (owner, name, self._clock())).fetchone()
        return row[0] if row else None

    def forget(self, owner: str) -> None:
        with self._file.transaction() as db:
            db.execute("DELETE FROM latest WHERE owner = ?", (owner,))


@lru_cache(maxsize=4)
def _latest(redis_url: str, namespace: str, file: str) -> Latest:
    return RedisLatest(redis_url, namespace) if redis_url else SqliteLatest(file)


def latest() -> Latest:
    """The store of this installation."""
    return _latest(settings.REDIS_URL, settings.REDIS_NAMESPACE, str(settings.COORDINATION_FILE))
