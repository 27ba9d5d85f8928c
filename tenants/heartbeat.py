"""The worker's sign of life, written by a scheduled task, so that it proves beat, broker and worker at once."""

from __future__ import annotations

from datetime import datetime

from django.core.cache import cache
from django.utils import timezone

_KEY = "heartbeat:worker"
STALE_SECONDS = 120


def beat(now: datetime) -> None:
    """Called by the worker."""
    cache.set(_KEY, now.isoformat(), timeout=None)


def describe() -> str:
    """How old the last sign is; raises LookupError when there is none or it is old."""
    last = cache.get(_KEY)
    if last is None:
        raise LookupError("no worker has reported yet")
    age = (timezone.now() - datetime.fromisoformat(last)).total_seconds()
    if age > STALE_SECONDS:
        raise LookupError("the worker has not reported lately")
    return f"{age:.0f} s ago"
