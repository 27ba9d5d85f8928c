"""Every rule at its boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freebusy.core.intervals import HOUR, MINUTE, SECOND, to_instant
from freebusy.core.rules import (
    CAUTIOUS,
    PRESETS,
    TECHNICAL,
    Code,
    ConflictPolicy,
    Judge,
    blocks,
    classify,
    is_all_day,
)
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NINE = to_instant(datetime(2027, 3, 16, 9, tzinfo=UTC))
ZONES = (NEW_YORK, BERLIN, UTC)


def lasting(length: int, status: str = "busy") -> ScheduleItem:
    return ScheduleItem(NINE, NINE + length, FreeBusyStatus(status))


def between(start: str, end: str, zone: tzinfo, status: str = "busy") -> ScheduleItem:
    first, last = (to_instant(datetime.fromisoformat(text).replace(tzinfo=zone)) for text in (start, end))
    return ScheduleItem(first, last, FreeBusyStatus(status))


LENGTHS = [
    (1, True, Code.OUTLOOK_BUSY, "a microsecond"),
    (HOUR, True, Code.OUTLOOK_BUSY, "an hour"),
    (5 * HOUR + 59 * MINUTE, True, Code.OUTLOOK_BUSY, "5:59"),
    (6 * HOUR - SECOND, True, Code.OUTLOOK_BUSY, "a second less than six hours"),
    (6 * HOUR - 1, True, Code.OUTLOOK_BUSY, "a microsecond less than six hours"),
    (6 * HOUR, False, Code.IGNORED_LONG, "exactly six hours"),
    (6 * HOUR + SECOND, False, Code.IGNORED_LONG, "a second more"),
    (7 * HOUR, False, Code.IGNORED_LONG, "seven hours"),
    (24 * HOUR, False, Code.IGNORED_LONG, "24 hours from nine to nine"),
]


@pytest.mark.parametrize(("length", "conflict", "code", "why"), LENGTHS)
def test_an_item_of_six_hours_or_more_is_ignored(length: int, conflict: bool, code: Code, why: str) -> None:
    verdict = classify(lasting(length), TECHNICAL, ZONES)
    assert (verdict.conflict, verdict.code) == (conflict, code), why


@pytest.mark.parametrize("length", [length for length, *_ in LENGTHS])
def test_in_a_room_length_does_not_matter(length: int) -> None:
    assert classify(lasting(length), TECHNICAL.room, ZONES).code == Code.OUTLOOK_BUSY


STATUSES = [
    ("free", "IGNORED_FREE", "IGNORED_FREE"),
    ("tentative", "IGNORED_TENTATIVE", "OUTLOOK_TENTATIVE"),
    ("busy", "OUTLOOK_BUSY", "OUTLOOK_BUSY"),
    ("oof", "OUTLOOK_OOF", "OUTLOOK_OOF"),
    ("workingElsewhere", "IGNORED_ELSEWHERE", "OUTLOOK_ELSEWHERE"),
    ("unknown", "OUTLOOK_UNKNOWN", "OUTLOOK_UNKNOWN"),
]


@pytest.mark.parametrize(("status", "technical", "cautious"), STATUSES)
def test_each_status_under_each_preset_and_its_room_variant(status: str, technical: str, cautious: str) -> None:
    for policy, code in ((TECHNICAL, technical), (CAUTIOUS, cautious)):
        for variant in (policy, policy.room):
            verdict = classify(lasting(HOUR, status), variant, ZONES)
            assert (verdict.code, verdict.conflict) == (code, code.startswith("OUTLOOK_"))


@pytest.mark.parametrize(("status", "technical", "cautious"), STATUSES)
def test_the_status_decides_before_all_day_and_length(status: str, technical: str, cautious: str) -> None:
    whole_day = between("2027-03-16T00:00", "2027-03-17T00:00", UTC, status)
    for policy, code in ((TECHNICAL, technical), (CAUTIOUS, cautious)):
        counts = code.startswith("OUTLOOK_")
        assert classify(whole_day, policy, ZONES).code == ("IGNORED_ALL_DAY" if counts else code)
        assert classify(lasting(7 * HOUR, status), policy, ZONES).code == ("IGNORED_LONG" if counts else code)
        assert classify(whole_day, policy.room, ZONES).code == code
        assert classify(lasting(7 * HOUR, status), policy.room, ZONES).code == code


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected", "why"),
    [
        ("2027-03-16T00:00", "2027-03-17T00:00", "Europe/Berlin", True, "24 hours"),
        ("2027-03-28T00:00", "2027-03-29T00:00", "Europe/Berlin", True, "23 hours, spring in the north"),
        ("2027-10-31T00:00", "2027-11-01T00:00", "Europe/Berlin", True, "25 hours, autumn in the north"),
        ("2027-10-03T00:00", "2027-10-04T00:00", "Australia/Sydney", True, "23 hours, spring in the south"),
        ("2027-04-04T00:00", "2027-04-05T00:00", "Australia/Sydney", True, "25 hours, autumn in the south"),
        ("2027-10-03T00:00", "2027-10-04T00:00", "Australia/Lord_Howe", True, "23.5 hours"),
        ("2027-04-04T00:00", "2027-04-05T00:00", "Australia/Lord_Howe", True, "24.5 hours"),
        ("2027-03-14T00:00", "2027-03-15T00:00", "America/Havana", True, "23 hours, the day begins at 01:00"),
        ("2027-11-07T00:00", "2027-11-08T00:00", "America/Havana", True, "25 hours, midnight comes twice"),
        ("2027-03-16T00:00", "2027-03-17T00:00", "Asia/Kolkata", True, "half-hour zone"),
        ("2027-03-16T00:00", "2027-03-17T00:00", "Asia/Kathmandu", True, "45-minute zone"),
        ("2027-03-16T00:00", "2027-03-17T00:00", "Pacific/Chatham", True, "45-minute zone with summer time"),
        ("2027-03-15T00:00", "2027-04-02T00:00", "Europe/Berlin", True, "18 days over a clock change"),
        ("2027-03-16T00:00", "2027-03-16T23:59", "Europe/Berlin", False, "a minute short"),
        ("2027-03-16T00:00", "2027-03-17T00:01", "Europe/Berlin", False, "a minute long"),
        ("2027-03-16T00:01", "2027-03-17T00:00", "Europe/Berlin", False, "begins after midnight"),
        ("2027-03-16T00:00", "2027-03-17T00:00:01", "Europe/Berlin", False, "a second long"),
        ("2027-03-16T09:00", "2027-03-17T09:00", "Europe/Berlin", False, "24 hours, but not from midnight"),
        ("2027-03-16T00:00", "2027-03-16T12:00", "Europe/Berlin", False, "half a day"),
    ],
)
def test_all_day_is_from_midnight_to_midnight(start: str, end: str, zone: str, expected: bool, why: str) -> None:
    place = ZoneInfo(zone)
    found = between(start, end, place)
    assert is_all_day(found, [place]) is expected, why
    code = Code.IGNORED_ALL_DAY if expected else Code.IGNORED_LONG
    assert classify(found, TECHNICAL, [place]).code == code, why


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("America/New_York", True), ("Europe/Berlin", True), ("UTC", True), ("Asia/Kolkata", False)],
)
def test_all_day_may_be_so_in_the_mailboxes_the_accounts_or_the_utc_zone(zone: str, expected: bool) -> None:
    found = between("2027-03-16T00:00", "2027-03-17T00:00", ZoneInfo(zone))
    [block] = blocks(Schedule(items=(found,), zone=NEW_YORK), TECHNICAL, BERLIN)
    assert (block.code == Code.IGNORED_ALL_DAY, block.conflict) == (expected, False)


def test_both_ends_are_judged_in_the_same_zone() -> None:
    start = between("2027-03-16T00:00", "2027-03-17T00:00", NEW_YORK).start
    end = between("2027-03-16T00:00", "2027-03-17T00:00", BERLIN).end
    assert not is_all_day(ScheduleItem(start, end + 24 * HOUR, FreeBusyStatus.BUSY), ZONES)


def test_a_mailbox_without_a_zone_is_judged_in_the_accounts_and_in_utc() -> None:
    found = between("2027-03-16T00:00", "2027-03-17T00:00", BERLIN)
    assert [b.code for b in blocks(Schedule(items=(found,)), TECHNICAL, BERLIN)] == [Code.IGNORED_ALL_DAY]
    assert [b.code for b in blocks(Schedule(items=(found,)), TECHNICAL, NEW_YORK)] == [Code.IGNORED_LONG]


def test_items_are_judged_one_by_one_and_not_merged_first() -> None:
    for hours in (3.5, 4):
        length = int(hours * HOUR)
        items = tuple(ScheduleItem(NINE + k * length, NINE + (k + 1) * length, FreeBusyStatus.BUSY) for k in range(2))
        found = blocks(Schedule(items=items), TECHNICAL, BERLIN)
        assert [(b.conflict, b.start, b.end) for b in found] == [(True, i.start, i.end) for i in items]


def test_length_is_elapsed_time_not_the_clocks() -> None:
    spring = between("2027-03-28T00:00", "2027-03-28T06:00", BERLIN)  # five hours pass
    autumn = between("2027-10-31T00:00", "2027-10-31T05:00", BERLIN)  # six hours pass
    assert [classify(i, TECHNICAL, ZONES).code for i in (spring, autumn)] == ["OUTLOOK_BUSY", "IGNORED_LONG"]


def test_blocks_keep_every_item_with_its_own_bounds_in_order() -> None:
    items = tuple(sorted(lasting(hours * HOUR, status) for hours in (1, 7) for status, *_ in STATUSES))
    found = blocks(Schedule(items=items), TECHNICAL, BERLIN)
    assert [(b.start, b.end, b.status) for b in found] == [(i.start, i.end, i.status) for i in items]


def test_the_policy_shows_its_rules_and_those_for_rooms() -> None:
    statuses = {
        "free": False,
        "tentative": False,
        "busy": True,
        "oof": True,
        "workingElsewhere": False,
        "unknown": True,
    }
    people = {"statuses": statuses, "all_day_conflicts": False, "long_conflicts": False, "long_minutes": 360}
    room = {**people, "all_day_conflicts": True, "long_conflicts": True}
    assert TECHNICAL.as_json() == {**people, "room": room}
    shown = CAUTIOUS.as_json()["statuses"]
    assert shown == {**statuses, "tentative": True, "workingElsewhere": True}


def test_presets_are_found_by_their_names() -> None:
    assert {name: (p.name, p.version) for name, p in PRESETS.items()} == {
        "technical": ("technical", 1),
        "cautious": ("cautious", 1),
    }


policies = st.builds(
    ConflictPolicy,
    name=st.just("any"),
    version=st.just(1),
    tentative_conflicts=st.booleans(),
    elsewhere_conflicts=st.booleans(),
    all_day_conflicts=st.booleans(),
    long_conflicts=st.booleans(),
    long_minutes=st.integers(1, 3000),
)
starts = st.integers(0, 200).map(lambda quarter: NINE + quarter * 15 * MINUTE)
items = st.builds(
    lambda start, length, status: ScheduleItem(start, start + length * 15 * MINUTE, status),
    starts,
    st.integers(1, 300),
    st.sampled_from(FreeBusyStatus),
)


@given(items, policies)
def test_a_conflict_is_what_has_a_conflict_code(found: ScheduleItem, policy: ConflictPolicy) -> None:
    verdict = classify(found, policy, ZONES)
    assert verdict.conflict == verdict.code.startswith("OUTLOOK_")
    assert not (verdict.conflict and found.status is FreeBusyStatus.FREE)


@given(items, policies)
def test_whatever_conflicts_for_people_conflicts_in_a_room(found: ScheduleItem, policy: ConflictPolicy) -> None:
    for_people, in_room = classify(found, policy, ZONES), classify(found, policy.room, ZONES)
    assert in_room.conflict == policy.statuses[found.status]
    assert not for_people.conflict or in_room == for_people


# Whole days of zones around their clock changes, and what is a little off them.
PLACES = [BERLIN, NEW_YORK, UTC, ZoneInfo("America/Havana"), ZoneInfo("Australia/Lord_Howe")]
DATES = [date(2027, month, day) for month, day in ((3, 13), (3, 14), (3, 28), (4, 4), (10, 31), (11, 7))]


@st.composite
def days(draw: st.DrawFn) -> ScheduleItem:
    zone, first = draw(st.sampled_from(PLACES)), draw(st.sampled_from(DATES))
    last = first + timedelta(days=draw(st.integers(1, 3)))
    start, end = (to_instant(datetime.combine(day, time(0), tzinfo=zone)) for day in (first, last))
    return ScheduleItem(start, end + draw(st.sampled_from([0, 0, -SECOND, 1])), draw(st.sampled_from(FreeBusyStatus)))


limits = st.one_of(st.integers(1, 3000), st.sampled_from([359, 360, 361, 1319, 1320, 1380, 1440, 1500, 1501]))


@given(st.one_of(items, days()), policies, limits, st.sampled_from([(BERLIN, UTC), (NEW_YORK, BERLIN, UTC), (UTC,)]))
@settings(max_examples=600)
def test_the_searchs_judge_says_what_the_rule_says(
    found: ScheduleItem, policy: ConflictPolicy, limit: int, zones: tuple[tzinfo, ...]
) -> None:
    policy = replace(policy, long_minutes=limit)
    for variant in (policy, policy.room):
        judge = Judge(variant)
        conflict = found.status in judge.counting and judge.conflicts(found, zones)
        assert conflict == classify(found, variant, zones).conflict
