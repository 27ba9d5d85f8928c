"""Times as Graph writes them, and those in UTC as instants: whole microseconds since 1970-01-01T00:00Z."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_WALL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z?)", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 2, 9998  # beyond these a time cannot be shown in every zone
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001 - walls have no zone


class Unparsable(Exception):
    """A time or zone that cannot be read with certainty."""


def read_wall(text: str) -> tuple[datetime, int, bool]:
    """ "2019-03-15T12:00:00.0000000" → whole seconds, microseconds, and whether a Z says UTC. Raises Unparsable."""
    match = _WALL.fullmatch(text)
    if match is None:
        raise Unparsable
    try:
        wall = datetime.fromisoformat(match[1])
    except ValueError:
        raise Unparsable from None
    if not _FIRST_YEAR <= wall.year <= _LAST_YEAR:
        raise Unparsable
    return wall, _microseconds(match[2] or ""), bool(match[3])


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
        wall, microseconds, _ = read_wall(self._frame.format(part))
        found = (wall - _EPOCH) // _MICROSECOND + microseconds
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
