"""What one mailbox said about its time: from Graph's wire structs to small exact values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from freebusy.core.intervals import Interval, to_instant
from freebusy.core.zones import custom_zone, resolve_zone
from microsoft import wire

_WALL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z?)", re.ASCII)
_CLOCK = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d|24:00)(?::\d\d(?:\.\d+)?)?", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 2, 9998  # beyond these a time cannot be shown in every zone
_UTC = ZoneInfo("UTC")
_DAY_NAMES = {
    "monday": "mon",
    "tuesday": "tue",
    "wednesday": "wed",
    "thursday": "thu",
    "friday": "fri",
    "saturday": "sat",
    "sunday": "sun",
}


class FreeBusyStatus(StrEnum):
    """Graph's freeBusyStatus, spelled as in the current documentation."""

    FREE = "free"
    TENTATIVE = "tentative"
    BUSY = "busy"
    OOF = "oof"
    WORKING_ELSEWHERE = "workingElsewhere"
    UNKNOWN = "unknown"

    @classmethod
    def from_wire(cls, text: str | None) -> FreeBusyStatus:
        """Older payloads say `Busy`, so case does not count; what is no status at all is `unknown`."""
        return _STATUSES.get(text or "") or _STATUSES.get((text or "").casefold(), cls.UNKNOWN)


_STATUSES = {spelling: status for status in FreeBusyStatus for spelling in (status.value, status.casefold())}


# Structs of msgspec rather than dataclasses: a search makes them by the hundred thousand.
class ScheduleItem(msgspec.Struct, frozen=True, order=True, gc=False):
    """One calendar entry with its own bounds (instants, never clipped), which have `start` < `end`."""

    start: int
    end: int
    status: FreeBusyStatus


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


class _Unparsable(Exception):
    """A time or zone that cannot be read with certainty."""


def parse_schedule(entries: Sequence[wire.ScheduleInformation], window: Interval) -> Schedule | Unreadable:
    """One mailbox's answers (one entry per part of the window) → what they say together.

    Never free by mistake: an error, missing items or view, or a time or zone that cannot be read with
    certainty make the whole mailbox Unreadable. Items of no or negative
    length or outside the window are left out.
    """
    if not entries:
        return _NO_DATA
    for entry in entries:
        if entry.error is not None:
            # The Graph client has named the codes it knows before; this is for whatever is left.
            return Unreadable("other", _OTHER, False, entry.error.response_code)
        if entry.schedule_items is None or entry.availability_view is None:
            return _NO_DATA
    found: set[tuple[int, int, FreeBusyStatus]] = set()
    try:
        for entry in entries:
            found.update(_items(entry.schedule_items or (), window))
    except _Unparsable:
        return Unreadable("other", "Microsoft gave a time that cannot be read with certainty.", False)
    given = next((entry.working_hours for entry in entries if entry.working_hours is not None), None)
    return Schedule(
        items=tuple(ScheduleItem(*item) for item in sorted(found)),
        working_hours=_working_hours(given),
        zone=_zone(given),
    )


_OTHER = "Microsoft could not read this mailbox."
_NO_DATA = Unreadable("no_data", "Microsoft gave no free/busy data for this mailbox.", True)


def _items(items: Iterable[wire.ScheduleItem], window: Interval) -> Iterator[tuple[int, int, FreeBusyStatus]]:
    for item in items:
        if item.start is None or item.end is None:
            raise _Unparsable
        start = _instant(item.start.date_time, item.start.time_zone)
        end = _instant(item.end.date_time, item.end.time_zone)
        if end <= start:
            # In a doubled hour an item may begin in the first pass and end in the second.
            end = _instant(item.end.date_time, item.end.time_zone, fold=1)
        if start < end and start < window.end and end > window.start:
            yield start, end, FreeBusyStatus.from_wire(item.status)


# Meetings begin and end at the same times in many calendars; a look-up costs a tenth of parsing.
@lru_cache(maxsize=20_000)
def _instant(given: str, zone_name: str | None, fold: int = 0) -> int:
    """ "2019-03-15T12:00:00.0000000" in a named zone → its instant. Raises _Unparsable."""
    match, zone = _WALL.fullmatch(given), resolve_zone(zone_name)
    if match is None:
        raise _Unparsable
    text, fraction, zulu = match.groups()
    if zulu and (zone_name is None or zone == _UTC):
        zone = _UTC
    elif zulu or zone is None:
        raise _Unparsable
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise _Unparsable from None
    if not _FIRST_YEAR <= wall.year <= _LAST_YEAR:
        raise _Unparsable
    return to_instant(wall.replace(tzinfo=zone, fold=fold)) + _microseconds(fraction or "")


def _microseconds(fraction: str) -> int:
    """Digits "9999999" → 999_999 and "0000001" → 1: rounding never moves a time onto a whole second.

    So it stays on its side of every slot and of every limit in hours, which are whole seconds.
    """
    micros = int(fraction[:6].ljust(6, "0"))
    return 1 if micros == 0 and fraction[6:].strip("0") else micros


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
