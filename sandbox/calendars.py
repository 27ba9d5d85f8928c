"""Calendars made from a seed and a date: the same week always holds the same events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

POISON = "SBXSECRET"
"""Part of every subject and location: what holds this word has kept something it must not keep."""

LONGEST_DAYS = 28
"""No event is longer, so a reader of a window need look no further back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One calendar entry; aware UTC bounds, status as Graph spells it."""

    start: datetime
    end: datetime
    status: str = "busy"
    subject: str = f"{POISON} subject"
    location: str = f"{POISON} location"
    is_private: bool = False
    is_recurring: bool = False
    is_all_day: bool = False


class Week:
    """A week of one calendar being written, in its owner's wall time."""

    def __init__(self, monday: date, zone: ZoneInfo, rng: random.Random) -> None:
        self.monday, self.zone, self.rng = monday, zone, rng
        self.events: list[Event] = []

    def add(
        self,
        day: int,
        start: str,
        minutes: float,
        *,
        status: str = "busy",
        what: str = "meeting",
        recurring: bool = False,
    ) -> None:
        """Add an event on `day` (Monday 0) at the wall time `start` (HH:MM:SS), lasting real minutes."""
        wall = datetime.combine(self.monday + timedelta(days=day), time.fromisoformat(start), self.zone)
        begin = wall.astimezone(UTC)
        self._append(begin, begin + timedelta(minutes=minutes), status, what, recurring=recurring)

    def add_days(self, day: int, days: int, *, status: str = "busy", what: str = "all day") -> None:
        """Add an all-day event: midnight to midnight in the owner's zone, 23 or 25 hours on clock changes."""
        first = self.monday + timedelta(days=day)
        begin, end = (
            datetime.combine(moment, time(), self.zone).astimezone(UTC)
            for moment in (first, first + timedelta(days=days))
        )
        self._append(begin, end, status, what, all_day=True)

    def _append(
        self,
        begin: datetime,
        end: datetime,
        status: str,
        what: str,
        *,
        recurring: bool = False,
        all_day: bool = False,
    ) -> None:
        number = self.rng.randrange(10_000)
        event = Event(
            start=begin,
            end=end,
            status=status,
            subject=f"{POISON} subject {what} {number}",
            location=f"{POISON} location {number % 40}",
            is_private=number % 9 == 0,
            is_recurring=recurring,
            is_all_day=all_day,
        )
        self.events.append(event)


# One of these a week for every person, in turn: every boundary of length or day occurs every week.
_SPECIALS: tuple[Callable[[Week, int], None], ...] = (
    lambda week, day: week.add(day, "09:00:00", 7 * 60, what="off-site"),
    lambda week, day: week.add(day, "09:00:00", 6 * 60, what="workshop"),
    lambda week, day: week.add(day, "09:00:00", 6 * 60 - 1, what="workshop less a minute"),
    lambda week, day: week.add_days(day, 1, what="conference day"),
    lambda week, day: week.add_days(day, 1, status="free", what="birthday"),
    lambda week, day: week.add_days(day, 1, status="workingElsewhere", what="home office"),
    lambda week, day: week.add_days(day, 2, status="oof", what="travel"),
    lambda week, day: week.add(day, "22:30:00", 4 * 60, what="release night"),
    lambda week, day: week.add(day, "08:00:00", 7 * 60, status="oof", what="training"),
    lambda week, day: week.add(day, "13:07:30", 37.5, what="off the grid"),
    lambda week, day: week.add_days(day, 1, status="tentative", what="perhaps away"),
)


def _ordinary(week: Week, index: int) -> None:
    rng, turn = week.rng, week.monday.toordinal() // 7 + index
    if index % 2 == 0:
        for day in range(5):
            week.add(day, "09:15:00", 15, what="stand-up", recurring=True)
    week.add(index % 5, "14:00:00", 60, what="team", recurring=True)
    for _ in range(rng.randint(4, 8)):
        status = rng.choices(("busy", "tentative", "free", "workingElsewhere", "oof"), weights=(70, 12, 6, 6, 6))[0]
        start = f"{rng.randint(8, 16):02}:{rng.choice(('00', '15', '30', '45'))}:00"
        week.add(rng.randrange(5), start, rng.choice((30, 30, 45, 60, 60, 90)), status=status)
    week.add(rng.randrange(5), f"{rng.randint(9, 16):02}:07:00", 45, what="off the grid")
    _SPECIALS[turn % len(_SPECIALS)](week, rng.randrange(5))
    if turn % 7 == 3:  # two neighbours that together are seven hours, each alone an ordinary conflict
        week.add(2, "08:30:00", 210, what="review one")
        week.add(2, "12:00:00", 210, what="review two")
    if turn % 17 == 0:
        week.add_days(0, 21 if index % 10 == 0 else rng.choice((5, 12)), status="oof", what="holiday")
    if turn % 3 == 0:  # Microsoft may return the very same item twice
        week.events.append(week.events[-1])


def _room(week: Week, index: int) -> None:
    rng, turn = week.rng, week.monday.toordinal() // 7 + index
    for day in range(5):
        hour = 8.0
        while hour < 17:
            hour += rng.choice((0.5, 1, 1.5, 2))
            length = rng.choice((0.5, 1, 1, 1.5))
            if hour + length <= 18:
                week.add(day, f"{int(hour):02}:{int(hour % 1 * 60):02}:00", length * 60, what="booking")
            hour += length
    if turn % 5 == 0:
        week.add_days(rng.randrange(5), 1, what="closed")
    if turn % 4 == 1:
        week.add(rng.randrange(5), "09:00:00", 7 * 60, what="training course")


def _crowded(week: Week, index: int) -> None:
    """A machine writes here every three minutes: 480 entries a day, above 1,000 from three days on."""
    for day in range(7):
        for minute in range(index % 3, 1440, 3):
            week.add(day, f"{minute // 60:02}:{minute % 60:02}:00", 2, status="free", what="sync")


def _empty(week: Week, index: int) -> None:
    """Nothing at all: a service account, or a calendar that a test fills by itself."""


PATTERNS: dict[str, Callable[[Week, int], None]] = {
    "ordinary": _ordinary,
    "room": _room,
    "crowded": _crowded,
    "empty": _empty,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarKey:
    """What a calendar is made from."""

    seed: str
    address: str
    zone: str
    pattern: str
    index: int


def week_events(key: CalendarKey, monday: date) -> tuple[Event, ...]:
    """Return the events that begin in the week of `monday`, in no particular order."""
    rng = random.Random(f"{key.seed}:{key.address}:{monday}")
    week = Week(monday, ZoneInfo(key.zone), rng)
    PATTERNS[key.pattern](week, key.index)
    rng.shuffle(week.events)
    return tuple(week.events)


def mondays(first: date, last: date) -> Iterator[date]:
    """Yield the Mondays of all weeks that touch first..last."""
    monday = first - timedelta(days=first.weekday())
    while monday <= last:
        yield monday
        monday += timedelta(days=7)
