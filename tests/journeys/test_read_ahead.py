"""An event of 2,000 people and 200 rooms as its planner works: read ahead once, then 500 searches for a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.calendars import Event
from sandbox.people import Mailbox
from tests.factories import Api
from tests.freebusy.core import workloads

WORK = "W3"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def address(kind: str, number: int) -> str:
    return f"{kind}{number}@contoso.example"


@pytest.fixture
def work(microsoft: Sandbox) -> dict[str, Any]:
    """The workload, with its calendars at the sandbox."""
    made: dict[str, Any] = workloads.make(WORK)
    for kind in ("people", "rooms"):
        for number, owner in enumerate(made[kind]):
            name = address(kind, number)
            microsoft.directory.add_mailbox(name, mailbox=Mailbox(pattern="empty", zone=owner["tz"]))
            for start, end, status, all_day in owner["events"]:
                event = Event(start=at(start), end=at(end), status=workloads.STATUS[status], is_all_day=bool(all_day))
                microsoft.directory.add_event(name, event)
    return made


def body(frame: dict[str, Any], search: dict[str, Any], window: dict[str, str]) -> dict[str, Any]:
    rooms = [address("rooms", number) for number in sorted(search["rooms"] or ())]
    return {
        "attendees": [{"email": address("people", number)} for number in search["required"]],
        "rooms": rooms,
        **window,
        "time_zone": frame["tz"],
        "duration_minutes": frame["duration"],
        "step_minutes": frame["step"],
        "working_hours": {
            "days": [("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day] for day in frame["weekdays"]],
            "start": frame["work_start"],
            "end": frame["work_end"],
        },
        "limit": 5000,
        "max_age_seconds": 3600,
    }


def row(slot: dict[str, Any]) -> list[Any]:
    """As the workload writes it: start, conflicts of optional people, free rooms, the first of them."""
    rooms = slot["rooms"]
    first = int(rooms[0].removeprefix("rooms").partition("@")[0]) if rooms else -1
    start = (datetime.fromisoformat(slot["start"]) - EPOCH) // timedelta(minutes=1)
    return [start, 0, [], len(rooms), first]


def test_a_roster_of_2200_costs_110_calls_and_500_searches_after_it_none(
    api: Api, microsoft: Sandbox, work: dict[str, Any], settings: Any
) -> None:
    settings.API_RATE_BURST = 1000
    frame = work["frame"]
    first = workloads.local_min(frame["tz"], datetime.fromisoformat(frame["first_day"]).date(), 0)
    window = {"start": at(first).isoformat(), "end": at(first + (frame["days"] * 24 + 1) * 60).isoformat()}
    roster = [address(kind, number) for kind in ("people", "rooms") for number in range(len(work[kind]))]

    microsoft.counters.reset()
    refreshed = api.post("contoso", "roster/refresh", {"mailboxes": roster, **window})
    assert refreshed.status_code == 200, refreshed.content
    assert {name: refreshed.json()[name] for name in ("asked", "known", "pending", "unknown")} == {
        "asked": 2200,
        "known": 2200,
        "pending": 0,
        "unknown": [],
    }
    assert (microsoft.counters["get_schedule"], microsoft.counters["mailboxes"]) == (110, 2200)

    microsoft.counters.reset()
    answers = []
    for search in work["searches"]:
        answer = api.post("contoso", "slots", body(frame, search, window))
        assert answer.status_code == 200, answer.content
        answers.append([row(slot) for slot in answer.json()["slots"]])
    assert microsoft.counters["requests"] == 0
    assert (workloads.result_hash(answers), sum(map(len, answers))) == workloads.EXPECTED[WORK]
