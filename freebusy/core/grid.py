"""Which slots are candidates at all: a grid in each working day, by the clock of one zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from zoneinfo import ZoneInfo

from freebusy.core.intervals import MINUTE, Interval, from_instant
from freebusy.core.zones import instant_of_wall

_DAY = timedelta(days=1)
_LAST_MINUTE = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Working hours by the wall clock: days (Monday 0), minutes of the day; `end_minute` 1440 is 24:00."""

    days: frozenset[int]
    start_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        if not self.days or not self.days <= frozenset(range(7)):
            raise ValueError("working hours name at least one day, Monday 0 to Sunday 6")
        if not 0 <= self.start_minute < self.end_minute <= _LAST_MINUTE:
            raise ValueError("working hours end after they start, at 24:00 at the latest")


ALWAYS = Hours(frozenset(range(7)), 0, _LAST_MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuery:
    """What is looked for: slots of `duration_minutes` inside `window` and `hours` on clocks in `zone`."""

    window: Interval
    duration_minutes: int
    zone: ZoneInfo
    step_minutes: int = 15
    hours: Hours = ALWAYS

    def __post_init__(self) -> None:
        if self.duration_minutes < 1 or self.step_minutes < 1:
            raise ValueError("duration and step are at least one minute")


def count_candidates(query: SlotQuery) -> int:
    """How many candidates there are; costs a few microseconds a day, whatever the step."""
    return sum(map(len, candidate_days(query)))


def candidate_starts(query: SlotQuery) -> list[int]:
    """The instants at which candidates begin, ascending.

    Each working day's first begins with its hours, the next follow every `step_minutes` of absolute time,
    also over a clock change. A candidate fits wholly inside the hours and inside the window.
    """
    return list(chain.from_iterable(candidate_days(query)))


@lru_cache(maxsize=64)
def candidate_days(query: SlotQuery) -> tuple[range, ...]:
    """The same, by day: none empty."""
    return tuple(_days(query))


def _days(query: SlotQuery) -> Iterator[range]:
    """The candidates of each day, ascending."""
    window, step, duration = query.window, query.step_minutes * MINUTE, query.duration_minutes * MINUTE
    # A day around the window's own dates: where a clock change crosses midnight they overlap oddly.
    day = from_instant(window.start, query.zone).date() - _DAY
    last_day = from_instant(window.end, query.zone).date() + _DAY
    after = window.start
    while day <= last_day:
        if day.weekday() in query.hours.days:
            opening = instant_of_wall(day, query.hours.start_minute, query.zone)
            closing = instant_of_wall(day, query.hours.end_minute, query.zone)
            # `after`: no candidate twice, even if a zone skips a whole date (Samoa, 2011-12-30).
            first = opening + max(0, -((opening - after) // step)) * step
            starts = range(first, min(closing, window.end) - duration + 1, step)
            if starts:
                after = starts[-1] + 1
                yield starts
        day += _DAY
