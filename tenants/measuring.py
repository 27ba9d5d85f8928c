"""Counts what happens, in memory, and adds it every few seconds to sums that all processes share.

So `/metrics` on any web process speaks for the whole installation: workers need no port, and a scrape through a load
balancer sees counters that only rise. A killed process loses the few seconds it had not added yet. What is counted is
declared in `tenants.metrics`.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sqlite3
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

from django.utils import timezone
from redis.exceptions import RedisError

from tenants import recent
from tenants.coordination import coordinator
from tenants.metrics import Kind, UndeclaredMetric, declared

log = logging.getLogger(__name__)

NAME = "metrics"
FLUSH_SECONDS = 5.0
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
RECENT = ("microsoft_throttled",)  # rare counters of which pages show the last hour, by their first label
EDGES = (*(f"{edge:g}" for edge in BUCKETS), "+Inf")

# Name, values of its labels in the order of their declaration, and which part of a histogram ("" for a counter).
Sum = tuple[str, tuple[str, ...], str]

_lock = threading.Lock()
_pending: defaultdict[Sum, float] = defaultdict(float)
_timer: threading.Timer | None = None


def count(name: str, by: float = 1, **labels: str) -> None:
    """One more of `name`, or `by` more. Raises UndeclaredMetric for what the table does not have."""
    _add({(name, _values(name, Kind.COUNTER, labels), ""): by})


def observe(name: str, seconds: float, **labels: str) -> None:
    """One duration. Raises UndeclaredMetric for what the table does not have."""
    values = _values(name, Kind.HISTOGRAM, labels)
    edge = EDGES[bisect_left(BUCKETS, seconds)]
    _add({(name, values, edge): 1.0, (name, values, "sum"): seconds})


def _values(name: str, kind: Kind, labels: Mapping[str, str]) -> tuple[str, ...]:
    wanted = declared(name, kind).labels
    if len(wanted) != len(labels) or any(label not in labels for label in wanted):
        raise UndeclaredMetric(f"“{name}” has the labels {wanted}, not {tuple(labels)}")
    return tuple(str(labels[label]) for label in wanted)


def totals() -> dict[Sum, float]:
    """The sums of all processes, with what this one has pending; a histogram's edges are not cumulated.

    Raises RedisError or sqlite3.Error when their store is away.
    """
    flush()
    found: dict[Sum, float] = {}
    for item, total in coordinator().sums(NAME).items():
        key = _key(item)
        if key is not None:
            found[key] = total
    return found


def _key(item: str) -> Sum | None:
    """None for a sum of another version, whose table was another."""
    try:
        name, values, part = json.loads(item)
        fits = len(declared(name, Kind.COUNTER, Kind.HISTOGRAM).labels) == len(values)
    except (ValueError, LookupError):
        return None
    return (name, tuple(values), part) if fits else None


def flush(*, again: bool = True) -> None:
    """Adds what is pending to the shared sums now; keeps it for later while their store is away."""
    global _timer
    with _lock:
        if _timer is not None:
            _timer.cancel()
        amounts, _timer = dict(_pending), None
        _pending.clear()
    if not amounts:
        return
    try:
        coordinator().add(NAME, {json.dumps(key, separators=(",", ":")): amount for key, amount in amounts.items()})
    except (RedisError, sqlite3.Error) as error:
        log.warning("metrics wait: their store is away", extra={"error": type(error).__name__})
        if again:
            _add(amounts)
        return
    with suppress(RedisError, sqlite3.Error):  # a page then shows less of the last hour; the sums are what counts
        _note_recent(amounts)


def _note_recent(amounts: Mapping[Sum, float]) -> None:
    for name in RECENT:
        found: defaultdict[str, float] = defaultdict(float)
        for (counted, values, _), amount in amounts.items():
            if counted == name:
                found[values[0]] += amount
        if found:
            recent.note(name, found, timezone.now())


def _add(amounts: Mapping[Sum, float]) -> None:
    global _timer
    with _lock:
        for key, amount in amounts.items():
            _pending[key] += amount
        if _timer is None:
            _timer = threading.Timer(FLUSH_SECONDS, flush)
            _timer.daemon = True
            _timer.start()


def forget() -> None:
    """Drops what is pending: in the child of a fork the parent will add it, and no timer goes on there."""
    global _lock, _pending, _timer
    _lock, _pending, _timer = threading.Lock(), defaultdict(float), None


def _flush_at_exit() -> None:
    flush(again=False)  # no thread can be started any more


os.register_at_fork(after_in_child=forget)
atexit.register(_flush_at_exit)
