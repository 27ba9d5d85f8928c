"""Where candidates begin: by the clock of one zone, in real minutes, inside hours and window."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from freebusy.core.grid import ALWAYS, Hours, SlotQuery, candidate_starts, count_candidates
from freebusy.core.intervals import HOUR, MINUTE, Interval, from_instant, to_instant

WEEKDAYS = frozenset(range(5))
PLACES = ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe", "America/Havana"]
PLACES += ["Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "UTC"]


def clock(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def query(
    start: str,
    end: str,
    zone: str,
    *,
    hours: tuple[str, str] = ("00:00", "24:00"),
    duration: int = 30,
    step: int = 30,
    days: frozenset[int] = frozenset(range(7)),
) -> SlotQuery:
    place = ZoneInfo(zone)
    first, last = (to_instant(datetime.fromisoformat(text).replace(tzinfo=place)) for text in (start, end))
    return SlotQuery(
        window=Interval(first, last),
        zone=place,
        hours=Hours(days, clock(hours[0]), clock(hours[1])),
        duration_minutes=duration,
        step_minutes=step,
    )


def shown(asked: SlotQuery) -> list[str]:
    """Candidates as the clocks of the zone show them, with the offset."""
    return [from_instant(start, asked.zone).isoformat(timespec="minutes")[5:] for start in candidate_starts(asked)]


def test_candidates_begin_with_the_hours_and_fit_into_them() -> None:
    asked = query("2027-03-16", "2027-03-17", "Europe/Berlin", hours=("09:00", "10:20"), duration=30, step=20)
    assert shown(asked) == ["03-16T09:00+01:00", "03-16T09:20+01:00", "03-16T09:40+01:00"]


def test_a_window_that_begins_within_the_hours_does_not_move_the_grid() -> None:
    asked = query("2027-03-16T09:05", "2027-03-16T10:16", "Europe/Berlin", hours=("09:00", "17:00"), step=15)
    assert shown(asked) == ["03-16T09:15+01:00", "03-16T09:30+01:00", "03-16T09:45+01:00"]


def test_a_candidate_may_fill_the_window_exactly() -> None:
    assert shown(query("2027-03-16T09:00", "2027-03-16T09:30", "UTC")) == ["03-16T09:00+00:00"]
    assert shown(query("2027-03-16T09:00", "2027-03-16T09:29", "UTC")) == []


def test_only_the_named_days_have_candidates() -> None:
    asked = query("2027-03-15", "2027-03-29", "Europe/Berlin", hours=("12:00", "13:00"), duration=60, days=WEEKDAYS)
    days = {from_instant(start, asked.zone).weekday() for start in candidate_starts(asked)}
    assert (len(candidate_starts(asked)), days) == (10, WEEKDAYS)


def test_the_days_are_those_of_the_zone_and_not_of_utc() -> None:
    monday_only = query("2027-03-15", "2027-03-16", "Asia/Kathmandu", days=frozenset({0}), duration=60, step=720)
    assert shown(monday_only) == ["03-15T00:00+05:45", "03-15T12:00+05:45"]


@pytest.mark.parametrize(
    ("zone", "day", "real_hours"),
    [
        ("Europe/Berlin", "2027-03-28", 23),
        ("Europe/Berlin", "2027-10-31", 25),
        ("America/New_York", "2027-03-14", 23),
        ("America/New_York", "2027-11-07", 25),
        ("Australia/Sydney", "2027-10-03", 23),
        ("Australia/Sydney", "2027-04-04", 25),
        ("Australia/Lord_Howe", "2027-10-03", 23.5),
        ("Australia/Lord_Howe", "2027-04-04", 24.5),
        ("Pacific/Chatham", "2027-09-26", 23),
        ("Pacific/Chatham", "2027-04-04", 25),
        ("America/Havana", "2027-03-14", 23),
        ("America/Havana", "2027-11-07", 25),
        ("Asia/Kolkata", "2027-03-28", 24),
        ("Asia/Kathmandu", "2027-03-28", 24),
    ],
)
def test_a_whole_day_has_as_many_real_half_hours_as_pass(zone: str, day: str, real_hours: float) -> None:
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    starts = candidate_starts(query(day, after, zone))
    assert len(starts) == real_hours * 2
    assert {later - earlier for earlier, later in zip(starts, starts[1:], strict=False)} == {30 * MINUTE}  # noqa: RUF007


@pytest.mark.parametrize(
    ("day", "hours", "expected"),
    [
        # 02:00-03:00 is skipped
        ("2027-03-28", ("02:30", "04:00"), ["03-28T03:30+02:00"]),
        ("2027-03-28", ("01:00", "02:30"), ["03-28T01:00+01:00", "03-28T01:30+01:00", "03-28T03:00+02:00"]),
        ("2027-03-28", ("02:00", "02:30"), ["03-28T03:00+02:00"]),
        ("2027-03-28", ("02:30", "03:15"), []),
        ("2027-03-28", ("01:30", "03:30"), ["03-28T01:30+01:00", "03-28T03:00+02:00"]),
        # 02:00-03:00 comes twice
        (
            "2027-10-31",
            ("02:30", "03:30"),
            [f"10-31T{t}" for t in ("02:30+02:00", "02:00+01:00", "02:30+01:00", "03:00+01:00")],
        ),
        ("2027-10-31", ("01:30", "02:30"), ["10-31T01:30+02:00", "10-31T02:00+02:00"]),
    ],
)
def test_on_clock_change_days_hours_are_wall_time_and_steps_real_minutes(
    day: str, hours: tuple[str, str], expected: list[str]
) -> None:
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert shown(query(day, after, "Europe/Berlin", hours=hours)) == expected


def test_a_date_that_a_zone_skipped_adds_no_candidate_twice() -> None:
    starts = candidate_starts(query("2011-12-29", "2012-01-01", "Pacific/Apia", hours=("09:00", "10:00")))
    assert len(starts) == len(set(starts)) == 4


@pytest.mark.parametrize(
    ("days", "start", "end"), [(set(), 0, 60), ({7}, 0, 60), ({0}, 60, 60), ({0}, 60, 0), ({0}, 0, 1441)]
)
def test_impossible_hours_cannot_be_made(days: set[int], start: int, end: int) -> None:
    with pytest.raises(ValueError, match="working hours"):
        Hours(frozenset(days), start, end)


@pytest.mark.parametrize(("duration", "step"), [(0, 15), (30, 0), (-1, 15)])
def test_a_query_needs_a_duration_and_a_step(duration: int, step: int) -> None:
    with pytest.raises(ValueError, match="at least one minute"):
        SlotQuery(window=Interval(0, 1), duration_minutes=duration, step_minutes=step, zone=ZoneInfo("UTC"))


def test_without_hours_every_day_counts_from_0_to_24() -> None:
    asked = SlotQuery(window=Interval(0, 24 * HOUR), duration_minutes=15, zone=ZoneInfo("UTC"))
    assert (asked.hours, len(candidate_starts(asked))) == (ALWAYS, 96)


@st.composite
def queries(draw: st.DrawFn) -> SlotQuery:
    start = draw(st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 1))).replace(tzinfo=UTC)  # noqa: DTZ001
    minutes = draw(st.integers(1, 6 * 24 * 60))
    opening = draw(st.integers(0, 1439))
    return SlotQuery(
        window=Interval(to_instant(start), to_instant(start) + minutes * MINUTE),
        zone=ZoneInfo(draw(st.sampled_from(PLACES))),
        duration_minutes=draw(st.integers(1, 600)),
        step_minutes=draw(st.integers(1, 600)),
        hours=Hours(draw(st.frozensets(st.integers(0, 6), min_size=1)), opening, draw(st.integers(opening + 1, 1440))),
    )


@given(queries())
@settings(max_examples=150)
def test_the_count_is_the_number_of_candidates_and_they_ascend(asked: SlotQuery) -> None:
    starts = candidate_starts(asked)
    assert count_candidates(asked) == len(starts)
    assert starts == sorted(set(starts))


@given(queries())
@settings(max_examples=150)
def test_every_candidate_lies_inside_the_window_and_one_days_hours(asked: SlotQuery) -> None:
    for start in candidate_starts(asked):
        end = start + asked.duration_minutes * MINUTE
        assert asked.window.start <= start < end <= asked.window.end
        first, last = from_instant(start, asked.zone), from_instant(end - 1, asked.zone)
        assert first.weekday() in asked.hours.days
        assert first.date() == last.date()


@given(queries(), st.integers(1, 400))
@settings(max_examples=100)
def test_a_smaller_window_keeps_the_grid(asked: SlotQuery, cut: int) -> None:
    assume(asked.window.start + 2 * cut * MINUTE < asked.window.end)
    inner = Interval(asked.window.start + cut * MINUTE, asked.window.end - cut * MINUTE)
    smaller = SlotQuery(
        window=inner,
        zone=asked.zone,
        hours=asked.hours,
        duration_minutes=asked.duration_minutes,
        step_minutes=asked.step_minutes,
    )
    length = asked.duration_minutes * MINUTE
    fitting = [s for s in candidate_starts(asked) if inner.start <= s and s + length <= inner.end]
    assert candidate_starts(smaller) == fitting
