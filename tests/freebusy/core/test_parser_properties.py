"""From any bytes to a schedule: whatever comes is understood, refused or unknown, and never free by mistake."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freebusy.core.intervals import Interval, to_instant
from freebusy.core.rules import TECHNICAL, blocks
from freebusy.core.schedule import Schedule, Unreadable, parse_schedule
from microsoft import wire

WINDOW = Interval(to_instant(datetime(2027, 3, 16, tzinfo=UTC)), to_instant(datetime(2027, 3, 17, tzinfo=UTC)))
MAILBOX: dict[str, Any] = {
    "scheduleId": "ann@contoso.example",
    "availabilityView": "0200",
    "scheduleItems": [
        {
            "status": "busy",
            "subject": "not for us",
            "start": {"dateTime": "2027-03-16T09:00:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": "2027-03-16T10:00:00.0000000", "timeZone": "UTC"},
        }
    ],
    "workingHours": {
        "daysOfWeek": ["monday"],
        "startTime": "09:00:00.0000000",
        "endTime": "17:00:00.0000000",
        "timeZone": {
            "@odata.type": "#microsoft.graph.customTimeZone",
            "bias": -60,
            "name": "Customized Time Zone",
            "standardOffset": {"time": "03:00:00", "dayOccurrence": 5, "dayOfWeek": "sunday", "month": 10, "year": 0},
            "daylightOffset": {
                "time": "02:00:00",
                "dayOccurrence": 5,
                "dayOfWeek": "sunday",
                "month": 3,
                "year": 0,
                "daylightBias": -60,
            },
        },
    },
}

TEXTS = st.text(st.characters(), max_size=12)  # lone surrogates too: JSON can write them
FINITE = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no other numbers
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | TEXTS
NAMES = TEXTS | st.sampled_from(["value", "scheduleId", "scheduleItems", "start", "dateTime", "error", "code"])
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every member and element."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, member in inner for found in ((*path, key), *places(member, (*path, key)))]


def with_changed(path: tuple[str | int, ...], replacement: Any, *, removed: bool = False) -> dict[str, Any]:
    """The mailbox with one value replaced, or taken away."""
    changed = deepcopy(MAILBOX)
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    if removed:
        del holder[path[-1]]
    else:
        holder[path[-1]] = replacement
    return changed


def body_of(*entries: Any) -> bytes:
    return json.dumps({"value": entries}).encode()


def is_busy(entry: wire.ScheduleInformation) -> bool:
    """Whether whoever asks is told of a conflict; an unreadable mailbox is no free one either."""
    schedule = parse_schedule([entry], WINDOW)
    if isinstance(schedule, Unreadable):
        return True
    return any(block.conflict for block in blocks(schedule, TECHNICAL, UTC))


@given(st.binary() | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_answer_or_no_answer(body: bytes) -> None:
    wire.decode_error(body)
    try:
        decoded = wire.decode_schedules(body)
    except wire.MalformedBody:
        return
    assert isinstance(json.loads(body)["value"], list)
    assert len(decoded) == len(json.loads(body)["value"])


@given(st.lists(ANYTHING | st.tuples(st.sampled_from(places(MAILBOX)), ANYTHING).map(lambda c: with_changed(*c))))
def test_any_entries_are_schedules_unreadable_or_malformed_and_leave_the_others_alone(entries: list[Any]) -> None:
    *decoded, last = wire.decode_schedules(body_of(*entries, MAILBOX))
    assert len(decoded) == len(entries)
    for entry in decoded:
        if isinstance(entry, wire.ScheduleInformation):
            assert isinstance(parse_schedule([entry], WINDOW), Schedule | Unreadable)
        else:
            assert isinstance(entry, wire.Malformed)
    assert last == wire.decode_schedules(body_of(MAILBOX))[0]


# What is no time, no zone and no status in any reading.
SENSELESS = st.text("éß?", max_size=5)
# An empty list of items is no mistake but a free mailbox, and a status may say so: those are left alone.
GARBAGE = SENSELESS | st.booleans() | st.integers() | FINITE | st.just({}) | st.just([None])


@given(st.sampled_from(places(MAILBOX)), st.none() | GARBAGE, st.booleans())
def test_a_busy_mailbox_with_any_value_spoilt_or_missing_is_never_free(
    path: tuple[str | int, ...], garbage: Any, removed: bool
) -> None:
    if removed and path == ("scheduleItems", 0):
        return  # a mailbox without entries is free
    [entry] = wire.decode_schedules(body_of(with_changed(path, garbage, removed=removed)))
    assert isinstance(entry, wire.Malformed) or is_busy(entry)


@given(GARBAGE | st.just({"message": None}))
def test_a_mailbox_with_an_error_of_whatever_shape_is_never_free(error: Any) -> None:
    empty = {"scheduleId": "ann@contoso.example", "availabilityView": "0", "scheduleItems": [], "error": error}
    [entry] = wire.decode_schedules(body_of(empty))
    assert isinstance(entry, wire.Malformed) or isinstance(parse_schedule([entry], WINDOW), Unreadable)


@given(st.integers(0, len(body_of(MAILBOX, MAILBOX)) - 1))
def test_an_answer_cut_short_anywhere_is_no_answer(length: int) -> None:
    with pytest.raises(wire.MalformedBody):
        wire.decode_schedules(body_of(MAILBOX, MAILBOX)[:length])
