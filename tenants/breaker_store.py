"""Where breakers are kept: in the store that all processes share, with a short memory of what this process has read."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
from django.conf import settings
from redis.exceptions import RedisError

from tenants.coordination import coordinator

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 0.25  # how old what this process has read may be: in a healthy hour hardly a call reads the store
AWAY_SECONDS = 1.0  # how long a store that failed is left alone
_MOST = 20_000  # values remembered at a time

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Changed(Generic[S]):
    """A value before and after; both None when there was none, or the store is away."""

    before: S | None
    after: S | None


class Shelf(Generic[S]):
    """Values of one dataclass by key, as JSON; each forgotten when it was not changed for so many seconds.

    While the store is away there are none, and changes are lost.
    """

    def __init__(self, kind: type[S], *, kept_seconds: float) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._kept_seconds = kept_seconds

    def read(self, key: str) -> S | None:
        """The value, up to a quarter of a second old when another process has changed it."""
        memory = _memory()
        kept = memory.recall(key)
        if kept is None:
            with memory.going_on_without_the_store():
                kept = memory.keep(key, coordinator().read(_name(key)))
        return self._decode(kept.value) if kept else None

    def change(self, key: str, change: Callable[[S | None], S | None]) -> Changed[S]:
        """Replaces the value by `change(value)`, atomically over all processes; None removes it."""
        memory, before = _memory(), None

        def on_bytes(value: bytes | None) -> bytes | None:
            nonlocal before  # the last call is the one that counted
            before = self._decode(value)
            after = change(before)
            return None if after is None else msgspec.json.encode(after)

        with memory.going_on_without_the_store():
            kept = memory.keep(key, coordinator().modify(_name(key), on_bytes, self._kept_seconds))
            return Changed(before, self._decode(kept.value))
        return Changed(None, None)

    def _decode(self, value: bytes | None) -> S | None:
        try:
            return None if value is None else self._decoder.decode(value)
        except msgspec.DecodeError:  # another version of this code wrote it
            return None


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes | None
    at: float


class _Memory:
    """What this process has read of one store a moment ago. Used by many threads; no step needs a lock."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._away_at: float | None = None

    @property
    def away(self) -> bool:
        """Until the store answers again."""
        return self._away_at is not None

    def recall(self, key: str) -> _Kept | None:
        """What was read just now; nothing, and at once, while the store is away."""
        now = time.monotonic()
        if self._away_at is not None and 0 <= now - self._away_at < AWAY_SECONDS:
            return _Kept(None, now)
        kept = self._kept.get(key)
        return kept if kept and 0 <= now - kept.at < REMEMBERED_SECONDS else None

    def keep(self, key: str, value: bytes | None) -> _Kept:
        """Remembers a value; what was forgotten is only read again."""
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[key] = kept = _Kept(value, time.monotonic())
        return kept

    @contextmanager
    def going_on_without_the_store(self) -> Iterator[None]:
        """A store that fails is left alone for a second, with one line in the log."""
        try:
            yield
        except (RedisError, sqlite3.Error) as error:
            self._away_at = time.monotonic()
            log.warning("breakers are closed: their store is away", extra={"error": type(error).__name__})
        else:
            self._away_at = None


def is_away() -> bool:
    """Whether the store did not answer when it was asked last: what was read since says nothing."""
    return _memory().away


def _memory() -> _Memory:
    return _memory_of(settings.REDIS_URL, settings.REDIS_NAMESPACE, str(settings.COORDINATION_FILE))


@lru_cache(maxsize=4)
def _memory_of(*_store: str) -> _Memory:
    """One for each store, as `coordinator()` is."""
    return _Memory()


def _name(key: str) -> str:
    return f"breaker:{key}"
