"""The search, line by line of what the API promises."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from freebusy.core.grid import SlotQuery
from freebusy.core.intervals import MINUTE, Interval, from_instant, to_instant
from freebusy.core.rules import CAUTIOUS, TECHNICAL, Code, ConflictPolicy
from freebusy.core.schedule import External, FreeBusyStatus, Schedule, ScheduleItem, Unreadable
from freebusy.core.slots import Calendar, SlotResult, find_slots

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = to_instant(datetime(2027, 3, 16, tzinfo=UTC))
UNREADABLE = Unreadable("too_many_entries", "Too many entries.", False, "5006")


def minute(text: str) -> int:
    hour, minutes = text.split(":")
    return MIDNIGHT + (int(hour) * 60 + int(minutes)) * MINUTE


def looking(start: str = "09:00", end: str = "12:00", *, duration: int = 60, step: int = 60) -> SlotQuery:
    return SlotQuery(
        window=Interval(minute(start), minute(end)),
        duration_minutes=duration,
        step_minutes=step,
        zone=ZoneInfo("UTC"),
    )


def calendar(address: str, *items: str, policy: ConflictPolicy = TECHNICAL) -> Calendar:
    """Items as "09:00-10:00 busy"."""
    found = []
    for text in items:
        times, status = text.split()
        start, end = times.split("-")
        found.append(ScheduleItem(minute(start), minute(end), FreeBusyStatus(status)))
    return Calendar(address, Schedule(items=tuple(sorted(found))), policy, BERLIN)


def room(address: str, *items: str) -> Calendar:
    return calendar(address, *items, policy=TECHNICAL.room)


def unreadable(address: str) -> Calendar:
    return Calendar(address, UNREADABLE, TECHNICAL, BERLIN)


def external(address: str) -> Calendar:
    return Calendar(address, External(), TECHNICAL, BERLIN)


def times(result: SlotResult) -> list[str]:
    return [from_instant(slot.start, UTC).strftime("%H:%M") for slot in result.slots]


@pytest.mark.parametrize(
    ("item", "expected", "why"),
    [
        ("09:00-10:00 busy", ["10:00", "11:00"], "back to back is fine"),
        ("10:00-11:00 busy", ["09:00", "11:00"], "on both sides"),
        ("09:59-10:00 busy", ["10:00", "11:00"], "the last minute counts"),
        ("10:00-10:01 oof", ["09:00", "11:00"], "the first minute counts"),
        ("09:30-11:30 busy", [], "touches all three"),
        ("10:00-11:00 tentative", ["09:00", "10:00", "11:00"], "tentative is ignored"),
        ("10:00-11:00 unknown", ["09:00", "11:00"], "an unknown status conflicts"),
        ("06:00-12:00 busy", ["09:00", "10:00", "11:00"], "exactly six hours is ignored"),
        ("06:01-12:00 busy", [], "5:59 conflicts"),
        ("03:00-09:30 busy", ["09:00", "10:00", "11:00"], "6:30 is ignored although only half an hour is inside"),
        ("05:00-09:30 busy", ["10:00", "11:00"], "4:30 that straddles the window conflicts"),
        ("11:30-16:00 busy", ["09:00", "10:00"], "and so at the window's end"),
    ],
)
def test_what_one_item_leaves(item: str, expected: list[str], why: str) -> None:
    assert times(find_slots(looking(), required=[calendar("ann", item)])) == expected, why


def test_two_touching_meetings_of_four_hours_block_all_eight() -> None:
    ann = calendar("ann", "08:00-12:00 busy", "12:00-16:00 busy")
    assert times(find_slots(looking("07:00", "18:00"), required=[ann])) == ["07:00", "16:00", "17:00"]


def test_a_slot_may_not_begin_one_microsecond_before_a_meeting_ends() -> None:
    late = ScheduleItem(minute("09:00"), minute("10:00") + 1, FreeBusyStatus.BUSY)
    ann = Calendar("ann", Schedule(items=(late,)), TECHNICAL, BERLIN)
    assert times(find_slots(looking(), required=[ann])) == ["11:00"]


def test_each_calendar_is_judged_by_its_own_policy() -> None:
    result = find_slots(
        looking(),
        required=[calendar("ann", "09:00-10:00 tentative"), calendar("bob", "11:00-12:00 tentative", policy=CAUTIOUS)],
        explain=True,
    )
    assert times(result) == ["09:00", "10:00"]
    assert result.by_code == {Code.OUTLOOK_TENTATIVE: 1}


def test_optional_conflicts_are_named_in_the_order_given_and_withhold_nothing() -> None:
    optional = [calendar("zoe", "09:00-10:00 busy"), calendar("bob", "09:30-10:30 oof"), calendar("cat")]
    result = find_slots(looking(), required=[calendar("ann")], optional=optional)
    assert [slot.optional_conflicts for slot in result.slots] == [("zoe", "bob"), ("bob",), ()]
    assert (result.offered, result.by_code) == (3, {})


def test_nobody_required_leaves_every_candidate() -> None:
    assert times(find_slots(looking(), required=[])) == ["09:00", "10:00", "11:00"]


def test_no_candidates_give_an_empty_answer() -> None:
    result = find_slots(
        looking("09:00", "09:30"),
        required=[unreadable("gil")],
        rooms=[room("r1")],
        order="fewest_conflicts",
        explain=True,
    )
    assert (result.slots, result.candidates, result.offered, result.by_code) == ((), 0, 0, {})
    assert (result.explanation, result.unknown) == ((), (("gil", "too_many_entries"),))


@pytest.mark.parametrize("rooms", [None, []])
def test_without_rooms_no_room_is_needed(rooms: list[Calendar] | None) -> None:
    result = find_slots(looking(), required=[calendar("ann")], rooms=rooms, explain=True)
    assert [slot.rooms for slot in result.slots] == [(), (), ()]
    assert result.by_code == {}


def test_one_free_room_is_enough_and_the_free_ones_come_in_the_order_given() -> None:
    rooms = [room("r2", "10:00-11:00 busy"), room("r1", "09:00-11:00 busy"), room("r3", "10:00-11:00 busy")]
    result = find_slots(looking(), required=[calendar("ann")], rooms=rooms, explain=True)
    assert [(time, slot.rooms) for time, slot in zip(times(result), result.slots, strict=True)] == [
        ("09:00", ("r2", "r3")),
        ("11:00", ("r2", "r1", "r3")),
    ]
    assert result.by_code == {Code.ROOM: 1}
    assert result.explanation is not None
    assert [c.blocked_by for c in result.explanation] == [(), ((Code.ROOM, ("r2", "r1", "r3")),), ()]


@pytest.mark.parametrize("item", ["06:00-13:00 busy", "00:00-24:00 busy"])
def test_long_and_all_day_bookings_take_a_room(item: str) -> None:
    assert times(find_slots(looking(), required=[calendar("ann", item)], rooms=[room("r1", item)])) == []


def test_a_tentative_booking_leaves_a_room_free() -> None:
    assert times(find_slots(looking(), required=[], rooms=[room("r1", "09:00-12:00 tentative")])) != []


@pytest.mark.parametrize("include_unverified", [False, True])
@pytest.mark.parametrize("other", [unreadable, external])
def test_a_room_that_was_not_read_is_never_offered(other: type, include_unverified: bool) -> None:
    both = find_slots(
        looking(),
        required=[],
        rooms=[other("r1"), room("r2", "09:00-10:00 busy")],
        include_unverified=include_unverified,
        explain=True,
    )
    assert [(slot.rooms, slot.verified, slot.unverified) for slot in both.slots] == [(("r2",), True, ())] * 2
    assert both.explanation is not None
    assert both.explanation[0].blocked_by == ((Code.ROOM, ("r1", "r2")),)
    alone = find_slots(looking(), required=[], rooms=[other("r1")], include_unverified=include_unverified)
    assert (alone.slots, alone.by_code) == ((), {Code.ROOM: 3})
    assert alone.unknown == ((("r1", "too_many_entries"),) if other is unreadable else ())


def test_a_required_unreadable_mailbox_withholds_every_slot() -> None:
    result = find_slots(
        looking(),
        required=[calendar("ann", "09:00-10:00 busy"), unreadable("gil"), unreadable("hal")],
        rooms=[room("r1", "09:00-11:00 busy")],
        explain=True,
    )
    assert (result.slots, result.offered, result.truncated) == ((), 0, False)
    assert result.by_code == {Code.UNKNOWN_REQUIRED: 3}
    assert result.unknown == (("gil", "too_many_entries"), ("hal", "too_many_entries"))
    nobody_knows = (Code.UNKNOWN_REQUIRED, ("gil", "hal"))
    assert result.explanation is not None
    assert [candidate.blocked_by for candidate in result.explanation] == [
        (nobody_knows, (Code.OUTLOOK_BUSY, ("ann",)), (Code.ROOM, ("r1",))),
        (nobody_knows, (Code.ROOM, ("r1",))),
        (nobody_knows,),
    ]


def test_unverified_slots_pass_every_other_rule_and_name_who_was_not_read() -> None:
    result = find_slots(
        looking(),
        required=[unreadable("gil"), calendar("ann", "09:00-10:00 busy")],
        optional=[unreadable("opt"), calendar("bob", "10:00-10:30 busy")],
        rooms=[room("r1", "11:00-12:00 busy")],
        include_unverified=True,
        explain=True,
    )
    assert times(result) == ["10:00"]
    [slot] = result.slots
    assert (slot.verified, slot.unverified, slot.optional_conflicts) == (False, ("gil", "opt"), ("bob",))
    assert result.by_code == {Code.OUTLOOK_BUSY: 1, Code.ROOM: 1}
    assert result.explanation is not None
    assert [candidate.blocked_by for candidate in result.explanation] == [
        ((Code.OUTLOOK_BUSY, ("ann",)),),
        (),
        ((Code.ROOM, ("r1",)),),
    ]


@pytest.mark.parametrize("include_unverified", [False, True])
def test_an_optional_unreadable_mailbox_is_named_and_leaves_slots_verified(include_unverified: bool) -> None:
    result = find_slots(
        looking(),
        required=[calendar("ann")],
        optional=[unreadable("opt")],
        rooms=[unreadable("r1"), room("r2")],
        include_unverified=include_unverified,
    )
    assert [(slot.verified, slot.unverified, slot.optional_conflicts) for slot in result.slots] == [
        (True, ("opt",), ())
    ] * 3
    assert result.unknown == (("opt", "too_many_entries"), ("r1", "too_many_entries"))


def test_external_attendees_change_nothing() -> None:
    with_them = find_slots(looking(), required=[calendar("ann"), external("x")], optional=[external("y")])
    assert with_them == find_slots(looking(), required=[calendar("ann")])


BUSY_MORNING = [
    calendar("a", "09:00-10:00 busy", "10:00-11:00 busy", "13:00-14:00 busy"),
    calendar("b", "09:00-10:00 busy", "10:00-11:00 busy"),
    calendar("c", "09:00-10:00 busy", "11:00-12:00 busy"),
]


@pytest.mark.parametrize(
    ("order", "limit", "expected", "truncated"),
    [
        ("time", 500, ["09:00", "10:00", "11:00", "12:00", "13:00"], False),
        ("time", 5, ["09:00", "10:00", "11:00", "12:00", "13:00"], False),
        ("time", 2, ["09:00", "10:00"], True),
        ("fewest_conflicts", 500, ["12:00", "11:00", "13:00", "10:00", "09:00"], False),
        ("fewest_conflicts", 4, ["12:00", "11:00", "13:00", "10:00"], True),
        ("fewest_conflicts", 2, ["12:00", "11:00"], True),
        ("fewest_conflicts", 1, ["12:00"], True),
    ],
)
def test_order_and_limit(order: str, limit: int, expected: list[str], truncated: bool) -> None:
    asked = looking("09:00", "14:00")
    result = find_slots(asked, required=[], optional=BUSY_MORNING, order=order, limit=limit)  # type: ignore[arg-type]
    assert (times(result), result.truncated, result.offered) == (expected, truncated, 5)


def test_each_candidate_is_counted_once_under_its_first_code() -> None:
    ann = calendar("ann", "10:00-11:00 oof", "10:00-10:30 busy", "11:00-12:00 tentative", policy=CAUTIOUS)
    bob = calendar("bob", "11:30-12:00 unknown", "12:00-13:00 workingElsewhere", policy=CAUTIOUS)
    taken = room("r1", "12:00-14:00 busy")
    result = find_slots(looking("09:00", "14:00"), required=[ann, bob], rooms=[taken], explain=True)
    assert list(result.by_code.items()) == [
        (Code.OUTLOOK_BUSY, 1),
        (Code.OUTLOOK_UNKNOWN, 1),
        (Code.OUTLOOK_ELSEWHERE, 1),
        (Code.ROOM, 1),
    ]
    assert result.explanation is not None
    assert [[(code.value, *names) for code, names in c.blocked_by] for c in result.explanation] == [
        [],
        [("OUTLOOK_BUSY", "ann"), ("OUTLOOK_OOF", "ann")],
        [("OUTLOOK_UNKNOWN", "bob"), ("OUTLOOK_TENTATIVE", "ann")],
        [("OUTLOOK_ELSEWHERE", "bob"), ("ROOM", "r1")],
        [("ROOM", "r1")],
    ]


def test_without_explain_there_is_no_explanation() -> None:
    assert find_slots(looking(), required=[calendar("ann")]).explanation is None
