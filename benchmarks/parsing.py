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
from benchmarks.measuring import in_turns
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
from tests.freebusy.core import workloads

PLAIN, OURS, C = "json + fromisoformat", "the product", "C in one pass"
TO_ENTRIES, OF_C, TO_SLOTS = at_least(3.5, 4.5), at_most(5, 4), at_least(5, 6)  # goal and aim
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


def slots(bodies: Sequence[bytes], query: SlotQuery, required: int) -> SlotResult:
    """The same, and the search."""
    return search(schedules(bodies, query.window), query, required)


def search(read: Mapping[str, Schedule], query: SlotQuery, required: int) -> SlotResult:
    people = [Calendar(mailbox, schedule, TECHNICAL, query.zone) for mailbox, schedule in read.items()]
    return find_slots(query, required=people[:required], optional=people[required:], order="fewest_conflicts")


def entries_lines(rounds: int) -> Iterator[Line]:
    """One answer of the longest window that Graph takes, to entries."""
    [body] = answers(workloads.graph_people(CALENDARS, DAYS), FIRST, DAYS)
    start = datetime.combine(FIRST, time(10), tzinfo=UTC)  # a window that cuts entries
    window = Interval(to_instant(start), to_instant(start + timedelta(days=DAYS - 1)))
    bounds = window.start, window.end
    expected = plain_entries(body, *bounds)
    found = schedules([body], window).values()
    assert [[(i.start, i.end, i.status.value) for i in schedule.items] for schedule in found] == expected
    items = body.count(b'"isPrivate"')
    cases: dict[str, Callable[[], object]] = {
        PLAIN: partial(plain_entries, body, *bounds),
        OURS: partial(schedules, [body], window),
    }
    if compiler():
        reference = Reference(items, CALENDARS)
        assert reference.read(body, *bounds) == CALENDARS
        assert reference.entries() == expected
        cases[C] = partial(reference.read, body, *bounds)
    measured = in_turns(cases, rounds)
    what = f"{CALENDARS} calendars, {DAYS} days, {items:,} items, {len(body) / 1e6:.2f} MB"
    for name in cases:
        yield Line(f"bytes to entries, {name}", measured.time(name).times(1e6 / items), "µs", note=f"an item of {what}")
    yield Line(f"bytes to entries, {PLAIN} / {OURS}", measured.ratio(PLAIN, to=OURS), "×", TO_ENTRIES, "entries equal")
    if C in cases:
        yield Line(f"bytes to entries, {OURS} / {C}", measured.ratio(OURS, to=C), "×", OF_C, "entries equal")


def frame_of(number: int) -> dict[str, Any]:
    """Two weeks: ten people are the first workload, more are the first ones of the workload that grows."""
    work = workloads.make("W1" if number <= 10 else "W4-1000")
    return {**work["frame"], "days": 14, "people": work["people"][:number]}


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
    query, first = query_of(frame), date.fromisoformat(frame["first_day"])
    bodies = answers(frame["people"], first - timedelta(days=1), frame["days"] + 2)
    rows = [
        (from_instant(slot.start, UTC), [int(name[4:9]) - required for name in slot.optional_conflicts])
        for slot in slots(bodies, query, required).slots
    ]
    assert rows == plain_slots(bodies, frame, required)
    read = schedules(bodies, query.window)
    cases: dict[str, Callable[[], object]] = {
        PLAIN: partial(plain_slots, bodies, frame, required),
        OURS: partial(slots, bodies, query, required),
        "reading alone": partial(schedules, bodies, query.window),
    }
    measured = in_turns(cases, rounds)
    what = f"{len(bodies)} answers, {sum(map(len, bodies)) / 1e6:.1f} MB, {len(read)} people, {len(rows)} slots"
    for name in cases:
        yield Line(f"{number} people to ranked slots, {name}", measured.time(name).times(1e3), "ms", note=what)
    goal = TO_SLOTS if number == max(PEOPLE) else None
    ratio = measured.ratio(PLAIN, to=OURS)
    yield Line(
        f"{number} people to ranked slots, {PLAIN} + any() / {OURS}", ratio, "×", goal, "slots equal, and their order"
    )


def main() -> int:
    given = options(__doc__).parse_args()
    machine = this_machine(["msgspec"], others=compiler())
    lines = list(entries_lines(given.rounds))
    for number, required in PEOPLE.items():
        lines += slots_lines(number, required, given.rounds)
    return publish(Report("From Graph's bytes to entries and to ranked slots", machine, lines), given.json)


if __name__ == "__main__":
    sys.exit(main())
