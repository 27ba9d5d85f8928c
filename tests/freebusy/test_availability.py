"""POST availability, held against the contract line by line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.people import Hours
from tests.factories import Api
from tests.freebusy.asking import WINDOW, codes, mailbox, optional, question, rewrite
from tests.freebusy.conftest import Ask

DAY = "2027-03-16"


def day_of(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["start"], item["end"], item["code"]


# --- who is in the answer ---------------------------------------------------------------------------------------
def test_attendees_and_rooms_come_back_in_the_order_asked_with_addresses_as_asked(availability: Ask) -> None:
    people = ["Zoe@Contoso.Example", "ann@contoso.example", "guest@elsewhere.example", "BOB@CONTOSO.EXAMPLE"]
    rooms = ("Room2@contoso.example", "room1@CONTOSO.example")
    answer = availability(question(*people, rooms=rooms))
    assert [person["email"] for person in answer["attendees"]] == people
    assert [room["email"] for room in answer["rooms"]] == list(rooms)
    assert [person["state"] for person in answer["attendees"]] == ["known", "known", "external", "known"]
    assert [room["state"] for room in answer["rooms"]] == ["known", "known"]


def test_the_answer_says_account_window_zone_and_policy(availability: Ask) -> None:
    answer = availability(question("ann@contoso.example"))
    assert {name: answer[name] for name in ("account", "start", "end", "time_zone")} == {
        "account": "contoso",
        "start": WINDOW[0],
        "end": WINDOW[1],
        "time_zone": "Europe/Berlin",
    }
    assert set(answer) == {"account", "start", "end", "time_zone", "policy", "as_of", "attendees", "rooms"}


def test_required_is_true_unless_said_otherwise(availability: Ask) -> None:
    answer = availability(question("ann@contoso.example", optional("bob@contoso.example")))
    assert [person["required"] for person in answer["attendees"]] == [True, False]


def test_rooms_say_neither_required_nor_working_hours(availability: Ask) -> None:
    [room] = availability(question(rooms=("room1@contoso.example",)))["rooms"]
    assert set(room) == {"email", "state", "as_of", "problem", "blocks"}


@pytest.mark.parametrize(
    "address",
    [
        "ann@mail.contoso.example",  # a subdomain is another domain
        "ann@xcontoso.example",
        "ann@contoso.example.com",
        "ann@fabrikam.example",
    ],
)
def test_an_address_of_no_domain_of_the_account_is_external_and_never_asked(
    availability: Ask, microsoft: Sandbox, address: str
) -> None:
    microsoft.counters.reset()
    [person] = availability(question(address))["attendees"]
    assert person == {
        "email": address,
        "required": True,
        "state": "external",
        "as_of": None,
        "problem": None,
        "working_hours": None,
        "blocks": [],
    }
    assert microsoft.counters["get_schedule"] == 0


def test_every_domain_of_the_account_is_its_own(contoso: Any, availability: Ask, microsoft: Sandbox) -> None:
    contoso.domains = ["contoso.example", "fabrikam.example"]
    contoso.save()
    microsoft.counters.reset()
    people = availability(question("ann@contoso.example", "abe@fabrikam.example"))["attendees"]
    # Another Entra tenant's mailbox is asked for; Microsoft says that it does not know it.
    assert [person["state"] for person in people] == ["known", "unknown"]
    assert microsoft.counters["mailboxes"] == 2


# --- what could not be read -------------------------------------------------------------------------------------
TROUBLES = [
    ("5009", "not_found", False),
    ("ErrorMailRecipientNotFound", "not_found", False),
    ("5006", "too_many_entries", False),
    ("ErrorResultSetTooBig", "too_many_entries", False),
    ("ErrorNoFreeBusyAccess", "no_access", False),
    ("ErrorServiceDiscoveryFailed", "not_on_exchange_online", False),
    ("ErrorInvalidOrganizationRelationshipForFreeBusy", "not_on_exchange_online", False),
    ("ErrorTimeoutExpired", "timeout", True),
    ("ErrorServerBusy", "unavailable", True),
    ("ErrorMailboxMoveInProgress", "unavailable", True),
    ("ErrorMailboxStoreUnavailable", "unavailable", True),
    ("5008", "other", False),
    ("ErrorNobodyHasSeenYet", "other", False),
]


@pytest.mark.parametrize(("trouble", "code", "retryable"), TROUBLES, ids=[row[0] for row in TROUBLES])
def test_a_mailbox_microsoft_cannot_read_is_unknown_with_the_reason(
    availability: Ask, microsoft: Sandbox, trouble: str, code: str, retryable: bool
) -> None:
    ill = mailbox(microsoft, "ill", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"), trouble=trouble)
    well = mailbox(microsoft, "well", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))
    answer = availability(question(ill, well, rooms=("room1@contoso.example",)))
    unknown, known = answer["attendees"]
    assert (unknown["state"], unknown["blocks"], unknown["as_of"], unknown["working_hours"]) == (
        "unknown",
        [],
        None,
        None,
    )
    problem = unknown["problem"]
    assert (problem["code"], problem["retryable"], problem["microsoft_code"]) == (code, retryable, trouble)
    assert problem["message"]
    assert (known["state"], codes(known), answer["rooms"][0]["state"]) == ("known", ["OUTLOOK_BUSY"], "known")


def test_real_oddities_of_a_directory_are_told_apart(availability: Ask) -> None:
    monday = (datetime.now(UTC) + timedelta(days=7)).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = question(
        "nobody@contoso.example",
        "gil@contoso.example",
        "hal@contoso.example",
        "admin@contoso.example",
        start=monday.isoformat(),
        end=(monday + timedelta(days=5)).isoformat(),
    )
    found = [person["problem"] and person["problem"]["code"] for person in availability(asked)["attendees"]]
    assert found == ["not_found", None, "no_access", "not_found"]  # the second holds more than is given at once


def drop_items(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry.pop("scheduleItems", None)


def null_items(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry["scheduleItems"] = None


def drop_view(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry.pop("availabilityView", None)


def misshape(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry["scheduleItems"] = {"start": "now"}


@pytest.mark.parametrize("edit", [drop_items, null_items, drop_view, misshape])
def test_an_entry_without_what_it_must_hold_is_no_data_and_never_free(
    availability: Ask, microsoft: Sandbox, edit: Any
) -> None:
    rewrite(microsoft, lambda entries: edit([entry for entry in entries if entry["scheduleId"].startswith("ann")]))
    ann, bob = availability(question("ann@contoso.example", "bob@contoso.example"))["attendees"]
    assert (ann["state"], ann["problem"]["code"], ann["problem"]["retryable"]) == ("unknown", "no_data", True)
    assert bob["state"] == "known"


def test_a_mailbox_microsoft_forgot_to_answer_for_is_no_data(availability: Ask, microsoft: Sandbox) -> None:
    rewrite(microsoft, lambda entries: entries.pop(0))
    ann, bob = availability(question("ann@contoso.example", "bob@contoso.example"))["attendees"]
    assert (ann["problem"]["code"], bob["state"]) == ("no_data", "known")


def test_answers_in_another_order_and_case_find_their_mailbox(availability: Ask, microsoft: Sandbox) -> None:
    busy = mailbox(microsoft, "busy", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))
    idle = mailbox(microsoft, "idle")

    def shuffle(entries: list[dict[str, Any]]) -> None:
        entries.reverse()
        for entry in entries:
            entry["scheduleId"] = entry["scheduleId"].upper()

    rewrite(microsoft, shuffle)
    people = availability(question(busy, idle))["attendees"]
    assert [codes(person) for person in people] == [["OUTLOOK_BUSY"], []]


@pytest.mark.parametrize("text", ["2027-03-16 09:00", "yesterday", "", "2027-13-01T00:00:00.0000000"])
def test_a_time_that_cannot_be_read_makes_the_mailbox_unknown(availability: Ask, microsoft: Sandbox, text: str) -> None:
    odd = mailbox(microsoft, "odd", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))

    def spoil(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            for item in entry["scheduleItems"]:
                item["start"]["dateTime"] = text

    rewrite(microsoft, spoil)
    [person] = availability(question(odd))["attendees"]
    assert (person["state"], person["problem"]["code"], person["blocks"]) == ("unknown", "other", [])


def test_an_unreadable_room_does_not_fail_the_others(availability: Ask, microsoft: Sandbox) -> None:
    microsoft.control.set({"trouble": {"room1@contoso.example": "ErrorServerBusy"}})
    rooms = availability(question(rooms=("room1@contoso.example", "room2@contoso.example")))["rooms"]
    assert [(room["state"], room["problem"] and room["problem"]["code"]) for room in rooms] == [
        ("unknown", "unavailable"),
        ("known", None),
    ]


# --- which items are in the way -----------------------------------------------------------------------------------
STATUSES = [
    ("busy", "OUTLOOK_BUSY", "OUTLOOK_BUSY"),
    ("oof", "OUTLOOK_OOF", "OUTLOOK_OOF"),
    ("unknown", "OUTLOOK_UNKNOWN", "OUTLOOK_UNKNOWN"),
    ("somethingNew", "OUTLOOK_UNKNOWN", "OUTLOOK_UNKNOWN"),
    ("tentative", "IGNORED_TENTATIVE", "OUTLOOK_TENTATIVE"),
    ("workingElsewhere", "IGNORED_ELSEWHERE", "OUTLOOK_ELSEWHERE"),
    ("free", "IGNORED_FREE", "IGNORED_FREE"),
]


@pytest.mark.parametrize(("status", "technical", "cautious"), STATUSES, ids=[row[0] for row in STATUSES])
@pytest.mark.parametrize("spelled", [str, str.upper, str.title])
def test_the_status_decides_by_the_policy_whatever_microsofts_case(
    contoso: Any, availability: Ask, microsoft: Sandbox, status: str, technical: str, cautious: str, spelled: Any
) -> None:
    person = mailbox(microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z", spelled(status)))
    for policy, code in (("technical", technical), ("cautious", cautious)):
        contoso.policy = policy
        contoso.save()
        everything = availability(question(person, rooms=(), include_ignored=True))["attendees"][0]["blocks"]
        conflicts = availability(question(person))["attendees"][0]["blocks"]
        conflict = code.startswith("OUTLOOK_")
        assert everything == [
            {
                "start": f"{DAY}T10:00:00+01:00",
                "end": f"{DAY}T11:00:00+01:00",
                "status": "unknown" if status == "somethingNew" else status,
                "conflict": conflict,
                "code": code,
                "label": "Outlook Event",
            }
        ]
        assert conflicts == (everything if conflict else [])


LENGTHS = [
    ("14:59:59", "OUTLOOK_BUSY", "a second less than six hours"),
    ("15:00:00", "IGNORED_LONG", "exactly six hours"),
    ("15:00:01", "IGNORED_LONG", "a second more"),
    ("16:00:00", "IGNORED_LONG", "seven hours"),
]


@pytest.mark.parametrize(("end", "code", "why"), LENGTHS, ids=[row[2] for row in LENGTHS])
def test_an_item_of_six_hours_or_more_is_ignored_for_people_and_counts_for_rooms(
    availability: Ask, microsoft: Sandbox, end: str, code: str, why: str
) -> None:
    person = mailbox(microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T{end}Z"))
    room = mailbox(microsoft, "hall", (f"{DAY}T09:00:00Z", f"{DAY}T{end}Z"))
    answer = availability(question(person, rooms=(room,), include_ignored=True))
    assert codes(answer["attendees"][0]) == [code], why
    assert codes(answer["rooms"][0]) == ["OUTLOOK_BUSY"]


ALL_DAY = [
    # (mailbox zone, account zone, start, end, code, why)
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00+05:30", "2027-03-17T00:00:00+05:30", True, "mailbox zone"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00+01:00", True, "account zone"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00Z", "2027-03-17T00:00:00Z", True, "UTC"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00-04:00", "2027-03-17T00:00:00-04:00", False, "no such zone"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00+01:00", "2027-03-19T00:00:00+01:00", True, "three days"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00+01:00", "2027-03-17T00:01:00+01:00", False, "a minute on"),
    ("Asia/Kolkata", "Europe/Berlin", "2027-03-16T00:00:00+01:00", "2027-03-17T00:00:00Z", False, "midnights mixed"),
    ("Europe/Berlin", "UTC", "2027-03-28T00:00:00+01:00", "2027-03-29T00:00:00+02:00", True, "23 hours"),
    ("Europe/Berlin", "UTC", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", True, "25 hours"),
    ("Europe/Berlin", "UTC", "2027-03-27T00:00:00+01:00", "2027-03-30T00:00:00+02:00", True, "71 hours"),
    ("Europe/Berlin", "UTC", "2027-03-28T00:00:00+01:00", "2027-03-29T00:00:00+01:00", False, "24 on a 23-hour day"),
    ("Australia/Sydney", "UTC", "2027-04-04T00:00:00+11:00", "2027-04-05T00:00:00+10:00", True, "25 in the south"),
    ("Australia/Lord_Howe", "UTC", "2027-04-04T00:00:00+11:00", "2027-04-05T00:00:00+10:30", True, "24½ hours"),
]


@pytest.mark.parametrize(
    ("zone", "account_zone", "start", "end", "all_day", "why"), ALL_DAY, ids=[row[5] for row in ALL_DAY]
)
def test_all_day_is_midnight_to_midnight_in_the_mailboxs_the_accounts_or_the_utc_zone(
    contoso: Any,
    availability: Ask,
    microsoft: Sandbox,
    zone: str,
    account_zone: str,
    start: str,
    end: str,
    all_day: bool,
    why: str,
) -> None:
    contoso.time_zone = account_zone
    contoso.save()
    person = mailbox(microsoft, "person", (start, end), zone=zone)
    room = mailbox(microsoft, "hall", (start, end), zone=zone)
    asked = question(person, rooms=(room,), start=start, end=end, include_ignored=True)
    answer = availability(asked)
    assert codes(answer["attendees"][0]) == ["IGNORED_ALL_DAY" if all_day else "IGNORED_LONG"], why
    assert codes(answer["rooms"][0]) == ["OUTLOOK_BUSY"], "a room is not travelling"


def test_a_mailbox_in_a_zone_without_a_name_has_its_own_midnights(availability: Ask, microsoft: Sandbox) -> None:
    day = ("2027-03-16T00:00:00-04:00", "2027-03-17T00:00:00-04:00")
    before = ("2027-03-10T00:00:00-05:00", "2027-03-11T00:00:00-05:00")
    person = mailbox(microsoft, "person", day, before, zone="America/New_York", hours=Hours(custom_zone=True))
    asked = question(person, start=before[0], end=day[1], include_ignored=True)
    [answer] = availability(asked)["attendees"]
    assert codes(answer) == ["IGNORED_ALL_DAY", "IGNORED_ALL_DAY"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("tentative", "IGNORED_TENTATIVE"),
        ("workingElsewhere", "IGNORED_ELSEWHERE"),
        ("free", "IGNORED_FREE"),
        ("busy", "IGNORED_ALL_DAY"),
        ("oof", "IGNORED_ALL_DAY"),
        ("unknown", "IGNORED_ALL_DAY"),
    ],
)
def test_the_status_decides_before_the_length_of_an_all_day_item(
    availability: Ask, microsoft: Sandbox, status: str, code: str
) -> None:
    person = mailbox(microsoft, "person", (*WINDOW, status))
    room = mailbox(microsoft, "hall", (*WINDOW, status))
    answer = availability(question(person, rooms=(room,), include_ignored=True))
    assert codes(answer["attendees"][0]) == [code]
    of_the_room = f"OUTLOOK_{status.upper()}" if code == "IGNORED_ALL_DAY" else code
    assert codes(answer["rooms"][0]) == [of_the_room]


def test_neighbours_are_judged_one_by_one_before_anything_is_merged(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(
        microsoft, "person", (f"{DAY}T07:00:00Z", f"{DAY}T10:30:00Z"), (f"{DAY}T10:30:00Z", f"{DAY}T14:00:00Z")
    )
    [answer] = availability(question(person))["attendees"]
    assert codes(answer) == ["OUTLOOK_BUSY", "OUTLOOK_BUSY"]


# --- bounds and order -------------------------------------------------------------------------------------------
def test_an_item_keeps_its_own_bounds_beyond_the_window(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", ("2027-03-15T22:00:00+01:00", "2027-03-16T01:00:00+01:00"))
    room = mailbox(microsoft, "hall", ("2027-03-10T08:00:00+01:00", "2027-03-20T08:00:00+01:00"))
    answer = availability(question(person, rooms=(room,)))
    assert day_of(answer["attendees"][0]["blocks"][0]) == (
        "2027-03-15T22:00:00+01:00",
        "2027-03-16T01:00:00+01:00",
        "OUTLOOK_BUSY",
    )
    assert day_of(answer["rooms"][0]["blocks"][0]) == (
        "2027-03-10T08:00:00+01:00",
        "2027-03-20T08:00:00+01:00",
        "OUTLOOK_BUSY",
    )


def test_an_item_is_judged_by_its_whole_length_not_by_its_part_in_the_window(
    availability: Ask, microsoft: Sandbox
) -> None:
    person = mailbox(microsoft, "person", ("2027-03-15T19:00:00+01:00", "2027-03-16T01:00:00+01:00"))
    [answer] = availability(question(person, include_ignored=True))["attendees"]
    assert codes(answer) == ["IGNORED_LONG"]


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        ("2027-03-15T22:00:00Z", "2027-03-15T23:00:00Z", False),
        ("2027-03-15T22:00:00Z", "2027-03-15T23:00:01Z", True),
        ("2027-03-16T22:59:59Z", "2027-03-16T23:30:00Z", True),
        ("2027-03-16T23:00:00Z", "2027-03-16T23:30:00Z", False),
    ],
)
def test_an_item_that_only_touches_the_window_is_outside(
    availability: Ask, microsoft: Sandbox, start: str, end: str, inside: bool
) -> None:
    person = mailbox(microsoft, "person")

    # Microsoft may give more than was asked for, so the item is put into the answer whatever the window.
    def add(entries: list[dict[str, Any]]) -> None:
        bounds = {
            name: {"dateTime": moment.removesuffix("Z"), "timeZone": "UTC"}
            for name, moment in (("start", start), ("end", end))
        }
        entries[0]["scheduleItems"] = [{"status": "busy", **bounds}]

    rewrite(microsoft, add)
    [answer] = availability(question(person))["attendees"]
    assert bool(answer["blocks"]) is inside


def test_items_of_no_or_negative_length_are_left_out(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(
        microsoft,
        "person",
        (f"{DAY}T09:00:00Z", f"{DAY}T09:00:00Z"),
        (f"{DAY}T12:00:00Z", f"{DAY}T11:00:00Z"),
        (f"{DAY}T13:00:00Z", f"{DAY}T13:00:01Z"),
    )
    [answer] = availability(question(person, include_ignored=True))["attendees"]
    assert [block["start"][11:19] for block in answer["blocks"]] == ["14:00:00"]


def test_identical_items_are_given_once_and_different_ones_each(availability: Ask, microsoft: Sandbox) -> None:
    slot = (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z")
    person = mailbox(microsoft, "person", slot, slot, (*slot, "oof"), slot, (slot[0], f"{DAY}T10:30:00Z"))
    [answer] = availability(question(person))["attendees"]
    assert [(block["end"][11:16], block["code"]) for block in answer["blocks"]] == [
        ("11:00", "OUTLOOK_BUSY"),
        ("11:00", "OUTLOOK_OOF"),
        ("11:30", "OUTLOOK_BUSY"),
    ]


def test_an_item_over_the_seam_of_two_questions_to_microsoft_is_given_once(
    availability: Ask, microsoft: Sandbox
) -> None:
    person = mailbox(microsoft, "person", ("2027-01-02T00:00:00+01:00", "2027-04-30T00:00:00+02:00", "oof"))
    asked = question(person, start="2027-01-01T00:00:00+01:00", end="2027-05-01T00:00:00+02:00", include_ignored=True)
    microsoft.counters.reset()
    [answer] = availability(asked)["attendees"]
    assert microsoft.counters["get_schedule"] == 2
    assert len(answer["blocks"]) == 1


def test_blocks_are_in_order_however_microsoft_sends_them(availability: Ask, microsoft: Sandbox) -> None:
    hours = (15, 9, 12, 8, 17)
    person = mailbox(microsoft, "person", *((f"{DAY}T{h:02}:00:00Z", f"{DAY}T{h:02}:30:00Z") for h in hours))
    [answer] = availability(question(person))["attendees"]
    assert [block["start"] for block in answer["blocks"]] == sorted(block["start"] for block in answer["blocks"])
    assert len(answer["blocks"]) == len(hours)


def test_a_window_of_a_minute_is_answered(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(
        microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"), (f"{DAY}T10:02:00Z", f"{DAY}T10:03:00Z")
    )
    asked = question(person, start=f"{DAY}T09:59:00Z", end=f"{DAY}T10:00:00Z")
    [answer] = availability(asked)["attendees"]
    assert [block["start"][11:16] for block in answer["blocks"]] == ["10:00"]


# --- times and zones ----------------------------------------------------------------------------------------------
def test_every_time_carries_the_offset_of_time_zone_at_that_moment(availability: Ask, microsoft: Sandbox) -> None:
    winter = ("2027-03-26T09:00:00Z", "2027-03-26T10:00:00Z")
    summer = ("2027-03-29T09:00:00Z", "2027-03-29T10:00:00Z")
    person = mailbox(microsoft, "person", winter, summer)
    asked = question(person, start="2027-03-26T00:00:00Z", end="2027-03-30T00:00:00Z", time_zone="Europe/Berlin")
    answer = availability(asked)
    assert (answer["start"], answer["end"]) == ("2027-03-26T01:00:00+01:00", "2027-03-30T02:00:00+02:00")
    assert [block["start"] for block in answer["attendees"][0]["blocks"]] == [
        "2027-03-26T10:00:00+01:00",
        "2027-03-29T11:00:00+02:00",
    ]
    offset = datetime.fromisoformat(answer["as_of"]).utcoffset()
    assert offset in (timedelta(hours=1), timedelta(hours=2))
    assert answer["attendees"][0]["as_of"][-6:] == answer["as_of"][-6:]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/New_York", "2027-03-16T05:00:00-04:00"),
        ("Asia/Kathmandu", "2027-03-16T14:45:00+05:45"),
        ("Australia/Adelaide", "2027-03-16T19:30:00+10:30"),
        ("UTC", "2027-03-16T09:00:00+00:00"),
    ],
)
def test_the_zone_asked_for_is_the_answers(availability: Ask, microsoft: Sandbox, zone: str, start: str) -> None:
    person = mailbox(microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))
    answer = availability(question(person, time_zone=zone))
    assert answer["time_zone"] == zone
    assert answer["attendees"][0]["blocks"][0]["start"] == start


def test_without_time_zone_the_accounts_own_is_used(contoso: Any, availability: Ask) -> None:
    contoso.time_zone = "America/New_York"
    contoso.save()
    answer = availability(question("ann@contoso.example"))
    assert (answer["time_zone"], answer["start"]) == ("America/New_York", "2027-03-15T19:00:00-04:00")


# --- working hours ------------------------------------------------------------------------------------------------
def test_working_hours_are_those_of_the_mailbox_in_its_own_zone(availability: Ask, microsoft: Sandbox) -> None:
    hours = Hours(days=("saturday", "monday"), start="07:30:00.0000000", end="16:00:00.0000000")
    person = mailbox(microsoft, "person", zone="America/New_York", hours=hours)
    [answer] = availability(question(person))["attendees"]
    assert answer["working_hours"] == {
        "days": ["mon", "sat"],
        "start": "07:30",
        "end": "16:00",
        "time_zone": "America/New_York",
    }


def test_working_hours_are_null_when_microsoft_gave_none(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", hours=None)
    [answer] = availability(question(person))["attendees"]
    assert (answer["state"], answer["working_hours"]) == ("known", None)


def test_working_hours_in_a_zone_without_a_name_say_null_for_the_zone(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person", zone="America/New_York", hours=Hours(custom_zone=True))
    [answer] = availability(question(person))["attendees"]
    assert answer["working_hours"] == {
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "start": "08:00",
        "end": "17:00",
        "time_zone": None,
    }


@pytest.mark.parametrize("hours", [None, 5, {}, {"daysOfWeek": "monday"}, {"startTime": 8}, {"timeZone": {}}])
def test_odd_working_hours_never_cost_the_mailbox(availability: Ask, microsoft: Sandbox, hours: Any) -> None:
    person = mailbox(microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))
    rewrite(microsoft, lambda entries: entries[0].update(workingHours=hours))
    [answer] = availability(question(person))["attendees"]
    assert (answer["state"], codes(answer), answer["working_hours"]) == ("known", ["OUTLOOK_BUSY"], None)


# --- how old it is ------------------------------------------------------------------------------------------------
def test_as_of_says_when_the_known_ones_were_read(availability: Ask) -> None:
    before = datetime.now(UTC)
    answer = availability(
        question("ann@contoso.example", "nobody@contoso.example", "guest@elsewhere.example", rooms=())
    )
    after = datetime.now(UTC)
    known, unknown, external = (person["as_of"] for person in answer["attendees"])
    assert (unknown, external) == (None, None)
    assert before <= datetime.fromisoformat(known) <= after
    assert answer["as_of"] == known


def test_as_of_is_the_time_of_the_answer_when_nobody_is_known(availability: Ask) -> None:
    before = datetime.now(UTC)
    answer = availability(question("guest@elsewhere.example", "nobody@contoso.example"))
    assert before <= datetime.fromisoformat(answer["as_of"]) <= datetime.now(UTC)


@pytest.mark.parametrize("age", [0, 60, 3600])
def test_any_age_from_nothing_to_an_hour_may_be_asked_for(availability: Ask, age: int) -> None:
    assert availability(question("ann@contoso.example", max_age_seconds=age))["attendees"][0]["state"] == "known"


def test_with_no_age_allowed_a_change_is_seen_at_once(availability: Ask, microsoft: Sandbox) -> None:
    person = mailbox(microsoft, "person")
    asked = question(person, max_age_seconds=0)
    assert codes(availability(asked)["attendees"][0]) == []
    mailbox(microsoft, "person", (f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"))
    assert codes(availability(asked)["attendees"][0]) == ["OUTLOOK_BUSY"]


# --- the rules shown ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("policy", "counts"), [("technical", False), ("cautious", True)])
def test_the_policy_shows_the_rules_in_force_for_people_and_rooms(
    contoso: Any, api: Api, policy: str, counts: bool
) -> None:
    contoso.policy = policy
    contoso.save()
    shown = api.post("contoso", "availability", question("guest@elsewhere.example")).json()["policy"]
    statuses = {
        "free": False,
        "tentative": counts,
        "busy": True,
        "oof": True,
        "workingElsewhere": counts,
        "unknown": True,
    }
    people = {"statuses": statuses, "all_day_conflicts": False, "long_conflicts": False, "long_minutes": 360}
    assert shown == {
        "name": policy,
        "version": 1,
        "rules": {**people, "room": {**people, "all_day_conflicts": True, "long_conflicts": True}},
    }
