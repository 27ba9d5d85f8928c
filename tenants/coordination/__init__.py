"""Limits that all processes share: calls in flight for one reader, requests of one API key.

Redis in production; in embedded mode a small SQLite file of its own, so that counting neither waits for the
product's data nor takes part in its transactions.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

from django.conf import settings
from redis.exceptions import RedisError

from tenants.coordination.embedded import SqliteCoordinator
from tenants.coordination.redis_store import RedisCoordinator
from tenants.coordination.terms import Refusal, Terms

log = logging.getLogger(__name__)


Change = Callable[[bytes | None], bytes | None]


class Coordinator(Protocol):
    """What both stores can do."""

    def take_slot(self, name: str, holder: str, terms: Terms, *, seconds: float, waited: float = 0.0) -> int | Refusal:
        """Number of the place taken, which counts one call; a forgotten place returns by itself after `seconds`.

        Whoever is refused since the places are held is known to wait from now on, `waited` seconds before, and should
        ask again soon, or `stop_waiting`.
        """

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        """Gives back what this holder still holds."""

    def stop_waiting(self, name: str, holder: str) -> None:
        """Nobody need wait for this holder any more."""

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


def admit(name: str, per_second: float, burst: int) -> float:
    """0.0 when one more request of `name` is admitted, else seconds to wait; all are while the store is away."""
    with going_on_without_the_store():
        return coordinator().admit(name, per_second, burst)
    return 0.0


@contextmanager
def going_on_without_the_store() -> Iterator[None]:
    """Answers matter more than a tidy quota: what is too much Microsoft still refuses."""
    try:
        yield
    except (RedisError, sqlite3.Error) as error:
        log.warning("limits are not kept: their store is away", extra={"error": type(error).__name__})
