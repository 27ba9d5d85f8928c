"""Time zones as Graph takes and gives them: Windows names and IANA names."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import win_tz

_TO_WINDOWS = {
    "Europe/Berlin": "W. Europe Standard Time",
    "America/New_York": "Eastern Standard Time",
    "Asia/Kolkata": "India Standard Time",
    "Australia/Sydney": "AUS Eastern Standard Time",
}
_UTC_NAMES = frozenset({"utc", "tzone://microsoft/utc", "etc/utc", "etc/gmt"})


def find_zone(name: str) -> tzinfo | None:
    """Return the zone of a Windows or IANA name, or None when there is no such zone."""
    if name.casefold() in _UTC_NAMES:
        return UTC
    try:
        return ZoneInfo(win_tz.get(name, name))
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ):  # OSError: a name that is a directory of the database
        return None


def windows_name(iana: str) -> str:
    """Return the Windows name of a zone the directory uses."""
    return _TO_WINDOWS.get(iana, iana)


def wall_text(moment: datetime, zone: tzinfo) -> str:
    """Return wall time as Graph writes it: seven fraction digits, no offset."""
    wall = moment.astimezone(zone)
    return f"{wall.replace(tzinfo=None, microsecond=0).isoformat()}.{wall.microsecond:06d}0"
