"""The workloads as the product's own values: a query, calendars, and the answer as the rows of their oracle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from freebusy.core.grid import Hours, SlotQuery, candidate_days
from freebusy.core.intervals import MINUTE, Interval
from freebusy.core.ready import Ready
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.slots import Calendar, SlotResult, find_slots
from freebusy.core.zones import iana_zone, instant_of_wall
from tests.freebusy.core import workloads

Work = dict[str, Any]
Search = dict[str, Any]
Rows = list[list[Any]]

_STATUSES = [FreeBusyStatus.from_wire(name) for name in workloads.STATUS]
_ALL = 1_000_000  # a page that holds all slots
_NO_BOUND = 1 << 34
PAGE = 50


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
    """Our own search on one workload. Its slots are its rows: they say more than the workload asks for."""

    def __init__(self, work: Work) -> None:
        self.query = query_of(work["frame"])
        people, rooms = calendars_of(work["people"], self.query), calendars_of(work["rooms"], self.query)
        self._searches: list[tuple[dict[str, Any], bool]] = [
            (
                {
                    "required": [people[number] for number in asked["required"]],
                    "optional": [people[number] for number in sorted(asked["optional"])],
                    "rooms": None if asked["rooms"] is None else [rooms[number] for number in sorted(asked["rooms"])],
                },
                asked["want"] == "ids",
            )
            for asked in work["searches"]
        ]
        self._ready = Ready(most_bytes=_NO_BOUND)

    def cold(self) -> list[SlotResult]:
        """From calendars that were just read: nothing is known before, neither masks nor grid."""
        candidate_days.cache_clear()
        return self._search(Ready(most_bytes=_NO_BOUND))

    def ready(self) -> list[SlotResult]:
        """The same once more, or by somebody else: the masks are there."""
        return self._search(self._ready)

    def page(self) -> list[SlotResult]:
        """The best fifty of each search, by conflicts; the masks are there."""
        return [
            find_slots(self.query, **who, order="fewest_conflicts", limit=PAGE, ready=self._ready)
            for who, _ in self._searches
        ]

    def _search(self, ready: Ready) -> list[SlotResult]:
        results = []
        for who, want_ids in self._searches:
            result = find_slots(self.query, **who, limit=_ALL, ready=ready)
            if who["optional"]:
                for slot in result.slots:
                    # Names of many people are made when looked at: look, as the workload does.
                    (tuple if want_ids else len)(slot.optional_conflicts)
            results.append(result)
        return results

    def answer(self, results: Sequence[SlotResult]) -> list[Rows]:
        """As the oracle writes it."""
        return [
            [
                [
                    slot.start // MINUTE,
                    len(slot.optional_conflicts),
                    [int(name) for name in slot.optional_conflicts] if want_ids else None,
                    len(slot.rooms),
                    int(slot.rooms[0]) if slot.rooms else -1,
                ]
                for slot in result.slots
            ]
            for result, (_, want_ids) in zip(results, self._searches, strict=True)
        ]


def check(name: str, answer: Sequence[Rows]) -> None:
    """Ends the benchmark when these are not the rows of the oracle."""
    if (workloads.result_hash(answer), sum(map(len, answer))) != workloads.EXPECTED[name]:
        raise SystemExit(f"{name}: not the oracle's answer")
