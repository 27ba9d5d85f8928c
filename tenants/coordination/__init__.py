"""Limits that all processes share: calls in flight for one reader, requests of one API key.

Redis in production; in embedded mode a small SQLite file of its own, so that counting neither waits for the
product's data nor takes part in its transactions.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol
from uuid import uuid4

from django.conf import settings
from redis.exceptions import RedisError

from microsoft.http import Deadline
from tenants.coordination.embedded import SqliteCoordinator
from tenants.coordination.redis_store import RedisCoordinator

log = logging.getLogger(__name__)


Change = Callable[[bytes | None], bytes | None]


class Coordinator(Protocol):
    """What both stores can do."""

    def take_slot(self, name: str, holder: str, limit: int, seconds: float) -> int | None:
        """Number of the slot taken among `limit`, or None when all are held; a forgotten slot returns by itself."""

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        """Gives back what this holder still holds."""

    def admit(self, name: str, per_second: float, burst: int) -> float:
        """0.0 when one more request of `name` is admitted, else the seconds to wait (token bucket)."""

    def read(self, name: str) -> bytes | None:
        """A small value kept under `name`; None when there is none or its time is over."""

    def modify(self, name: str, change: Change, seconds: float) -> bytes | None:
        """Replaces the value by `change(value)`, atomically over all processes, and returns it.

        `change` may be called several times and must be pure; None removes. The value is forgotten after `seconds`.
        """

    def add(self, name: str, amounts: Mapping[str, float]) -> None:
        """Adds to the named sums kept under `name`; all at once."""

    def sums(self, name: str) -> dict[str, float]:
        """All sums under `name`."""


@lru_cache(maxsize=4)
def _coordinator(redis_url: str, namespace: str, file: str) -> Coordinator:
    return RedisCoordinator(redis_url, namespace) if redis_url else SqliteCoordinator(file)


def coordinator() -> Coordinator:
    """The store of this installation."""
    return _coordinator(settings.REDIS_URL, settings.REDIS_NAMESPACE, str(settings.COORDINATION_FILE))


class ReaderGate:
    """At most `limit` calls in flight for one reader over all processes; raises TimeoutError at the deadline.

    Microsoft allows four concurrent requests per app and mailbox:
    https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
    """

    def __init__(self, reader: str, *, limit: int = 4, sleep: Callable[[float], None] = time.sleep) -> None:
        self._name = f"graph:{reader}"
        self._limit = limit
        self._sleep = sleep

    @contextmanager
    def acquire(self, deadline: Deadline) -> Iterator[None]:
        """Holds one slot; it returns by itself soon after the deadline should this process die.

        While the store cannot be reached every call goes ahead: Microsoft still refuses what is too much, and
        answers matter more than a tidy quota.
        """
        holder = str(uuid4())
        slot = None
        with _going_on_without_the_store():
            slot = self._take(holder, deadline)
        try:
            yield
        finally:
            if slot is not None:
                with _going_on_without_the_store():
                    coordinator().free_slot(self._name, holder, slot)

    def _take(self, holder: str, deadline: Deadline) -> int:
        store = coordinator()
        while (slot := store.take_slot(self._name, holder, self._limit, deadline.remaining() + 2.0)) is None:
            if deadline.expired:
                raise TimeoutError(self._name)
            self._sleep(min(random.uniform(0.01, 0.04), max(deadline.remaining(), 0.0)))
        return slot


def admit(name: str, per_second: float, burst: int) -> float:
    """0.0 when one more request of `name` is admitted, else seconds to wait; all are while the store is away."""
    with _going_on_without_the_store():
        return coordinator().admit(name, per_second, burst)
    return 0.0


@contextmanager
def _going_on_without_the_store() -> Iterator[None]:
    try:
        yield
    except (RedisError, sqlite3.Error) as error:
        log.warning("limits are not kept: their store is away", extra={"error": type(error).__name__})
