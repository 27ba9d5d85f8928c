"""Microsoft down for long, seen from the API: hardly a call goes out, every answer is honest, and it mends itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from freebusy.asking import graph_failure
from microsoft.errors import IntegrationError, Misconfigured, Refused, Throttled, TokenRejected, Unavailable
from microsoft.schedule_report import CallRecord, ScheduleReport, failure
from sandbox import Sandbox
from tenants import breakers
from tenants.breaker_state import FAILURES, TRIAL_SECONDS
from tenants.models import Account, Connection, TokenRecord
from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import question

Cast = Callable[[int], list[Account]]
Ask = Callable[..., Any]


@pytest.fixture
def cast(contoso: Account, consent: Callable[..., Any], microsoft: Sandbox) -> Cast:
    """So many connected accounts, contoso the first, each of an Entra tenant of its own."""

    def connected(number: int) -> list[Account]:
        accounts = [contoso]
        for slug in [f"customer{n}" for n in range(1, number)]:
            tenant = microsoft.directory.add_tenant(slug)
            reader = microsoft.directory.accounts(tenant)[0].upn
            account = make_account(slug, domains=[tenant.domain])
            assert consent(account, reader).status_code == 200
            accounts.append(account)
        microsoft.counters.reset()
        return accounts

    return connected


@pytest.fixture
def clock(contoso: Account) -> Iterator[Any]:
    """From the consent on, time stands still until shifted."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def ask(db: None) -> Ask:
    """A question about a mailbox of the account's own."""
    key = make_api_key(all_accounts=True)

    def post(account: Account, what: str = "availability") -> Any:
        body = question(f"somebody@{account.domains[0]}", max_age_seconds=0)
        return Api(key).post(account.slug, what, body if what == "availability" else {**body, "duration_minutes": 30})

    return post


def graph_fails(microsoft: Sandbox, **fault: Any) -> None:
    """For good, and with so long a Retry-After that no call waits for a second try."""
    what = {"status": 503, "retry_after": "120", **fault}
    microsoft.control.set({"clear_faults": True, "faults": [{"path": "getSchedule", "times": None, **what}]})


def entra_fails(microsoft: Sandbox, **fault: Any) -> None:
    microsoft.control.set({"clear_faults": True, "faults": [{"path": "/token", "times": None, **fault}]})


def tokens_end() -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())


def calls(microsoft: Sandbox, path: str) -> list[float]:
    """When this was asked for, in seconds."""
    return [seen.at for seen in microsoft.counters.seen if path in seen.path]


def is_unavailable(answer: Any) -> bool:
    """503, with a time to come back at that is no later than the next trial."""
    return (
        answer.status_code == 503
        and answer.json()["code"] == "microsoft_unavailable"
        and 1 <= int(answer["Retry-After"]) <= TRIAL_SECONDS
    )


# --- Graph --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["availability", "slots"])
def test_after_five_failures_in_a_row_a_tenant_costs_graph_one_call_in_fifteen_seconds(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, what: str
) -> None:
    contoso, other = cast(2)
    assert ask(other).status_code == 200
    microsoft.counters.reset()
    graph_fails(microsoft, tenant="contoso")
    for _ in range(FAILURES):
        assert ask(contoso, what).status_code == 503
    began = timezone.now()
    for _ in range(20):
        assert is_unavailable(ask(contoso, what))
        clock.shift(3)
    assert ask(other).status_code == 200  # whose calls go on
    opened, *trials = calls(microsoft, "getSchedule")[FAILURES - 1 : -1]
    assert [round(at - began.timestamp()) for at in (opened, *trials)] == [0, 15, 30, 45]


def test_within_fifteen_seconds_of_graphs_recovery_everything_works_again(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any
) -> None:
    contoso, other = cast(2)
    assert ask(other).status_code == 200
    graph_fails(microsoft, tenant="contoso")
    for _ in range(FAILURES + 3):
        ask(contoso)
    microsoft.control.set({"clear_faults": True})
    assert is_unavailable(ask(contoso))
    clock.shift(TRIAL_SECONDS + 0.1)
    assert [ask(contoso).status_code for _ in range(3)] == [200] * 3


