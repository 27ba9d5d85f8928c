"""From Graph's bytes to entries and to ranked slots, against the straightforward program and C.

    python -m benchmarks.parsing [--json FILE]

The product's own way from the body of an answer on: `judge_answer`, `join`, `parse_schedule`, `find_slots`. Results are
compared before anything is timed. Goals are ratios within this run; exit status 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.answers import Reference, address, answers, plain_entries, plain_slots
from benchmarks.rounds import ROUNDS, Ratio, apart, side_by_side
from freebusy.core.grid import Hours, SlotQuery
from freebusy.core.intervals import Interval, from_instant, to_instant
from freebusy.core.rules import TECHNICAL
from freebusy.core.schedule import Schedule, parse_schedule
from freebusy.core.slots import Calendar, SlotResult, find_slots
from microsoft.graph_answer import judge_answer
from microsoft.http import Answer
from microsoft.schedule_report import MailboxSchedule, join
from microsoft.schedule_request import ScheduleCall
from microsoft.wall_times import UTC_TIMES
from tests.freebusy.core import workloads

PLAIN, OURS, C = "json + fromisoformat", "the product", "C in one pass"
FIRST_SIGHT = "the product, new times"
SLOWER_THAN_C, FASTER_TO_ENTRIES, FASTER_TO_SLOTS = 5.0, 3.5, 5.0
CALENDARS, FIRST, DAYS = 20, date(2026, 3, 2), 62
PEOPLE = {10: 6, 100: 5, 400: 5}  # how many, and how many of them are required


def schedules(bodies: Sequence[bytes], window: Interval) -> dict[str, Schedule]:
    """The product's way, from the bodies of a question's answers to what each mailbox said."""
    outcomes = {}
    for number, body in enumerate(bodies):
        call = ScheduleCall(0, tuple(address(20 * number + k) for k in range(20)))
        outcomes[call] = judge_answer(Answer(200, {}, body), wall_clock=lambda: 0.0).outcome
    found = {}
    for mailbox, result in join(outcomes, 1).items():
        if isinstance(result, MailboxSchedule):
            schedule = parse_schedule(result.entries, window)
            assert isinstance(schedule, Schedule)
            found[mailbox] = schedule
    return found


def at_first_sight(body: bytes, window: Interval) -> dict[str, Schedule]:
    """The same by a process that has met none of the answer's times before."""
    UTC_TIMES.clear()
    return schedules([body], window)


def slots(bodies: Sequence[bytes], query: SlotQuery, required: int) -> SlotResult:
    """The same, and the search."""
    return search(schedules(bodies, query.window), query, required)


def search(read: Mapping[str, Schedule], query: SlotQuery, required: int) -> SlotResult:
    people = [Calendar(mailbox, schedule, TECHNICAL, query.zone) for mailbox, schedule in read.items()]
    return find_slots(query, required=people[:required], optional=people[required:], order="fewest_conflicts")


def entries_table() -> dict[str, Any]:
    """One answer of the longest window that Graph takes, to entries."""
    [body] = apart(lambda: answers(workloads.graph_people(CALENDARS, DAYS), FIRST, DAYS))
    start = datetime.combine(FIRST, time(10), tzinfo=UTC)  # a window that cuts entries
    window = Interval(to_instant(start), to_instant(start + timedelta(days=DAYS - 1)))
    bounds = window.start, window.end
    items = body.count(b'"isPrivate"')
    programs: dict[str, Callable[[], object]] = {
        PLAIN: partial(plain_entries, body, *bounds),
        OURS: partial(schedules, [body], window),
        FIRST_SIGHT: partial(at_first_sight, body, window),
    }
    reference = None
    try:
        reference = Reference(items, CALENDARS)
        programs[C] = partial(reference.read, body, *bounds)
    except FileNotFoundError:
        print("C is left out: there is no gcc here.")

    def check() -> None:
        expected = plain_entries(body, *bounds)
        found = schedules([body], window).values()
        assert [[(i.start, i.end, i.status.value) for i in schedule.items] for schedule in found] == expected
        if reference:
            assert reference.read(body, *bounds) == CALENDARS
            assert reference.entries() == expected

    apart(check)
    rounds = side_by_side(programs, runs=9)
    return {
        "bytes": len(body),
        "items": items,
        "microseconds_an_item": {name: rounds.median(name) / items * 1e6 for name in programs},
        "plain_takes_times": {name: asdict(rounds.ratio(PLAIN, name)) for name in (OURS, FIRST_SIGHT)},
        "times_c": {name: asdict(rounds.ratio(name, C)) for name in (OURS, FIRST_SIGHT) if C in programs},
    }


def frame_of(number: int) -> dict[str, Any]:
    """Two weeks: ten people are the first workload, more are the first ones of the workload that grows."""
    return {**workloads.make("W1" if number <= 10 else "W4-10")["frame"], "days": 14}


