"""Exchange's two limits for one app and mailbox: calls at a time, and calls in ten minutes.

Figures: microsoft-graph-docs-contrib concepts/throttling-limits.md, Outlook service limits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sandbox.counters import Counters


class Throttle:
    """Counts the calls in flight for each mailbox."""

    def __init__(self, counters: Counters) -> None:
        self._lock = Lock()
        self._flying: Counter[str] = Counter()
        self._counters = counters

    def flying(self, mailbox: str) -> int:
        """Return how many calls are in flight for a mailbox, of whom nobody may be waiting for any more."""
        with self._lock:
            return self._flying[mailbox.casefold()]

    @contextmanager
    def slot(self, mailbox: str, limit: int) -> Iterator[bool]:
        """Hold a slot while the call runs; yields False when the call is one too many.

        The counter `max_concurrent` is the most calls seen at once for one mailbox, refused ones too.
        """
        key = mailbox.casefold()
        with self._lock:
            self._flying[key] += 1
            flying = self._flying[key]
        self._counters.highest("max_concurrent", flying)
        self._counters.highest(f"max_concurrent:{mailbox}", flying)
        try:
            yield flying <= limit
        finally:
            with self._lock:
                self._flying[key] -= 1


class Quota:
    """Counts the calls of the last so many seconds for each mailbox, refused ones too."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[str, deque[float]] = {}

    def take(self, mailbox: str, *, now: float, limit: int, window: float) -> float:
        """Count a call; return 0.0 when it is allowed, else the seconds until one is.

        Refused calls count (concepts/throttling.md), so whoever does not wait stays refused.
        """
        with self._lock:
            calls = self._calls.setdefault(mailbox.casefold(), deque())
            while calls and calls[0] <= now - window:
                calls.popleft()
            refused = len(calls) >= limit
            calls.append(now)
            while len(calls) > max(limit, 1):  # older ones no longer decide anything
                calls.popleft()
            return max(calls[0] + window - now, 0.001) if refused else 0.0

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._calls.clear()
