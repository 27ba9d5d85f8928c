"""Instants and half-open intervals."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freebusy.core.intervals import (
    HOUR,
    Interval,
    clip,
    coalesce,
    from_instant,
    gaps,
    overlaps,
    subtract,
    to_instant,
)

intervals = st.builds(lambda start, length: Interval(start, start + length), st.integers(0, 60), st.integers(1, 20))
sets = st.lists(intervals, max_size=12)


def points(found: object) -> set[int]:
    assert isinstance(found, list | tuple)
    return {point for interval in found for point in range(interval.start, interval.end)}


@pytest.mark.parametrize(
    ("one", "other", "expected", "why"),
    [
        (Interval(0, 10), Interval(10, 20), False, "back to back"),
        (Interval(10, 20), Interval(0, 10), False, "back to back, the other way round"),
        (Interval(0, 10), Interval(9, 20), True, "one instant shared"),
        (Interval(0, 30), Interval(10, 20), True, "one inside the other"),
        (Interval(0, 10), Interval(0, 10), True, "the same"),
        (Interval(0, 10), Interval(15, 20), False, "apart"),
    ],
)
def test_overlap_is_half_open(one: Interval, other: Interval, expected: bool, why: str) -> None:
    assert overlaps(one, other) is expected, why


@pytest.mark.parametrize("end", [5, 4])
def test_an_interval_cannot_be_empty_or_reversed(end: int) -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Interval(5, end)


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        to_instant(datetime(2027, 3, 16, 9, 0))  # noqa: DTZ001 - the very thing that is refused


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1970, 1, 1, 5, 30, tzinfo=ZoneInfo("Asia/Kolkata")), 0),
        (datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=-4))), 4 * HOUR),
    ],
)
def test_instants_are_exact_microseconds(when: datetime, expected: int) -> None:
    assert to_instant(when) == expected


@given(
    st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()),  # noqa: DTZ001
    st.timezones(),
)
def test_instants_survive_any_zone(when: datetime, zone: ZoneInfo) -> None:
    assert from_instant(to_instant(when), zone).astimezone(UTC) == when.astimezone(UTC)
    assert to_instant(from_instant(to_instant(when), zone)) == to_instant(when)


@given(sets)
def test_coalescing_keeps_every_instant_and_repeats_none(given_: list[Interval]) -> None:
    merged = coalesce(given_)
    assert points(merged) == points(given_)
    assert all(one.end < other.start for one, other in pairwise(merged))


@given(sets)
def test_coalescing_twice_changes_nothing(given_: list[Interval]) -> None:
    assert coalesce(coalesce(given_)) == coalesce(given_)


@given(sets, sets)
def test_subtracting_leaves_the_instants_that_are_in_no_hole(whole: list[Interval], holes: list[Interval]) -> None:
    left = subtract(whole, holes)
    assert points(left) == points(whole) - points(holes)
    assert coalesce(left) == left


@given(intervals, sets)
def test_gaps_and_what_is_busy_make_up_the_window(window: Interval, busy: list[Interval]) -> None:
    free = gaps(window, busy)
    inside = [part for interval in busy if (part := clip(interval, window))]
    assert points(free) | points(inside) == points([window])
    assert not points(free) & points(inside)


@given(intervals, intervals)
def test_clipping_is_what_overlaps(one: Interval, window: Interval) -> None:
    part = clip(one, window)
    assert (part is not None) == overlaps(one, window)
    assert points([part] if part else []) == points([one]) & points([window])
