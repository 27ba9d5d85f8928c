"""Times as Graph writes them, and the instants they name."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from freebusy.core.intervals import to_instant
from freebusy.core.zones import resolve_zone

_WALL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z?)", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 2, 9998  # beyond these a time cannot be shown in every zone
_UTC = ZoneInfo("UTC")


class Unparsable(Exception):
    """A time or zone that cannot be read with certainty."""


@lru_cache(maxsize=20_000)
def instant_of(given: str, zone_name: str | None, fold: int = 0) -> int:
    """ "2019-03-15T12:00:00.0000000" in a named zone → its instant. Raises Unparsable."""
    match, zone = _WALL.fullmatch(given), resolve_zone(zone_name)
    if match is None:
        raise Unparsable
    text, fraction, zulu = match.groups()
    if zulu and (zone_name is None or zone == _UTC):
        zone = _UTC
    elif zulu or zone is None:
        raise Unparsable
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise Unparsable from None
    if not _FIRST_YEAR <= wall.year <= _LAST_YEAR:
        raise Unparsable
    return to_instant(wall.replace(tzinfo=zone, fold=fold)) + _microseconds(fraction or "")


def _microseconds(fraction: str) -> int:
    """Digits "9999999" → 999_999 and "0000001" → 1: rounding never moves a time onto a whole second.

    So it stays on its side of every slot and of every limit in hours, which are whole seconds.
    """
    micros = int(fraction[:6].ljust(6, "0"))
    return 1 if micros == 0 and fraction[6:].strip("0") else micros


class _Parts(dict[str, int]):
    """Dates, or times of day, and the instants they say in UTC when the frame completes them."""

    def __init__(self, frame: str) -> None:
        self._frame = frame

    def __missing__(self, part: str) -> int:
        found = instant_of(self._frame.format(part), "UTC")
        if len(self) >= 4_000:
            self.clear()
        self[part] = found
        return found


_DATES, _TIMES_OF_DAY = _Parts("{}T00:00"), _Parts("1970-01-01{}")


class _UtcTimes(dict[str, int]):
    """Times in UTC and their instants: meetings begin and end at the same times in many calendars.

    At most about 5 MB, then emptied: an order in which to forget single ones would cost every look-up.
    """

    def __missing__(self, text: str) -> int:
        found = self[text] = _DATES[text[:10]] + _TIMES_OF_DAY[text[10:]]
        if len(self) > 40_000:
            self.clear()
        return found


UTC_TIMES: Final = _UtcTimes()
