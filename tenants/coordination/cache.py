"""What all processes remember for a while, sealed by whoever puts it there, and who of them is at work on what.

Redis in production, in embedded mode the SQLite file of the limits. Nothing here is worth an error: while the store is
away every process goes on by itself.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

from django.conf import settings
from redis.exceptions import RedisError

from tenants.coordination.claims import Claim
from tenants.coordination.redis_cache import RedisCache
from tenants.coordination.sqlite_cache import SqliteCache

log = logging.getLogger(__name__)

AWAY_SECONDS = 5.0  # so long is a store that failed left alone: an answer must not wait for it again and again


class Store(Protocol):
    """What both stores can do."""

    def get_many(self, names: Collection[str]) -> dict[str, bytes]:
        """Of these names the values that are there."""

    def put_many(self, values: Mapping[str, tuple[bytes, float]], most: int) -> None:
        """Keeps each value for its seconds; of all that are kept those that end first go when there are too many."""

    def forget(self, prefix: str) -> None:
        """Deletes every value whose name begins so."""

    def prune(self) -> int:
        """Deletes some of what is over; returns how much."""

    def claim(self, names: Iterable[str], holder: str, seconds: float) -> dict[str, str]:
        """Takes all that nobody is at work on, at once; returns the others, each with its holder."""

    def claims(self, names: Collection[str]) -> dict[str, Claim]:
        """Who is, or was a moment ago, at work on these."""

    def renew(self, names: Iterable[str], holder: str, seconds: float) -> None:
        """Keeps what this holder still holds for longer: without it a dead holder's claim ends by itself."""

    def release(self, notes: Mapping[str, bytes | None], holder: str, seconds: float) -> None:
        """Gives back what this holder holds; a note stays for those who wait, for `seconds`."""


class SharedCache:
    """The store, or while it is away an empty one in which everybody gets every claim."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._away_until = clock()

    def get_many(self, names: Collection[str]) -> dict[str, bytes]:
        with self._store_if_there() as store:
            return store.get_many(names) if store else {}
        return {}

    def put_many(self, values: Mapping[str, tuple[bytes, float]], most: int) -> None:
        with self._store_if_there() as store:
            if store and values:
                store.put_many(values, most)

    def forget(self, prefix: str) -> None:
        with self._store_if_there() as store:
            if store:
                store.forget(prefix)

    def prune(self) -> int:
        with self._store_if_there() as store:
            return store.prune() if store else 0
        return 0

    def claim(self, names: Iterable[str], holder: str, seconds: float) -> dict[str, str]:
        with self._store_if_there() as store:
            return store.claim(names, holder, seconds) if store else {}
        return {}

    def claims(self, names: Collection[str]) -> dict[str, Claim]:
        with self._store_if_there() as store:
            return store.claims(names) if store else {}
        return {}

    def renew(self, names: Iterable[str], holder: str, seconds: float) -> None:
        with self._store_if_there() as store:
            if store:
                store.renew(names, holder, seconds)

    def release(self, notes: Mapping[str, bytes | None], holder: str, seconds: float) -> None:
        with self._store_if_there() as store:
            if store:
                store.release(notes, holder, seconds)

    @contextmanager
    def _store_if_there(self) -> Iterator[Store | None]:
        if self._clock() < self._away_until:
            yield None
            return
        try:
            yield self._store
        except (RedisError, sqlite3.Error) as error:
            self._away_until = self._clock() + AWAY_SECONDS
            log.warning("nothing is shared: the cache's store is away", extra={"error": type(error).__name__})


@lru_cache(maxsize=4)
def _shared_cache(redis_url: str, namespace: str, file: str) -> SharedCache:
    return SharedCache(RedisCache(redis_url, namespace) if redis_url else SqliteCache(file))


def shared_cache() -> SharedCache:
    """The one of this installation."""
    return _shared_cache(settings.REDIS_URL, settings.REDIS_NAMESPACE, str(settings.COORDINATION_FILE))
