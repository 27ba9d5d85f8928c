"""Pure: when a delivery that failed is tried again, and when it is given up."""

from __future__ import annotations

from datetime import timedelta

MINUTE, HOUR, DAY = 60, 3600, 86_400
# Nine attempts over some three days: a weekend's outage of a receiver loses nothing.
WAITS = (MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, DAY, DAY)
SPREAD = 0.2
LONGEST = DAY


def wait_after(attempts: int, *, retry_after: float | None, chance: float) -> timedelta | None:
    """How long to wait after this many failed attempts (at least one); None to give up.

    `retry_after`: seconds the receiver asked for, followed up to a day. `chance`: from 0 to 1, so that what failed
    together does not come back together.
    """
    if attempts > len(WAITS):
        return None
    planned = WAITS[attempts - 1] * (1 + SPREAD * chance)
    return timedelta(seconds=max(planned, min(retry_after or 0.0, LONGEST)))
