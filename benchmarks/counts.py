"""Counts of work in reading and searching, with the bounds that CI holds them to: `python -m benchmarks.counts`.

The same on every machine and at every load; tests/benchmarks/test_counts.py asks for the same bounds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from benchmarks.calendars import calendars_of, query_of
from benchmarks.machine import this_machine
from benchmarks.report import Line, Report, at_most, options, publish
from benchmarks.work import WideInts, blocks_kept, counting_calls
from freebusy.core import slots
from freebusy.core.intervals import Interval, to_instant
from freebusy.core.schedule import Schedule, Unreadable, parse_schedule
from microsoft.wire import ScheduleInformation, decode_schedules
from tests.freebusy.core import workloads

_FIRST_DAY, _DAYS = "2026-03-02", 30
_PAGE = 50
# Where the operators of masks are written.
_MASK_MODULES = ("freebusy.core.masks", "freebusy.core.slots")


@dataclass(frozen=True, slots=True)
class Bound:
    """What is counted, how much of it there may be, and why no more is needed."""

    name: str
    count: Callable[[], float]
    most: float
    why: str

    def line(self) -> Line:
        return Line.count(self.name, self.count(), "", at_most(self.most), self.why)


def calls_an_item() -> float:
    """Function calls, in Python or C, from the bytes of an answer to the schedules of 20 mailboxes."""
    body, items = _answer()
    _parse(body)
    with counting_calls() as calls:
        _parse(body)
    return calls.total / items


def blocks_an_item() -> float:
    """Blocks of memory that the schedules hold on to."""
    body, items = _answer()
    return blocks_kept(lambda: _parse(body)) / items


def wide_operations_an_event(name: str) -> float:
    """Operators on ints of more than 64 bits, in one search, for each event that is in the way."""
    wide = WideInts()
    counting = wide.load(*_MASK_MODULES)[-1]
    work = _workload(name)
    question = _question(work)
    counting.find_slots(**question)
    blocking = sum(1 for person in work["people"] for event in person["events"] if workloads.blocks(event))
    return wide.operations / blocking


def calls_an_event(name: str) -> float:
    """Function calls, in Python or C, of one search, for each event of its people, in the way or not."""
    work = _workload(name)
    question = _question(work)
    with counting_calls() as calls:
        slots.find_slots(**question)
    return calls.total / sum(len(person["events"]) for person in work["people"])


def rows_of_a_page() -> float:
    """Slots made for the best fifty of several hundred."""
    question = _question(_workload("W2")) | {"order": "fewest_conflicts", "limit": _PAGE}
    with counting_calls() as calls:
        found = slots.find_slots(**question)
    assert found.offered > 5 * _PAGE
    return calls.of(slots.Slot.__init__)


def explained_without_being_asked() -> float:
    """Candidates explained in a search that did not ask for it."""
    with counting_calls() as calls:
        slots.find_slots(**_question(_workload("W2")))
    return calls.of(slots.Candidate.__init__)


BOUNDS = (
    Bound(
        "calls an item, bytes to schedules",
        calls_an_item,
        0.2,
        "some for each mailbox and each new text of a time; none for an item whose times were seen before",
    ),
    Bound("blocks kept an item", blocks_an_item, 1.25, "the item; its bounds are shared with others at the same times"),
    Bound(
        "wide int operations an event, W2",
        lambda: wide_operations_an_event("W2"),
        0.6,
        "runs that lie near each other are joined as small ints first",
    ),
    Bound(
        "wide int operations an event, W4-100",
        lambda: wide_operations_an_event("W4-100"),
        0.2,
        "the same, and a few for each person's mask and count, whatever the number of slots",
    ),
    Bound(
        "calls an event, W4-100",
        lambda: calls_an_event("W4-100"),
        7,
        "its verdict, and where its run begins and ends",
    ),
    Bound("rows made for a page of 50", rows_of_a_page, _PAGE, "ranking is done on masks"),
    Bound(
        "candidates explained unasked", explained_without_being_asked, 0, "explanations cost nothing unless asked for"
    ),
)


@cache
def _answer() -> tuple[bytes, int]:
    """A getSchedule answer for 20 people, and its number of items."""
    answer = workloads.graph_response(workloads.graph_people(20, _DAYS, _FIRST_DAY), _FIRST_DAY, _DAYS)
    return json.dumps(answer).encode(), sum(len(entry["scheduleItems"]) for entry in answer["value"])


def _parse(body: bytes) -> list[Schedule | Unreadable]:
    first = datetime.fromisoformat(_FIRST_DAY).replace(tzinfo=UTC)
    window = Interval(to_instant(first), to_instant(first + timedelta(days=_DAYS)))
    entries = decode_schedules(body)
    return [parse_schedule([entry], window) for entry in entries if isinstance(entry, ScheduleInformation)]


@cache
def _workload(name: str) -> dict[str, Any]:
    return dict(workloads.make(name))


def _question(work: dict[str, Any]) -> dict[str, Any]:
    """The workload's search as `find_slots` is asked, with calendars that nobody has looked at before."""
    query, search = query_of(work["frame"]), work["searches"][0]
    people = calendars_of(work["people"], query)
    return {
        "query": query,
        "required": [people[number] for number in search["required"]],
        "optional": [people[number] for number in search["optional"]],
        "limit": len(workloads.slot_starts(work["frame"])),
    }


def lines() -> Iterator[Line]:
    for bound in BOUNDS:
        yield bound.line()


def main() -> int:
    given = options(__doc__).parse_args()
    return publish(Report("Counts of work", this_machine(["msgspec"]), list(lines())), given.json)


if __name__ == "__main__":
    sys.exit(main())
