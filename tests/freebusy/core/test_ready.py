"""What a search made is there for the next, is bounded, and is never taken for something else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from freebusy.core.grid import SlotQuery
from freebusy.core.intervals import HOUR, MINUTE, Interval, to_instant
from freebusy.core.masks import Who, names_at
from freebusy.core.ready import MOST_BYTES, Ready
from freebusy.core.rules import CAUTIOUS, TECHNICAL
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem
from freebusy.core.slots import Calendar, SlotResult, find_slots

NINE = to_instant(datetime(2027, 3, 16, 9, tzinfo=UTC))
QUERY = SlotQuery(window=Interval(NINE, NINE + 8 * HOUR), duration_minutes=60, step_minutes=60, zone=ZoneInfo("UTC"))


class Counted(tuple[ScheduleItem, ...]):
    """Items that count how often somebody looks through them."""

    looks = 0

    def __iter__(self) -> Iterator[ScheduleItem]:
        Counted.looks += 1
        return super().__iter__()


@pytest.fixture(autouse=True)
def _from_nought() -> None:
    Counted.looks = 0


def schedule(*hours: int, status: str = "busy") -> Schedule:
    return Schedule(
        items=Counted(ScheduleItem(NINE + h * HOUR, NINE + (h + 1) * HOUR, FreeBusyStatus(status)) for h in hours)
    )


def calendar(address: str, found: Schedule) -> Calendar:
    return Calendar(address, found, TECHNICAL, UTC)


def hours(result: SlotResult) -> list[int]:
    return [(slot.start - NINE) // HOUR for slot in result.slots]


def test_the_same_question_on_the_same_schedules_looks_at_no_item_again() -> None:
    ready, ann, bob, room = Ready(), schedule(0, 1), schedule(2), schedule(3)

    def search() -> SlotResult:
        return find_slots(
            replace(QUERY),
            required=[calendar("ann", ann)],
            optional=[calendar("bob", bob)],
            rooms=[Calendar("room", room, TECHNICAL.room, UTC)],
            ready=ready,
        )

    first, looked = search(), Counted.looks
    assert looked > 0
    assert (search(), Counted.looks) == (first, looked)


@pytest.mark.parametrize(
    "other",
    [
        replace(QUERY, duration_minutes=30),
        replace(QUERY, step_minutes=30),
        replace(QUERY, window=Interval(NINE, NINE + 7 * HOUR)),
    ],
)
def test_another_grid_is_another_question(other: SlotQuery) -> None:
    ready, ann = Ready(), calendar("ann", schedule(0, 3))
    find_slots(QUERY, required=[ann], ready=ready)
    assert find_slots(other, required=[ann], ready=ready) == find_slots(other, required=[ann], ready=Ready())


def test_another_policy_another_zone_and_another_role_are_judged_anew() -> None:
    whole_day = ScheduleItem(NINE - 9 * HOUR, NINE + 15 * HOUR, FreeBusyStatus.BUSY)
    found = Schedule(items=(whole_day, ScheduleItem(NINE, NINE + HOUR, FreeBusyStatus.TENTATIVE)))
    ready = Ready()
    strict = replace(TECHNICAL, long_conflicts=True)  # long entries count, all-day ones do not
    for policy, zone, expected in (
        (TECHNICAL, UTC, list(range(8))),
        (CAUTIOUS, UTC, list(range(1, 8))),
        (TECHNICAL.room, UTC, []),
        (strict, UTC, list(range(8))),
    ):
        asked = Calendar("ann", found, policy, zone)
        assert hours(find_slots(QUERY, required=[asked], ready=ready)) == expected
        as_guest = find_slots(QUERY, required=[], optional=[asked], ready=ready)
        assert [(s.start - NINE) // HOUR for s in as_guest.slots if not s.optional_conflicts] == expected
    # All day in Berlin only: the account's zone decides.
    berlin = Schedule(items=(ScheduleItem(NINE - 10 * HOUR, NINE + 14 * HOUR, FreeBusyStatus.BUSY),))
    answers = [
        hours(find_slots(QUERY, required=[Calendar("ann", berlin, strict, zone)], ready=ready))
        for zone in (UTC, ZoneInfo("Europe/Berlin"))
    ]
    assert answers == [[], list(range(8))]


def test_a_schedule_that_says_the_same_but_was_read_anew_is_looked_at_anew() -> None:
    ready = Ready()
    find_slots(QUERY, required=[calendar("ann", schedule(0))], ready=ready)
    looked = Counted.looks
    find_slots(QUERY, required=[calendar("ann", schedule(0))], ready=ready)
    assert Counted.looks == 2 * looked


def test_schedules_that_come_and_go_never_meet_anothers_mask() -> None:
    ready = Ready(most_bytes=500_000)
    for k in range(2_000):
        assert hours(find_slots(QUERY, required=[calendar("ann", schedule(k % 8))], ready=ready)) == [
            h for h in range(8) if h != k % 8
        ]


def test_what_is_kept_stays_under_its_bound_whatever_is_asked() -> None:
    ready = Ready(most_bytes=1_000_000)
    for k in range(3_000):
        asked = replace(QUERY, duration_minutes=10 + k % 40)
        find_slots(asked, required=[calendar("ann", schedule(0))], optional=[calendar("b", schedule(1))], ready=ready)
        assert ready.bytes <= 1_000_000
    assert ready.bytes > 500_000
    assert Ready()._most == MOST_BYTES


def test_what_alone_is_more_than_the_bound_is_answered_and_not_kept() -> None:
    ready = Ready(most_bytes=10)
    assert hours(find_slots(QUERY, required=[calendar("ann", schedule(0))], ready=ready)) == list(range(1, 8))
    assert ready.bytes == 0


def test_a_page_pays_for_its_own_slots_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted at the only place where anything is made for each slot."""
    made: list[int] = []

    def counting(at: list[int], *given: Any, **more: Any) -> list[Who]:
        made.append(len(at))
        return names_at(at, *given, **more)

    monkeypatch.setattr("freebusy.core.slots.names_at", counting)
    asked = replace(QUERY, duration_minutes=1, step_minutes=1)
    people = [calendar(f"p{k}", schedule(k % 8)) for k in range(20)]
    result = find_slots(asked, required=[], optional=people, order="fewest_conflicts", limit=50, ready=Ready())
    assert (result.offered, len(result.slots), made) == (480, 50, [50])


def test_questions_without_a_candidate_are_bounded_too() -> None:
    ready = Ready(most_bytes=100_000)
    for k in range(1_000):
        nothing = replace(QUERY, window=Interval(NINE + k, NINE + k + HOUR - 1))
        assert find_slots(nothing, required=[calendar("ann", schedule(0))], ready=ready).candidates == 0
    assert 0 < len(ready) < 100


def test_the_start_of_a_slot_is_found_to_the_microsecond_also_from_what_is_ready() -> None:
    late = Schedule(items=(ScheduleItem(NINE, NINE + HOUR + 1, FreeBusyStatus.BUSY),))
    early = Schedule(items=(ScheduleItem(NINE + HOUR - 1, NINE + HOUR, FreeBusyStatus.BUSY),))
    ready = Ready()
    for _ in range(2):
        assert hours(find_slots(QUERY, required=[calendar("a", late)], ready=ready)) == list(range(2, 8))
        assert hours(find_slots(QUERY, required=[calendar("b", early)], ready=ready)) == list(range(1, 8))
    assert QUERY.step_minutes * MINUTE == HOUR
