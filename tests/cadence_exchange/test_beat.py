"""Beat without a file of its own."""

from __future__ import annotations

from cadence_exchange.beat import Scheduler
from cadence_exchange.celery import app


def test_beat_is_started_with_this_scheduler() -> None:
    assert app.conf.beat_scheduler == f"{Scheduler.__module__}:{Scheduler.__name__}"


def test_at_its_start_everything_is_due_and_then_waits_for_its_interval() -> None:
    scheduler = Scheduler(app)
    assert set(scheduler.schedule) == set(app.conf.beat_schedule)
    for entry in scheduler.schedule.values():
        due, _ = entry.is_due()
        due_again, seconds = next(entry).is_due()
        assert (due, due_again) == (True, False)
        assert 0 < seconds <= entry.schedule.run_every.total_seconds()
