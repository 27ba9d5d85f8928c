"""Libraries of the package index, and datetimes by hand, on the workloads; each in the way its documentation shows."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar, Literal

from benchmarks.calendars import Rows, Search, Work
from tests.freebusy.core import workloads

Scope = Literal["rows", "people", "starts"]
Events = list[tuple[int, int]]


def blocking(owner: dict[str, Any]) -> Events:
    """What is in the way, in epoch minutes: the rules are a gift to the peers."""
    return [(event[0], event[1]) for event in owner["events"] if workloads.blocks(event)]


class Peer(ABC):
    """`objects` are made before the clock starts, `answer` is what is measured: from them to the rows of all searches.

    `scope`: all rows; those of people only; or the starts of the slots, where the peer knows one busy list only.
    """

    name: ClassVar[str]
    scope: ClassVar[Scope] = "rows"

    def __init__(self, work: Work) -> None:
        frame = work["frame"]
        self.duration, self.step = frame["duration"], frame["step"]
        self.starts = workloads.slot_starts(frame)
        self.periods = workloads.periods(frame)
        self.searches: Sequence[Search] = work["searches"]
        self._prepare(frame)
        self.people = [self.objects(blocking(owner)) for owner in work["people"]]
        self.rooms = [self.objects(blocking(owner)) for owner in work["rooms"]]

    def _prepare(self, frame: dict[str, Any]) -> None:  # noqa: B027 - not every peer has something to prepare
        """What is the same for all calendars."""

    def objects(self, events: Events) -> Any:
        return events

    @abstractmethod
    def answer(self) -> list[Rows]: ...


class SlotBySlot(Peer):
    """One that is asked of each calendar whether a slot is in conflict."""

    def calendar(self, objects: Any) -> Any:
        """What one calendar is asked through; its making is measured."""
        return objects

    @abstractmethod
    def conflict(self, calendar: Any, start: int, end: int) -> bool: ...

    def free(self, required: Sequence[Any]) -> list[int]:
        """The starts at which none of them conflicts."""
        return [
            start
            for start in self.starts
            if not any(self.conflict(calendar, start, start + self.duration) for calendar in required)
        ]

    def answer(self) -> list[Rows]:
        people = [self.calendar(objects) for objects in self.people]
        rooms = [self.calendar(objects) for objects in self.rooms]
        return [self._rows(search, people, rooms) for search in self.searches]

    def _rows(self, search: Search, people: Sequence[Any], rooms: Sequence[Any]) -> Rows:
        rows: Rows = []
        for start in self.free([people[number] for number in search["required"]]):
            end = start + self.duration
            open_rooms = [n for n in sorted(search["rooms"] or ()) if not self.conflict(rooms[n], start, end)]
            if search["rooms"] is not None and not open_rooms:
                continue
            busy = [n for n in sorted(search["optional"]) if self.conflict(people[n], start, end)]
            named = busy if search["want"] == "ids" else None
            rows.append([start, len(busy), named, len(open_rooms), open_rooms[0] if open_rooms else -1])
        return rows


class Datetimes(SlotBySlot):
    """What is written by hand; the slots' own datetimes are a gift."""

    name = "datetimes + any()"

    def _prepare(self, frame: dict[str, Any]) -> None:
        self._when = {s: (workloads.from_min(s), workloads.from_min(s + self.duration)) for s in self.starts}

    def objects(self, events: Events) -> Any:
        return [(workloads.from_min(start), workloads.from_min(end)) for start, end in events]

    def conflict(self, calendar: Any, start: int, end: int) -> bool:
        begins, ends = self._when[start]
        return any(one < ends and begins < other for one, other in calendar)


class Portion(SlotBySlot):
    """The free time of the required is one difference of interval sets."""

    name = "portion"

    def _prepare(self, frame: dict[str, Any]) -> None:
        import portion

        self._portion = portion
        self._work = self.calendar(self.objects(self.periods))

    def objects(self, events: Events) -> Any:
        return [self._portion.closedopen(start, end) for start, end in events]

    def calendar(self, objects: Any) -> Any:
        return self._portion.Interval(*objects)

    def free(self, required: Sequence[Any]) -> list[int]:
        left = self._work - self._portion.Interval(*chain.from_iterable(required))
        return self._on_grid([(gap.lower, gap.upper) for gap in left if not gap.empty])

    def conflict(self, calendar: Any, start: int, end: int) -> bool:
        return bool(calendar.overlaps(self._portion.closedopen(start, end)))

    def _on_grid(self, gaps: Events) -> list[int]:
        starts: list[int] = []
        period = 0
        for opens, closes in gaps:
            while self.periods[period][1] <= opens:
                period += 1
            anchor = self.periods[period][0]
            first = anchor + -(-(opens - anchor) // self.step) * self.step
            starts += range(first, closes - self.duration + 1, self.step)
        return starts


class IntervalTree(SlotBySlot):
    """A tree for each calendar."""

    name = "intervaltree"

    def _prepare(self, frame: dict[str, Any]) -> None:
        import intervaltree

        self._tree = intervaltree.IntervalTree

    def calendar(self, objects: Any) -> Any:
        return self._tree.from_tuples(objects)

    def conflict(self, calendar: Any, start: int, end: int) -> bool:
        return bool(calendar.overlaps(start, end))


class Pandas(SlotBySlot):
    """An IntervalIndex for each calendar."""

    name = "pandas IntervalIndex"

    def _prepare(self, frame: dict[str, Any]) -> None:
        import pandas

        self._pandas = pandas
        self._slots = {s: pandas.Interval(s, s + self.duration, closed="left") for s in self.starts}

    def calendar(self, objects: Any) -> Any:
        return self._pandas.IntervalIndex.from_tuples(objects, closed="left", dtype="interval[int64, left]")

    def conflict(self, calendar: Any, start: int, end: int) -> bool:
        return bool(calendar.overlaps(self._slots[start]).any())


class Slotify(Peer):
    """Made for this very question, but for one busy list: no optional people, no rooms."""

    name = "slotify-scheduling"
    scope = "starts"

    def _prepare(self, frame: dict[str, Any]) -> None:
        import slotify

        self._slotify = slotify
        self._slots = slotify.SlotGenerator(
            start=frame["work_start"],
            end=frame["work_end"],
            duration=self.duration,
            interval=self.step,
            timezone=frame["tz"],
            weekdays=frame["weekdays"],
        )
        self._first = dt.date.fromisoformat(frame["first_day"])
        self._last = self._first + dt.timedelta(days=frame["days"] - 1)
        self._now = workloads.from_min(self.starts[0] - 1440)

    def objects(self, events: Events) -> Any:
        return [self._slotify.BusyPeriod(workloads.from_min(s), workloads.from_min(e)) for s, e in events]

    def answer(self) -> list[Rows]:
        return [self._starts(chain.from_iterable(self.people[n] for n in q["required"])) for q in self.searches]

    def _starts(self, busy: Any) -> Rows:
        policy = self._slotify.BookingPolicy(busy_periods=tuple(busy))
        engine = self._slotify.AvailabilityEngine(self._slots, policy=policy)
        found = engine.available_slots(self._first, self._last, now=self._now)
        return [[workloads.to_min(slot.start_utc)] for slot in found]


LIBRARIES: tuple[type[Peer], ...] = (Datetimes, Portion, IntervalTree, Pandas, Slotify)
