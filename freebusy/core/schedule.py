"""What one mailbox said about its time: from Graph's wire structs to small exact values."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from itertools import chain, compress
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
    return Schedule(
        items=_in_order(found, window),
        working_hours=_working_hours(given),
        zone=_zone(given),
    )


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
    first = bisect_left(items, window.start, key=_START)
    last = bisect_left(items, window.end, first, key=_START)
    # Only what begins before the window can end before it.
    touching = [item for item in items[:first] if item.end > window.start] + items[first:last]
    once = compress(touching, map(ne, touching, chain(touching[1:], (None,))))
    return tuple([item for item in once if item.start < item.end])


def _working_hours(given: wire.WorkingHours | None) -> WorkingHours | None:
    """None when days or times are missing or not understood; only the zone may be unknown."""
    if given is None:
        return None
    names = {name.casefold() for name in given.days_of_week or ()}
    start, end = _CLOCK.fullmatch(given.start_time or ""), _CLOCK.fullmatch(given.end_time or "")
    if not names or not names <= _DAY_NAMES.keys() or start is None or end is None:
        return None
    zone = _zone(given)
    return WorkingHours(
        days=tuple(short for name, short in _DAY_NAMES.items() if name in names),
        start=start[1],
        end=end[1],
        time_zone=zone.key if isinstance(zone, ZoneInfo) else None,
    )


def _zone(given: wire.WorkingHours | None) -> tzinfo | None:
    if given is None or given.time_zone is None:
        return None
    return resolve_zone(given.time_zone.name) or custom_zone(given.time_zone)
