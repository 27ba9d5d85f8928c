"""Reading ahead: one call warms a roster, a worker finishes what it could not, and searches cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from freebusy.models import UnfinishedRoster
from freebusy.roster import refreshing, unfinished
from freebusy.tasks import finish_rosters
from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.models import Account
from tests.factories import Api
from tests.freebusy.asking import WINDOW, mailbox, question
from tests.freebusy.conftest import Ask

Refresh = Callable[..., dict[str, Any]]


@pytest.fixture
def refresh(api: Api) -> Refresh:
    """POST roster/refresh of contoso over the usual day, which must succeed; gives the answer's JSON."""

    def ask(*mailboxes: str, **more: Any) -> dict[str, Any]:
        answer = api.post("contoso", "roster/refresh", roster(*mailboxes, **more))
        assert answer.status_code == 200, answer.content
        json: dict[str, Any] = answer.json()
        return json

    return ask


def roster(*mailboxes: str, **more: Any) -> dict[str, Any]:
    return {"mailboxes": list(mailboxes), "start": WINDOW[0], "end": WINDOW[1], **more}


def crowd(microsoft: Sandbox, count: int) -> list[str]:
    return [mailbox(microsoft, f"p{number}") for number in range(count)]


def counts(answer: dict[str, Any]) -> list[Any]:
    """Asked, known, unknown, external, pending."""
    unknown = {mailbox["email"].partition("@")[0]: mailbox["code"] for mailbox in answer["unknown"]}
    return [answer["asked"], answer["known"], unknown, answer["external"], answer["pending"]]


# --- the answer ---------------------------------------------------------------------------------------------------
def test_a_roster_is_read_and_what_became_of_it_is_counted(refresh: Refresh, microsoft: Sandbox) -> None:
    answer = refresh("ann@contoso.example", "room1@contoso.example", "gone@contoso.example", "guest@elsewhere.example")
    assert counts(answer) == [4, 2, {"gone": "not_found"}, 1, 0]
    assert (answer["account"], answer["start"], answer["end"]) == ("contoso", *WINDOW)
    assert datetime.fromisoformat(answer["as_of"]) <= timezone.now()
    assert not UnfinishedRoster.objects.exists()


def test_searches_after_it_cost_no_call(refresh: Refresh, availability: Ask, slots: Ask, microsoft: Sandbox) -> None:
    people = crowd(microsoft, 45)
    microsoft.counters.reset()
    refresh(*people, "gone@contoso.example")
    assert microsoft.counters["get_schedule"] == 3
    microsoft.counters.reset()
    assert {person["state"] for person in availability(question(*people))["attendees"]} == {"known"}
    assert slots(question(*people[10:20], "gone@contoso.example"))["unknown"]
    assert microsoft.counters["requests"] == 0


def test_who_is_fresh_enough_costs_nothing_and_the_others_fill_their_calls(
    refresh: Refresh, availability: Ask, microsoft: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "PIECE", 40)
    people = crowd(microsoft, 100)
    availability(question(*people[::5]))
    microsoft.counters.reset()
    assert counts(refresh(*people)) == [100, 100, {}, 0, 0]
    assert (microsoft.counters["get_schedule"], microsoft.counters["mailboxes"]) == (4, 80)


def test_age_zero_reads_everybody_anew(refresh: Refresh, microsoft: Sandbox) -> None:
    refresh("ann@contoso.example")
    microsoft.counters.reset()
    refresh("ann@contoso.example")
    assert microsoft.counters["get_schedule"] == 0
    refresh("ann@contoso.example", max_age_seconds=0)
    assert microsoft.counters["get_schedule"] == 1


def test_it_is_as_old_as_its_oldest_calendar(refresh: Refresh) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        refresh("ann@contoso.example")
        began = timezone.now()
        clock.shift(20)
        assert datetime.fromisoformat(refresh("bob@contoso.example", "ann@contoso.example")["as_of"]) == began


