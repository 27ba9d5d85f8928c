"""Celery's beat without processes: calls the tasks of the installation's own schedule at their times."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedule
from django.utils.module_loading import import_string


@dataclass
class Beat:
    """`entries` as in CELERY_BEAT_SCHEDULE; what comes more often than the grain of the hour comes at that grain.

    `idle(task, now)` may say that a run would find nothing to do; such a run is left out, and counted.
    """

    entries: Mapping[str, Mapping[str, Any]]
    now: datetime
    grain: Callable[[datetime], timedelta]
    idle: Callable[[str, datetime], bool] = lambda task, now: False
    runs: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)  # of the machine's own time
    left_out: int = 0

    def __post_init__(self) -> None:
        self._tasks = {entry["task"]: import_string(entry["task"]) for entry in self.entries.values()}
        self._every = {entry["task"]: _seconds(entry["schedule"]) for entry in self.entries.values()}
        self._next = dict.fromkeys(self._tasks, self.now)  # at its start everything is due

    @property
    def next_at(self) -> datetime:
        """When the next task is due."""
        return min(self._next.values())

    def run_due(self, now: datetime) -> None:
        """Runs what is due at `now`, each once however late it is."""
        for task, at in self._next.items():
            if at <= now:
                self._next[task] = now + max(self._every[task], self.grain(now))
                if self.idle(task, now):
                    self.left_out += 1
                else:
                    began = time.perf_counter()
                    self._tasks[task]()
                    self.seconds[task] += time.perf_counter() - began
                    self.runs[task] += 1


def _seconds(when: float | timedelta | schedule) -> timedelta:
    """How often, of the forms that Celery takes; a crontab has no fixed distance and is not used here."""
    if isinstance(when, schedule):
        return when.run_every
    return when if isinstance(when, timedelta) else timedelta(seconds=when)
