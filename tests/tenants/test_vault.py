"""Tokens: used while they live, refreshed once for all, lost only when the customer's side really ended it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection as database
from django.db import connections
from django.utils import timezone

from microsoft.errors import ConsentRequired, IntegrationError, Misconfigured, Throttled, Unavailable
from microsoft.http import Deadline
from microsoft.secret import Secret
from sandbox import Sandbox
from tenants import refreshing, vault
from tenants.disconnecting import disconnect
from tenants.models import Account, AuditEntry, Connection, TokenRecord
from tenants.refreshing import Tally
from tenants.signals import connection_lost
from tests.factories import Api, make_account

SERVICE = "cadence-service@contoso.example"
THREADS = 8

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


def minutes_left(minutes: float) -> None:
    """How long the stored access token still lives; it is due at any rate."""
    now = timezone.now()
    TokenRecord.objects.update(access_expires_at=now + timedelta(minutes=minutes), refresh_due_at=now)


def bearer(rejected: Secret | None = None, patience: float = 20.0) -> Secret:
    """The token that a request of this moment gets."""
    row = Connection.objects.select_related("account", "token").get(account__slug="contoso")
    return vault.ConnectionTokens(row, row.token, Deadline.after(patience)).bearer(rejected)


def later(seconds: float) -> Any:
    """That much later, with the clock running on."""
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=True)


def state() -> tuple[str, str]:
    row = Connection.objects.get()
    return row.state, row.reason_code


def entra_fails(microsoft: Sandbox, times: int | None = None, **fault: Any) -> None:
    microsoft.control.set({"faults": [{"path": "/token", "times": times, **fault}]})


def question() -> dict[str, Any]:
    start = timezone.now().replace(microsecond=0)
    return {
        "attendees": [{"email": "ann@contoso.example"}],
        "start": start.isoformat(),
        "end": (start + timedelta(days=1)).isoformat(),
    }


# --- using and refreshing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "refreshes"), [(60, 0), (5.1, 0), (4.9, 1), (0.1, 1), (-60, 1)])
def test_a_token_with_less_than_five_minutes_left_is_refreshed_before_use(
    contoso: Account, microsoft: Sandbox, minutes: float, refreshes: int
) -> None:
    old = TokenRecord.objects.get().access_token
    minutes_left(minutes)
    assert (bearer() != old) == bool(refreshes)
    assert microsoft.counters["token_refresh"] == refreshes


def test_a_refresh_stores_both_new_tokens_and_when_the_next_is_due(contoso: Account, microsoft: Sandbox) -> None:
    old = TokenRecord.objects.get()
    minutes_left(-1)
    token = bearer()
    row = TokenRecord.objects.get()
    assert row.access_token == token
    assert row.refresh_token != old.refresh_token
    assert (row.version, row.failures, row.lease_holder, row.lease_until) == (old.version + 1, 0, "", None)
    lifetime = row.access_expires_at - row.refreshed_at
    assert lifetime == timedelta(seconds=microsoft.options.token_lifetime)
    assert 0.25 * lifetime <= row.refresh_due_at - row.refreshed_at <= 0.75 * lifetime
    assert bearer() == token
    assert microsoft.counters["token_refresh"] == 1


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"kind": "dropped"}, {"kind": "html"}, {"aadsts": 7000222}]
)
@pytest.mark.parametrize("minutes", [4.0, 0.6])
def test_the_old_token_serves_while_entra_is_in_trouble(
    contoso: Account, microsoft: Sandbox, fault: dict[str, Any], minutes: float
) -> None:
    old = TokenRecord.objects.get().access_token
    minutes_left(minutes)
    entra_fails(microsoft, **fault)
    assert bearer() == old
    assert bearer() == old
    assert microsoft.counters["faults"] == 1  # the second call shares the failure
    assert state() == ("enabled", "")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 503}, Unavailable),
        ({"status": 500}, Unavailable),
        ({"kind": "dropped"}, Unavailable),
        ({"kind": "truncated"}, Unavailable),
        ({"kind": "html"}, Unavailable),
        ({"status": 429, "retry_after": "7"}, Throttled),
        ({"aadsts": 90033}, Unavailable),
        ({"aadsts": 7000215}, Misconfigured),
        ({"aadsts": 7000222}, Misconfigured),
    ],
)
def test_trouble_or_our_own_fault_never_marks_the_tenant(
    contoso: Account, microsoft: Sandbox, fault: dict[str, Any], kind: type[IntegrationError]
) -> None:
    minutes_left(0.4)  # too close to its end to be of use
    entra_fails(microsoft, **fault)
    with pytest.raises(kind) as caught:
        bearer()
    assert not isinstance(caught.value, ConsentRequired)
    assert state() == ("enabled", "")
    assert not AuditEntry.objects.filter(action="connection_lost").exists()


def test_callers_right_after_a_failure_share_it_and_later_ones_try_again(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, times=1, status=503)
    for _ in range(3):
        with pytest.raises(Unavailable):
            bearer()
    assert microsoft.counters["faults"] == 1
    with later(vault.FAILURE_PAUSE.total_seconds() + 1):
        assert bearer().reveal().startswith("SBXAT-")
    assert TokenRecord.objects.get().failures == 0


def test_an_answer_without_a_new_refresh_token_keeps_the_old_one(contoso: Account, microsoft: Sandbox) -> None:
    old = TokenRecord.objects.get()
    minutes_left(-1)
    microsoft.control.set({"omit_refresh_token": True})
    assert bearer() != old.access_token
    assert TokenRecord.objects.get().refresh_token == old.refresh_token


# --- a token that Graph refuses -------------------------------------------------------------------------------------


def test_a_401_from_graph_costs_one_forced_refresh_and_one_retry(
    contoso: Account, api: Api, microsoft: Sandbox
) -> None:
    microsoft.control.set({"expire_access_tokens": SERVICE})
    answer = api.post("contoso", "availability", question())
    assert answer.status_code == 200
    assert answer.json()["attendees"][0]["state"] == "known"
    assert microsoft.counters["token_refresh"] == 1


def test_a_graph_that_refuses_fresh_tokens_too_is_not_asked_without_end(
    contoso: Account, api: Api, microsoft: Sandbox
) -> None:
    asked = microsoft.counters["requests"]
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 401, "times": None}]})
    assert api.post("contoso", "availability", question()).status_code != 200
    assert microsoft.counters["token_refresh"] == 1
    assert microsoft.counters["requests"] - asked == 3  # refused, refreshed, refused


def test_a_refused_token_that_was_replaced_meanwhile_costs_no_refresh(contoso: Account, microsoft: Sandbox) -> None:
    old = TokenRecord.objects.get().access_token
    new = bearer(rejected=old)
    assert new != old
    assert bearer(rejected=old) == new
    assert microsoft.counters["token_refresh"] == 1


def test_a_refused_token_is_never_given_again_while_entra_is_down(contoso: Account, microsoft: Sandbox) -> None:
    refused = TokenRecord.objects.get().access_token
    entra_fails(microsoft, status=503)
    with pytest.raises(Unavailable):
        bearer(rejected=refused)


# --- losing the connection ------------------------------------------------------------------------------------------


@pytest.fixture
def lost() -> Iterator[list[tuple[str, bool]]]:
    """The reasons that the signal gave, and whether a transaction was open at that moment."""
    heard: list[tuple[str, bool]] = []

    def receive(sender: Any, reason: str, **_: Any) -> None:
        heard.append((reason, database.in_atomic_block))

    connection_lost.connect(receive)
    yield heard
    connection_lost.disconnect(receive)


@with_commits
@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ({"revoke_refresh_tokens": SERVICE}, "AADSTS50173"),
        ({"disable_user": SERVICE}, "AADSTS50057"),
        ({"withdraw_consent": "contoso"}, "AADSTS65001"),
        ({"faults": [{"path": "/token", "aadsts": 53003, "times": None}]}, "AADSTS53003"),
        ({"faults": [{"path": "/token", "aadsts": 700082, "times": None}]}, "AADSTS700082"),
    ],
)
def test_a_refusal_for_good_asks_for_consent_once_with_audit_entry_and_signal(
    contoso: Account, microsoft: Sandbox, lost: list[tuple[str, bool]], verb: dict[str, Any], code: str
) -> None:
    minutes_left(4.0)
    rejected = TokenRecord.objects.get().access_token  # Graph has noticed too
    microsoft.control.set(verb)
    for _ in range(2):
        with pytest.raises(ConsentRequired) as caught:
            bearer(rejected)
        assert caught.value.code == code
    assert state() == ("needs_consent", code)
    entry = AuditEntry.objects.get(action="connection_lost")
    assert (entry.outcome, entry.account_slug, entry.actor) == (code, "contoso", "Cadence Exchange")
    assert lost == [(code, False)]


@pytest.mark.parametrize("number", [70000, 135010])
def test_a_refusal_that_has_been_seen_to_pass_is_tried_once_more_before_giving_up(
    contoso: Account, microsoft: Sandbox, number: int
) -> None:
    minutes_left(-1)
    entra_fails(microsoft, aadsts=number)
    for _ in range(2):  # the second shares the first one's failure and its kind
        with pytest.raises(Unavailable):
            bearer()
    assert (state(), microsoft.counters["faults"]) == (("enabled", ""), 1)
    with later(5), pytest.raises(ConsentRequired):
        bearer()
    assert state() == ("needs_consent", f"AADSTS{number}")


def test_such_a_refusal_that_passes_leaves_no_trace(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, times=1, aadsts=70000)
    with pytest.raises(Unavailable):
        bearer()
    with later(5):
        assert bearer().reveal().startswith("SBXAT-")
    assert state() == ("enabled", "")


def test_an_outage_before_it_does_not_use_up_its_second_chance(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, times=1, status=503)
    entra_fails(microsoft, aadsts=70000)
    for wait in (0, 5, 10):
        assert state() == ("enabled", "")
        with later(wait), pytest.raises(IntegrationError):
            bearer()
    assert state() == ("needs_consent", "AADSTS70000")


def test_the_old_token_serves_through_such_a_refusal(contoso: Account, microsoft: Sandbox) -> None:
    old = TokenRecord.objects.get().access_token
    minutes_left(4.0)
    entra_fails(microsoft, times=1, aadsts=70000)
    assert bearer() == old
    assert state() == ("enabled", "")


def test_a_lost_connection_answers_409_and_asks_microsoft_nothing_more(
    contoso: Account, api: Api, microsoft: Sandbox
) -> None:
    minutes_left(-1)
    microsoft.control.set({"revoke_refresh_tokens": SERVICE})
    first = api.post("contoso", "availability", question())
    asked = microsoft.counters["requests"]
    second = api.post("contoso", "availability", question())
    assert [answer.status_code for answer in (first, second)] == [409, 409]
    assert first.json()["state"] == "needs_consent"
    assert microsoft.counters["requests"] == asked


def test_a_disconnected_connection_has_no_token(contoso: Account) -> None:
    row = Connection.objects.get()
    disconnect(contoso, why="a test", actor="a test")
    with pytest.raises(ConsentRequired, match="disconnected"):
        vault.refresh(row, deadline=Deadline.after(20.0))


def test_a_failing_refresh_shows_no_token_in_its_traceback(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, status=503)
    with pytest.raises(Unavailable) as caught:
        bearer()
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_refresh_claimed" in told
    assert "SBX" not in told


# --- one refresh for all --------------------------------------------------------------------------------------------


def in_threads(work: Callable[[], Any], number: int = THREADS) -> list[Any]:
    """What the threads' calls returned, or the errors they raised."""

    def run(_: int) -> Any:
        try:
            return work()
        except IntegrationError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def in_background(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[list[Any]]:
    return pool.submit(in_threads, work, 1)


class Gate:
    """Keeps Microsoft's answers back until opened, in place of waiting for seconds."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, seconds: float) -> None:
        assert self._open.wait(60)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(microsoft: Sandbox) -> Iterator[Gate]:
    made = Gate()
    microsoft.sleep = made
    yield made
    made.open()


def wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@with_commits
def test_threads_that_want_a_new_token_at_once_cost_exactly_one_refresh(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, delay=0.2)
    tokens = in_threads(bearer)
    assert microsoft.counters["token_refresh"] == 1
    assert {token.reveal() for token in tokens} == {TokenRecord.objects.get().access_token.reveal()}


@with_commits
def test_threads_whose_token_graph_refused_cost_exactly_one_refresh(contoso: Account, microsoft: Sandbox) -> None:
    refused = TokenRecord.objects.get().access_token
    entra_fails(microsoft, delay=0.2)
    tokens = in_threads(lambda: bearer(rejected=refused))
    assert microsoft.counters["token_refresh"] == 1
    assert {token.reveal() for token in tokens} == {TokenRecord.objects.get().access_token.reveal()}


@with_commits
@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"status": 503}, Unavailable), ({"aadsts": 70000}, Unavailable), ({"aadsts": 7000222}, Misconfigured)],
)
def test_threads_that_wait_share_the_failure_and_its_kind(
    contoso: Account, microsoft: Sandbox, fault: dict[str, Any], kind: type[IntegrationError]
) -> None:
    minutes_left(-1)
    entra_fails(microsoft, delay=0.2, **fault)
    errors = in_threads(bearer)
    assert {type(error) for error in errors} == {kind}
    assert microsoft.counters["faults"] == 1
    assert state() == ("enabled", "")


@with_commits
def test_threads_that_wait_learn_together_that_the_customer_ended_it(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    entra_fails(microsoft, delay=0.2, aadsts=50173)
    errors = in_threads(bearer)
    assert {(type(error), error.code) for error in errors} == {(ConsentRequired, "AADSTS50173")}
    assert microsoft.counters["faults"] == 1
    assert AuditEntry.objects.filter(action="connection_lost").count() == 1


@with_commits
def test_whoever_has_a_token_that_still_serves_does_not_wait_for_a_refresh_under_way(
    contoso: Account, microsoft: Sandbox, gate: Gate
) -> None:
    old = TokenRecord.objects.get().access_token
    minutes_left(4.0)
    entra_fails(microsoft, hold=1.0)
    with ThreadPoolExecutor(1) as pool:
        refreshing_now = in_background(pool, bearer)
        wait_until(lambda: microsoft.counters["token_refresh"] == 1)
        assert bearer() == old
        gate.open()
    assert refreshing_now.result() == [TokenRecord.objects.get().access_token]


@with_commits
@pytest.mark.parametrize("fault", [{}, {"aadsts": 50173}, {"status": 503}])
def test_a_reconnect_during_a_refresh_wins_whatever_the_refresh_brings(
    contoso: Account, microsoft: Sandbox, consent: Callable[..., Any], gate: Gate, fault: dict[str, Any]
) -> None:
    minutes_left(-1)
    entra_fails(microsoft, times=1, hold=1.0, **fault)
    with ThreadPoolExecutor(1) as pool:
        refreshing_now = in_background(pool, bearer)
        wait_until(lambda: microsoft.counters["faults"] == 1)
        assert consent(contoso, "ada@contoso.example", mode="admin").status_code == 200
        row = TokenRecord.objects.get()
        gate.open()
    assert refreshing_now.result() == [row.access_token]
    after = TokenRecord.objects.get()
    assert (after.refresh_token, after.version, after.failures) == (row.refresh_token, row.version, 0)
    assert state() == ("enabled", "")


@with_commits
def test_a_disconnect_during_a_refresh_stays_a_disconnect(contoso: Account, microsoft: Sandbox, gate: Gate) -> None:
    minutes_left(-1)
    entra_fails(microsoft, times=1, hold=1.0)
    with ThreadPoolExecutor(1) as pool:
        refreshing_now = in_background(pool, bearer)
        wait_until(lambda: microsoft.counters["token_refresh"] == 1)
        disconnect(contoso, why="a test", actor="a test")
        gate.open()
    (error,) = refreshing_now.result()
    assert (type(error), error.code) == (ConsentRequired, "disconnected")
    assert not TokenRecord.objects.exists()
    assert state() == ("disabled", "disconnected")


def lease(seconds: float) -> None:
    """As if another process held the row."""
    until = timezone.now() + timedelta(seconds=seconds)
    TokenRecord.objects.update(lease_holder="another process", lease_until=until)


def test_a_held_lease_is_waited_for_until_the_deadline(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    lease(60)
    with pytest.raises(Unavailable, match="refresh_wait"):
        bearer(patience=0.1)
    assert microsoft.counters["token_refresh"] == 0


def test_the_lease_of_a_dead_process_ends_by_itself(contoso: Account, microsoft: Sandbox) -> None:
    minutes_left(-1)
    lease(0.2)
    assert bearer(patience=20.0).reveal().startswith("SBXAT-")
    assert microsoft.counters["token_refresh"] == 1


def test_a_lease_is_longer_than_a_refresh_may_take() -> None:
    assert vault.LEASE_SECONDS > vault.REFRESH_SECONDS


# --- many connections -----------------------------------------------------------------------------------------------


def test_only_due_tokens_are_refreshed(contoso: Account, microsoft: Sandbox) -> None:
    assert refreshing.refresh_due() == Tally()
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    assert refreshing.refresh_due() == Tally(refreshed=1)
    assert refreshing.refresh_due() == Tally()
    assert microsoft.counters["token_refresh"] == 1


@pytest.mark.parametrize("other_state", ["pending", "verifying", "needs_consent", "disabled"])
def test_all_means_enabled_ones_and_the_others_are_skipped(
    contoso: Account, microsoft: Sandbox, other_state: str
) -> None:
    other = make_account("fabrikam")
    Connection.objects.create(account=other, state=other_state)
    assert refreshing.refresh_all() == Tally(refreshed=1, skipped=1)
    assert refreshing.refresh_all("fabrikam") == Tally(skipped=1)
    assert refreshing.refresh_all("contoso") == Tally(refreshed=1)


def test_an_account_that_never_had_a_connection_is_skipped(contoso: Account) -> None:
    make_account("fabrikam")
    assert refreshing.refresh_all("fabrikam") == Tally(skipped=1)


def test_one_failing_tenant_does_not_keep_the_others_from_their_turn(
    contoso: Account, consent: Callable[..., Any], microsoft: Sandbox, settings: Any
) -> None:
    settings.SWEEP_WIDTH = 1  # the fault is for the first
    for slug, upn in (("fabrikam", "fay@fabrikam.example"), ("northwind", "ada@contoso.example")):
        consent(make_account(slug), upn)
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    entra_fails(microsoft, times=1, status=503)
    microsoft.control.set({"disable_user": "fay@fabrikam.example"})
    assert refreshing.refresh_due() == Tally(refreshed=1, failed=1, needs_consent=1)


def test_the_pauses_between_failed_refreshes_grow_to_an_hour_and_no_further(
    contoso: Account, microsoft: Sandbox
) -> None:
    entra_fails(microsoft, status=503)
    waits, moment = [], timezone.now()
    for _ in range(9):
        with time_machine.travel(moment, tick=False):
            assert refreshing.refresh_all() == Tally(failed=1)  # whatever the back-off
            row = TokenRecord.objects.get()
            waits.append((row.refresh_due_at - moment).total_seconds())
            assert refreshing.refresh_due() == Tally()
            moment = row.refresh_due_at
    for number, wait in enumerate(waits):
        middle = min(60 * 2**number, 3600)
        assert 0.8 * middle <= wait <= 1.2 * middle
    with time_machine.travel(moment, tick=False):
        assert refreshing.refresh_due() == Tally(failed=1)
    assert microsoft.counters["faults"] == 10


@with_commits
@pytest.mark.parametrize("fault", [{}, {"status": 503}])
def test_two_workers_with_the_same_list_ask_microsoft_once(
    contoso: Account, microsoft: Sandbox, fault: dict[str, Any]
) -> None:
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    entra_fails(microsoft, hold=0.3, **fault)
    with ThreadPoolExecutor(1) as pool:
        first = in_background(pool, refreshing.refresh_due)
        wait_until(lambda: microsoft.counters["faults"] == 1)
        second = refreshing.refresh_due()
    expected = Tally(failed=1) if fault else Tally(refreshed=1)
    assert first.result() == [expected]
    assert second in (expected, Tally())  # its list named the connection, or came too late to
    assert microsoft.counters["faults"] == 1


def test_who_read_the_row_before_anothers_failure_cannot_claim_it_afterwards(contoso: Any) -> None:
    stale = TokenRecord.objects.get(connection=contoso.connection)
    TokenRecord.objects.update(failures=stale.failures + 1)  # another process tried and failed in between

    assert not vault._claim(stale)
    assert vault._claim(TokenRecord.objects.get())
