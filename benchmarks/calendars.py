"""The workloads as the product's own values: a query, calendars, and the answer as the rows of their oracle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from freebusy.core.grid import Hours, SlotQuery
from freebusy.core.intervals import MINUTE, Interval
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.slots import Calendar, find_slots
from freebusy.core.zones import iana_zone, instant_of_wall
from tests.freebusy.core import workloads

Work = dict[str, Any]
Search = dict[str, Any]
Rows = list[list[Any]]

_STATUSES = [FreeBusyStatus.from_wire(name) for name in workloads.STATUS]
_ALL = 1_000_000


def query_of(frame: dict[str, Any]) -> SlotQuery:
    zone = iana_zone(frame["tz"])
    assert zone is not None
    first = dt.date.fromisoformat(frame["first_day"])
    last = first + dt.timedelta(days=frame["days"])
    return SlotQuery(
        window=Interval(instant_of_wall(first, 0, zone), instant_of_wall(last, 0, zone)),
        zone=zone,
        hours=Hours(
            frozenset(frame["weekdays"]), workloads.hhmm(frame["work_start"]), workloads.hhmm(frame["work_end"])
        ),
        duration_minutes=frame["duration"],
        step_minutes=frame["step"],
    )


def calendars_of(owners: Sequence[dict[str, Any]], query: SlotQuery) -> list[Calendar]:
    """The workload's all-day flag is left out: Graph sends none either, the bounds alone must do."""
    return [
        Calendar(
            str(number),
            Schedule(
                items=tuple(
                    ScheduleItem(start * MINUTE, end * MINUTE, _STATUSES[status])
                    for start, end, status, _ in owner["events"]
                    if start < end
                ),
                zone=iana_zone(owner["tz"]),
            ),
            TECHNICAL,
            query.zone,
        )
        for number, owner in enumerate(owners)
    ]


class Engine:
    """Our own search over one workload, all rows of it. What it made of a schedule it may remember until `forget`."""

    def __init__(self, work: Work) -> None:
        self._query = query_of(work["frame"])
        self._people = calendars_of(work["people"], self._query)
        self._rooms = calendars_of(work["rooms"], self._query)

    def forget(self) -> None:
        """As if all calendars had just been read: the same entries in schedules that nobody has seen."""
        self._people = [_unseen(calendar) for calendar in self._people]
        self._rooms = [_unseen(calendar) for calendar in self._rooms]

    def rows(self, search: Search) -> Rows:
        if search["rooms"] == []:
            return []  # the workload means "needs a room, and there is none"; the API reads an empty list as "no room"
        result = find_slots(
            self._query,
            required=[self._people[number] for number in search["required"]],
            optional=[self._people[number] for number in sorted(search["optional"])],
            rooms=None if search["rooms"] is None else [self._rooms[number] for number in sorted(search["rooms"])],
            limit=_ALL,
        )
        return [
            [
                slot.start // MINUTE,
                len(slot.optional_conflicts),
                [int(name) for name in slot.optional_conflicts] if search["want"] == "ids" else None,
                len(slot.rooms),
                int(slot.rooms[0]) if slot.rooms else -1,
            ]
            for slot in result.slots
        ]


def _unseen(calendar: Calendar) -> Calendar:
    assert isinstance(calendar.schedule, Schedule)
    return replace(calendar, schedule=copy(calendar.schedule))
