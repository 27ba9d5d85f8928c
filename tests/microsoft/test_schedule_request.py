"""Questions stay within Microsoft's limits, whatever is asked."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microsoft.schedule_request import (
    MAX_MAILBOXES,
    Part,
    ScheduleCall,
    interval_minutes,
    plan_calls,
    request_body,
    window_parts,
)

START = datetime(2027, 3, 16, tzinfo=UTC)
LIMIT = timedelta(days=62)


@pytest.mark.parametrize(
    ("window", "parts"),
    [
        (timedelta(hours=1), 1),
        (timedelta(days=61), 1),
        (timedelta(days=61, seconds=1), 2),
        (timedelta(days=62), 2),
        (timedelta(days=122), 2),
        (timedelta(days=123), 3),
        (timedelta(days=366), 6),
    ],
)
def test_a_window_is_asked_in_as_few_parts_as_the_limit_allows(window, parts):
    found = window_parts(START, START + window)
    assert len(found) == parts
    assert all(part.end - part.start < LIMIT for part in found)


@given(seconds=st.integers(300, 366 * 86400), micros=st.integers(0, 999_999))
def test_parts_cover_the_window_without_gap_or_overlap(seconds, micros):
    end = START + timedelta(seconds=seconds, microseconds=micros)
    parts = window_parts(START, end)
    assert (parts[0].start, parts[-1].end) == (START, end)
    assert all(left.end == right.start for left, right in itertools.pairwise(parts))
    assert all(timedelta() < part.end - part.start < LIMIT for part in parts)


@given(seconds=st.integers(1, 366 * 86400))
def test_the_interval_is_one_that_graph_takes_and_never_exceeds_the_window(seconds):
    for part in window_parts(START, START + timedelta(seconds=seconds)):
        minutes = interval_minutes(part)
        assert 5 <= minutes <= 1440
        assert timedelta(minutes=minutes) <= part.end - part.start


@pytest.mark.parametrize(
    ("window", "minutes"),
    [
        (timedelta(minutes=5), 5),
        (timedelta(minutes=12, seconds=30), 12),
        (timedelta(minutes=29), 29),
        (timedelta(days=1), 1440),
        (timedelta(days=3), 1440),
    ],
)
def test_the_interval_is_the_longest_allowed(window, minutes):
    assert interval_minutes(Part(START, START + window)) == minutes


def test_a_short_window_is_widened_to_five_minutes():
    (part,) = window_parts(START, START + timedelta(minutes=1))
    assert part == Part(START, START + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START),
        (START, START - timedelta(hours=1)),
        (START.replace(tzinfo=None), START),
        (START, (START + timedelta(days=1)).replace(tzinfo=None)),
    ],
)
def test_naive_or_disordered_bounds_are_refused(start, end):
    with pytest.raises(ValueError, match=r"time zone|before it begins"):
        window_parts(start, end)


def test_bounds_in_other_zones_are_the_same_moments_in_utc():
    start = datetime(2027, 3, 16, tzinfo=ZoneInfo("America/New_York"))
    (part,) = window_parts(start, start + timedelta(hours=1))
    assert part.start == datetime(2027, 3, 16, 4, tzinfo=UTC)
    assert part.start.tzinfo is UTC


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (20, 1), (21, 2), (400, 20), (500, 25)])
def test_mailboxes_are_asked_twenty_at_a_time(count, calls):
    mailboxes = [f"person{number}@contoso.example" for number in range(count)]
    planned = plan_calls(mailboxes, window_parts(START, START + timedelta(days=1)))
    assert len(planned) == calls
    assert all(len(call.mailboxes) <= MAX_MAILBOXES for call in planned)
    assert [name for call in planned for name in call.mailboxes] == mailboxes


def test_every_group_is_asked_for_every_part():
    planned = plan_calls([f"p{number}@x" for number in range(21)], window_parts(START, START + timedelta(days=366)))
    assert len(planned) == 2 * 6
    assert {call.part for call in planned} == set(range(6))


def test_an_address_given_twice_is_asked_once():
    (call,) = plan_calls(["Ann@x", "ann@X", "bob@x"], window_parts(START, START + timedelta(days=1)))
    assert [name.casefold() for name in call.mailboxes] == ["ann@x", "bob@x"]


def test_a_call_can_be_asked_in_halves():
    left, right = ScheduleCall(3, ("a", "b", "c")).halves()
    assert (left, right) == (ScheduleCall(3, ("a",)), ScheduleCall(3, ("b", "c")))


def test_the_request_speaks_utc_and_leaves_no_member_out():
    body = json.loads(request_body(["ann@x"], Part(START, START + timedelta(hours=8))))
    assert body == {
        "schedules": ["ann@x"],
        "startTime": {"dateTime": "2027-03-16T00:00:00.000000", "timeZone": "UTC"},
        "endTime": {"dateTime": "2027-03-16T08:00:00.000000", "timeZone": "UTC"},
        "availabilityViewInterval": 480,
    }
