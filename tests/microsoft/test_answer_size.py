"""Telling by its size alone that an answer holds more than times and statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from microsoft.answer_size import most_bytes
from microsoft.wire import decode_schedules

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "microsoft"
DETAILS = ("subject", "location")


def sample(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((SAMPLES / f"getschedule-response.{name}.json").read_bytes())
    return body


def in_utc(body: Any) -> Any:
    """As we ask for it: the documentation's answers are in Pacific time."""
    return json.loads(json.dumps(body).replace("Pacific Standard Time", "UTC"))


def sent(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def holds_details(body: bytes) -> bool:
    return len(body) > most_bytes(decode_schedules(body))


def without_details(body: dict[str, Any], *, emptied: bool = False) -> dict[str, Any]:
    for mailbox in body["value"]:
        for item in mailbox.get("scheduleItems", ()):
            for name in DETAILS:
                item.pop(name, None)
                if emptied:
                    item[name] = ""
    return body


@pytest.mark.parametrize("name", ["2021", "concept", "current", "error-5009"])
@pytest.mark.parametrize("emptied", [False, True])
def test_microsofts_own_samples_without_subjects_and_places_hold_no_details(name: str, emptied: bool) -> None:
    assert not holds_details(sent(without_details(in_utc(sample(name)), emptied=emptied)))


@pytest.mark.parametrize("length", [250, 5000])
def test_a_subject_in_each_item_of_a_sample_is_noticed(length: int) -> None:
    body = without_details(in_utc(sample("current")))
    for mailbox in body["value"]:
        for item in mailbox["scheduleItems"]:
            item["subject"] = "s" * length
    assert holds_details(sent(body))


def calendar(items: int, **more: Any) -> dict[str, Any]:
    """One mailbox whose items have every member of a boolean kind, and the longest status."""
    moment = {"dateTime": "2027-03-15T12:00:00.0000000", "timeZone": "UTC"}
    flags = dict.fromkeys(("isPrivate", "isMeeting", "isRecurring", "isException", "isReminderSet"), False)
    item = {**flags, "status": "workingElsewhere", "subject": "", "location": "", "start": moment, "end": moment}
    mailbox = {"scheduleId": "ann@contoso.example", "availabilityView": "0", "scheduleItems": [item | more] * items}
    return {"value": [mailbox]}


@pytest.mark.parametrize("items", [0, 1, 2, 1000])
def test_however_many_items_times_and_statuses_alone_are_no_details(items: int) -> None:
    assert not holds_details(sent(calendar(items)))


def test_short_subjects_are_noticed_once_there_are_many() -> None:
    assert holds_details(sent(calendar(1000, subject="Weekly meeting of the board", location="Room 1")))


def test_a_plus_or_an_accent_in_an_address_is_no_detail() -> None:
    body = calendar(0)
    body["value"][0]["scheduleId"] = "ann+" + "é" * 40 + "@contoso.example"
    assert not holds_details(sent(body).replace(b"+", rb"\u002B"))


def test_of_an_entry_with_another_shape_nothing_is_said() -> None:
    body = calendar(1)
    body["value"].append({"scheduleId": "bob@contoso.example", "scheduleItems": "x" * 9999})
    assert not holds_details(sent(body))
