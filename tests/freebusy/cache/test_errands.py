"""How windows are widened to days and what is missing is packed into as few calls as there can be."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freebusy.cache.errands import call_count, errands, stretches, widened
from freebusy.core.intervals import HOUR, MINUTE, Interval, coalesce, gaps, subtract

DAY = 24 * HOUR


def days(first: float, end: float) -> Interval:
    return Interval(round(first * DAY), round(end * DAY))


@pytest.mark.parametrize(
    ("window", "wide"),
    [
        (days(3, 5), days(3, 5)),
        (days(3.5, 3.6), days(3, 4)),
        (days(3.9, 4.1), days(3, 5)),
        (days(-1.5, -1.2), days(-2, -1)),
        (days(0.5, 60.5), days(0, 61)),  # 61 days are still one call
    ],
)
def test_a_window_is_widened_to_whole_days_of_utc(window: Interval, wide: Interval) -> None:
    assert widened(window) == wide


@pytest.mark.parametrize("length", [0.1, 1, 7, 60.5, 60.9, 61, 61.5, 61.9, 100, 121.9, 122, 183, 365.9, 366])
@pytest.mark.parametrize("start", [0, 1 / 24, 0.5, 23 / 24])
def test_widening_never_costs_a_call(start: float, length: float) -> None:
    window = days(start, start + length)
    wide = widened(window)
    assert call_count(wide) == call_count(window)
    assert wide.start <= window.start < window.end <= wide.end
    assert window.start - wide.start < DAY > wide.end - window.end


def test_what_is_missing_of_one_call_is_one_stretch() -> None:
    assert stretches(days(0, 20), [days(0, 1), days(18.5, 20)]) == (days(0, 20),)
    assert stretches(days(0, 20), [days(10.2, 20)]) == (days(10, 20),)


def test_a_long_window_is_read_only_in_those_calls_where_something_is_missing() -> None:
    assert stretches(days(0, 366), [days(0, 1), days(365, 366)]) == (days(0, 1), days(365, 366))
    assert stretches(days(0, 366), [days(0, 366)]) == (days(0, 366),)


@given(
    st.integers(0, 48).map(lambda hours: hours * HOUR),
    st.integers(1, 366 * 24).map(lambda hours: hours * HOUR),
    st.lists(st.tuples(st.integers(0, 366 * 24), st.integers(1, 2000)), max_size=5),
)
def test_what_is_read_holds_what_is_missing_at_no_more_calls_than_the_whole(
    start: int, length: int, read: list[tuple[int, int]]
) -> None:
    window = Interval(start, start + length)
    missing = gaps(window, (Interval(a * HOUR, (a + n) * HOUR) for a, n in read))
    found = stretches(window, missing)
    assert subtract(missing, found) == ()
    assert coalesce(found) == found
    assert sum(map(call_count, found)) <= call_count(window)


def test_those_who_miss_the_same_are_read_together() -> None:
    wanted = {f"p{number}": [days(0, 10)] for number in range(45)}
    assert errands(wanted) == [(days(0, 10), tuple(wanted))]


def test_small_groups_go_together_where_that_saves_a_call() -> None:
    assert errands({"ann": [days(10, 20)], "bob": [days(0, 20)]}) == [(days(0, 20), ("ann", "bob"))]


def test_full_calls_keep_to_what_they_miss_and_only_what_is_left_goes_together() -> None:
    many = {f"p{number}": [days(30, 31)] for number in range(405)}
    few = {f"q{number}": [days(0, 31)] for number in range(10)}
    found = errands(many | few)
    assert found == [
        (days(30, 31), tuple(f"p{number}" for number in range(400))),
        (days(0, 31), tuple(f"p{number}" for number in range(400, 405)) + tuple(few)),
    ]


def test_groups_far_apart_are_not_joined_over_the_time_between() -> None:
    wanted = {"ann": [days(0, 1)], "bob": [days(300, 301)]}
    assert sorted(errands(wanted)) == [(days(0, 1), ("ann",)), (days(300, 301), ("bob",))]


@given(
    st.dictionaries(
        st.integers(0, 200).map(str),
        st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda pair: [days(pair[0], pair[0] + pair[1])]),
        min_size=1,
        max_size=70,
    )
)
def test_within_one_call_of_time_twenty_mailboxes_are_one_call_whatever_each_of_them_misses(
    wanted: dict[str, list[Interval]],
) -> None:
    found = errands(wanted)
    assert sum(ceil(len(mailboxes) / 20) for _, mailboxes in found) == ceil(len(wanted) / 20)
    read = {mailbox: window for window, mailboxes in found for mailbox in mailboxes}
    assert read.keys() == wanted.keys()
    for mailbox, (missing,) in wanted.items():
        assert read[mailbox].start <= missing.start < missing.end <= read[mailbox].end


def test_a_short_window_is_read_as_a_day() -> None:
    assert widened(Interval(DAY + MINUTE, DAY + 2 * MINUTE)) == days(1, 2)
