"""From Graph's bytes to entries and to ranked slots, against the straightforward program and C.

    python -m benchmarks.parsing [--rounds N] [--json FILE]

The product's own way from the body of an answer on: `judge_answer`, `join`, `parse_schedule`, `find_slots`. Results are
compared before anything is timed. Goals are ratios within this run; exit status 1 when one is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.answers import Reference, address, answers, plain_entries, plain_slots
from benchmarks.machine import compiler, this_machine
from benchmarks.measuring import apart, in_turns_apart
from benchmarks.report import Line, Report, at_least, at_most, options, publish
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
EQUAL = "equal first"
TO_ENTRIES, OF_C, TO_SLOTS = at_least(3.5, 4.5), at_most(5, 4), at_least(5, 6)
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
    read = schedules(bodies, query.window)
    people = [Calendar(mailbox, schedule, TECHNICAL, query.zone) for mailbox, schedule in read.items()]
    return find_slots(query, required=people[:required], optional=people[required:], order="fewest_conflicts")


def entries_lines(rounds: int) -> Iterator[Line]:
    """One answer of the longest window that Graph takes, to entries."""
    [body] = apart(lambda: answers(workloads.graph_people(CALENDARS, DAYS), FIRST, DAYS))
    start = datetime.combine(FIRST, time(10), tzinfo=UTC)  # a window that cuts entries
    window = Interval(to_instant(start), to_instant(start + timedelta(days=DAYS - 1)))
    bounds = window.start, window.end
    items = body.count(b'"isPrivate"')
    cases: dict[str, Callable[[], object]] = {
        PLAIN: partial(plain_entries, body, *bounds),
        OURS: partial(schedules, [body], window),
        FIRST_SIGHT: partial(at_first_sight, body, window),
    }
    reference = Reference(items, CALENDARS) if compiler() else None
    if reference:
        cases[C] = partial(reference.read, body, *bounds)

    def check() -> None:
        expected = plain_entries(body, *bounds)
        found = schedules([body], window).values()
        assert [[(i.start, i.end, i.status.value) for i in schedule.items] for schedule in found] == expected
        if reference:
            assert reference.read(body, *bounds) == CALENDARS
            assert reference.entries() == expected

    apart(check)
    measured = in_turns_apart(cases, rounds)
    what = f"an item of {CALENDARS} calendars, {DAYS} days, {items:,} items, {len(body) / 1e6:.2f} MB"
    for name in cases:
        yield Line(f"to entries, {name}", measured.time(name).times(1e6 / items), "µs", note=what)
    yield Line(f"to entries, {PLAIN} / {OURS}", measured.ratio(PLAIN, to=OURS), "×", TO_ENTRIES, EQUAL)
    yield Line(f"to entries, {PLAIN} / {FIRST_SIGHT}", measured.ratio(PLAIN, to=FIRST_SIGHT), "×", note=EQUAL)
    if reference:
        yield Line(f"to entries, {OURS} / {C}", measured.ratio(OURS, to=C), "×", OF_C, EQUAL)
        yield Line(f"to entries, {FIRST_SIGHT} / {C}", measured.ratio(FIRST_SIGHT, to=C), "×", note=EQUAL)


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


def slots_lines(number: int, required: int, rounds: int) -> Iterator[Line]:
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
    cases: dict[str, Callable[[], object]] = {
        f"{PLAIN} + any()": partial(plain_slots, bodies, frame, required),
        OURS: partial(slots, bodies, query, required),
        "reading alone": partial(schedules, bodies, query.window),
    }
    measured = in_turns_apart(cases, rounds, runs=5 if number <= 100 else 3)
    what = f"{len(bodies)} answers, {sum(map(len, bodies)) / 1e6:.1f} MB, to {rows} slots"
    for name in cases:
        yield Line(f"{number} people to ranked slots, {name}", measured.time(name).times(1e3), "ms", note=what)
    plain, goal = f"{PLAIN} + any()", TO_SLOTS if number == max(PEOPLE) else None
    yield Line(f"{number} people to ranked slots, {plain} / {OURS}", measured.ratio(plain, to=OURS), "×", goal, EQUAL)


def main() -> int:
    given = options(__doc__).parse_args()
    machine = this_machine(["msgspec"], others=compiler())
    lines = list(entries_lines(given.rounds))
    for number, required in PEOPLE.items():
        lines += slots_lines(number, required, given.rounds)
    return publish(Report("Bytes of Graph's answers to entries and to ranked slots", machine, lines), given.json)


if __name__ == "__main__":
    sys.exit(main())