def two_weeks(number: int, frame: Mapping[str, Any]) -> list[bytes]:
    """The answers for so many people, over a window that is a day longer at both ends."""
    people = workloads.make("W1" if number <= 10 else "W4-1000")["people"][:number]
    return answers(people, date.fromisoformat(frame["first_day"]) - timedelta(days=1), frame["days"] + 2)


def query_of(frame: Mapping[str, Any]) -> SlotQuery:
    zone, first = ZoneInfo(frame["tz"]), date.fromisoformat(frame["first_day"])
    start, end = (datetime.combine(first + timedelta(days=days), time(), tzinfo=zone) for days in (0, frame["days"]))
    hours = (workloads.hhmm(frame[name]) for name in ("work_start", "work_end"))
    return SlotQuery(
        window=Interval(to_instant(start), to_instant(end)),
        zone=zone,
        hours=Hours(frozenset(frame["weekdays"]), *hours),
        duration_minutes=frame["duration"],
        step_minutes=frame["step"],
    )


def slots_row(number: int, required: int) -> dict[str, Any]:
    """The answers for so many people, to ranked slots."""
    frame = frame_of(number)
    query = query_of(frame)
    bodies = apart(lambda: two_weeks(number, frame))

    def check() -> int:
        found = slots(bodies, query, required).slots
        names = [[int(name[4:9]) - required for name in slot.optional_conflicts] for slot in found]
        rows = [(from_instant(slot.start, UTC), late) for slot, late in zip(found, names, strict=True)]
        assert rows == plain_slots(bodies, frame, required)
        return len(rows)

    rows = apart(check)
    read = schedules(bodies, query.window)
    rounds = side_by_side(
        {
            PLAIN: partial(plain_slots, bodies, frame, required),
            OURS: partial(slots, bodies, query, required),
            "reading": partial(schedules, bodies, query.window),
            "searching": partial(search, read, query, required),
        },
        runs=5 if number <= 100 else 3,
    )
    return {
        "people": number,
        "answers": len(bodies),
        "bytes": sum(map(len, bodies)),
        "slots": rows,
        "milliseconds": {name: rounds.median(name) * 1e3 for name in rounds.seconds},
        "plain_takes_times": asdict(rounds.ratio(PLAIN, OURS)),
    }


def missed(entries: Mapping[str, Any], slots: Sequence[Mapping[str, Any]]) -> list[str]:
    """The goals that are not reached, in words."""
    most = slots[-1]
    checks = {
        f"entries {FASTER_TO_ENTRIES} times faster than {PLAIN}": entries["plain_takes_times"][OURS]["median"]
        >= FASTER_TO_ENTRIES,
        f"entries in {SLOWER_THAN_C} times the time of C": not entries["times_c"]
        or entries["times_c"][OURS]["median"] <= SLOWER_THAN_C,
        f"slots of {most['people']} people {FASTER_TO_SLOTS} times faster than {PLAIN} + any": most[
            "plain_takes_times"
        ]["median"]
        >= FASTER_TO_SLOTS,
    }
    return [goal for goal, reached in checks.items() if not reached]


def show(entries: Mapping[str, Any], slots: Sequence[Mapping[str, Any]]) -> None:
    """Both tables for people."""
    size = f"{entries['items']:,} items, {entries['bytes'] / 1e6:.2f} MB"
    print(f"\nTo entries: {CALENDARS} calendars, {DAYS} days, {size}")
    for name, microseconds in entries["microseconds_an_item"].items():
        print(f"  {name:24s} {microseconds:7.3f} µs an item")
    for name, ratio in entries["plain_takes_times"].items():
        print(f"  {name}: {Ratio(**ratio)} times faster than {PLAIN} (aim 4.5)")
    for name, ratio in entries["times_c"].items():
        print(f"  {name}: {Ratio(**ratio)} times {C} (aim 4)")
    for row in slots:
        print(
            f"\nTo {row['slots']} slots: {row['people']} people, {row['answers']} answers, {row['bytes'] / 1e6:.1f} MB"
        )
        for name, milliseconds in row["milliseconds"].items():
            print(f"  {name:24s} {milliseconds:7.2f} ms")
        print(f"  {Ratio(**row['plain_takes_times'])} times faster (aim 6 for {slots[-1]['people']})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    entries = entries_table()
    slots = [slots_row(number, required) for number, required in PEOPLE.items()]
    machine = {
        "python": platform.python_version(),
        "msgspec": msgspec.__version__,
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }
    print(f"Python {machine['python']}, msgspec {machine['msgspec']}, {machine['machine']}, {machine['cores']} cores")
    print(f"Medians of {ROUNDS} rounds, and of the ratios the lowest and the highest.")
    show(entries, slots)
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "entries": entries, "slots": slots}, indent=2) + "\n")
    failures = missed(entries, slots)
    print("\n" + ("\n".join(f"missed: {failure}" for failure in failures) or "All goals reached."))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
