"""What the demo asks: six people and two rooms, the next two working days, an hour."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
ACCOUNT = "contoso"
# Hal's calendar cannot be read: as an optional guest he is shown as unknown, as a required one he would rightly
# withhold every slot.
ATTENDEES = (("ann", True), ("bob", True), ("cleo", True), ("dan", True), ("ivy", False), ("hal", False))
ROOMS = ("room1", "room2")
WORKING_DAYS = 2
HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}


def working_days(today: date, count: int = WORKING_DAYS) -> list[date]:
    """The next days after `today` that are no weekend."""
    days: list[date] = []
    day = today
    while len(days) < count:
        day += timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days


def availability(today: date) -> dict[str, Any]:
    """Body of POST availability; from the first of those days to the end of the last."""
    days = working_days(today)
    return {
        "attendees": [{"email": f"{name}@contoso.example", "required": required} for name, required in ATTENDEES],
        "rooms": [f"{name}@contoso.example" for name in ROOMS],
        "start": _midnight(days[0]),
        "end": _midnight(days[-1] + timedelta(days=1)),
    }


def times(today: date) -> dict[str, Any]:
    """Body of POST slots."""
    return {**availability(today), "duration_minutes": 60, "step_minutes": 30, "working_hours": HOURS}


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), ZONE).isoformat()
