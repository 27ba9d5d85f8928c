"""Time zones as Microsoft and people name them: IANA, Windows, and rules without a name."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from tzlocal.windows_tz import win_tz

from freebusy.core.intervals import from_instant, to_instant
from microsoft import wire

_CUSTOM_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# The second is Exchange's own spelling, seen beside the plain names.
_UTC_SPELLINGS = frozenset({"utc", "tzone://microsoft/utc", "etc/utc", "coordinated universal time"})
# CLDR keeps the names a place first had; people write those of today's IANA database.
_RENAMED = {
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "America/Indianapolis": "America/Indiana/Indianapolis",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Europe/Kiev": "Europe/Kyiv",
}
_NO_PLACES = frozenset({"localtime", "Factory"})  # files of the system's zone folder that name no zone


@lru_cache(maxsize=1)
def _iana_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACES)


def iana_zone(name: str) -> ZoneInfo | None:
    """The zone of an IANA name ("Europe/Berlin", exactly spelled), None for anything else."""
    return ZoneInfo(name) if name in _iana_names() else None


@lru_cache(maxsize=1024)
def resolve_zone(name: str | None) -> ZoneInfo | None:
    """The zone of an IANA or Windows name or of a spelling of UTC, None for anything else.

    Windows names are those of the Unicode CLDR table (windowsZones.xml) as tzlocal ships it.
    """
    if name is None:
        return None
    if name.casefold() in _UTC_SPELLINGS:
        return ZoneInfo("UTC")
    place = win_tz.get(name, "")
    # A zone database older than the renaming knows the first name only.
    return iana_zone(name) or iana_zone(_RENAMED.get(place, place)) or iana_zone(place)


@dataclass(frozen=True, slots=True)
class _Change:
    """When the clock changes: wall time before the change, on the nth weekday of a month (5: the last)."""

    month: int
    weekday: int
    nth: int
    at: time
    year: int  # 0: every year

    def wall(self, year: int) -> datetime | None:
        if self.year not in (0, year):
            return None
        first_weekday, days = monthrange(year, self.month)
        day = 1 + (self.weekday - first_weekday) % 7 + 7 * (self.nth - 1)
        return datetime.combine(date(year, self.month, day if day <= days else day - 7), self.at)


@dataclass(frozen=True)
class CustomZone(tzinfo):
    """A zone given by its rules, Graph's customTimeZone: a standard and perhaps a daylight offset."""

    standard: timedelta
    daylight: timedelta
    to_standard: _Change | None = None
    to_daylight: _Change | None = None

    def __reduce__(self) -> tuple[type[CustomZone], tuple[object, ...]]:
        """tzinfo's own would call the class without arguments."""
        return CustomZone, (self.standard, self.daylight, self.to_standard, self.to_daylight)

    def _offset_at(self, utc: datetime) -> timedelta:
        """The offset in force at a naive UTC time."""
        year = (utc + self.standard).year
        spring = self.to_daylight.wall(year) if self.to_daylight else None
        autumn = self.to_standard.wall(year) if self.to_standard else None
        if spring is None or autumn is None:
            return self.standard
        begin, end = spring - self.standard, autumn - self.daylight
        # South of the equator daylight time runs over the new year: it begins later in the year than it ends.
        summer = begin <= utc < end if begin < end else not end <= utc < begin
        return self.daylight if summer else self.standard

    def fromutc(self, when: datetime) -> datetime:
        utc = when.replace(tzinfo=None)
        wall = utc + self._offset_at(utc)
        earlier = wall - max(self.standard, self.daylight)
        second = earlier != utc and self._offset_at(earlier) == max(self.standard, self.daylight)
        return wall.replace(tzinfo=self, fold=int(second))

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        """Fold 0 takes the first of a doubled wall time and moves a skipped one on by the gap (PEP 495)."""
        if when is None:
            return None
        wall = when.replace(tzinfo=None)
        high, low = max(self.standard, self.daylight), min(self.standard, self.daylight)
        fits_high = self._offset_at(wall - high) == high
        fits_low = self._offset_at(wall - low) == low
        if fits_high == fits_low:  # doubled (both fit) or skipped (none does)
            return high if fits_high != bool(when.fold) else low
        return high if fits_high else low

    def dst(self, when: datetime | None) -> timedelta | None:
        offset = self.utcoffset(when)
        return None if offset is None else offset - self.standard

    def tzname(self, when: datetime | None) -> str | None:
        return None


def custom_zone(given: wire.TimeZone) -> CustomZone | None:
    """The zone of a customTimeZone, None when it has no usable bias. Biases are minutes, UTC = local + bias.

    Rules of change that cannot be understood leave a zone without daylight time.
    """
    if given.bias is None:
        return None
    to_standard, to_daylight = _change(given.standard_offset), _change(given.daylight_offset)
    saving = (given.daylight_offset and given.daylight_offset.daylight_bias) or 0
    if abs(given.bias) >= 24 * 60 or abs(given.bias + saving) >= 24 * 60:
        return None
    standard = timedelta(minutes=-given.bias)
    if to_standard is None or to_daylight is None or not saving:
        return CustomZone(standard, standard)
    return CustomZone(standard, timedelta(minutes=-given.bias - saving), to_standard, to_daylight)


def _change(given: wire.ZoneOffset | None) -> _Change | None:
    at = _CUSTOM_TIME.fullmatch(given.time or "") if given else None
    weekday = (given.day_of_week or "").casefold() if given else ""
    if given is None or at is None or weekday not in _WEEKDAYS:
        return None
    month, nth = given.month or 0, given.day_occurrence or 0
    hour, minute, second = (int(part or 0) for part in at.groups())
    if not (1 <= month <= 12 and 1 <= nth <= 5 and hour < 24 and minute < 60 and second < 60):
        return None
    return _Change(month, _WEEKDAYS.index(weekday), nth, time(hour, minute, second), given.year or 0)


def instant_of_wall(day: date, minute: int, zone: tzinfo) -> int:
    """The instant when clocks in `zone` show this minute (0-1440) of this day.

    A wall time that does not exist is moved on by the gap, of one that exists twice it is the first: fold 0
    does both (PEP 495). 1440 is the next day's 00:00.
    """
    day, minute = (day + timedelta(days=1), 0) if minute == 24 * 60 else (day, minute)
    return to_instant(datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone))


def is_midnight(instant: int, zone: tzinfo) -> bool:
    """Whether a day begins here: clocks show 00:00, or the first moment of a day that has no 00:00."""
    now = from_instant(instant, zone)
    return now.time() == time(0) or now.date() > from_instant(instant - 1, zone).date()


def is_whole_days(start: int, end: int, zone: tzinfo) -> bool:
    """Whether [start, end) runs from midnight to midnight over one or more days of `zone`, however long."""
    if not (is_midnight(start, zone) and is_midnight(end, zone)):
        return False
    return from_instant(start, zone).date() < from_instant(end, zone).date()
