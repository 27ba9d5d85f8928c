"""What one process has at hand: bounded by its items, the least asked for going first."""

from __future__ import annotations

from freebusy.cache.memory import Held, Memory
from freebusy.cache.segments import Calendar, Segment
from freebusy.core.intervals import SECOND, Interval
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable


def of(items: int) -> Held:
    busy = tuple(ScheduleItem(number, number + 1, FreeBusyStatus.BUSY) for number in range(items))
    return Held(Calendar((Segment(Interval(0, 1000), 0, Schedule(busy)),)))


def test_a_mailbox_is_found_under_its_owner_only() -> None:
    memory = Memory()
    memory.put_many("one", {"ann": of(1)}, 0)
    assert memory.get_many("one", ["ann", "bob"]).keys() == {"ann"}
    assert memory.get_many("two", ["ann"]) == {}


def test_those_that_nobody_asked_for_the_longest_time_go_first() -> None:
    memory = Memory(most_items=30)
    memory.put_many("one", {"ann": of(9), "bob": of(9), "cy": of(9)}, 0)
    memory.get_many("one", ["ann"])
    memory.put_many("one", {"dora": of(9)}, 0)
    assert memory.get_many("one", ["ann", "bob", "cy", "dora"]).keys() == {"ann", "cy", "dora"}


def test_a_replaced_calendar_counts_once() -> None:
    memory = Memory(most_items=30)
    for _ in range(20):
        memory.put_many("one", {"ann": of(14), "bob": of(14)}, 0)
    assert memory.get_many("one", ["ann", "bob"]).keys() == {"ann", "bob"}


def test_empty_and_unreadable_calendars_count_too() -> None:
    memory = Memory(most_items=10)
    gone = Held(Calendar((Segment(Interval(0, 9), 0, Unreadable("not_found", "", False)),)))
    for number in range(100):
        memory.put_many("one", {str(number): gone}, 0)
    assert len(memory.get_many("one", map(str, range(100)))) == 10


def test_one_calendar_larger_than_all_is_kept_until_the_next() -> None:
    memory = Memory(most_items=10)
    memory.put_many("one", {"ann": of(50)}, 0)
    assert memory.get_many("one", ["ann"])
    memory.put_many("one", {"bob": of(1)}, 0)
    assert memory.get_many("one", ["ann", "bob"]).keys() == {"bob"}


def test_everything_of_one_connection_is_forgotten_whatever_its_generation() -> None:
    memory = Memory()
    for owner in ("c1-old", "c1-new", "c2"):
        memory.put_many(owner, {"ann": of(1)}, 0)
    memory.forget("c1-")
    assert [bool(memory.get_many(owner, ["ann"])) for owner in ("c1-old", "c1-new", "c2")] == [False, False, True]


def test_what_was_read_too_long_ago_goes_although_nobody_asks_for_it() -> None:
    memory = Memory()
    memory.put_many("one", {"ann": of(1)}, 0)
    memory.put_many("one", {"bob": of(1)}, 30 * SECOND)
    assert memory.get_many("one", ["ann"])
    memory.put_many("one", {"cy": of(1)}, 60 * SECOND)
    assert memory.get_many("one", ["ann", "bob", "cy"]).keys() == {"cy"}
