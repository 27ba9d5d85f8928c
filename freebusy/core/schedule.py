"""What one mailbox said about its time: from Graph's wire structs to small exact values."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from functools import lru_cache
from itertools import chain, compress, islice
from operator import attrgetter, ne
from zoneinfo import ZoneInfo

import msgspec

from freebusy.core.intervals import Interval
from freebusy.core.wall_times import instant_of
from freebusy.core.zones import custom_zone, resolve_zone
from microsoft import wire
from microsoft.schedule_item import FreeBusyStatus, ScheduleItem
from microsoft.wall_times import Unparsable

__all__ = [
    "External",
    "FreeBusyStatus",
    "Schedule",
    "ScheduleItem",
    "Unreadable",
    "WorkingHours",
    "parse_schedule",
]

_CLOCK = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d|24:00)(?::\d\d(?:\.\d+)?)?", re.ASCII)
_DAY_NAMES = {
    "monday": "mon",
    "tuesday": "tue",
    "wednesday": "wed",
    "thursday": "thu",
    "friday": "fri",
    "saturday": "sat",
    "sunday": "sun",
}


class WorkingHours(msgspec.Struct, frozen=True):
    """The owner's hours as Outlook shows them. Days "mon"-"sun", clock times "HH:MM".

    `time_zone` is an IANA name, None when the zone has none.
    """

    days: tuple[str, ...]
    start: str
    end: str
    time_zone: str | None


class Schedule(msgspec.Struct, frozen=True):
    """A mailbox that could be read. Items by (start, end, status), each once, all overlapping the window.

    `zone` is the mailbox's own (for judging what is all day); None when Microsoft gave none we understand.
    """

    items: tuple[ScheduleItem, ...]
    working_hours: WorkingHours | None = None
    zone: tzinfo | None = None


class Unreadable(msgspec.Struct, frozen=True):
    """A mailbox that could not be read; whether it is free is not known. `raw`: Microsoft's own code."""

    code: str
    message: str
    retryable: bool
    raw: str | None = None


class External(msgspec.Struct, frozen=True):
    """A mailbox outside the account's domains: never asked of Microsoft, never in the way."""


def parse_schedule(entries: Sequence[wire.ScheduleInformation], window: Interval) -> Schedule | Unreadable:
    """One mailbox's answers (one entry per part of the window) → what they say together.

    Never free by mistake: an error, missing items or view, or a time or zone that cannot be read with
    certainty make the whole mailbox Unreadable. Items of no or negative length or outside the window are left out.
    """
    if not entries:
        return _NO_DATA
    for entry in entries:
        if entry.error is not None:
            # The Graph client has named the codes it knows before; this is for whatever is left.
            return Unreadable("other", _OTHER, False, entry.error.response_code)
        if entry.schedule_items is None or entry.availability_view is None:
            return _NO_DATA
    found: list[ScheduleItem] = []
    try:
        for entry in entries:
            found += _items(entry)
    except Unparsable:
        return Unreadable("other", "Microsoft gave a time that cannot be read with certainty.", False)
    given = next((entry.working_hours for entry in entries if entry.working_hours is not None), None)
    return Schedule(_in_order(found, window), *(_owner(given) if given else (None, None)))


_OTHER = "Microsoft could not read this mailbox."
_NO_DATA = Unreadable("no_data", "Microsoft gave no free/busy data for this mailbox.", True)


def _items(entry: wire.ScheduleInformation) -> Iterable[ScheduleItem]:
    if isinstance(entry, wire.UtcInformation):
        return entry.schedule_items or ()
    return map(_read, entry.schedule_items or ())


def _read(item: wire.ScheduleItem | ScheduleItem) -> ScheduleItem:
    if isinstance(item, ScheduleItem):
        return item
    if item.start is None or item.end is None:
        raise Unparsable
    start = instant_of(item.start.date_time, item.start.time_zone)
    end = instant_of(item.end.date_time, item.end.time_zone)
    if end <= start:
        # In a doubled hour an item may begin in the first pass and end in the second.
        end = instant_of(item.end.date_time, item.end.time_zone, fold=1)
    return ScheduleItem(start, end, FreeBusyStatus.from_wire(item.status))


_START = attrgetter("start")


def _in_order(items: list[ScheduleItem], window: Interval) -> tuple[ScheduleItem, ...]:
    """Those that have a length and touch the window, sorted, each once.

    They come nearly sorted and nearly all inside the window, which makes this cheap.
    """
    items.sort()
    del items[bisect_left(items, window.end, key=_START) :]
    before = bisect_left(items, window.start, key=_START)
    # Only what begins before the window can end before it.
    items[:before] = [item for item in items[:before] if item.end > window.start]
    once = compress(items, map(ne, items, chain(islice(items, 1, None), (None,))))
    return tuple([item for item in once if item.start < item.end])


def _owner(given: wire.WorkingHours) -> tuple[WorkingHours | None, tzinfo | None]:
    return _hours_and_zone(
        tuple(given.days_of_week or ()), given.start_time or "", given.end_time or "", given.time_zone
    )


# Most people of a company have the same ones.
@lru_cache(maxsize=1_000)
def _hours_and_zone(
    days: tuple[str, ...], starts: str, ends: str, named: wire.TimeZone | None
) -> tuple[WorkingHours | None, tzinfo | None]:
    """No hours when days or times are missing or not understood; only the zone may be unknown."""
    zone = (resolve_zone(named.name) or custom_zone(named)) if named else None
    names = {name.casefold() for name in days}
    start, end = _CLOCK.fullmatch(starts), _CLOCK.fullmatch(ends)
    if not names or not names <= _DAY_NAMES.keys() or start is None or end is None:
        return None, zone
    hours = WorkingHours(
        days=tuple(short for name, short in _DAY_NAMES.items() if name in names),
        start=start[1],
        end=end[1],
        time_zone=zone.key if isinstance(zone, ZoneInfo) else None,
    )
    return hours, zone
