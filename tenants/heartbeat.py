"""Signs of life of the processes that nobody asks anything: worker and beat.

Beat's is written by beat itself, each time it sends the heartbeat task; the worker's by the worker, when it does that
task. So it shows whether a silent worker is dead, or was never sent anything.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.utils import timezone

from tenants.coordination import coordinator

STALE_SECONDS = 120.0
_KEPT_SECONDS = 30 * 86_400.0  # so that it can be said for how long one has been silent


class Process(StrEnum):
    """Who reports."""

    WORKER = "worker"
    BEAT = "beat"


def report(process: Process, now: datetime) -> None:
    """Called by the process itself. Raises RedisError or sqlite3.Error while the store is away."""
    coordinator().modify(_name(process), lambda _: now.isoformat().encode(), _KEPT_SECONDS)


def age(process: Process) -> float | None:
    """Seconds since its last sign, None when there is none. Raises as `report` does."""
    last = coordinator().read(_name(process))
    if last is None:
        return None
    return max((timezone.now() - datetime.fromisoformat(last.decode())).total_seconds(), 0.0)


def describe(process: Process) -> str:
    """How old the last sign is; raises LookupError when there is none or it is old, and as `report` does."""
    seconds = age(process)
    if seconds is None:
        raise LookupError(f"no {process} has reported yet")
    if seconds > STALE_SECONDS:
        raise LookupError(f"the {process} has been silent for {seconds:.0f} s")
    return f"{seconds:.0f} s ago"


def _name(process: Process) -> str:
    return f"heartbeat:{process.value}"