def test_five_thousand_mailboxes_are_taken_and_one_more_is_not(api: Api) -> None:
    people = [f"p{number}@elsewhere.example" for number in range(5_001)]
    assert counts(api.post("contoso", "roster/refresh", roster(*people[:-1])).json()) == [5_000, 0, {}, 5_000, 0]
    assert api.post("contoso", "roster/refresh", roster(*people)).status_code == 400


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"mailboxes": []}, "mailboxes", "min_length"),
        ({"mailboxes": None}, "mailboxes", "null"),
        ({"mailboxes": ["ann@contoso.example", "ANN@contoso.example"]}, "mailboxes[1]", "repeated"),
        ({"mailboxes": ["ann@contoso.example", "ann"]}, "mailboxes[1]", "invalid"),
        ({"mailboxes": ["ann@contoso.example", 5]}, "mailboxes[1]", "invalid"),
        ({"start": "2027-03-16T00:00:00"}, "start", "invalid_time"),
        ({"end": WINDOW[0]}, "end", "invalid_window"),
        ({"end": "2027-05-16T00:00:01+01:00"}, "end", "window_too_long"),
        ({"max_age_seconds": 3601}, "max_age_seconds", "max_value"),
        ({"max_age_seconds": "60"}, "max_age_seconds", "invalid"),
        ({"rooms": []}, "rooms", "unknown_field"),
    ],
)
def test_what_is_wrong_is_named(api: Api, microsoft: Sandbox, changed: dict[str, Any], field: str, code: str) -> None:
    microsoft.counters.reset()
    answer = api.post("contoso", "roster/refresh", {**roster("ann@contoso.example"), **changed})
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]
    assert microsoft.counters["requests"] == 0


def test_sixty_one_days_are_one_call(refresh: Refresh, microsoft: Sandbox) -> None:
    microsoft.counters.reset()
    refresh("ann@contoso.example", end="2027-05-16T00:00:00+01:00")
    assert microsoft.counters["get_schedule"] == 1


def test_without_a_connection_nothing_is_read_or_kept(contoso: Account, api: Api) -> None:
    disconnect(contoso, why="test", actor="test")
    answer = api.post("contoso", "roster/refresh", roster("ann@contoso.example"))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_connected")
    assert not UnfinishedRoster.objects.exists()


def down(microsoft: Sandbox) -> None:
    fault = {"path": "getSchedule", "status": 503, "retry_after": "120", "times": None}
    microsoft.control.set({"clear_faults": True, "faults": [fault]})


def test_when_nothing_can_be_read_the_caller_comes_back_later(api: Api, microsoft: Sandbox) -> None:
    down(microsoft)
    answer = api.post("contoso", "roster/refresh", roster("ann@contoso.example"))
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert not UnfinishedRoster.objects.exists()


def test_what_is_remembered_counts_while_microsoft_is_down_and_the_rest_is_pending(
    refresh: Refresh, microsoft: Sandbox
) -> None:
    refresh("ann@contoso.example")
    down(microsoft)
    assert counts(refresh("ann@contoso.example", "bob@contoso.example")) == [2, 1, {}, 0, 1]
    assert UnfinishedRoster.objects.get().addresses == ["bob@contoso.example"]


# --- what is left -------------------------------------------------------------------------------------------------
@pytest.fixture
def half_read(refresh: Refresh, microsoft: Sandbox, settings: Any) -> list[str]:
    """A roster of 300 mailboxes of which the deadline has left some."""
    people = crowd(microsoft, 300)
    settings.ANSWER_DEADLINE_SECONDS = 5.0
    microsoft.options.latency = 1.5  # fifteen calls, four at a time at most, take longer than five seconds
    asked, known, unknown, external, pending = counts(refresh(*people))
    assert (asked, unknown, external) == (300, {}, 0)
    assert pending == 300 - known > 0
    microsoft.options.latency = 0.0
    settings.ANSWER_DEADLINE_SECONDS = 18.0
    return people


