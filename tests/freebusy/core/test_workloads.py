"""The engine gives the very answers of the shared workloads, whose oracle looks at every single minute."""

import datetime as dt
from typing import Any

import pytest

from freebusy.core.grid import Hours, SlotQuery, candidate_starts
from freebusy.core.intervals import MINUTE, Interval
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.slots import Calendar, find_slots
from freebusy.core.zones import iana_zone, instant_of_wall
from tests.freebusy.core import workloads
from tests.freebusy.core.mutants import MUTANTS

STATUSES = [FreeBusyStatus.from_wire(name) for name in workloads.STATUS]


def query_of(frame: dict[str, Any]) -> SlotQuery:
    zone = iana_zone(frame["tz"])
    assert zone is not None
    first = dt.date.fromisoformat(frame["first_day"])
    window = Interval(
        instant_of_wall(first, 0, zone), instant_of_wall(first + dt.timedelta(days=frame["days"]), 0, zone)
    )
    hours = Hours(
        frozenset(frame["weekdays"]),
        workloads.hhmm(frame["work_start"]),
        workloads.hhmm(frame["work_end"]),
    )
    return SlotQuery(
        window=window,
        zone=zone,
        hours=hours,
        duration_minutes=frame["duration"],
        step_minutes=frame["step"],
    )


def calendar_of(number: int, owner: dict[str, Any], query: SlotQuery) -> Calendar:
    """The workload's all-day flag is left out: Graph sends none either, the bounds alone must do."""
    items = tuple(
        ScheduleItem(start * MINUTE, end * MINUTE, STATUSES[status])
        for start, end, status, _ in owner["events"]
        if start < end
    )
    schedule = Schedule(items=items, zone=iana_zone(owner["tz"]))
    return Calendar(str(number), schedule, TECHNICAL, query.zone)


def answers(work: dict[str, Any]) -> list[list[list[Any]]]:
    """Every search of the workload by the engine, as the oracle's rows."""
    query = query_of(work["frame"])
    people = [calendar_of(number, owner, query) for number, owner in enumerate(work["people"])]
    rooms = [calendar_of(number, owner, query) for number, owner in enumerate(work["rooms"])]
    return [answer(query, people, rooms, search) for search in work["searches"]]


def answer(query: SlotQuery, people: list[Calendar], rooms: list[Calendar], search: dict[str, Any]) -> list[list[Any]]:
    if search["rooms"] == []:
        # The workload means "needs a room, and there is none"; the API reads an empty list as "no room".
        return []
    result = find_slots(
        query,
        required=[people[number] for number in search["required"]],
        optional=[people[number] for number in sorted(search["optional"])],
        rooms=None if search["rooms"] is None else [rooms[number] for number in sorted(search["rooms"])],
        limit=1_000_000,
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


@pytest.mark.parametrize("name", ["W0", "W1", "W2", "W3", "W4-10", "W4-100", "W4-1000"])
def test_the_engine_gives_the_oracles_answers(name: str) -> None:
    rows = answers(workloads.make(name))
    assert (workloads.result_hash(rows), sum(map(len, rows))) == workloads.EXPECTED[name]


@pytest.mark.parametrize("name", ["W0", "W1"])
def test_the_expected_hashes_are_those_of_the_minute_by_minute_oracle(name: str) -> None:
    rows = workloads.oracle(workloads.make(name))
    assert (workloads.result_hash(rows), sum(map(len, rows))) == workloads.EXPECTED[name]


@pytest.mark.parametrize("mistake", MUTANTS)
def test_the_first_workload_would_notice_every_known_mistake(mistake: str) -> None:
    noticed = MUTANTS[mistake](workloads.make("W0")) != workloads.EXPECTED["W0"][0]
    assert noticed == (mistake != "none (must not be caught)")


@pytest.mark.parametrize("name", ["W0", "W1", "W2", "W3"])
def test_the_grid_has_the_workloads_slots(name: str) -> None:
    frame = workloads.make(name)["frame"]
    assert [start // MINUTE for start in candidate_starts(query_of(frame))] == workloads.slot_starts(frame)
