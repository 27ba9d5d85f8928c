"""POST slots, held against the contract line by line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.people import Hours
from tests.factories import Api
from tests.freebusy.asking import mailbox, optional, question, starts
from tests.freebusy.conftest import Ask

DAY = "2027-03-16"  # a Tuesday
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NINE_TO_TWELVE = {"days": EVERY_DAY, "start": "09:00", "end": "12:00"}
GUEST = "guest@elsewhere.example"  # external: changes nothing, so the grid alone shows


def at(*bounds: str, status: str = "busy") -> tuple[str, str, str]:
    """An event on the day between two wall times of Berlin."""
    start, end = bounds
    return f"{DAY}T{start}:00+01:00", f"{DAY}T{end}:00+01:00", status


def morning(*attendees: Any, **more: Any) -> dict[str, Any]:
    """Hourly candidates of an hour: 09, 10 and 11."""
    asked = {"duration_minutes": 60, "step_minutes": 60, "working_hours": NINE_TO_TWELVE}
    return question(*attendees, **{**asked, **more})


# --- which candidates there are -----------------------------------------------------------------------------------
def test_without_working_hours_candidates_begin_at_midnight_every_quarter_of_an_hour(slots: Ask) -> None:
    answer = slots(question(GUEST))
    assert answer["withheld"] == {"candidates": 95, "offered": 95, "by_code": {}}
    assert starts(answer)[:3] == ["00:00", "00:15", "00:30"]
    assert answer["slots"][-1]["end"] == "2027-03-17T00:00:00+01:00"


def test_the_answer_holds_what_the_contract_says(slots: Ask) -> None:
    answer = slots(question(GUEST, limit=1))
    assert set(answer) == {"slots", "truncated", "unknown", "withheld", "policy", "as_of"}
    assert answer["slots"] == [
        {
            "start": "2027-03-16T00:00:00+01:00",
            "end": "2027-03-16T00:30:00+01:00",
            "verified": True,
            "rooms": [],
            "optional_conflicts": [],
            "unverified": [],
        }
    ]
    assert (answer["policy"]["name"], answer["policy"]["version"]) == ("technical", 1)
    assert set(answer["policy"]["rules"]) == {
        "statuses",
        "all_day_conflicts",
        "long_conflicts",
        "long_minutes",
        "room",
    }
    assert datetime.fromisoformat(answer["as_of"]) <= datetime.now(UTC)


GRIDS = [
    ({"start": "09:00", "end": "12:00"}, 60, 60, ["09:00", "10:00", "11:00"], "they fit exactly"),
    ({"start": "09:00", "end": "11:59"}, 60, 60, ["09:00", "10:00"], "one minute short"),
    ({"start": "09:00", "end": "12:00"}, 60, 45, ["09:00", "09:45", "10:30"], "the next would end after"),
    ({"start": "09:00", "end": "12:00"}, 45, 60, ["09:00", "10:00", "11:00"], "pauses between them"),
    ({"start": "09:07", "end": "10:00"}, 20, 15, ["09:07", "09:22", "09:37"], "the grid begins with the hours"),
    ({"start": "09:00", "end": "09:59"}, 60, 15, [], "longer than the hours"),
    ({"start": "22:30", "end": "24:00"}, 30, 30, ["22:30", "23:00", "23:30"], "up to midnight"),
    ({"start": "22:30", "end": "23:59"}, 30, 30, ["22:30", "23:00"], "not quite midnight"),
    ({"start": "00:00", "end": "24:00"}, 1440, 1440, ["00:00"], "a whole day"),
    ({"start": "00:00", "end": "24:00"}, 720, 1440, ["00:00"], "one step a day"),
]


@pytest.mark.parametrize(("hours", "duration", "step", "expected", "why"), GRIDS, ids=[row[4] for row in GRIDS])
def test_a_candidate_fits_wholly_inside_the_hours(
    slots: Ask, hours: dict[str, str], duration: int, step: int, expected: list[str], why: str
) -> None:
    asked = question(GUEST, duration_minutes=duration, step_minutes=step, working_hours={"days": EVERY_DAY, **hours})
    assert starts(slots(asked)) == expected, why


def test_a_candidate_fits_wholly_inside_the_window(slots: Ask) -> None:
    asked = morning(GUEST, step_minutes=15, start=f"{DAY}T09:10:00+01:00", end=f"{DAY}T10:50:00+01:00")
    assert starts(slots(asked)) == ["09:15", "09:30", "09:45"]


def test_a_window_to_the_second_bounds_candidates_to_the_second(slots: Ask) -> None:
    exactly = morning(GUEST, start=f"{DAY}T10:00:00+01:00", end=f"{DAY}T11:00:00+01:00")
    assert starts(slots(exactly)) == ["10:00"]
    for start, end in (("10:00:01", "11:00:00"), ("10:00:00", "10:59:59"), ("10:00:00.000001", "11:00:00")):
        assert starts(slots({**exactly, "start": f"{DAY}T{start}+01:00", "end": f"{DAY}T{end}+01:00"})) == []


def test_the_grid_starts_anew_each_day(slots: Ask) -> None:
    hours = {"days": EVERY_DAY, "start": "09:00", "end": "11:00"}
    asked = question(GUEST, end="2027-03-18T00:00:00+01:00", step_minutes=50, duration_minutes=30, working_hours=hours)
    assert starts(slots(asked)) == ["09:00", "09:50", "09:00", "09:50"]


@pytest.mark.parametrize(
    ("days", "dates"),
    [
        (["tue"], ["16", "23"]),
        (["sun", "mon"], ["21", "22"]),
        (["sat"], ["20"]),
        (["fri", "wed"], ["17", "19"]),
    ],
)
def test_only_the_days_named_have_candidates(slots: Ask, days: list[str], dates: list[str]) -> None:
    hours = {"days": days, "start": "09:00", "end": "10:00"}
    asked = question(GUEST, end="2027-03-24T00:00:00+01:00", duration_minutes=60, working_hours=hours)
    assert [slot["start"][8:10] for slot in slots(asked)["slots"]] == dates


def test_days_and_hours_are_those_of_time_zone(slots: Ask) -> None:
    hours = {"days": ["tue"], "start": "09:00", "end": "10:00"}
    asked = question(
        GUEST,
        start="2027-03-15T00:00:00Z",
        end="2027-03-18T00:00:00Z",
        duration_minutes=60,
        working_hours=hours,
        time_zone="Pacific/Auckland",
    )
    assert [slot["start"] for slot in slots(asked)["slots"]] == ["2027-03-16T09:00:00+13:00"]


# --- clock changes ------------------------------------------------------------------------------------------------
CHANGES = [
    ("Europe/Berlin", "2027-03-28", "00:00", "05:00", 60, ["00+01", "01+01", "03+02", "04+02"]),
    ("Europe/Berlin", "2026-10-25", "00:00", "05:00", 60, ["00+02", "01+02", "02+02", "02+01", "03+01", "04+01"]),
    ("Europe/Berlin", "2027-03-28", "02:30", "05:00", 30, ["03.30+02", "04+02", "04.30+02"]),  # moved on by the gap
    ("Europe/Berlin", "2026-10-25", "02:30", "03:30", 30, ["02.30+02", "02+01", "02.30+01", "03+01"]),  # the first one
    ("Europe/Berlin", "2026-10-25", "01:00", "02:30", 30, ["01+02", "01.30+02", "02+02"]),  # ends at the first 02:30
    ("America/New_York", "2027-03-14", "01:00", "04:00", 60, ["01-05", "03-04"]),
    ("America/New_York", "2026-11-01", "00:00", "03:00", 60, ["00-04", "01-04", "01-05", "02-05"]),
    ("Australia/Sydney", "2027-04-04", "01:00", "04:00", 60, ["01+11", "02+11", "02+10", "03+10"]),
    ("Australia/Sydney", "2026-10-04", "01:00", "04:00", 60, ["01+10", "03+11"]),
    (
        "Australia/Lord_Howe",
        "2027-04-04",
        "01:00",
        "03:00",
        30,
        ["01+11", "01.30+11", "01.30+10.30", "02+10.30", "02.30+10.30"],
    ),
    ("America/Santiago", "2027-09-05", "00:00", "03:00", 60, ["01-03", "02-03"]),  # the day has no midnight
    ("Asia/Kathmandu", "2027-03-28", "09:00", "11:00", 60, ["09+05.45", "10+05.45"]),
    ("Asia/Kolkata", "2027-03-28", "09:00", "11:00", 60, ["09+05.30", "10+05.30"]),
]


def short(moment: str) -> str:
    """`2027-03-28T03:30:00+02:00` as `03.30+02`."""
    return moment[11:16].replace(":", ".").removesuffix(".00") + moment[19:].replace(":", ".").removesuffix(".00")


@pytest.mark.parametrize(("zone", "date", "start", "end", "minutes", "expected"), CHANGES)
def test_hours_are_wall_time_and_steps_real_minutes_when_the_clock_changes(
    slots: Ask, zone: str, date: str, start: str, end: str, minutes: int, expected: list[str]
) -> None:
    middle = datetime.fromisoformat(f"{date}T12:00:00+00:00")
    asked = question(
        GUEST,
        start=(middle - timedelta(days=2)).isoformat(),
        end=(middle + timedelta(days=2)).isoformat(),
        time_zone=zone,
        duration_minutes=minutes,
        step_minutes=minutes,
        working_hours={"days": EVERY_DAY, "start": start, "end": end},
    )
    found = [slot for slot in slots(asked)["slots"] if slot["start"].startswith(date)]
    assert [short(slot["start"]) for slot in found] == expected
    lengths = {datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"]) for slot in found}
    assert lengths == {timedelta(minutes=minutes)}


@pytest.mark.parametrize(("date", "count"), [("2027-03-28", 23), ("2026-10-25", 25), ("2027-03-29", 24)])
def test_a_whole_day_has_as_many_hours_as_it_has(slots: Ask, date: str, count: int) -> None:
    start = datetime.fromisoformat(f"{date}T12:00:00+00:00")
    asked = question(
        GUEST,
        start=(start - timedelta(days=2)).isoformat(),
        end=(start + timedelta(days=2)).isoformat(),
        duration_minutes=60,
        step_minutes=60,
        time_zone="Europe/Berlin",
    )
    found = [datetime.fromisoformat(slot["start"]) for slot in slots(asked)["slots"]]
    assert sum(moment.date().isoformat() == date for moment in found) == count
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


# --- required and optional ----------------------------------------------------------------------------------------
BUSY = [
    (("10:00", "11:00"), ["09:00", "11:00"], "back to back is fine"),
    (("09:59", "10:00"), ["10:00", "11:00"], "ends when a candidate begins"),
    (("11:00", "11:01"), ["09:00", "10:00"], "begins when a candidate ends"),
    (("09:30", "10:30"), ["11:00"], "over two candidates"),
    (("08:00", "09:00"), ["09:00", "10:00", "11:00"], "before the hours"),
    (("12:00", "13:00"), ["09:00", "10:00", "11:00"], "after the hours"),
    (("08:00", "13:00"), [], "over all of them"),
]


@pytest.mark.parametrize(("busy", "expected", "why"), BUSY, ids=[row[2] for row in BUSY])
def test_intervals_are_half_open(
    slots: Ask, microsoft: Sandbox, busy: tuple[str, str], expected: list[str], why: str
) -> None:
    person = mailbox(microsoft, "person", at(*busy))
    answer = slots(morning(person))
    assert starts(answer) == expected, why
    withheld = 3 - len(expected)
    assert answer["withheld"] == {
        "candidates": 3,
        "offered": len(expected),
        "by_code": {"OUTLOOK_BUSY": withheld} if withheld else {},
    }


def test_a_second_is_enough_to_be_in_the_way(slots: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", (f"{DAY}T10:00:00+01:00", f"{DAY}T10:00:01+01:00"))
    assert starts(slots(morning(person))) == ["09:00", "11:00"]


def test_every_required_attendee_must_be_free(slots: Ask, microsoft: Sandbox) -> None:
    one = mailbox(microsoft, "one", at("09:00", "10:00"))
    two = mailbox(microsoft, "two", at("11:00", "11:30"))
    assert starts(slots(morning(one, two))) == ["10:00"]


def test_an_optional_attendees_conflict_is_named_and_withholds_nothing(slots: Ask, microsoft: Sandbox) -> None:
    one = mailbox(microsoft, "one", at("09:00", "10:00"))
    two = mailbox(microsoft, "two", at("09:30", "11:00"))
    answer = slots(morning(optional(two), GUEST, optional(one)))
    assert [slot["optional_conflicts"] for slot in answer["slots"]] == [[two, one], [two], []]
    assert {slot["verified"] for slot in answer["slots"]} == {True}
    assert answer["withheld"]["by_code"] == {}


def test_what_is_ignored_is_not_in_the_way(slots: Ask, microsoft: Sandbox) -> None:
    person = mailbox(
        microsoft,
        "person",
        at("09:00", "10:00", status="free"),
        at("09:00", "10:00", status="tentative"),
        at("10:00", "11:00", status="workingElsewhere"),
        at("08:00", "14:00"),  # six hours
        (f"{DAY}T00:00:00+01:00", "2027-03-17T00:00:00+01:00", "oof"),
    )
    assert starts(slots(morning(person))) == ["09:00", "10:00", "11:00"]


def test_a_room_is_judged_by_the_rules_for_rooms(slots: Ask, microsoft: Sandbox) -> None:
    long = mailbox(microsoft, "hall", at("05:00", "11:00"))
    closed = mailbox(microsoft, "lab", (f"{DAY}T00:00:00+01:00", "2027-03-17T00:00:00+01:00"))
    answer = slots(morning(GUEST, rooms=(closed, long)))
    assert [(slot["start"][11:16], slot["rooms"]) for slot in answer["slots"]] == [("11:00", [long])]
    # The same calendar as an attendee's is no hindrance.
    assert starts(slots(morning(closed, long))) == ["09:00", "10:00", "11:00"]


def test_the_cautious_policy_counts_tentative_and_elsewhere(contoso: Any, slots: Ask, microsoft: Sandbox) -> None:
    contoso.policy = "cautious"
    contoso.save()
    person = mailbox(
        microsoft,
        "person",
        at("09:00", "10:00", status="tentative"),
        at("10:00", "11:00", status="workingElsewhere"),
    )
    answer = slots(morning(person))
    assert starts(answer) == ["11:00"]
    assert answer["withheld"]["by_code"] == {"OUTLOOK_TENTATIVE": 1, "OUTLOOK_ELSEWHERE": 1}
    assert answer["policy"]["name"] == "cautious"


def test_working_hours_of_a_mailbox_do_not_matter(slots: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", hours=Hours(days=("sunday",), start="20:00:00.0000000"))
    assert starts(slots(morning(person))) == ["09:00", "10:00", "11:00"]


# --- rooms --------------------------------------------------------------------------------------------------------
def test_at_least_one_room_must_be_free_and_the_free_ones_are_named_in_the_order_asked(
    slots: Ask, microsoft: Sandbox
) -> None:
    one = mailbox(microsoft, "hall", at("09:00", "11:00"))
    two = mailbox(microsoft, "lab", at("10:00", "11:00"))
    for rooms in ((one, two), (two, one)):
        answer = slots(morning(GUEST, rooms=rooms))
        assert [(slot["start"][11:16], slot["rooms"]) for slot in answer["slots"]] == [
            ("09:00", [two]),
            ("11:00", list(rooms)),
        ]
        assert answer["withheld"]["by_code"] == {"ROOM": 1}


def test_rooms_alone_can_be_asked_for(slots: Ask, microsoft: Sandbox) -> None:
    room = mailbox(microsoft, "hall", at("09:00", "10:00"))
    asked = morning(rooms=(room,))
    del asked["attendees"]
    assert starts(slots(asked)) == ["10:00", "11:00"]


def test_an_empty_list_of_rooms_asks_for_none(slots: Ask) -> None:
    answer = slots(morning(GUEST, rooms=()))
    assert [slot["rooms"] for slot in answer["slots"]] == [[], [], []]


def test_an_address_is_given_back_as_asked(slots: Ask, microsoft: Sandbox) -> None:
    mailbox(microsoft, "hall")
    mailbox(microsoft, "person", at("09:00", "12:00"))
    mailbox(microsoft, "ill", trouble="5008")
    person, ill, room = "PERSON@contoso.example", "Ill@Contoso.Example", "HALL@Contoso.example"
    answer = slots(morning(optional(person), optional(ill), rooms=(room,)))
    slot = answer["slots"][0]
    assert (slot["rooms"], slot["optional_conflicts"], slot["unverified"]) == ([room], [person], [ill])
    assert answer["unknown"] == [{"email": ill, "code": "other"}]


@pytest.mark.parametrize("include", [False, True])
def test_an_unknown_room_is_never_offered(slots: Ask, microsoft: Sandbox, include: bool) -> None:
    known = mailbox(microsoft, "hall", at("10:00", "11:00"))
    unknown = mailbox(microsoft, "lab", trouble="5008")
    answer = slots(morning(GUEST, rooms=(unknown, known), include_unverified=include, explain=True))
    assert [(slot["start"][11:16], slot["rooms"], slot["verified"]) for slot in answer["slots"]] == [
        ("09:00", [known], True),
        ("11:00", [known], True),
    ]
    assert answer["unknown"] == [{"email": unknown, "code": "other"}]
    assert answer["candidates"][1]["blocked_by"] == [{"code": "ROOM", "emails": [unknown, known]}]


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("room", ["nowhere@contoso.example", "room@elsewhere.example"])
def test_without_a_single_known_room_nothing_is_offered(slots: Ask, room: str, include: bool) -> None:
    answer = slots(morning("ann@contoso.example", rooms=(room,), include_unverified=include))
    assert answer["slots"] == []
    assert answer["withheld"]["offered"] == 0
    assert "ROOM" in answer["withheld"]["by_code"]


# --- unknown and external -----------------------------------------------------------------------------------------
def test_a_required_unknown_attendee_withholds_every_slot(slots: Ask, microsoft: Sandbox) -> None:
    unknown = mailbox(microsoft, "ill", trouble="5006")
    busy = mailbox(microsoft, "busy", at("09:00", "10:00"))
    answer = slots(morning(unknown, busy))
    assert answer["slots"] == []
    assert answer["withheld"] == {"candidates": 3, "offered": 0, "by_code": {"UNKNOWN_REQUIRED": 3}}
    assert answer["unknown"] == [{"email": unknown, "code": "too_many_entries"}]


def test_with_include_unverified_the_other_rules_still_hold(slots: Ask, microsoft: Sandbox) -> None:
    unknown = mailbox(microsoft, "ill", trouble="5006")
    unsure = mailbox(microsoft, "unsure", trouble="5008")
    busy = mailbox(microsoft, "busy", at("09:00", "10:00"))
    room = mailbox(microsoft, "hall", at("11:00", "12:00"))
    answer = slots(morning(unknown, busy, optional(unsure), rooms=(room,), include_unverified=True))
    [slot] = answer["slots"]
    assert (slot["start"][11:16], slot["verified"], slot["rooms"]) == ("10:00", False, [room])
    assert slot["unverified"] == [unknown, unsure]
    assert answer["withheld"] == {"candidates": 3, "offered": 1, "by_code": {"OUTLOOK_BUSY": 1, "ROOM": 1}}
    assert answer["unknown"] == [
        {"email": unknown, "code": "too_many_entries"},
        {"email": unsure, "code": "other"},
    ]


def test_an_optional_unknown_attendee_is_named_and_leaves_the_slot_verified(slots: Ask, microsoft: Sandbox) -> None:
    unsure = mailbox(microsoft, "unsure", trouble="5008")
    for include in (False, True):
        answer = slots(morning(GUEST, optional(unsure), include_unverified=include))
        assert [(slot["verified"], slot["unverified"]) for slot in answer["slots"]] == [(True, [unsure])] * 3
        assert answer["unknown"] == [{"email": unsure, "code": "other"}]


def test_external_attendees_change_nothing(slots: Ask, microsoft: Sandbox) -> None:
    busy = mailbox(microsoft, "busy", at("09:00", "10:00"))
    alone = slots(morning(busy))
    accompanied = slots(morning(busy, GUEST, optional("other@elsewhere.example")))
    for answer in (alone, accompanied):
        answer.pop("as_of")
    assert alone == accompanied


def test_unknown_lists_attendees_and_rooms(slots: Ask, microsoft: Sandbox) -> None:
    troubled = ("nobody@contoso.example", "hal@contoso.example", "nowhere@contoso.example")
    answer = slots(morning(troubled[0], optional(troubled[1]), GUEST, rooms=(troubled[2],)))
    assert answer["unknown"] == [
        {"email": troubled[0], "code": "not_found"},
        {"email": troubled[1], "code": "no_access"},
        {"email": troubled[2], "code": "not_found"},
    ]


# --- order, limit, sums -------------------------------------------------------------------------------------------
def test_fewest_conflicts_come_first_and_then_by_time(slots: Ask, microsoft: Sandbox) -> None:
    one = mailbox(microsoft, "one", at("09:00", "11:00"))
    two = mailbox(microsoft, "two", at("09:00", "10:00"))
    asked = question(
        optional(one),
        optional(two),
        duration_minutes=60,
        step_minutes=60,
        working_hours={"days": EVERY_DAY, "start": "09:00", "end": "13:00"},
    )
    assert starts(slots({**asked, "order": "time"})) == ["09:00", "10:00", "11:00", "12:00"]
    best = slots({**asked, "order": "fewest_conflicts"})
    assert starts(best) == ["11:00", "12:00", "10:00", "09:00"]
    first = slots({**asked, "order": "fewest_conflicts", "limit": 3})
    assert (first["slots"], first["truncated"]) == (best["slots"][:3], True)


@pytest.mark.parametrize(
    ("limit", "returned", "truncated"), [(1, 1, True), (2, 2, True), (3, 3, False), (5000, 3, False)]
)
def test_offered_counts_before_the_limit(slots: Ask, limit: int, returned: int, truncated: bool) -> None:
    answer = slots(morning(GUEST, limit=limit))
    assert (len(answer["slots"]), answer["truncated"]) == (returned, truncated)
    assert answer["withheld"]["offered"] == 3


def test_the_limit_is_500_unless_said_otherwise(slots: Ask) -> None:
    answer = slots(question(GUEST, duration_minutes=1, step_minutes=1))
    assert (len(answer["slots"]), answer["truncated"], answer["withheld"]["offered"]) == (500, True, 1440)


REASONS = ["OUTLOOK_BUSY", "OUTLOOK_OOF", "OUTLOOK_UNKNOWN", "OUTLOOK_TENTATIVE", "OUTLOOK_ELSEWHERE", "ROOM"]
STATUSES = ["busy", "oof", "unknown", "tentative", "workingElsewhere"]


@pytest.mark.parametrize("first", range(len(REASONS)))
def test_a_withheld_candidate_is_counted_once_under_its_first_code(
    contoso: Any, slots: Ask, microsoft: Sandbox, first: int
) -> None:
    contoso.policy = "cautious"
    contoso.save()
    people = [
        mailbox(microsoft, f"person{number}", at("09:00", "10:00", status=status))
        for number, status in reversed(list(enumerate(STATUSES)))
        if number >= first
    ]
    room = mailbox(microsoft, "hall", at("09:00", "10:00"))
    answer = slots(morning(*people, rooms=(room,), explain=True))
    assert answer["withheld"] == {"candidates": 3, "offered": 2, "by_code": {REASONS[first]: 1}}
    blocked = answer["candidates"][0]["blocked_by"]
    assert [reason["code"] for reason in blocked] == REASONS[first:]
    assert [len(reason["emails"]) for reason in blocked] == [1] * len(blocked)


def test_unknown_required_comes_before_every_other_code(slots: Ask, microsoft: Sandbox) -> None:
    unknown = mailbox(microsoft, "ill", trouble="5008")
    busy = mailbox(microsoft, "busy", at("09:00", "10:00"))
    room = mailbox(microsoft, "hall", at("09:00", "10:00"))
    answer = slots(morning(busy, unknown, rooms=(room,), explain=True))
    assert answer["withheld"]["by_code"] == {"UNKNOWN_REQUIRED": 3}
    assert answer["candidates"][0]["blocked_by"] == [
        {"code": "UNKNOWN_REQUIRED", "emails": [unknown]},
        {"code": "OUTLOOK_BUSY", "emails": [busy]},
        {"code": "ROOM", "emails": [room]},
    ]
    assert answer["candidates"][1]["blocked_by"] == [{"code": "UNKNOWN_REQUIRED", "emails": [unknown]}]


def test_a_code_names_everybody_it_comes_from(slots: Ask, microsoft: Sandbox) -> None:
    people = [mailbox(microsoft, f"person{number}", at("09:00", "10:00")) for number in range(3)]
    answer = slots(morning(*people, optional(mailbox(microsoft, "may", at("09:00", "10:00"))), explain=True))
    assert answer["candidates"][0]["blocked_by"] == [{"code": "OUTLOOK_BUSY", "emails": people}]


def test_explain_lists_every_candidate_also_beyond_the_limit(slots: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", at("10:00", "11:00"))
    answer = slots(morning(person, limit=1, explain=True))
    assert answer["candidates"] == [
        {"start": f"{DAY}T09:00:00+01:00", "end": f"{DAY}T10:00:00+01:00", "blocked_by": []},
        {
            "start": f"{DAY}T10:00:00+01:00",
            "end": f"{DAY}T11:00:00+01:00",
            "blocked_by": [{"code": "OUTLOOK_BUSY", "emails": [person]}],
        },
        {"start": f"{DAY}T11:00:00+01:00", "end": f"{DAY}T12:00:00+01:00", "blocked_by": []},
    ]
    assert len(answer["slots"]) == 1


def test_without_explain_there_is_no_list_of_candidates(slots: Ask) -> None:
    assert "candidates" not in slots(morning(GUEST))


@pytest.mark.parametrize("include", [False, True])
def test_offer_counts_and_explanation_agree_in_a_whole_organisation(slots: Ask, include: bool) -> None:
    monday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)
    people = [f"{name}@contoso.example" for name in ("ann", "bob", "hal", "ivy", "joe")]
    asked = question(
        *people,
        optional("dan@contoso.example"),
        rooms=("room1@contoso.example", "room2@contoso.example"),
        start=monday.isoformat(),
        end=(monday + timedelta(days=5)).isoformat(),
        explain=True,
        include_unverified=include,
        limit=5000,
    )
    answer = slots(asked)
    withheld = answer["withheld"]
    offered = [candidate["start"] for candidate in answer["candidates"] if not candidate["blocked_by"]]
    assert [slot["start"] for slot in answer["slots"]] == offered
    assert withheld["offered"] == len(offered)
    assert withheld["candidates"] == len(answer["candidates"]) == len(offered) + sum(withheld["by_code"].values())
    assert bool(offered) is include


def test_availability_and_slots_agree_on_what_is_in_the_way(api: Api, slots: Ask) -> None:
    monday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=3)
    asked = question(
        "ann@contoso.example",
        "bob@contoso.example",
        rooms=("room1@contoso.example",),
        start=monday.isoformat(),
        end=(monday + timedelta(days=7)).isoformat(),
    )
    seen = api.post("contoso", "availability", asked).json()

    def free(mailbox_json: dict[str, Any], slot: dict[str, Any]) -> bool:
        return not any(
            datetime.fromisoformat(block["start"]) < datetime.fromisoformat(slot["end"])
            and datetime.fromisoformat(slot["start"]) < datetime.fromisoformat(block["end"])
            for block in mailbox_json["blocks"]
        )

    candidates = slots({**asked, "explain": True, "limit": 5000})["candidates"]
    for candidate in candidates:
        everybody = [*seen["attendees"], *seen["rooms"]]
        assert (candidate["blocked_by"] == []) == all(free(one, candidate) for one in everybody)
    assert len({candidate["blocked_by"] == [] for candidate in candidates}) == 2


def test_no_candidate_at_all_is_an_answer_too(slots: Ask) -> None:
    answer = slots(question(GUEST, end=f"{DAY}T00:29:00+01:00", explain=True))
    assert (answer["slots"], answer["candidates"], answer["truncated"]) == ([], [], False)
    assert answer["withheld"] == {"candidates": 0, "offered": 0, "by_code": {}}


@pytest.mark.parametrize(("minutes", "status"), [(50_000, 200), (50_001, 400)])
def test_50_000_candidates_are_searched_and_one_more_is_refused(
    api: Api, microsoft: Sandbox, minutes: int, status: int
) -> None:
    start = datetime(2027, 5, 1, tzinfo=UTC)
    asked = question(
        GUEST,
        start=start.isoformat(),
        end=(start + timedelta(minutes=minutes)).isoformat(),
        time_zone="UTC",
        duration_minutes=1,
        step_minutes=1,
        limit=1,
    )
    answer = api.post("contoso", "slots", asked)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["withheld"]["candidates"] == minutes
    else:
        [error] = answer.json()["errors"]
        assert (error["field"], error["code"]) == ("step_minutes", "too_many_candidates")


def test_all_times_carry_the_offset_of_time_zone(slots: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person")
    asked = morning(
        person, start="2027-03-27T00:00:00Z", end="2027-03-29T12:00:00Z", time_zone="Europe/Berlin", explain=True
    )
    answer = slots(asked)
    offsets = [slot["start"][-6:] for slot in answer["slots"]]
    assert sorted(set(offsets)) == ["+01:00", "+02:00"]
    assert [candidate["start"][-6:] for candidate in answer["candidates"]] == offsets
    assert answer["as_of"][-6:] in ("+01:00", "+02:00")
