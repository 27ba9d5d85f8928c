"""Microsoft's limits: 20 mailboxes a call, windows under 62 days, four calls at a time for one reader."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pytest
from django.db import connections

from freebusy.probes import probe
from sandbox import Sandbox
from tenants import breakers
from tenants.models import Account
from tests.conftest import READER
from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import codes, mailbox, question
from tests.freebusy.conftest import Ask


def crowd(microsoft: Sandbox, count: int) -> list[str]:
    """People of whom every one has a mailbox."""
    return [mailbox(microsoft, f"p{number}") for number in range(count)]


def window(days: int, **more: int) -> dict[str, str]:
    start = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
    return {"start": start.isoformat(), "end": (start + timedelta(days=days, **more)).isoformat()}


def assert_microsoft_was_content(microsoft: Sandbox, calls: int) -> None:
    """So many calls, none refused, never more than four at a time."""
    assert microsoft.counters["get_schedule"] == calls
    assert microsoft.counters["throttled"] == 0
    assert microsoft.counters["max_concurrent"] <= 4
    assert {seen.status for seen in microsoft.counters.seen} == {200}


@pytest.mark.parametrize("count", [1, 19, 20, 21, 40, 41, 400, 500])
def test_mailboxes_are_asked_for_twenty_at_a_time(availability: Ask, microsoft: Sandbox, count: int) -> None:
    people = crowd(microsoft, count)
    microsoft.counters.reset()
    answer = availability(question(*people))
    assert {person["state"] for person in answer["attendees"]} == {"known"}
    assert_microsoft_was_content(microsoft, ceil(count / 20))
    assert microsoft.counters["mailboxes"] == count


def test_people_and_rooms_share_a_call(availability: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 18)
    microsoft.counters.reset()
    availability(question(*people, "guest@elsewhere.example", rooms=("room1@contoso.example", "room2@contoso.example")))
    assert_microsoft_was_content(microsoft, 1)
    assert microsoft.counters["mailboxes"] == 20


WINDOWS = [
    ({"days": 1}, 1),
    ({"days": 61}, 1),
    ({"days": 61, "seconds": 1}, 2),
    ({"days": 62}, 2),
    ({"days": 122}, 2),
    ({"days": 366}, 6),
]


@pytest.mark.parametrize(("length", "parts"), WINDOWS)
def test_a_long_window_is_asked_for_in_parts_that_graph_takes(
    availability: Ask, microsoft: Sandbox, length: dict[str, int], parts: int
) -> None:
    start = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
    end = start + timedelta(**length)
    first, last = (start, start + timedelta(minutes=1)), (end - timedelta(minutes=1), end)
    weekly = [(start + timedelta(days=7 * week), start + timedelta(days=7 * week, hours=1)) for week in range(1, 60)]
    inside = [(begin, stop) for begin, stop in [first, *weekly, last] if stop <= end]
    person = mailbox(microsoft, "person", *((begin.isoformat(), stop.isoformat()) for begin, stop in inside))
    microsoft.counters.reset()
    answer = availability(question(person, **window(**length), time_zone="UTC"))
    assert_microsoft_was_content(microsoft, parts)
    # None lost at a seam and none twice.
    assert [block["start"] for block in answer["attendees"][0]["blocks"]] == [begin.isoformat() for begin, _ in inside]


def test_mailboxes_and_window_multiply(availability: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 21)
    microsoft.counters.reset()
    availability(question(*people, **window(366)))
    assert_microsoft_was_content(microsoft, 12)


def test_a_mailbox_unreadable_in_one_part_is_unknown_as_a_whole(availability: Ask, microsoft: Sandbox) -> None:
    start, second = datetime.fromisoformat("2027-01-10T00:00:00+00:00"), timedelta(seconds=1)
    crowded = [((start + n * second).isoformat(), (start + (n + 1) * second).isoformat()) for n in range(1001)]
    person = mailbox(microsoft, "person", *crowded)
    well = mailbox(microsoft, "well", crowded[0])
    ill, good = availability(question(person, well, **window(100)))["attendees"]
    assert (ill["state"], ill["problem"]["code"], ill["blocks"]) == ("unknown", "too_many_entries", [])
    assert codes(good) == ["OUTLOOK_BUSY"]


def test_a_mailbox_with_too_many_entries_is_asked_for_by_halves_of_the_time_and_costs_the_others_nothing(
    availability: Ask, microsoft: Sandbox
) -> None:
    start, hour = datetime.fromisoformat("2027-01-01T00:00:00+00:00"), timedelta(hours=1)
    bounds = [(start + n * hour, start + n * hour + hour / 2) for n in range(60 * 24)]
    bounds += [(start + timedelta(days=29), start + timedelta(days=31))]  # across the cut
    crowded = mailbox(microsoft, "crowded", *((begin.isoformat(), end.isoformat()) for begin, end in bounds))
    others = crowd(microsoft, 19)
    microsoft.counters.reset()
    answer = availability(question(*others, crowded, **window(60), time_zone="UTC", include_ignored=True))
    assert {person["state"] for person in answer["attendees"]} == {"known"}
    assert [seen.mailboxes for seen in microsoft.counters.seen] == [20, 1, 1]
    found = [(block["start"], block["end"]) for block in answer["attendees"][-1]["blocks"]]
    assert found == sorted((begin.isoformat(), end.isoformat()) for begin, end in bounds)


def test_a_mailbox_with_too_many_entries_however_short_the_time_is_given_up_soon(
    availability: Ask, microsoft: Sandbox
) -> None:
    person = mailbox(microsoft, "person", trouble="ErrorResultSetTooBig")
    microsoft.counters.reset()
    [answer] = availability(question(person, **window(61)))["attendees"]
    assert answer["problem"]["code"] == "too_many_entries"
    assert microsoft.counters["get_schedule"] <= 1 + 4 * 7  # four ways down at a time, seven halvings deep


def test_four_calls_at_a_time_are_used(availability: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 120)
    microsoft.options.latency = 0.05
    microsoft.counters.reset()
    availability(question(*people))
    assert_microsoft_was_content(microsoft, 6)
    assert microsoft.counters["max_concurrent"] == 4


@pytest.mark.django_db(transaction=True)
def test_questions_at_the_same_time_share_the_readers_four_places(
    transactional_db: None, consent: Any, microsoft: Sandbox
) -> None:
    accounts: list[Account] = [make_account("contoso"), make_account("north", domains=["contoso.example"])]
    for account in accounts:  # two accounts with the same reader share its quota
        assert consent(account, READER).status_code == 200
    api = Api(make_api_key(*accounts))
    people = crowd(microsoft, 60)
    microsoft.options.latency = 0.03
    microsoft.counters.reset()

    def ask(number: int) -> int:
        try:
            return int(api.post(accounts[number % 2].slug, "availability", question(*people)).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(6))) == {200}
    assert_microsoft_was_content(microsoft, 18)
    assert microsoft.counters["max_concurrent"] == 4


def test_a_lower_limit_of_mailboxes_is_met_by_halves(availability: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 20)
    microsoft.options.max_mailboxes = 10
    answer = availability(question(*people))
    assert {person["state"] for person in answer["attendees"]} == {"known"}


def test_when_the_calls_of_ten_minutes_are_spent_it_says_when_to_ask_again_and_blames_nobody(
    api: Api, microsoft: Sandbox, settings: Any
) -> None:
    people = crowd(microsoft, 20)
    used = 1  # by the consent
    settings.GRAPH_CALLS = used + 2
    microsoft.counters.reset()
    answers = [api.post("contoso", "availability", question(*people, max_age_seconds=0)) for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 2 + [503] * 7
    assert 590 < int(answers[-1]["Retry-After"]) <= 620
    assert_microsoft_was_content(microsoft, 2)
    assert breakers.standing() == []


def test_what_was_read_before_the_calls_are_spent_is_given(
    availability: Ask, microsoft: Sandbox, settings: Any
) -> None:
    settings.GRAPH_CALLS = 3
    answer = availability(question(*crowd(microsoft, 60)))
    states = [(person["state"], (person["problem"] or {}).get("code")) for person in answer["attendees"]]
    assert sorted(states, key=str) == [("known", None)] * 40 + [("unknown", "throttled")] * 20


def test_background_work_leaves_calls_to_people(contoso: Account, api: Api, microsoft: Sandbox, settings: Any) -> None:
    settings.GRAPH_CALLS, settings.GRAPH_CALLS_FOR_PEOPLE = 3, 2
    microsoft.counters.reset()
    probe(contoso.connection)
    assert microsoft.counters["get_schedule"] == 0
    assert api.post("contoso", "availability", question(*crowd(microsoft, 20))).status_code == 200


def test_every_call_asks_for_utc_and_gzip_under_an_id_of_its_own(availability: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 41)
    microsoft.counters.reset()
    availability(question(*people))
    seen = microsoft.counters.seen
    assert {(one.prefer, one.encoding) for one in seen} == {('outlook.timezone="UTC"', "gzip")}
    assert len({one.client_request_id for one in seen}) == 3
