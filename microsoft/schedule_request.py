"""Pure: how a question for many mailboxes and a long window becomes requests within Microsoft's limits.

https://learn.microsoft.com/graph/api/calendar-getschedule
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

MAX_MAILBOXES = 20  # documented; the service has been seen to take up to 100
MAX_PART = timedelta(days=61)  # "shorter than 62 days": one day of room
MIN_WINDOW = timedelta(minutes=5)  # the smallest interval, which must not exceed the window
_MIN_INTERVAL, _MAX_INTERVAL = 5, 1440


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch [start, end) of the window, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class ScheduleCall:
    """One request: which mailboxes (as asked) over which part of the window."""

    part: int
    mailboxes: tuple[str, ...]

    def halves(self) -> tuple[ScheduleCall, ScheduleCall]:
        """The same question in two, should Microsoft lower its limit."""
        middle = len(self.mailboxes) // 2
        return (
            ScheduleCall(self.part, self.mailboxes[:middle]),
            ScheduleCall(self.part, self.mailboxes[middle:]),
        )


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


def plan_calls(mailboxes: Sequence[str], parts: Sequence[Part]) -> tuple[ScheduleCall, ...]:
    """One call per part and group of at most 20 mailboxes; an address given twice (any case) counts once."""
    unique = tuple({mailbox.casefold(): mailbox for mailbox in mailboxes}.values())
    groups = [unique[first : first + MAX_MAILBOXES] for first in range(0, len(unique), MAX_MAILBOXES)]
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
