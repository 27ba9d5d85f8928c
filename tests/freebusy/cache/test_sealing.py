"""A calendar as the shared cache holds it: nothing in clear, and opened only as what it was put there for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from freebusy.cache.sealing import (
    Unsealable,
    name_of,
    seal,
    seal_problem,
    unseal,
    unseal_problem,
)
from freebusy.cache.segments import Calendar, Segment
from freebusy.core.intervals import Interval
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable, WorkingHours
from freebusy.core.zones import CustomZone, custom_zone, iana_zone
from microsoft import wire
from tenants.fields import current_fernet

RULE = {"time": "02:00:00", "day_of_week": "sunday", "day_occurrence": 1}
EASTERN = custom_zone(
    wire.TimeZone(
        bias=300,
        standard_offset=wire.ZoneOffset(**RULE, month=11),  # type: ignore[arg-type]
        daylight_offset=wire.ZoneOffset(**RULE, month=3, daylight_bias=-60),  # type: ignore[arg-type]
    )
)
ZONES = [None, iana_zone("Europe/Berlin"), iana_zone("UTC"), EASTERN, CustomZone(timedelta(0), timedelta(0))]
HOURS = WorkingHours(("mon", "fri"), "09:00", "24:00", "Europe/Berlin")
INSTANT = st.integers(-(10**16), 10**16)
ITEMS = st.lists(st.builds(ScheduleItem, INSTANT, INSTANT, st.sampled_from(FreeBusyStatus)), max_size=5).map(tuple)
SCHEDULES = st.builds(Schedule, ITEMS, st.sampled_from([None, HOURS]), st.sampled_from(ZONES))
PROBLEM = Unreadable("no_access", "Not allowed.", False, "ErrorNoFreeBusyAccess")
SEGMENTS = st.builds(
    Segment,
    st.tuples(INSTANT, st.integers(1, 10**9)).map(lambda pair: Interval(pair[0], sum(pair))),
    INSTANT,
    st.one_of(SCHEDULES, st.just(PROBLEM)),
)
ANN = Calendar((Segment(Interval(0, 100), 5, Schedule((ScheduleItem(1, 2, FreeBusyStatus.BUSY),))),))


@given(st.lists(SEGMENTS, max_size=4))
def test_a_calendar_comes_back_as_it_was(segments: list[Segment]) -> None:
    assert EASTERN is not None
    calendar = Calendar(tuple(segments))
    assert unseal("name", seal("name", calendar)) == calendar


def test_a_calendar_cannot_be_passed_off_as_another() -> None:
    with pytest.raises(Unsealable):
        unseal("bob", seal("ann", ANN))
    with pytest.raises(Unsealable):
        unseal_problem("bob", seal_problem("ann", PROBLEM))
    assert unseal_problem("ann", seal_problem("ann", PROBLEM)) == PROBLEM


def test_what_an_older_key_protects_is_read_until_the_key_is_gone(settings: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FERNET_KEYS = [old]
    kept = seal("ann", ANN)
    settings.FERNET_KEYS = [new, old]
    assert unseal("ann", kept) == ANN
    assert Fernet(new).decrypt(seal("ann", ANN))
    settings.FERNET_KEYS = [new]
    with pytest.raises(Unsealable):
        unseal("ann", kept)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([2, "ann", []]),
        msgspec.msgpack.encode([1, "ann", [[0, 0, 5, [], None, None, None]]]),
        msgspec.msgpack.encode([1, "ann", [[0, 9, 5, [[1, 2, 77]], None, None, None]]]),
        msgspec.msgpack.encode([1, "ann", [[0, 9, 5, [], None, "Mars/Phobos", None]]]),
    ],
    ids=["nothing", "no msgpack", "another version", "an empty window", "an unknown status", "an unknown zone"],
)
def test_what_is_no_calendar_is_as_good_as_not_there(content: bytes) -> None:
    with pytest.raises(Unsealable):
        unseal("ann", current_fernet().encrypt(content))


def test_names_depend_on_every_part_and_on_the_installation(settings: Any) -> None:
    at = datetime(2027, 3, 16, tzinfo=UTC)
    parts: list[tuple[object, ...]] = [(1, "t", "r", at), (1, "t", "r", None), (1, "tr", "", at), (11, "t", "r", at)]
    names = {name_of(*part) for part in parts}
    assert len(names) == len(parts)
    assert name_of(*parts[0]) in names
    settings.SECRET_KEY = "another"
    assert name_of(*parts[0]) not in names
