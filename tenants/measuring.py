"""Counts what happens, in memory, and adds it every few seconds to sums that all processes share.

So `/metrics` on any web process speaks for the whole installation: workers need no port, and a scrape through a load
balancer sees counters that only rise. A killed process loses the few seconds it had not added yet.
"""

from __future__ import annotations

import atexit
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping

from redis.exceptions import RedisError

from tenants.coordination import coordinator

log = logging.getLogger(__name__)

NAME = "metrics"
FLUSH_SECONDS = 5.0
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)

_lock = threading.Lock()
_pending: Counter[str] = Counter()
_timer: threading.Timer | None = None


def count(name: str, by: float = 1, **labels: str) -> None:
    """One more of `name`; labels are few and of few values: never an address, an account or a request."""
    _add({item(name, labels): by})


def observe(name: str, seconds: float, **labels: str) -> None:
    """One duration: a count in each bucket it fits, and the sum."""
    amounts = {item(f"{name}_bucket", {**labels, "le": f"{edge:g}"}): 1.0 for edge in BUCKETS if seconds <= edge}
    _add({**amounts, item(f"{name}_count", labels): 1.0, item(f"{name}_sum", labels): seconds})


def item(name: str, labels: Mapping[str, str]) -> str:
    """How one sum is named in the store: `name{a=1,b=2}`, labels in order."""
    return f"{name}{{{','.join(f'{key}={value}' for key, value in sorted(labels.items()))}}}"


def flush() -> None:
    """Adds what is pending to the shared sums now; keeps it for later while their store is away."""
    global _timer
    with _lock:
        amounts, _timer = dict(_pending), None
        _pending.clear()
    if not amounts:
        return
    try:
        coordinator().add(NAME, amounts)
    except (RedisError, sqlite3.Error) as error:
        log.warning("metrics wait: their store is away", extra={"error": type(error).__name__})
        _add(amounts)


def _add(amounts: Mapping[str, float]) -> None:
    global _timer
    with _lock:
        for name, amount in amounts.items():
            _pending[name] += amount  # type: ignore[assignment]  # a Counter of floats
        if _timer is None:
            _timer = threading.Timer(FLUSH_SECONDS, flush)
            _timer.daemon = True
            _timer.start()


atexit.register(flush)
