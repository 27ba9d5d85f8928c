"""Exchange's concurrency limit: so many calls at a time for one app and mailbox."""

from __future__ import annotations

from collections import Counter
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
