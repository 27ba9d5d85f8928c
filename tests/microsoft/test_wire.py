"""What the decoder takes from Graph's bytes, and what it leaves behind."""

import gc
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freebusy.core.intervals import HOUR, Interval, to_instant
from freebusy.core.schedule import Schedule, parse_schedule
from microsoft import wire
from microsoft.graph_answer import judge_answer
from microsoft.http import Answer

SAMPLES = Path(__file__).parent.parent / "samples" / "microsoft"
POISON = "Takeover of Fabrikam"


def body_of(*entries: object) -> bytes:
    return json.dumps({"@odata.context": "https://graph.example/$metadata", "value": entries}).encode()


def entry(**members: Any) -> dict[str, Any]:
    return {"scheduleId": "ann@contoso.example", "availabilityView": "0", "scheduleItems": [], **members}


def item(**members: Any) -> dict[str, Any]:
    bounds = {"dateTime": "2027-03-16T09:00:00.0000000", "timeZone": "UTC"}
    return {"status": "busy", "start": bounds, "end": bounds, **members}


def only(body: bytes) -> wire.ScheduleInformation:
    [found] = wire.decode_schedules(body)
    assert isinstance(found, wire.ScheduleInformation)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "getschedule-response.2021.json",
            [("adelev@contoso.onmicrosoft.com", 1), ("meganb@contoso.onmicrosoft.com", 5)],
        ),
        ("getschedule-response.concept.json", [("AlexW@contoso.OnMicrosoft.com", 2)]),
        ("getschedule-response.current.json", [("adelev@contoso.com", 5), ("meganb@contoso.com", 5)]),
    ],
)
def test_the_sample_answers_decode_whole(name: str, expected: list[tuple[str, int]]) -> None:
    entries = wire.decode_schedules((SAMPLES / name).read_bytes())
    assert all(isinstance(found, wire.ScheduleInformation) for found in entries)
    assert [(e.schedule_id, len(e.schedule_items or ())) for e in entries] == expected  # type: ignore[union-attr]
    assert all(e.availability_view and e.working_hours and e.error is None for e in entries)  # type: ignore[union-attr]


def test_an_unresolved_address_comes_with_its_error_and_nothing_else() -> None:
    found = only((SAMPLES / "getschedule-response.error-5009.json").read_bytes())
    assert found.error is not None
    assert (found.error.response_code, found.schedule_items, found.availability_view) == ("5009", None, None)


def test_a_custom_zone_keeps_its_rules() -> None:
    found = only((SAMPLES / "getschedule-response.concept.json").read_bytes())
    assert found.working_hours is not None
    zone = found.working_hours.time_zone
    assert zone is not None
    assert zone.daylight_offset is not None
    assert (zone.bias, zone.daylight_offset.daylight_bias, zone.daylight_offset.month) == (480, -60, 3)


