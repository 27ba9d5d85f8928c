"""Zones by name and by rule, wall times that are skipped or doubled, and midnights."""

import pickle
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from freebusy.core.intervals import HOUR, MINUTE, from_instant, to_instant
from freebusy.core.zones import (
    CustomZone,
    custom_zone,
    iana_zone,
    instant_of_wall,
    is_midnight,
    is_whole_days,
    resolve_zone,
)
from microsoft import wire


def rule(month: int, nth: int, at: str = "02:00:00.0000000", **more: int) -> wire.ZoneOffset:
    return wire.ZoneOffset(time=at, day_occurrence=nth, day_of_week="sunday", month=month, year=0, **more)


PACIFIC = wire.TimeZone("Customized Time Zone", 480, rule(11, 1), rule(3, 2, daylight_bias=-60))
SYDNEY = wire.TimeZone("Customized Time Zone", -600, rule(4, 1, "03:00:00.0000000"), rule(10, 1, daylight_bias=-60))
BERLIN = wire.TimeZone(None, -60, rule(10, 5, "03:00:00"), rule(3, 5, daylight_bias=-60))
LORD_HOWE = wire.TimeZone(None, -630, rule(4, 1), rule(10, 1, daylight_bias=-30))
SAME_AS = [
    (PACIFIC, "America/Los_Angeles"),
    (SYDNEY, "Australia/Sydney"),
    (BERLIN, "Europe/Berlin"),
    (LORD_HOWE, "Australia/Lord_Howe"),
]


def zone_of(rules: wire.TimeZone) -> CustomZone:
    zone = custom_zone(rules)
    assert zone is not None
    return zone


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("India Standard Time", "Asia/Kolkata"),
        ("Nepal Standard Time", "Asia/Kathmandu"),
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("tzone://Microsoft/Utc", "UTC"),
    ],
)
def test_iana_and_windows_names_and_spellings_of_utc_are_known(name: str, key: str) -> None:
    zone = resolve_zone(name)
    assert zone is not None
    assert zone.key == key


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "Customized Time Zone",
        "tzone://Microsoft/Custom",
        "Mars/Olympus",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "localtime",
        "Factory",
        "posixrules",
        "europe/berlin",
        "Europe/Berlin\0",
        "x" * 5000,
    ],
)
def test_any_other_name_is_no_zone(name: str | None) -> None:
    assert resolve_zone(name) is None


def test_windows_names_are_no_iana_names() -> None:
    assert iana_zone("Pacific Standard Time") is None


