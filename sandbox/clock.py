"""The sandbox's time: the machine's, shifted on request, or standing still for tests."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime


class Clock:
    """Seconds since the epoch, UTC.

    Without `at` it runs with the machine; with `at` it stands still until moved.
    """

    def __init__(self, at: float | datetime | None = None) -> None:
        self._at = _seconds(at) if at is not None else None
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

    def set(self, at: float | datetime | None) -> None:
        """Go to an instant and run or stand still as before; None goes back to the machine's time."""
        if at is None:
            self._at, self._offset = None, 0.0
        else:
            self._offset += _seconds(at) - self.now()

    def hold(self, *, still: bool) -> None:
        """Stand still at the current instant, or run on from it."""
        now = self.now()
        self._at, self._offset = (now, 0.0) if still else (None, now - time.time())


def _seconds(at: float | datetime) -> float:
    """Return seconds; ValueError for a datetime without an offset, which names no instant."""
    if not isinstance(at, datetime):
        return float(at)
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return at.timestamp()