def test_no_struct_has_a_field_for_what_we_must_not_read() -> None:
    structs = [value for value in vars(wire).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    names = {name.casefold() for struct in structs for name in struct.__struct_encode_fields__}
    assert len(structs) > 8
    assert not names & {"subject", "location", "isprivate", "is_private", "body", "organizer"}


@pytest.mark.parametrize(
    "entries",
    [
        [entry(scheduleItems=[item(subject=POISON, location=POISON, isPrivate=True)])],
        [entry(scheduleItems=[item(subject=POISON, location=POISON, status=5)]), entry()],
        [entry(workingHours={"daysOfWeek": POISON}, scheduleItems=[item(subject=POISON)])],
    ],
    ids=["plain", "slow path, a malformed entry", "slow path, malformed hours"],
)
def test_subject_and_location_are_nowhere_in_what_is_decoded(entries: list[object]) -> None:
    found = wire.decode_schedules(body_of(*entries))
    assert POISON not in repr(found)
    assert POISON.encode() not in msgspec.json.encode(found)


MEGABYTE = 2**20
NINE = to_instant(datetime(2027, 3, 16, 9, tzinfo=UTC))


def told(body: bytes) -> object:
    """All that stays of an answer: the verdict on the call, and what the mailboxes say."""
    verdict = judge_answer(Answer(200, {}, body), wall_clock=lambda: 0.0)
    entries = [entry for entry in verdict.outcome if isinstance(entry, wire.ScheduleInformation)]  # type: ignore[union-attr]
    return verdict, [parse_schedule([entry], Interval(NINE - HOUR, NINE + HOUR)) for entry in entries]


def memory_of(work: Callable[[], object]) -> tuple[int, int]:
    """Bytes that stay when the work is done and its result is still held, and the most there were meanwhile."""
    gc.collect()
    tracemalloc.start()
    try:
        result = work()
        gc.collect()
        stay, most = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return stay, most


def with_long_details(**members: Any) -> dict[str, Any]:
    return item(subject=POISON * 60_000, location={"displayName": POISON * 60_000}, isPrivate=True, **members)


IN_PARIS = {"dateTime": "2027-03-16T09:00:00.0000000", "timeZone": "Romance Standard Time"}


@pytest.mark.parametrize(
    "entries",
    [
        [entry(scheduleItems=[with_long_details()] * 2)],
        [entry(scheduleItems=[with_long_details(start=IN_PARIS)]), entry(scheduleItems=[with_long_details()])],
        [entry(scheduleItems=[with_long_details(status=5)]), entry(scheduleItems=[with_long_details(status="Busy")])],
        [entry(workingHours={"daysOfWeek": 5}, scheduleItems=[with_long_details()])],
    ],
    ids=["as nearly all", "another zone", "a malformed entry", "malformed hours"],
)
def test_not_even_for_a_moment_is_there_an_object_with_a_subject_or_location(entries: list[object]) -> None:
    body = body_of(*entries)
    told(body)  # what is made once, such as tables of zones, is there from here on
    assert memory_of(lambda: told(body))[1] < MEGABYTE < len(POISON) * 60_000


def test_of_a_subject_cut_inside_a_character_nothing_stays() -> None:
    body = body_of(entry(scheduleItems=[with_long_details()])).replace(b'Fabrikam"', rb'Fabrikam\ud83d"')
    assert body.count(rb"\ud83d") == 2
    told(body)
    assert memory_of(lambda: told(body))[0] < MEGABYTE


LATER = {"dateTime": "2027-03-16T09:30:00.0000000", "timeZone": "UTC"}


@pytest.mark.parametrize(
    ("members", "in_utc"),
    [
        ({}, True),
        ({"start": LATER | {"dateTime": "no time"}}, False),
        ({"start": LATER | {"dateTime": "2027-03-16T09:00:00.0000000Z"}}, True),
        ({"status": "workingElsewhere"}, True),
        ({"status": "Busy"}, False),
        ({"status": "noData"}, False),
        ({"status": None}, False),
        ({"end": None}, False),
        ({"end": LATER | {"timeZone": None}}, False),
        ({"end": LATER | {"timeZone": "utc"}}, False),
        ({"start": LATER | {"timeZone": "Pacific Standard Time"}}, False),
    ],
)
def test_the_times_of_a_mailbox_are_read_at_once_when_all_of_them_can_be(members: dict[str, Any], in_utc: bool) -> None:
    plain = entry(scheduleId="bob@contoso.example", scheduleItems=[item()])
    first, other = wire.decode_schedules(body_of(entry(scheduleItems=[item(), item(**members)]), plain))
    assert isinstance(first, wire.ScheduleInformation)
    assert isinstance(first, wire.UtcInformation) == in_utc
    assert isinstance(other, wire.UtcInformation)


def test_an_entry_that_could_be_read_one_way_or_the_other_says_the_same() -> None:
    """The oddly spelled status beside it takes the second mailbox the other way."""
    bounds = {"start": LATER | {"dateTime": "2027-03-16T09:00:00.0000001"}, "end": LATER}
    mailboxes = [entry(scheduleItems=[item(**bounds)]), entry(scheduleItems=[item(**bounds), item(status="Busy")])]
    window = Interval(NINE - HOUR, NINE + HOUR)
    schedules = [
        parse_schedule([found], window)
        for found in wire.decode_schedules(body_of(*mailboxes))
        if isinstance(found, wire.ScheduleInformation)
    ]
    assert schedules[0] == schedules[1]
    assert isinstance(schedules[0], Schedule)
    assert [(found.start, found.end) for found in schedules[0].items] == [(NINE + 1, NINE + HOUR // 2)]


def test_undocumented_members_are_passed_over() -> None:
    found = only(body_of(entry(scheduleItems=[item(isMeeting=True, isRecurring=False, new={"deep": [1]})])))
    assert found.schedule_items is not None
    assert found.schedule_items[0].status == "busy"


@pytest.mark.parametrize(
    "members",
    [
        {"scheduleItems": None},
        {"availabilityView": None},
        {"workingHours": None},
        {"error": None},
        {"scheduleItems": [item(status=None, start=None, end=None)]},
        {"workingHours": {"daysOfWeek": None, "startTime": None, "endTime": None, "timeZone": None}},
    ],
)
def test_every_member_may_be_null(members: dict[str, Any]) -> None:
    assert only(body_of(entry(**members))).schedule_id == "ann@contoso.example"


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (entry(scheduleItems=[item(status=3)]), "ann@contoso.example"),
        (entry(scheduleItems="none"), "ann@contoso.example"),
        (entry(error="5009"), "ann@contoso.example"),
        (entry(scheduleId=None), None),
        ({"availabilityView": "0"}, None),
        (17, None),
        (None, None),
    ],
)
def test_one_misshapen_entry_does_not_sink_the_others(bad: object, name: str | None) -> None:
    first, malformed, last = wire.decode_schedules(
        body_of(entry(scheduleId="a@contoso.example"), bad, entry(scheduleId="z@contoso.example"))
    )
    assert isinstance(first, wire.ScheduleInformation)
    assert isinstance(last, wire.ScheduleInformation)
    assert malformed == wire.Malformed(name)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"Party \ud83d", "Party \ufffd"),
        (r"\uDE00\uDE00", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d\n", "\\\ufffd\n"),
    ],
)
def test_half_a_character_costs_neither_the_answer_nor_the_mailbox(text: str, read: str) -> None:
    """As a subject has it that was cut after so many UTF-16 units, in the middle of an emoji."""
    cut = body_of(entry(scheduleItems=[item(subject="SUBJECT", status="STATUS")]))
    broken = cut.replace(b"SUBJECT", text.encode() + rb"\ud83d").replace(b"STATUS", text.encode())
    found = only(broken)
    assert found.schedule_items is not None
    assert found.schedule_items[0].status == read


