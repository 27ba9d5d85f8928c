"""Microsoft in trouble: what is tried again, what is told, and that every answer comes in time."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from sandbox import Sandbox
from tenants.models import Connection, TokenRecord
from tests.conftest import READER
from tests.factories import Api
from tests.freebusy.asking import mailbox, question, rewrite
from tests.freebusy.conftest import Ask

ANN = "ann@contoso.example"


def fault(microsoft: Sandbox, path: str = "getSchedule", **what: Any) -> None:
    """Orders a fault and starts counting anew."""
    microsoft.control.set({"faults": [{"path": path, **what}]})
    microsoft.counters.reset()


def states(answer: dict[str, Any]) -> list[str]:
    return [person["state"] for person in answer["attendees"]]


# --- tried again --------------------------------------------------------------------------------------------------
PASSING = [
    {"status": 429, "retry_after": "0.2"},
    {"status": 429, "retry_after": "0"},
    {"status": 500, "retry_after": "0.1"},
    {"status": 502, "kind": "html", "retry_after": "0.1"},
    {"status": 503, "retry_after": "0.1"},
    {"status": 503, "kind": "empty", "retry_after": "0.1"},
    {"status": 504, "retry_after": "0.1"},
    {"status": 509, "retry_after": "0.1"},
    {"status": 503, "retry_after": "0.1", "times": 3},
    {"kind": "html", "retry_after": "0.1"},
    {"kind": "empty", "retry_after": "0.1"},
    {"kind": "truncated"},
    {"kind": "dropped"},
    {"status": 404},  # ResourceNotFound, seen to pass by itself
]


@pytest.mark.parametrize("what", PASSING, ids=str)
def test_what_may_pass_is_tried_again(availability: Ask, microsoft: Sandbox, what: dict[str, Any]) -> None:
    fault(microsoft, **what)
    assert states(availability(question(ANN))) == ["known"]
    assert microsoft.counters["faults"] == what.get("times", 1)


@pytest.mark.parametrize(("retry_after", "least"), [("0.2", 0.2), ("1", 1.0), ("date", 0.0)])
def test_microsofts_retry_after_is_kept(availability: Ask, microsoft: Sandbox, retry_after: str, least: float) -> None:
    if retry_after == "date":
        retry_after = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    fault(microsoft, status=429, retry_after=retry_after)
    began = time.monotonic()
    assert states(availability(question(ANN))) == ["known"]
    assert time.monotonic() - began >= least


def test_a_wait_longer_than_the_deadline_is_not_begun(api: Api, microsoft: Sandbox, settings: Any) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 5.0
    fault(microsoft, status=429, retry_after="60", times=None)
    began = time.monotonic()
    assert api.post("contoso", "availability", question(ANN)).status_code == 503
    assert microsoft.counters["faults"] == 1
    assert time.monotonic() - began < settings.ANSWER_DEADLINE_SECONDS


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"status": 403}, "no_access"),
        ({"status": 404, "code": "MailboxNotEnabledForRESTAPI"}, "no_access"),
        ({"status": 400}, "other"),
    ],
)
def test_a_refusal_for_good_is_not_tried_again(
    availability: Ask, microsoft: Sandbox, what: dict[str, Any], code: str
) -> None:
    fault(microsoft, **what, times=None)
    [person] = availability(question(ANN))["attendees"]
    assert (person["state"], person["problem"]["code"], person["problem"]["retryable"]) == ("unknown", code, False)
    assert microsoft.counters["faults"] == 1


# --- one does not sink the rest -----------------------------------------------------------------------------------
LASTING = [
    ({"status": 403}, "no_access"),
    ({"status": 429, "retry_after": "30"}, "throttled"),
    ({"status": 503, "retry_after": "30"}, "unavailable"),
    ({"status": 500, "retry_after": "30"}, "unavailable"),
]


@pytest.mark.parametrize(("what", "code"), LASTING, ids=lambda value: str(value))
def test_a_call_that_is_refused_as_such_does_not_sink_the_others(
    availability: Ask, microsoft: Sandbox, settings: Any, what: dict[str, Any], code: str
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 1.0
    people = [mailbox(microsoft, f"p{number}") for number in range(60)]
    fault(microsoft, **what, times=None, mailbox=people[30])
    answer = availability(question(*people))
    assert states(answer) == ["known"] * 20 + ["unknown"] * 20 + ["known"] * 20
    problems = [person["problem"] for person in answer["attendees"][20:40]]
    assert {problem["code"] for problem in problems} == {code}


OF_ONE = [
    ({"status": 400}, "other"),
    ({"status": 500}, "unavailable"),
    ({"kind": "html"}, "unavailable"),
    ({"kind": "dropped"}, "unavailable"),
    ({"kind": "truncated"}, "unavailable"),
    ({"delay": 3.0}, "timeout"),
]


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize(("what", "code"), OF_ONE, ids=lambda value: str(value))
def test_a_mailbox_at_which_calls_fail_does_not_sink_the_others(
    availability: Ask, microsoft: Sandbox, settings: Any, what: dict[str, Any], code: str, count: int
) -> None:
    # Pauses between attempts are drawn at random; what hangs must hang for longer than its share of the time.
    settings.ANSWER_DEADLINE_SECONDS = 3.0 if "delay" in what else 12.0
    people = [mailbox(microsoft, f"p{number}") for number in range(count)]
    fault(microsoft, **what, times=None, mailbox=people[13])
    answer = availability(question(*people))
    assert {person["email"]: person["problem"]["code"] for person in answer["attendees"] if person["problem"]} == {
        people[13]: code
    }


def test_a_call_that_hung_once_costs_nobody_an_answer(availability: Ask, microsoft: Sandbox, settings: Any) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 3.0
    people = [mailbox(microsoft, f"p{number}") for number in range(40)]
    fault(microsoft, delay=4.0, mailbox=people[0])
    assert states(availability(question(*people))) == ["known"] * 40


def test_slots_come_in_time_too(slots: Ask, microsoft: Sandbox, settings: Any) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 1.0
    people = [mailbox(microsoft, f"p{number}") for number in range(21)]
    fault(microsoft, delay=3.0, mailbox=people[20])
    answer = slots(question(*people, include_unverified=True, limit=1))
    assert answer["unknown"] == [{"email": people[20], "code": "timeout"}]
    assert answer["slots"][0]["unverified"] == [people[20]]


def test_everybody_hanging_is_503_in_time(api: Api, microsoft: Sandbox, settings: Any) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 0.4
    fault(microsoft, delay=3.0, times=None)
    began = time.monotonic()
    answer = api.post("contoso", "availability", question(ANN, "bob@contoso.example"))
    assert time.monotonic() - began < 2.5
    assert (answer.status_code, answer.json()["code"]) == (503, "microsoft_unavailable")
    assert "timeout" in answer.json()["detail"]


# --- tokens -------------------------------------------------------------------------------------------------------
def test_a_401_costs_one_refresh_and_one_retry(availability: Ask, microsoft: Sandbox) -> None:
    microsoft.control.set({"expire_access_tokens": READER})
    microsoft.counters.reset()
    assert states(availability(question(ANN))) == ["known"]
    assert (microsoft.counters["token_refresh"], microsoft.counters["get_schedule"]) == (1, 1)
    assert [seen.status for seen in microsoft.counters.seen] == [401, 200, 200]
    assert states(availability(question(ANN))) == ["known"]
    assert microsoft.counters["token_refresh"] == 1


def test_many_calls_refused_with_401_share_one_refresh(availability: Ask, microsoft: Sandbox) -> None:
    people = [mailbox(microsoft, f"p{number}") for number in range(200)]
    microsoft.control.set({"expire_access_tokens": READER})
    microsoft.counters.reset()
    assert set(states(availability(question(*people)))) == {"known"}
    assert microsoft.counters["token_refresh"] == 1


def test_a_token_about_to_end_is_renewed_before_it_is_used(availability: Ask, microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now() + timedelta(minutes=4, seconds=59))
    microsoft.counters.reset()
    assert states(availability(question(ANN))) == ["known"]
    assert (microsoft.counters["token_refresh"], microsoft.counters["unauthorized"]) == (1, 0)


def test_a_token_lost_midway_keeps_what_was_read(availability: Ask, microsoft: Sandbox, settings: Any) -> None:
    people = [mailbox(microsoft, f"p{number}") for number in range(40)]
    microsoft.control.set(
        {
            "faults": [
                {"path": "getSchedule", "status": 401, "times": None, "mailbox": people[30], "delay": 0.2},
                {"path": "/token", "status": 503, "times": None},
            ]
        }
    )
    answer = availability(question(*people))
    assert states(answer) == ["known"] * 20 + ["unknown"] * 20
    assert {person["problem"]["retryable"] for person in answer["attendees"][20:]} == {True}


def test_access_revoked_is_409_and_needs_consent_and_stops_asking(api: Api, microsoft: Sandbox) -> None:
    microsoft.control.set({"expire_access_tokens": READER, "revoke_refresh_tokens": READER})
    answer = api.post("contoso", "availability", question(ANN))
    assert (answer.status_code, answer.json()["state"]) == (409, "needs_consent")
    assert Connection.objects.get().reason_code == "AADSTS50173"
    microsoft.counters.reset()
    assert api.post("contoso", "slots", {**question(ANN), "duration_minutes": 30}).status_code == 409
    assert microsoft.counters["requests"] == 0


@pytest.mark.parametrize(
    "what",
    [
        {"status": 500},
        {"status": 503},
        {"status": 502, "kind": "html"},
        {"kind": "html"},
        {"kind": "empty"},
        {"kind": "dropped"},
        {"kind": "truncated"},
        {"status": 429, "retry_after": "3"},
        {"aadsts": 90033},
    ],
    ids=str,
)
def test_entra_in_trouble_with_an_expired_token_is_503_and_changes_nothing(
    api: Api, microsoft: Sandbox, what: dict[str, Any]
) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    fault(microsoft, "/token", **what, times=None)
    answer = api.post("contoso", "availability", question(ANN))
    assert (answer.status_code, answer.json()["code"]) == (503, "microsoft_unavailable")
    assert int(answer["Retry-After"]) >= 1
    assert (Connection.objects.get().state, Connection.objects.get().reason_code) == ("enabled", "")
    assert microsoft.counters["get_schedule"] == 0


def test_entra_hanging_with_an_expired_token_is_503_in_time(api: Api, microsoft: Sandbox, settings: Any) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 0.5
    TokenRecord.objects.update(access_expires_at=timezone.now())
    fault(microsoft, "/token", delay=3.0, times=None)
    began = time.monotonic()
    assert api.post("contoso", "availability", question(ANN)).status_code == 503
    assert time.monotonic() - began < 2.5


# --- what is said -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("what", "calls"),
    # Whether it is the mailbox or the service shows a call for the reader, unless Microsoft wants to be left alone.
    [({"status": 503, "retry_after": "30"}, 1), ({"kind": "html"}, 2), ({"kind": "dropped"}, 2)],
    ids=str,
)
def test_an_expected_failure_is_one_structured_line_without_traceback(
    api: Api, microsoft: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture, what: dict[str, Any], calls: int
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 1.0
    fault(microsoft, **what, times=None)
    with caplog.at_level(logging.DEBUG):
        assert api.post("contoso", "availability", question(ANN)).status_code == 503
    assert [record for record in caplog.records if record.exc_info] == []
    [line] = [record for record in caplog.records if record.name == "freebusy.asking"]
    facts = {name: line.__dict__[name] for name in ("account", "mailboxes", "unread", "calls", "error")}
    assert facts == {"account": "contoso", "mailboxes": 1, "unread": 1, "calls": calls, "error": ""}


def test_garbage_among_the_entries_costs_only_its_own_mailbox(availability: Ask, microsoft: Sandbox) -> None:
    def spoil(entries: list[Any]) -> None:
        entries[1] = 7
        entries.append({"no": "name"})
        entries.append(None)

    rewrite(microsoft, spoil)
    assert states(availability(question(ANN, "bob@contoso.example", "ada@contoso.example"))) == [
        "known",
        "unknown",
        "known",
    ]