def test_a_worker_reads_what_the_deadline_left_and_keeps_no_address_after_it(
    half_read: list[str], availability: Ask, microsoft: Sandbox
) -> None:
    microsoft.counters.reset()
    finish_rosters()
    assert not UnfinishedRoster.objects.exists()
    assert microsoft.counters["mailboxes"] <= 300
    microsoft.counters.reset()
    answer = availability(question(*half_read))
    assert {person["state"] for person in answer["attendees"]} == {"known"}
    assert microsoft.counters["requests"] == 0


def test_doubled_and_lost_messages_do_no_harm(half_read: list[str], microsoft: Sandbox) -> None:
    finish_rosters()
    microsoft.counters.reset()
    finish_rosters()
    assert microsoft.counters["requests"] == 0


def test_what_a_killed_worker_had_claimed_is_due_again_when_its_lease_ends(half_read: list[str]) -> None:
    dead = unfinished._claim()
    assert dead is not None
    assert unfinished.finish_due() == 0
    with time_machine.travel(timezone.now() + unfinished.LEASE):
        assert unfinished.finish_due() > 0
    assert not UnfinishedRoster.objects.exists()
    unfinished._go_on(dead)  # should the dead one wake up after all
    assert not UnfinishedRoster.objects.exists()


def left(account: Account, *addresses: str) -> UnfinishedRoster:
    start, end = map(datetime.fromisoformat, WINDOW)
    unfinished.keep(account, addresses, start, end, read_since=timezone.now())
    return UnfinishedRoster.objects.latest("pk")


def test_while_microsoft_is_down_a_roster_is_tried_less_and_less_often_and_given_up_in_the_end(
    contoso: Account, microsoft: Sandbox
) -> None:
    left(contoso, "ann@contoso.example")
    down(microsoft)
    began, tries = timezone.now(), []
    for seconds in range(0, 1900, 5):
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            if unfinished.finish_due():
                tries.append(seconds)
    assert tries == [0, 15, 45, 105, 225, 465, 945]
    assert not UnfinishedRoster.objects.exists()


def test_one_that_cannot_be_read_yet_does_not_hold_up_the_others(contoso: Account, microsoft: Sandbox) -> None:
    moved = mailbox(microsoft, "moved", trouble="ErrorMailboxMoveInProgress")
    row = left(contoso, moved, "ann@contoso.example", "gone@contoso.example")
    unfinished.finish_due()
    row.refresh_from_db()
    assert (row.addresses, row.tries) == ([moved], 1)
    microsoft.directory.set_trouble(moved, "")
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        unfinished.finish_due()
    assert not UnfinishedRoster.objects.exists()


def test_a_disconnected_accounts_roster_is_deleted(contoso: Account) -> None:
    left(contoso, "ann@contoso.example")
    disconnect(contoso, why="test", actor="test")
    assert not UnfinishedRoster.objects.exists()


def test_an_account_that_is_not_connected_any_more_loses_its_roster(contoso: Account, microsoft: Sandbox) -> None:
    left(contoso, "ann@contoso.example")
    contoso.connection.state = "needs_consent"
    contoso.connection.save()
    microsoft.counters.reset()
    unfinished.finish_due()
    assert not UnfinishedRoster.objects.exists()
    assert microsoft.counters["requests"] == 0


def test_an_account_has_so_many_rosters_in_work_and_the_oldest_go(contoso: Account) -> None:
    for number in range(unfinished.MOST_ROWS + 3):
        left(contoso, f"p{number}@contoso.example")
    rows = UnfinishedRoster.objects.order_by("pk")
    assert [row.addresses[0].partition("@")[0] for row in rows[:1]] == ["p3"]
    assert rows.count() == unfinished.MOST_ROWS


def test_the_workers_reads_do_not_count_as_use(contoso: Account) -> None:
    left(contoso, "ann@contoso.example")
    unfinished.finish_due()
    contoso.connection.refresh_from_db()
    assert contoso.connection.last_used_at is None
    assert not contoso.known_mailboxes.exists()