def test_graph_down_for_three_tenants_is_down_for_all(cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any) -> None:
    accounts = cast(5)
    graph_fails(microsoft)
    assert [ask(account).status_code for account in accounts] == [503] * 5
    assert microsoft.counters["faults"] == 3
    for _ in range(4):
        clock.shift(5)
        assert all(is_unavailable(ask(account)) for account in accounts)
    assert microsoft.counters["faults"] == 4
    assert set(Connection.objects.values_list("state", "reason_code")) == {("enabled", "")}
    microsoft.control.set({"clear_faults": True})
    clock.shift(TRIAL_SECONDS)
    assert [ask(account).status_code for account in accounts] == [200] * 5


@pytest.mark.parametrize(
    "fault", [{"kind": "dropped"}, {"status": 500}, {"status": 429}, {"kind": "html"}, {"delay": 2.0}], ids=str
)
def test_whatever_the_failure_looks_like_the_breaker_opens(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, settings: Any, fault: dict[str, Any]
) -> None:
    settings.ANSWER_DEADLINE_SECONDS = 0.3
    [contoso] = cast(1)
    graph_fails(microsoft, **{"status": None, **fault})
    for _ in range(FAILURES):
        assert ask(contoso).status_code == 503
    asked = microsoft.counters["faults"]
    assert is_unavailable(ask(contoso))
    assert microsoft.counters["faults"] == asked


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 400}, {"status": 404}], ids=str)
def test_graph_refusing_this_reader_is_asked_on(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, fault: dict[str, Any]
) -> None:
    [contoso] = cast(1)
    graph_fails(microsoft, **fault, code="ErrorAccessDenied", retry_after=None)
    for _ in range(FAILURES + 2):
        assert ask(contoso).status_code == 200
    assert microsoft.counters["faults"] == FAILURES + 2


def test_what_needs_no_call_is_answered_while_a_breaker_is_open(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any
) -> None:
    [contoso] = cast(1)
    graph_fails(microsoft)
    for _ in range(FAILURES):
        ask(contoso)
    api = Api(make_api_key(contoso))
    assert api.post("contoso", "availability", question("guest@elsewhere.example")).status_code == 200
    assert api.get("contoso").json()["state"] == "enabled"
    Connection.objects.update(state="needs_consent")
    assert ask(contoso).status_code == 409