@pytest.mark.parametrize(("rules", "key"), SAME_AS)
@given(st.datetimes(datetime(2008, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001
def test_a_custom_zone_shows_the_clocks_of_the_place_it_describes(
    rules: wire.TimeZone, key: str, naive: datetime
) -> None:
    utc = naive.replace(tzinfo=UTC)
    ours, theirs = utc.astimezone(zone_of(rules)), utc.astimezone(ZoneInfo(key))
    assert (ours.replace(tzinfo=None), ours.fold, ours.utcoffset()) == (
        theirs.replace(tzinfo=None),
        theirs.fold,
        theirs.utcoffset(),
    )


@pytest.mark.parametrize(("rules", "key"), SAME_AS)
@pytest.mark.parametrize("fold", [0, 1])
def test_a_custom_zone_reads_every_wall_time_around_its_changes_alike(
    rules: wire.TimeZone, key: str, fold: int
) -> None:
    for month in (3, 4, 10, 11):
        for quarter in range(30 * 96):
            wall = datetime(2027, month, 1, fold=fold) + timedelta(minutes=15 * quarter)  # noqa: DTZ001
            wall = wall.replace(fold=fold)
            ours, theirs = wall.replace(tzinfo=zone_of(rules)), wall.replace(tzinfo=ZoneInfo(key))
            assert (ours.utcoffset(), ours.dst()) == (theirs.utcoffset(), theirs.dst()), wall


@pytest.mark.parametrize(
    ("rules", "offset"),
    [
        (wire.TimeZone(bias=-345), timedelta(hours=5, minutes=45)),
        (wire.TimeZone(bias=480, standard_offset=rule(11, 1)), timedelta(hours=-8)),
        (
            wire.TimeZone(bias=480, standard_offset=rule(11, 1), daylight_offset=rule(3, 2)),
            timedelta(hours=-8),
        ),
        (
            wire.TimeZone(bias=0, standard_offset=rule(0, 0), daylight_offset=rule(0, 0, daylight_bias=-60)),
            timedelta(0),
        ),
        (
            wire.TimeZone(bias=0, standard_offset=rule(13, 1), daylight_offset=rule(3, 9, daylight_bias=-60)),
            timedelta(0),
        ),
        (
            wire.TimeZone(bias=0, standard_offset=rule(11, 1, "25:00"), daylight_offset=rule(3, 1, daylight_bias=-60)),
            timedelta(0),
        ),
    ],
)
def test_rules_that_cannot_be_understood_leave_a_zone_without_daylight_time(
    rules: wire.TimeZone, offset: timedelta
) -> None:
    for month in (1, 7):
        assert datetime(2027, month, 1, tzinfo=UTC).astimezone(zone_of(rules)).utcoffset() == offset


def test_a_rule_for_one_year_holds_in_that_year_only() -> None:
    once = msgspec.structs.replace(rule(3, 2, daylight_bias=-60), year=2027)
    zone = zone_of(wire.TimeZone("Customized Time Zone", 480, rule(11, 1), once))
    july = [datetime(year, 7, 1, tzinfo=UTC).astimezone(zone).utcoffset() for year in (2026, 2027, 2028)]
    assert july == [timedelta(hours=-8), timedelta(hours=-7), timedelta(hours=-8)]


def test_every_windows_name_is_a_zone_under_its_name_of_today() -> None:
    keys = {name: zone.key for name in win_tz if (zone := resolve_zone(name))}
    assert keys.keys() == win_tz.keys()
    assert not set(keys.values()) & {"Asia/Calcutta", "Asia/Katmandu", "Europe/Kiev", "America/Godthab"}


@pytest.mark.parametrize("rules", [wire.TimeZone("x"), wire.TimeZone(bias=1440), wire.TimeZone(bias=-2000)])
def test_without_a_usable_bias_there_is_no_custom_zone(rules: wire.TimeZone) -> None:
    assert custom_zone(rules) is None


def test_a_custom_zone_can_be_kept_and_read_back() -> None:
    zone = zone_of(PACIFIC)
    assert pickle.loads(pickle.dumps(zone)) == zone  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("zone", "day", "minute", "expected", "why"),
    [
        ("Europe/Berlin", date(2027, 3, 16), 9 * 60, "2027-03-16T08:00Z", "an ordinary morning"),
        ("Europe/Berlin", date(2027, 3, 28), 150, "2027-03-28T01:30Z", "02:30 is skipped: 03:30 is shown"),
        ("Europe/Berlin", date(2027, 10, 31), 150, "2027-10-31T00:30Z", "02:30 comes twice: the first"),
        ("America/New_York", date(2027, 3, 14), 150, "2027-03-14T07:30Z", "skipped in New York"),
        ("America/New_York", date(2027, 11, 7), 90, "2027-11-07T05:30Z", "doubled in New York"),
        ("Australia/Sydney", date(2027, 10, 3), 150, "2027-10-02T16:30Z", "skipped in the south's spring"),
        ("Australia/Sydney", date(2027, 4, 4), 150, "2027-04-03T15:30Z", "doubled in the south's autumn"),
        (
            "Australia/Lord_Howe",
            date(2027, 10, 3),
            135,
            "2027-10-02T15:45Z",
            "half an hour skipped: 02:45 is shown",
        ),
        (
            "Australia/Lord_Howe",
            date(2027, 4, 4),
            105,
            "2027-04-03T14:45Z",
            "half an hour doubled: the first",
        ),
        ("Asia/Kolkata", date(2027, 3, 16), 0, "2027-03-15T18:30Z", "half-hour zone"),
        ("Asia/Kathmandu", date(2027, 3, 16), 0, "2027-03-15T18:15Z", "45-minute zone"),
        (
            "Pacific/Chatham",
            date(2027, 4, 4),
            180,
            "2027-04-03T13:15Z",
            "45-minute zone, doubled hour: the first",
        ),
        ("Europe/Berlin", date(2027, 3, 27), 1440, "2027-03-27T23:00Z", "24:00 is the next day's 00:00"),
        ("America/Havana", date(2027, 3, 14), 0, "2027-03-14T05:00Z", "00:00 is skipped: 01:00 is shown"),
        ("America/Havana", date(2027, 3, 13), 1440, "2027-03-14T05:00Z", "24:00 before a skipped 00:00"),
    ],
)
def test_wall_times_name_one_instant(zone: str, day: date, minute: int, expected: str, why: str) -> None:
    assert instant_of_wall(day, minute, ZoneInfo(zone)) == to_instant(datetime.fromisoformat(expected)), why


MIDNIGHTS = [
    ("UTC", "2027-03-16T00:00Z", True),
    ("UTC", "2027-03-16T00:00:00.000001Z", False),
    ("Europe/Berlin", "2027-03-15T23:00Z", True),
    ("Europe/Berlin", "2027-03-16T00:00Z", False),
    ("Asia/Kathmandu", "2027-03-15T18:15Z", True),
    ("Pacific/Chatham", "2027-03-15T10:15Z", True),
    ("America/Havana", "2027-03-14T05:00Z", True),  # the day begins at 01:00
    ("America/Havana", "2027-03-14T06:00Z", False),
]


@pytest.mark.parametrize(("zone", "when", "expected"), MIDNIGHTS)
def test_midnight_is_where_a_day_begins(zone: str, when: str, expected: bool) -> None:
    assert is_midnight(to_instant(datetime.fromisoformat(when)), ZoneInfo(zone)) is expected


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham"]
)
@given(day=st.dates(date(2020, 1, 1), date(2035, 1, 1)), days=st.integers(1, 9))
def test_from_one_days_start_to_anothers_is_whole_days(zone: str, day: date, days: int) -> None:
    place = ZoneInfo(zone)
    start, end = instant_of_wall(day, 0, place), instant_of_wall(day + timedelta(days=days), 0, place)
    assert is_whole_days(start, end, place)
    assert not is_whole_days(start, end - MINUTE, place)
    assert not is_whole_days(start + MINUTE, end, place)


def test_a_doubled_midnight_is_not_a_day() -> None:
    havana: tzinfo = ZoneInfo("America/Havana")
    first = to_instant(datetime(2027, 11, 7, tzinfo=havana))
    assert from_instant(first + HOUR, havana).hour == 0
    assert not is_whole_days(first, first + HOUR, havana)
