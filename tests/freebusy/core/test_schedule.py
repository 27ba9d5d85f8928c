"""From Graph's structs to schedules: exact, sorted, each once, and never free by mistake."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freebusy.core.intervals import HOUR, MINUTE, SECOND, Interval, from_instant, to_instant
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable, WorkingHours, parse_schedule
from freebusy.core.zones import CustomZone
from microsoft import wire
from microsoft.wall_times import UTC_TIMES

SAMPLES = Path(__file__).parents[2] / "samples" / "microsoft"
NINE = to_instant(datetime(2027, 3, 16, 9, tzinfo=UTC))
DAY = Interval(NINE - 9 * HOUR, NINE + 15 * HOUR)
BUSY = FreeBusyStatus.BUSY


def at(text: str, zone: str | None = "UTC") -> wire.DateTimeTimeZone:
    return wire.DateTimeTimeZone(text if "T" in text else f"2027-03-16T{text}", zone)


def item(start: str, end: str, status: str | None = "busy", zone: str | None = "UTC") -> wire.ScheduleItem:
    return wire.ScheduleItem(status, at(start, zone), at(end, zone))


def entry(*items: wire.ScheduleItem, hours: wire.WorkingHours | None = None) -> wire.ScheduleInformation:
    return wire.ScheduleInformation("ann@contoso.example", "0", list(items), hours)


def parsed(*items: wire.ScheduleItem, window: Interval = DAY) -> tuple[ScheduleItem, ...]:
    schedule = parse_schedule([entry(*items)], window)
    assert isinstance(schedule, Schedule)
    return schedule.items


def in_local(items: tuple[ScheduleItem, ...], zone: str) -> list[tuple[str, str, str]]:
    place = ZoneInfo(zone)
    clock = "%m-%d %H:%M"
    return [
        (from_instant(i.start, place).strftime(clock), from_instant(i.end, place).strftime(clock), i.status.value)
        for i in items
    ]


PACIFIC_DAY = Interval(
    to_instant(datetime.fromisoformat("2019-03-15T09:00-07:00")),
    to_instant(datetime.fromisoformat("2019-03-15T18:00-07:00")),
)
EIGHT_TO_FIVE = WorkingHours(("mon", "tue", "wed", "thu", "fri"), "08:00", "17:00", "America/Los_Angeles")
EIGHT_TO_FIVE_SOMEWHERE = WorkingHours(EIGHT_TO_FIVE.days, "08:00", "17:00", None)


@pytest.mark.parametrize(
    ("sample", "position", "window", "items", "hours"),
    [
        ("2021", 0, PACIFIC_DAY, [("03-15 12:00", "03-15 14:00", "busy")], EIGHT_TO_FIVE),
        (
            "2021",
            1,
            PACIFIC_DAY,
            [
                ("03-15 08:30", "03-15 09:30", "busy"),
                ("03-15 12:00", "03-15 13:00", "tentative"),
                ("03-15 12:00", "03-15 14:00", "busy"),
                ("03-15 13:00", "03-15 14:00", "busy"),
                ("03-15 16:00", "03-15 17:00", "tentative"),
            ],
            EIGHT_TO_FIVE_SOMEWHERE,
        ),
        (
            "concept",
            0,
            Interval(
                to_instant(datetime.fromisoformat("2018-08-06T09:00-07:00")),
                to_instant(datetime.fromisoformat("2018-08-06T18:00-07:00")),
            ),
            [("08-06 09:00", "08-06 10:30", "tentative"), ("08-06 11:00", "08-06 13:00", "busy")],
            EIGHT_TO_FIVE_SOMEWHERE,
        ),
        (
            "current",
            0,
            PACIFIC_DAY,
            [
                ("03-15 10:00", "03-15 11:00", "free"),
                ("03-15 11:00", "03-15 12:00", "workingElsewhere"),
                ("03-15 12:00", "03-15 14:00", "busy"),
                ("03-15 15:00", "03-15 16:00", "tentative"),
                ("03-15 16:00", "03-15 17:00", "workingElsewhere"),
            ],
            EIGHT_TO_FIVE,
        ),
        (
            "current",
            1,
            PACIFIC_DAY,
            [
                ("03-15 08:30", "03-15 09:30", "busy"),
                ("03-15 12:00", "03-15 13:00", "busy"),
                ("03-15 12:00", "03-15 14:00", "tentative"),
                ("03-15 13:00", "03-15 14:00", "busy"),
                ("03-15 16:00", "03-15 17:00", "tentative"),
            ],
            EIGHT_TO_FIVE_SOMEWHERE,
        ),
    ],
)
def test_the_sample_answers_become_schedules(
    sample: str, position: int, window: Interval, items: list[tuple[str, str, str]], hours: WorkingHours
) -> None:
    entries = wire.decode_schedules((SAMPLES / f"getschedule-response.{sample}.json").read_bytes())
    found = entries[position]
    assert isinstance(found, wire.ScheduleInformation)
    schedule = parse_schedule([found], window)
    assert isinstance(schedule, Schedule)
    assert in_local(schedule.items, "America/Los_Angeles") == items
    assert schedule.working_hours == hours
    noon = datetime(2019, 7, 1, 12, tzinfo=schedule.zone)
    assert noon.isoformat() == "2019-07-01T12:00:00-07:00"


def test_the_sample_of_an_unresolved_address_is_unreadable() -> None:
    [found] = wire.decode_schedules((SAMPLES / "getschedule-response.error-5009.json").read_bytes())
    assert isinstance(found, wire.ScheduleInformation)
    schedule = parse_schedule([found], PACIFIC_DAY)
    assert isinstance(schedule, Unreadable)
    assert (schedule.code, schedule.retryable, schedule.raw) == ("other", False, "5009")


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "no_data"),
        ([wire.ScheduleInformation("a")], "no_data"),
        ([wire.ScheduleInformation("a", availability_view="000")], "no_data"),
        ([wire.ScheduleInformation("a", schedule_items=[])], "no_data"),
        ([entry(), wire.ScheduleInformation("a", availability_view="000")], "no_data"),
        ([wire.ScheduleInformation("a", "0", [], error=wire.FreeBusyError("no", "5006"))], "other"),
        ([entry(), wire.ScheduleInformation("a", error=wire.FreeBusyError())], "other"),
        ([entry(wire.ScheduleItem("busy"))], "other"),
        ([entry(wire.ScheduleItem("busy", at("09:00:00")))], "other"),
        ([entry(item("09:00:00", "10:00:00", zone=None))], "other"),
        ([entry(item("09:00:00", "10:00:00", zone="Customized Time Zone"))], "other"),
        ([entry(item("09:00:00Z", "10:00:00Z", zone="Pacific Standard Time"))], "other"),
        ([entry(item("09:00:00+01:00", "10:00:00+01:00"))], "other"),
        ([entry(item("2027-02-29T09:00:00", "10:00:00"))], "other"),
        ([entry(item("25:00:00", "26:00:00"))], "other"),
        ([entry(item("16.03.2027T", "17.03.2027T"))], "other"),
        ([entry(item("0001-01-01T00:00:00.0000000", "10:00:00"))], "other"),
        ([entry(item("09:00:00", "9999-12-31T23:59:59.9999999"))], "other"),
        ([entry(item("09:00:00", "10:00:00"), item("soon", "later", status="free"))], "other"),
    ],
)
def test_what_cannot_be_read_with_certainty_is_unreadable_and_never_free(
    entries: list[wire.ScheduleInformation], code: str
) -> None:
    schedule = parse_schedule(entries, DAY)
    assert isinstance(schedule, Unreadable)
    assert schedule.code == code


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Busy", "busy"),
        ("TENTATIVE", "tentative"),
        ("workingelsewhere", "workingElsewhere"),
        ("WorkingElsewhere", "workingElsewhere"),
        ("workingElsewhere", "workingElsewhere"),
        ("OOF", "oof"),
        ("Free", "free"),
        ("unknown", "unknown"),
        ("noData", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_status_is_read_in_any_case_and_anything_else_is_unknown(text: str | None, status: str) -> None:
    assert [found.status.value for found in parsed(item("09:00:00", "10:00:00", text))] == [status]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("09:00:00", "10:00:00", (0, HOUR)),
        ("09:00:00.0000000", "10:00:00.0000000", (0, HOUR)),
        ("09:00", "10:00", (0, HOUR)),
        ("09:00:01", "10:59:59", (SECOND, 2 * HOUR - SECOND)),
        ("09:00:00.5000000", "10:00:00.1234567", (SECOND // 2, HOUR + 123_456)),
        ("09:00:00.0000001", "10:00:00.0000001", (1, HOUR + 1)),
        ("09:00:00.9999999", "14:59:59.9999999", (SECOND - 1, 6 * HOUR - 1)),
        ("09:00:00Z", "10:00:00Z", (0, HOUR)),
    ],
)
def test_seconds_and_seven_digits_are_kept_on_their_side_of_every_second(
    start: str, end: str, expected: tuple[int, int]
) -> None:
    [found] = parsed(item(start, end))
    assert (found.start - NINE, found.end - NINE) == expected


def test_a_time_ending_in_z_needs_no_zone_beside_it() -> None:
    assert parsed(item("09:00:00Z", "10:00:00Z", zone=None)) == (ScheduleItem(NINE, NINE + HOUR, BUSY),)


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("W. Europe Standard Time", "2027-03-28T01:30:00", "2027-03-28T03:30:00", ("00:30", "01:30")),
        ("Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T03:45:00", ("01:30", "01:45")),
        ("Europe/Berlin", "2027-10-31T02:30:00", "2027-10-31T03:30:00", ("00:30", "02:30")),
        ("Europe/Berlin", "2027-10-31T02:45:00", "2027-10-31T02:15:00", ("00:45", "01:15")),
        ("Asia/Kathmandu", "2027-03-16T09:00:00", "2027-03-16T10:00:00", ("03:15", "04:15")),
        ("Australia/Lord_Howe", "2027-04-04T01:45:00", "2027-04-04T02:15:00", ("14:45", "15:45")),
        ("Pacific/Chatham", "2027-03-16T13:45:00", "2027-03-16T14:45:00", ("00:00", "01:00")),
    ],
)
def test_times_in_other_zones_are_turned_to_utc(zone: str, start: str, end: str, expected: tuple[str, str]) -> None:
    year = Interval(to_instant(datetime(2027, 1, 1, tzinfo=UTC)), to_instant(datetime(2028, 1, 1, tzinfo=UTC)))
    [found] = parsed(item(start, end, zone=zone), window=year)
    assert tuple(from_instant(i, UTC).strftime("%H:%M") for i in (found.start, found.end)) == expected


@pytest.mark.parametrize(
    ("start", "end", "kept", "why"),
    [
        ("09:00:00", "09:00:00", False, "no length"),
        ("10:00:00", "09:00:00", False, "negative length"),
        ("2027-03-15T22:00:00", "2027-03-16T00:00:00", False, "ends where the window begins"),
        ("2027-03-17T00:00:00", "2027-03-17T01:00:00", False, "begins where the window ends"),
        ("2027-03-15T22:00:00", "2027-03-16T00:00:01", True, "a second inside"),
        ("2027-03-16T23:59:59", "2027-03-18T00:00:00", True, "a second inside at the end"),
        ("2027-03-10T00:00:00", "2027-03-20T00:00:00", True, "around the window"),
    ],
)
def test_only_items_that_touch_the_window_are_kept_and_with_their_own_bounds(
    start: str, end: str, kept: bool, why: str
) -> None:
    given_ = item(start, end)
    assert given_.start is not None
    expected = [to_instant(datetime.fromisoformat(f"{given_.start.date_time}Z"))] if kept else []
    assert [found.start for found in parsed(given_)] == expected, why


def test_unsorted_and_repeated_items_come_sorted_and_once() -> None:
    first, second = item("09:00:00", "10:00:00"), item("08:00:00", "12:00:00")
    again = item("10:00:00", "11:00:00", zone="Europe/Berlin")  # the first one, named differently
    other_status = item("09:00:00", "10:00:00", "tentative")
    assert parsed(first, second, first, again, other_status) == (
        ScheduleItem(NINE - HOUR, NINE + 3 * HOUR, BUSY),
        ScheduleItem(NINE, NINE + HOUR, BUSY),
        ScheduleItem(NINE, NINE + HOUR, FreeBusyStatus.TENTATIVE),
    )


def test_the_parts_of_a_window_are_joined_and_an_item_in_both_counts_once() -> None:
    hours = wire.WorkingHours(["friday", "Monday"], "09:30:00.0000000", "17:00:00.0000000", wire.TimeZone("UTC"))
    over_the_seam = item("11:00:00", "13:00:00")
    parts = [entry(item("09:00:00", "10:00:00"), over_the_seam), entry(over_the_seam, hours=hours)]
    schedule = parse_schedule(parts, DAY)
    assert isinstance(schedule, Schedule)
    assert [found.start for found in schedule.items] == [NINE, NINE + 2 * HOUR]
    assert schedule.working_hours == WorkingHours(("mon", "fri"), "09:30", "17:00", "UTC")


NAMED, RULED = wire.TimeZone("India Standard Time"), wire.TimeZone("Customized Time Zone", -345)
WEEK = ["monday"]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (None, None),
        (wire.WorkingHours(), None),
        (wire.WorkingHours([], "09:00:00", "17:00:00", NAMED), None),
        (wire.WorkingHours(["someday"], "09:00:00", "17:00:00", NAMED), None),
        (wire.WorkingHours(WEEK, None, "17:00:00", NAMED), None),
        (wire.WorkingHours(WEEK, "9 o'clock", "17:00:00", NAMED), None),
        (
            wire.WorkingHours(WEEK, "09:00:00", "24:00:00", NAMED),
            WorkingHours(("mon",), "09:00", "24:00", "Asia/Kolkata"),
        ),
        (wire.WorkingHours(WEEK, "09:00", "17:30", RULED), WorkingHours(("mon",), "09:00", "17:30", None)),
        (wire.WorkingHours(WEEK, "09:00", "17:30"), WorkingHours(("mon",), "09:00", "17:30", None)),
        (
            wire.WorkingHours(WEEK, "09:00", "17:30", wire.TimeZone("Narnia")),
            WorkingHours(("mon",), "09:00", "17:30", None),
        ),
    ],
)
def test_working_hours_may_be_missing_or_in_a_zone_without_name(
    hours: wire.WorkingHours | None, expected: WorkingHours | None
) -> None:
    schedule = parse_schedule([entry(item("09:00:00", "10:00:00"), hours=hours)], DAY)
    assert isinstance(schedule, Schedule)
    assert schedule.working_hours == expected
    assert len(schedule.items) == 1


def test_a_custom_zone_is_the_mailboxes_zone_even_without_usable_hours() -> None:
    schedule = parse_schedule([entry(hours=wire.WorkingHours(time_zone=RULED))], DAY)
    assert isinstance(schedule, Schedule)
    assert isinstance(schedule.zone, CustomZone)
    assert schedule.working_hours is None


moments = st.integers(-30 * 60, 30 * 60).map(lambda m: NINE + m * MINUTE)
bounds = st.tuples(moments, moments, st.sampled_from(list(FreeBusyStatus)))


@given(
    st.lists(bounds, max_size=12), st.permutations(["UTC", "Asia/Kolkata", "Pacific/Chatham", "India Standard Time"])
)
def test_order_and_zone_of_the_items_do_not_matter(
    given_: list[tuple[int, int, FreeBusyStatus]], zones: list[str]
) -> None:
    def wall(instant: int, zone: str) -> str:
        place = ZoneInfo("Asia/Kolkata" if "India" in zone else zone)
        return from_instant(instant, place).strftime("%Y-%m-%dT%H:%M:%S.0000000")

    items = [
        item(wall(start, zones[k % 4]), wall(end, zones[k % 4]), status.value.upper(), zones[k % 4])
        for k, (start, end, status) in enumerate(given_)
    ]
    expected = {
        ScheduleItem(start, end, status)
        for start, end, status in given_
        if start < end and start < DAY.end and end > DAY.start
    }
    assert parsed(*items) == parsed(*reversed(items)) == tuple(sorted(expected))


def decoded(start: str, end: str, status: str) -> wire.ScheduleInformation:
    """As it comes out of an answer: all of it in UTC, so that the decoder tries to read the times itself."""
    bounds = {name: {"dateTime": text, "timeZone": "UTC"} for name, text in (("start", start), ("end", end))}
    mailbox = {
        "scheduleId": "ann@contoso.example",
        "availabilityView": "0",
        "scheduleItems": [{"status": status, **bounds}],
    }
    [found] = wire.decode_schedules(json.dumps({"value": [mailbox]}).encode())
    assert isinstance(found, wire.ScheduleInformation)
    return found


WALLS = st.from_regex(
    r"2027-03-1[567]T(0[0-9]|1[0-9]|2[0-4]):[0-6][0-9](:[0-6][0-9])?(\.[0-9]{1,8})?Z?", fullmatch=True
)
ODD_WALLS = st.from_regex(r"[0-9]{4}[-W][0-9]{1,2}[-.]?[0-9]{1,2}[T ]?[0-9:.Z+]{0,8}", fullmatch=True) | st.text(
    max_size=28
)


@given(WALLS | ODD_WALLS, WALLS | ODD_WALLS, st.sampled_from(list(FreeBusyStatus)))
def test_times_in_utc_mean_the_same_whether_the_decoder_reads_them_or_not(
    start: str, end: str, status: FreeBusyStatus
) -> None:
    bounds = (wire.DateTimeTimeZone(text, "UTC") for text in (start, end))
    general = parse_schedule([entry(wire.ScheduleItem(status.value, *bounds))], DAY)
    assert parse_schedule([decoded(start, end, status.value)], DAY) == general


def test_the_times_that_are_remembered_are_bounded() -> None:
    for second in range(50_000):
        UTC_TIMES[f"2027-03-{1 + second // 43_200:02}T{second // 3600 % 12:02}:{second // 60 % 60:02}:{second % 60:02}"]
    assert 0 < len(UTC_TIMES) <= 40_000
