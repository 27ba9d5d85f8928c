"""The sandbox's time: the machine's, shifted on request, or standing still for tests."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime


class Clock:
    """Seconds since the epoch, UTC.

    Without `at` it runs with the machine; with `at` it stands still until moved.
    """

    def __init__(self, at: float | datetime | None = None) -> None:
        self._at = at.timestamp() if isinstance(at, datetime) else at
        self._offset = 0.0

    def now(self) -> float:
        """Return the current instant in seconds."""
        base = time.time() if self._at is None else self._at
        return base + self._offset

    def moment(self) -> datetime:
        """Return the current instant as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def today(self) -> date:
        """Return the current date in UTC."""
        return self.moment().date()

    def advance(self, seconds: float) -> None:
        """Move forward (or, with a negative number, back)."""
        self._offset += seconds
