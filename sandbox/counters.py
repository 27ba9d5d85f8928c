"""What the sandbox has seen: counts by kind and the last requests, without anything secret."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One answered request; `mailboxes` counts the addresses of a getSchedule call."""

    method: str
    path: str
    status: int
    reader: str = ""
    mailboxes: int = 0
    client_request_id: str = ""
    prefer: str = ""
    encoding: str = ""
    at: float = 0.0  # the sandbox's time


class Counters:
    """Thread-safe counts, and the last 2,000 requests in order of their answers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._seen: deque[Seen] = deque(maxlen=2000)

    def add(self, kind: str, *, by: int = 1, whose: str = "") -> None:
        """Count `kind`, and with `whose` also `kind:whose`."""
        with self._lock:
            self._counts[kind] += by
            if whose:
                self._counts[f"{kind}:{whose}"] += by

    def highest(self, kind: str, value: int) -> None:
        """Keep the largest value ever given for `kind`."""
        with self._lock:
            self._counts[kind] = max(self._counts[kind], value)

    def record(self, seen: Seen) -> None:
        """Remember one answered request."""
        with self._lock:
            self._seen.append(seen)

    def __getitem__(self, kind: str) -> int:
        with self._lock:
            return self._counts[kind]

    def as_json(self) -> dict[str, int]:
        """Return all counts, sorted by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    @property
    def seen(self) -> list[Seen]:
        """Return the remembered requests, oldest first."""
        with self._lock:
            return list(self._seen)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts.clear()
            self._seen.clear()
