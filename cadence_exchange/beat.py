"""Celery's scheduler without a file: the schedule is settings, and what ran last is of no interest to rows."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import beat

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery has no types
    """At its start everything is due once.

    The stock scheduler keeps its times in a file of Python's shelve: a writable place, and one that a crash can spoil.
    Without it, a beat restarted more often than an interval would never reach that interval's task. Tasks are driven
    by rows, so that one run too many finds nothing to do.
    """

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = _LONG_AGO