@pytest.mark.parametrize("hours", ["nine to five", {"daysOfWeek": 5}, {"timeZone": {"bias": "minus one"}}, [1]])
def test_misshapen_working_hours_cost_only_themselves(hours: object) -> None:
    found = only(body_of(entry(workingHours=hours, scheduleItems=[item()])))
    assert found.working_hours is None
    assert found.schedule_items is not None
    assert len(found.schedule_items) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Service unavailable</html>",
        b"[]",
        b"null",
        b'{"error": {"code": "generalException"}}',
        b'{"value": null}',
        b'{"value": {}}',
        b"\xff\xfe\x00",
        b'{"value": [' + b"[" * 100_000,
        body_of(entry(), entry())[:-20],
        body_of(entry()) + b"trailing",
    ],
)
def test_a_body_that_is_no_answer_is_malformed_as_a_whole(body: bytes) -> None:
    with pytest.raises(wire.MalformedBody):
        wire.decode_schedules(body)


def test_the_error_for_a_malformed_body_quotes_nothing_of_it() -> None:
    with pytest.raises(wire.MalformedBody) as caught:
        wire.decode_schedules(body_of(entry(scheduleItems=[item(subject=POISON)]))[:-3])
    assert POISON not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"


@pytest.mark.parametrize(
    ("name", "code", "innermost"),
    [
        ("graph-429-body.json", "TooManyRequests", "429"),
        ("graph-403-access-denied.json", "ErrorAccessDenied", "ErrorAccessDenied"),
        ("graph-404-mailbox-not-enabled.json", "MailboxNotEnabledForRESTAPI", "MailboxNotEnabledForRESTAPI"),
        (
            "graph-error-mailbox-array-too-big.json",
            "ErrorMailboxDataArrayTooBig",
            "ErrorMailboxDataArrayTooBig",
        ),
    ],
)
def test_error_bodies_give_their_codes(name: str, code: str, innermost: str) -> None:
    assert wire.decode_error((SAMPLES / name).read_bytes()) == wire.GraphError(code, innermost)


def test_the_innermost_code_is_found_in_either_spelling_and_depth() -> None:
    body = b'{"error":{"code":"a","innererror":{"message":"x","innerError":{"code":"c"}}}}'
    assert wire.decode_error(body) == wire.GraphError("a", "c")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error":"invalid_grant"}', b'{"error":{}}', b"[" * 100_000])
def test_a_body_without_error_codes_gives_none(body: bytes) -> None:
    assert wire.decode_error(body) is None