def test_a_call_that_is_not_made_is_one_line_without_traceback(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    [contoso] = cast(1)
    graph_fails(microsoft)
    for _ in range(FAILURES):
        ask(contoso)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        assert is_unavailable(ask(contoso))
    assert [record for record in caplog.records if record.exc_info] == []
    [line] = [record for record in caplog.records if record.name == "freebusy.lookup"]
    assert (line.getMessage(), line.__dict__["account"]) == ("free/busy not asked", "contoso")


def test_a_consent_passes_an_open_breaker_and_closes_it(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, consent: Callable[..., Any]
) -> None:
    accounts = cast(3)
    graph_fails(microsoft)
    for account in accounts:
        ask(account)
    assert len(breakers.standing()) == 1
    microsoft.control.set({"clear_faults": True})
    assert consent(accounts[0]).status_code == 200
    assert breakers.standing() == []
    assert [ask(account).status_code for account in accounts] == [200] * 3


# --- Entra --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "dropped"}, {"aadsts": 90033}], ids=str)
def test_entra_down_costs_it_one_call_in_fifteen_seconds_however_often_the_api_is_asked(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any, fault: dict[str, Any]
) -> None:
    accounts = cast(4)
    tokens_end()
    entra_fails(microsoft, **fault)
    for _ in range(18):
        assert all(is_unavailable(ask(account)) for account in accounts)
        clock.shift(5)
    asked = calls(microsoft, "/token")
    assert len(asked) == 3 + 5  # one for each of three tenants, then at 15, 30, … 75 seconds
    assert all(later - earlier >= TRIAL_SECONDS for earlier, later in pairwise(asked[2:]))
    assert microsoft.counters["get_schedule"] == 0
    assert set(Connection.objects.values_list("state", "reason_code")) == {("enabled", "")}


def test_entra_back_again_needs_no_hand(cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any) -> None:
    accounts = cast(4)
    tokens_end()
    entra_fails(microsoft, status=503)
    for _ in range(8):
        for account in accounts:
            ask(account)
        clock.shift(5)
    microsoft.control.set({"clear_faults": True})
    clock.shift(TRIAL_SECONDS)
    assert [ask(account).status_code for account in accounts] == [200] * 4


def test_a_token_that_still_lives_is_used_while_entra_is_down(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any
) -> None:
    accounts = cast(3)
    TokenRecord.objects.update(access_expires_at=timezone.now() + timedelta(minutes=4))
    entra_fails(microsoft, status=503)
    for _ in range(12):
        assert [ask(account).status_code for account in accounts] == [200] * 3
        clock.shift(5)
    assert len(calls(microsoft, "/token")) == 3 + 3


def test_our_expired_secret_is_503_for_all_and_costs_entra_one_call_in_fifteen_seconds(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any
) -> None:
    accounts = cast(3)
    tokens_end()
    microsoft.control.set({"secret_expired": True})
    for _ in range(12):
        assert all(is_unavailable(ask(account)) for account in accounts)
        clock.shift(5)
    asked = calls(microsoft, "/token")
    assert [round(at - asked[0]) for at in asked] == [0, 15, 30, 45]
    assert set(Connection.objects.values_list("state", "reason_code")) == {("enabled", "")}
    [standing] = breakers.standing()
    assert (standing.tenant, standing.code, standing.own_fault) == ("", "AADSTS7000222", True)
    microsoft.control.set({"secret_expired": False})
    clock.shift(TRIAL_SECONDS)
    assert [ask(account).status_code for account in accounts] == [200] * 3
    assert breakers.standing() == []


def test_a_withdrawn_consent_is_found_out_while_the_breaker_is_closed_and_opens_none(
    cast: Cast, ask: Ask, microsoft: Sandbox, clock: Any
) -> None:
    accounts = cast(3)
    tokens_end()
    microsoft.control.set({"revoke_refresh_tokens": "*"})
    assert [ask(account).status_code for account in accounts] == [409] * 3
    assert breakers.standing() == []


# --- what calls say about Graph -----------------------------------------------------------------------------------
def record(status: int | None, code: str = "") -> CallRecord:
    return CallRecord(status=status, code=code, latency_ms=1, request_id="", client_request_id="", attempts=1)


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ([record(200)], None),
        ([record(503, "HTTP503"), record(200), record(429, "TooManyRequests")], None),
        ([record(200, "MalformedBody")], Unavailable),
        ([record(503, "HTTP503")], Unavailable),
        ([record(408, "HTTP408")], Unavailable),
        ([record(None, "timeout")], Unavailable),
        ([record(None, "microsoft_unavailable")], Unavailable),
        ([record(None, "misconfigured")], Misconfigured),
        ([record(429, "TooManyRequests")], Throttled),
        ([record(429, "TooManyRequests"), record(503, "HTTP503")], Throttled),
        ([record(403, "ErrorAccessDenied")], Refused),
        ([record(401, "InvalidAuthenticationToken")], Refused),
        ([record(403, "ErrorAccessDenied"), record(503, "HTTP503")], Refused),
        ([], Unavailable),
    ],
)
def test_what_the_calls_of_a_question_say_about_graph(
    records: list[CallRecord], error: type[IntegrationError] | None
) -> None:
    report = ScheduleReport({"ann@contoso.example": failure("unavailable")}, tuple(records), TokenRejected())
    found = graph_failure(report)
    assert found is None if error is None else type(found) is error
