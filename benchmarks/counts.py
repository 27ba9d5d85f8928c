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
from benchmarks.work import WideInts, blocks_kept, counting_calls, counting_made
from freebusy.core import slots
from freebusy.core.intervals import Interval, to_instant
from freebusy.core.ready import Ready
from freebusy.core.schedule import Schedule, Unreadable, parse_schedule
from microsoft.wire import ScheduleInformation, decode_schedules
from tests.freebusy.core import workloads

_FIRST_DAY, _DAYS = "2026-03-02", 30
_PAGE = 50
# Where the operators of masks are written.
_MASK_MODULES = ("freebusy.core.masks", "freebusy.core.ready", "freebusy.core.slots")


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
    wide, work = WideInts(), _workload(name)
    _counting_copy(wide).find_slots(**_question(work))
    blocking = sum(1 for person in work["people"] for event in person["events"] if workloads.blocks(event))
    return wide.operations / blocking


def calls_an_event(name: str) -> float:
    """Function calls, in Python or C, of one search, for each event of its people, in the way or not."""
    work = _workload(name)
    question = _question(work)
    with counting_calls() as calls:
        slots.find_slots(**question, ready=Ready())
    return calls.total / sum(len(person["events"]) for person in work["people"])


def rows_of_a_page() -> float:
    """Slots made for the best fifty of several hundred."""
    searching = _counting_copy(WideInts())
    with counting_made(searching, "Slot") as made:
        found = searching.find_slots(**_question(_workload("W2")), order="fewest_conflicts", limit=_PAGE)
    assert found.offered > 5 * _PAGE
    return len(made)


def explained_without_being_asked() -> float:
    """Candidates explained in a search that did not ask for it."""
    searching = _counting_copy(WideInts())
    with counting_made(searching, "Candidate") as made:
        searching.find_slots(**_question(_workload("W2")))
    return len(made)


def wide_operations_asked_again(name: str) -> float:
    """Operators on wide ints in the second of two equal searches, for each person."""
    wide, work = WideInts(), _workload(name)
    searching, question = _counting_copy(wide), _question(work)
    searching.find_slots(**question)
    wide.reset()
    searching.find_slots(**question, order="fewest_conflicts")
    return wide.operations / len(work["people"])


BOUNDS = (
    Bound(
        "calls an item, bytes to schedules",
        calls_an_item,
        0.1,
        "some for each mailbox; none for an item whose times were seen before",
    ),
    Bound("blocks kept an item", blocks_an_item, 1.25, "the item; its bounds are shared with others at the same times"),
    Bound(
        "wide int operations an event, W2",
        lambda: wide_operations_an_event("W2"),
        1.3,
        "its run is put beside those near it; the mask itself is touched rarely",
    ),
    Bound("wide int operations an event, W4-100", lambda: wide_operations_an_event("W4-100"), 1.3, "the same"),
    Bound(
        "calls an event, W4-100", lambda: calls_an_event("W4-100"), 0.15, "of long ones the rules are asked, no more"
    ),
    Bound(
        "wide int operations a person, asked again, W4-100",
        lambda: wide_operations_asked_again("W4-100"),
        8,
        "the masks are there; a full adder counts three people by five operations, and each is read once",
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


def _counting_copy(wide: WideInts) -> Any:
    """The search that remembers nothing yet, and counts."""
    return wide.load(*_MASK_MODULES)[-1]


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
    }


def lines() -> Iterator[Line]:
    for bound in BOUNDS:
        yield bound.line()


def main() -> int:
    given = options(__doc__).parse_args()
    return publish(Report("Counts of work", this_machine(["msgspec"]), list(lines())), given.json)


if __name__ == "__main__":
    sys.exit(main())
