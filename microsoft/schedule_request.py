"""Pure: how a question for many mailboxes and a long window becomes requests within Microsoft's limits.

https://learn.microsoft.com/graph/api/calendar-getschedule
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

MAX_MAILBOXES = 20  # documented; the service has been seen to take up to 100
MAX_PART = timedelta(days=61)  # "shorter than 62 days": one day of room
MIN_WINDOW = timedelta(minutes=5)  # the smallest interval, which must not exceed the window
_MIN_INTERVAL, _MAX_INTERVAL = 5, 1440


MIN_HALF = timedelta(hours=6)  # a thousand entries in so short a time are no calendar


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch [start, end) of the window, in UTC."""

    start: datetime
    end: datetime

    def halves(self) -> tuple[Part, Part] | None:
        """Two that meet; None when they would be too short."""
        middle = self.start + timedelta(seconds=(self.end - self.start) // timedelta(seconds=2))
        if middle - self.start < MIN_HALF:
            return None
        return Part(self.start, middle), Part(middle, self.end)


@dataclass(frozen=True, slots=True)
class ScheduleCall:
    """One request: which mailboxes (as asked) over which part of the window, or over a stretch of it."""

    part: int
    mailboxes: tuple[str, ...]
    stretch: Part | None = None

    def only(self, mailboxes: Sequence[str]) -> ScheduleCall:
        """The same question for these."""
        return replace(self, mailboxes=tuple(mailboxes))

    def halves(self) -> tuple[ScheduleCall, ScheduleCall]:
        """The same question in two, should Microsoft lower its limit."""
        middle = len(self.mailboxes) // 2
        return self.only(self.mailboxes[:middle]), self.only(self.mailboxes[middle:])

    def over(self, parts: Sequence[Part]) -> Part:
        """Which time is asked for."""
        return self.stretch or parts[self.part]

    def for_halves_of_time(self, mailbox: str, parts: Sequence[Part]) -> tuple[ScheduleCall, ...]:
        """Two questions for one mailbox that holds too much; none when they would be too short."""
        halves = self.over(parts).halves() or ()
        return tuple(ScheduleCall(self.part, (mailbox,), half) for half in halves)


def window_parts(start: datetime, end: datetime) -> tuple[Part, ...]:
    """The window in equal stretches that Graph takes, without gap or overlap; a short one ends later.

    Raises ValueError for naive or disordered bounds.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("bounds need a time zone")
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        raise ValueError("the window ends before it begins")
    end = max(end, start + MIN_WINDOW)
    count = math.ceil((end - start) / MAX_PART)
    step = timedelta(seconds=(end - start) // timedelta(seconds=count))
    bounds = [start + step * number for number in range(count)] + [end]
    return tuple(Part(*pair) for pair in pairwise(bounds))


def plan_calls(
    mailboxes: Sequence[str], parts: Sequence[Part], alone: Collection[str] = ()
) -> tuple[ScheduleCall, ...]:
    """One call per part and group of at most 20 mailboxes; an address given twice (any case) counts once.

    Each of `alone` (by `str.casefold`) has calls of its own, behind the others.
    """
    unique = {mailbox.casefold(): mailbox for mailbox in mailboxes}
    together = tuple(mailbox for key, mailbox in unique.items() if key not in alone)
    groups = [together[first : first + MAX_MAILBOXES] for first in range(0, len(together), MAX_MAILBOXES)]
    groups += [(mailbox,) for key, mailbox in unique.items() if key in alone]
    return tuple(ScheduleCall(part, group) for group, part in product(groups, range(len(parts))))


def interval_minutes(part: Part) -> int:
    """availabilityViewInterval: never longer than the window, never left out (short windows fail then).

    The longest one gives the shortest view; we read items, not digits.
    """
    whole = (part.end - part.start) // timedelta(minutes=1)
    return max(_MIN_INTERVAL, min(whole, _MAX_INTERVAL))


def request_body(mailboxes: Sequence[str], part: Part) -> bytes:
    """The JSON of one request, times in UTC."""
    return json.dumps(
        {
            "schedules": list(mailboxes),
            "startTime": {"dateTime": _wall(part.start), "timeZone": "UTC"},
            "endTime": {"dateTime": _wall(part.end), "timeZone": "UTC"},
            "availabilityViewInterval": interval_minutes(part),
        }
    ).encode()


def _wall(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
