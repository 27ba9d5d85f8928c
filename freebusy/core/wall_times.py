"""From a time as Graph writes it, in a named zone, to the instant it names."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from freebusy.core.intervals import to_instant
from freebusy.core.zones import resolve_zone
from microsoft.wall_times import Unparsable, read_wall

_UTC = ZoneInfo("UTC")


@lru_cache(maxsize=20_000)
def instant_of(given: str, zone_name: str | None, fold: int = 0) -> int:
    """Raises Unparsable."""
    wall, microseconds, zulu = read_wall(given)
    zone = resolve_zone(zone_name)
    if zulu and (zone_name is None or zone == _UTC):
        zone = _UTC
    elif zulu or zone is None:
        raise Unparsable
    return to_instant(wall.replace(tzinfo=zone, fold=fold)) + microseconds
