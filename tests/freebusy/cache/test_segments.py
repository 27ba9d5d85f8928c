"""Stretches of a calendar that were read at different times, and what they say of a window together."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from freebusy.cache.segments import MOST_SEGMENTS, Calendar, Segment
from freebusy.core.intervals import Interval
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable, WorkingHours

BUSY, OOF = FreeBusyStatus.BUSY, FreeBusyStatus.OOF
GONE = Unreadable("not_found", "No such mailbox.", False)
HOURS = WorkingHours(("mon",), "09:00", "17:00", "Europe/Berlin")
BERLIN = ZoneInfo("Europe/Berlin")


def read(start: int, end: int, *items: tuple[int, int], at: int = 0) -> Segment:
    schedule = Schedule(tuple(ScheduleItem(*item, BUSY) for item in items))
    return Segment(Interval(start, end), at, schedule)


def calendar(*segments: Segment) -> Calendar:
    return Calendar().and_then(segments, -1_000)


def bounds(found: Calendar, start: int, end: int, oldest: int = 0) -> list[tuple[int, int]] | None:
    known = found.known(Interval(start, end), oldest)
    if known is None:
        return None
    assert isinstance(known.said, Schedule)
    return [(item.start, item.end) for item in known.said.items]


def test_a_window_inside_what_was_read_holds_the_items_that_overlap_it_whole() -> None:
    found = calendar(read(0, 100, (-5, 10), (10, 20), (20, 30), (90, 120)))
    assert bounds(found, 15, 20) == [(10, 20)]
    assert bounds(found, 20, 95) == [(20, 30), (90, 120)]
    assert bounds(found, 30, 90) == []


def test_the_whole_of_what_was_read_is_the_very_schedule_that_was_read() -> None:
    segment = read(0, 100, (10, 20))
    known = calendar(segment).known(Interval(0, 100), 0)
    assert known is not None
    assert known.said is segment.said


def test_the_same_window_gives_the_same_object_each_time() -> None:
    found = calendar(read(0, 100, (10, 20), (50, 60)), read(100, 200, (110, 120)))
    for window in (Interval(0, 30), Interval(50, 150)):
        first, again = found.known(window, 0), found.known(window, 0)
        assert first is again is not None


def test_a_window_that_was_not_read_to_its_end_is_not_known_and_the_rest_is_named() -> None:
    found = calendar(read(0, 100))
    assert found.known(Interval(50, 101), 0) is None
    assert found.gaps(Interval(50, 150), 0) == (Interval(100, 150),)
    assert found.gaps(Interval(-10, 150), 0) == (Interval(-10, 0), Interval(100, 150))
    assert found.gaps(Interval(10, 100), 0) == ()


def test_two_reads_tell_an_item_over_their_seam_once() -> None:
    found = calendar(read(0, 100, (95, 105), at=1), read(100, 200, (95, 105), (150, 160), at=2))
    assert bounds(found, 0, 200) == [(95, 105), (150, 160)]


def test_what_several_reads_say_is_as_old_as_the_oldest_of_them() -> None:
    found = calendar(read(0, 100, at=5), read(100, 200, at=9))
    assert [known.read_at for w in ((0, 200), (0, 50), (150, 160)) if (known := found.known(Interval(*w), 0))] == [
        5,
        5,
        9,
    ]


def test_what_is_too_old_serves_nobody_and_is_read_again() -> None:
    found = calendar(read(0, 100, at=5), read(100, 200, at=9))
    assert found.known(Interval(0, 200), 5) is not None
    assert found.known(Interval(0, 200), 6) is None
    assert found.gaps(Interval(0, 200), 6) == (Interval(0, 100),)


def test_hours_and_zone_are_those_of_the_newest_read() -> None:
    old = Segment(Interval(0, 100), 1, Schedule((), None, None))
    new = Segment(Interval(100, 200), 2, Schedule((), HOURS, BERLIN))
    known = calendar(old, new).known(Interval(0, 200), 0)
    assert known is not None
    assert known.said == Schedule((), HOURS, BERLIN)


def test_a_part_that_could_not_be_read_makes_the_whole_unknown() -> None:
    found = calendar(read(0, 100, (10, 20)), Segment(Interval(100, 200), 1, GONE))
    known = found.known(Interval(50, 150), 0)
    assert known is not None
    assert known.said == GONE
    assert bounds(found, 0, 100) == [(10, 20)]


def test_a_newer_read_replaces_an_older_one_where_they_overlap() -> None:
    found = calendar(read(0, 100, (10, 20), (60, 70), at=1), read(50, 150, (110, 120), at=2))
    assert bounds(found, 0, 150) == [(10, 20), (110, 120)]
    assert [(segment.window, segment.read_at) for segment in found.segments] == [
        (Interval(0, 50), 1),
        (Interval(50, 150), 2),
    ]


def test_an_older_read_that_comes_late_fills_only_the_holes() -> None:
    found = calendar(read(50, 60, (51, 52), at=2)).and_then([read(0, 100, (10, 20), (53, 54), at=1)], 0)
    assert bounds(found, 0, 100) == [(10, 20), (51, 52)]


def test_what_is_of_use_to_nobody_is_dropped() -> None:
    found = calendar(read(0, 100, at=1)).and_then([read(200, 300, at=9)], 5)
    assert [segment.window for segment in found.segments] == [Interval(200, 300)]


def test_a_calendar_with_nothing_new_stays_the_same_object() -> None:
    found = calendar(read(0, 100, at=5))
    assert found.and_then(found.segments, 0) is found


def test_the_number_of_stretches_is_bounded() -> None:
    found = calendar(*(read(number * 10, number * 10 + 5, at=number) for number in range(100)))
    assert len(found.segments) == MOST_SEGMENTS
    assert found.segments[-1].window == Interval(990, 995)


ITEM = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))
WINDOW = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: Interval(pair[0], pair[0] + pair[1]))


def direct(items: list[tuple[int, int]], window: Interval) -> Schedule:
    """What one read of the window says."""
    inside = sorted({item for item in items if item[0] < window.end and item[1] > window.start})
    return Schedule(tuple(ScheduleItem(*item, OOF) for item in inside), HOURS, BERLIN)


@given(st.lists(ITEM, max_size=12), st.lists(WINDOW, min_size=1, max_size=6), WINDOW)
def test_whatever_was_read_before_an_unchanged_calendar_says_what_a_new_read_would(
    items: list[tuple[int, int]], reads: list[Interval], asked: Interval
) -> None:
    found = Calendar()
    for at, window in enumerate(reads):
        found = found.and_then([Segment(window, at, direct(items, window))], 0)
    if found.known(asked, 0) is None:
        found = found.and_then([Segment(gap, 99, direct(items, gap)) for gap in found.gaps(asked, 0)], 0)
    known = found.known(asked, 0)
    assert known is not None
    assert known.said == direct(items, asked)


@given(st.lists(WINDOW, min_size=1, max_size=8))
def test_of_each_instant_the_newest_word_stays(reads: list[Interval]) -> None:
    found = Calendar()
    for at, window in enumerate(reads):
        found = found.and_then([Segment(window, at, Schedule(()))], 0)
    said = {instant: segment.read_at for segment in found.segments for instant in range(*_ends(segment.window))}
    assert sum(segment.window.end - segment.window.start for segment in found.segments) == len(said)
    assert said == {instant: at for at, window in enumerate(reads) for instant in range(*_ends(window))}


def _ends(window: Interval) -> tuple[int, int]:
    return window.start, window.end
