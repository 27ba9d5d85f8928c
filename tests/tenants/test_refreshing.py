"""Refreshing many: due by use, claimed by lease, written in pages, put off while Microsoft is away for all."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.db import connection as database
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from microsoft.secret import Secret
from sandbox import Sandbox
from tenants import breakers, microsoft365, refreshing, sweeping, token_times, vault
from tenants.disconnecting import disconnect
from tenants.fields import current_key_id
from tenants.models import Account, AuditEntry, Connection, TokenRecord
from tenants.refreshing import Tally, refresh_all, refresh_due
from tests.factories import make_account

SERVICE = "cadence-service@contoso.example"

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


def all_due() -> None:
    TokenRecord.objects.update(refresh_due_at=timezone.now())


def entra_fails(microsoft: Sandbox, times: int | None = None, **fault: Any) -> None:
    microsoft.control.set({"faults": [{"path": "/token", "times": times, **fault}]})


def copies(account: Account, number: int) -> list[Account]:
    """More accounts of the same reader, each with tokens of its own row."""
    token = TokenRecord.objects.get(connection__account=account)
    connection = Connection.objects.get(account=account)
    made = []
    for index in range(number):
        other = make_account(f"copy-{index}")
        connection.pk, connection.account = None, other
        connection.save(force_insert=True)
        token.pk, token.connection = None, connection
        token.save(force_insert=True)
        made.append(other)
    return made


# --- when a token is due --------------------------------------------------------------------------------------------

NOON = datetime(2027, 3, 15, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def dues(function: Callable[[], datetime]) -> tuple[timedelta, timedelta]:
    found = [function() - NOON for _ in range(300)]
    return min(found), max(found)


def test_a_token_in_use_is_renewed_well_before_its_end_and_none_at_the_same_moment() -> None:
    least, most = dues(lambda: token_times.after_refresh(NOON, HOUR, in_use=True, longest_rest=DAY))
    assert 0.25 * HOUR <= least < 0.27 * HOUR
    assert 0.73 * HOUR < most <= 0.75 * HOUR


@pytest.mark.parametrize("lifetime", [HOUR, 28 * HOUR])
def test_an_idle_token_is_renewed_once_within_its_longest_rest(lifetime: timedelta) -> None:
    least, most = dues(lambda: token_times.after_refresh(NOON, lifetime, in_use=False, longest_rest=DAY))
    assert 0.75 * DAY <= least < 0.77 * DAY
    assert 0.98 * DAY < most <= DAY


def test_ten_thousand_that_an_outage_brought_together_are_spread_over_the_hour_after_two_rounds() -> None:
    due = [NOON] * 10_000
    for _ in range(2):
        due = [
            token_times.after_refresh(
                at, timedelta(minutes=random.uniform(60, 90)), in_use=True, longest_rest=timedelta(days=1)
            )
            for at in due
        ]
    minutes = Counter(int((at - NOON).total_seconds() // 60) for at in due)
    assert max(minutes.values()) < 2.5 * 10_000 / 60
    assert max(minutes) - min(minutes) >= 60


def test_a_token_that_lives_for_days_is_still_renewed_daily_while_in_use() -> None:
    _, most = dues(lambda: token_times.after_refresh(NOON, 100 * HOUR, in_use=True, longest_rest=DAY))
    assert most <= DAY


@pytest.mark.parametrize(
    ("failures", "asked", "least", "most", "why"),
    [
        (0, None, 48, 72, "a minute after the first"),
        (3, None, 384, 576, "eight after the fourth"),
        (50, None, 2880, 4320, "never more than an hour"),
        (0, 600.0, 600, 660, "Microsoft asked for more"),
        (6, 30.0, 2880, 4320, "Microsoft asked for less than we wait anyway"),
        (0, 1e12, 86_400, 95_040, "no wish keeps a connection away for years"),
        (0, 0.0, 48, 72, "no wish"),
    ],
)
def test_pauses_double_up_to_an_hour_and_are_never_shorter_than_asked(
    failures: int, asked: float | None, least: float, most: float, why: str
) -> None:
    found = dues(lambda: token_times.after_failure(NOON, failures, asked))
    assert timedelta(seconds=least) <= found[0] <= found[1] <= timedelta(seconds=most), why


def test_what_an_outage_puts_off_is_spread_over_minutes() -> None:
    least, most = dues(lambda: token_times.after_outage(NOON))
    assert timedelta(minutes=2) <= least < timedelta(minutes=3)
    assert timedelta(minutes=9) < most <= timedelta(minutes=10)


@pytest.mark.parametrize(
    ("used", "connected", "lively"),
    [(2 * DAY, 40 * DAY, True), (4 * DAY, 40 * DAY, False), (None, 2 * DAY, True), (None, 4 * DAY, False)],
)
@pytest.mark.parametrize("by", ["sweep", "request"])
def test_use_decides_how_soon_the_next_refresh_comes(
    contoso: Account, used: timedelta | None, connected: timedelta, lively: bool, by: str
) -> None:
    now = timezone.now()
    Connection.objects.update(last_used_at=used and now - used, connected_at=now - connected)
    TokenRecord.objects.update(refresh_due_at=now, access_expires_at=now)
    if by == "sweep":
        assert refresh_due() == Tally(refreshed=1)
    else:
        row = Connection.objects.select_related("account", "token").get()
        vault.ConnectionTokens(row, row.token, vault.Deadline.after(20)).bearer()
    row = TokenRecord.objects.get()
    rest = row.refresh_due_at - row.refreshed_at
    assert rest < HOUR if lively else 18 * HOUR <= rest <= DAY


def test_a_token_that_ended_while_idle_is_renewed_when_it_is_used_again(contoso: Account, api: Any) -> None:
    ended = timezone.now() - timedelta(hours=5)
    TokenRecord.objects.update(access_expires_at=ended, refresh_due_at=timezone.now() + timedelta(hours=9))
    start = timezone.now().replace(microsecond=0)
    asked = {"attendees": [{"email": "ann@contoso.example"}], "start": start.isoformat()}
    answer = api.post("contoso", "availability", {**asked, "end": (start + HOUR).isoformat()})
    assert answer.json()["attendees"][0]["state"] == "known"
    assert TokenRecord.objects.get().version == 2


# --- what is stored -------------------------------------------------------------------------------------------------


def test_a_sweep_stores_what_a_single_refresh_stores(contoso: Account, microsoft: Sandbox) -> None:
    old = TokenRecord.objects.get()
    TokenRecord.objects.update(refresh_due_at=timezone.now(), failures=4, last_failure_code="timeout")
    assert refresh_due() == Tally(refreshed=1)
    row = TokenRecord.objects.get()
    assert row.access_token != old.access_token
    assert row.refresh_token != old.refresh_token
    assert row.access_expires_at - row.refreshed_at == timedelta(seconds=microsoft.options.token_lifetime)
    assert (row.version, row.failures, row.last_failure_code, row.last_failure_at) == (2, 0, "", None)
    assert (row.lease_holder, row.lease_until, row.key_id) == ("", None, current_key_id())


def test_every_way_of_storing_tokens_notes_the_key_they_are_under(contoso: Account, settings: Any) -> None:
    first = current_key_id()
    assert TokenRecord.objects.get().key_id == first
    settings.FERNET_KEYS = [Fernet.generate_key().decode(), *settings.FERNET_KEYS]
    assert refresh_all() == Tally(refreshed=1)
    assert TokenRecord.objects.get().key_id == current_key_id() != first
    assert settings.FERNET_KEYS[0][:16] not in current_key_id()


def test_a_failure_is_noted_with_code_and_pause_and_gives_the_lease_back(contoso: Account, microsoft: Sandbox) -> None:
    entra_fails(microsoft, status=429, retry_after="700")
    all_due()
    assert refresh_due() == Tally(failed=1)
    row = TokenRecord.objects.get()
    assert (row.failures, row.last_failure_code, row.lease_holder, row.lease_until) == (1, "throttled", "", None)
    assert row.last_failure_at is not None
    assert row.refresh_due_at >= row.last_failure_at + timedelta(seconds=700)


@pytest.mark.parametrize("number", [70000, 135010])
def test_a_refusal_that_may_pass_takes_two_in_a_row(contoso: Account, microsoft: Sandbox, number: int) -> None:
    entra_fails(microsoft, aadsts=number)
    assert refresh_all() == Tally(failed=1)
    assert Connection.objects.get().state == "enabled"
    assert refresh_all() == Tally(needs_consent=1)
    assert Connection.objects.get().state == "needs_consent"


def test_a_connection_refused_for_good_is_told_once_and_never_asked_for_again(
    contoso: Account, microsoft: Sandbox
) -> None:
    microsoft.control.set({"revoke_refresh_tokens": SERVICE})
    all_due()
    assert refresh_due() == Tally(needs_consent=1)
    asked = microsoft.counters["requests"]
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        assert refresh_due() == Tally()
    assert refresh_all() == Tally(skipped=1)
    assert microsoft.counters["requests"] == asked
    assert AuditEntry.objects.filter(action="connection_lost").count() == 1


def test_a_row_that_no_key_opens_does_not_keep_the_others_from_their_turn(contoso: Account) -> None:
    (other,) = copies(contoso, 1)
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE tenants_tokenrecord SET refresh_token = %s WHERE connection_id = %s",
            [Fernet(Fernet.generate_key()).encrypt(b"lost"), Connection.objects.get(account=other).pk],
        )
    all_due()
    assert refresh_due() == Tally(refreshed=1, failed=1)
    assert Connection.objects.get(account=other).state == "enabled"
    row = TokenRecord.objects.defer("refresh_token").get(connection__account=other)
    assert row.last_failure_code == "encryption_key_missing"


# --- many -----------------------------------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_grow_with_the_rows(contoso: Account, settings: Any) -> None:
    settings.SWEEP_WIDTH = 64

    def statements() -> list[str]:
        all_due()
        with CaptureQueriesContext(database) as captured:
            refresh_due()
        return [query["sql"] for query in captured if query["sql"].startswith("SELECT")]

    one = len(statements())
    copies(contoso, 60)
    assert len(statements()) == one


def test_a_page_is_written_by_one_statement_in_one_transaction(contoso: Account, monkeypatch: Any) -> None:
    monkeypatch.setattr(sweeping, "WRITE_SECONDS", 60.0)
    copies(contoso, 30)
    all_due()
    writes: list[int] = []

    def noting(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if many:
            writes.append(len(params))
            assert database.in_atomic_block
        return execute(sql, params, many, context)

    with database.execute_wrapper(noting):
        assert refresh_due() == Tally(refreshed=31)
    assert writes == [31]


def test_discovery_happens_once_for_many_tenants(contoso: Account, microsoft: Sandbox) -> None:
    copies(contoso, 20)
    all_due()
    before = microsoft.counters["discovery"]
    assert refresh_due() == Tally(refreshed=21)
    assert microsoft.counters["discovery"] - before <= 1
    assert microsoft.counters["token_refresh"] == 21


def test_stop_leaves_the_rest_due(contoso: Account) -> None:
    all_due()
    assert refresh_due(stop=lambda: True) == Tally()
    assert refresh_due() == Tally(refreshed=1)


# --- beside others --------------------------------------------------------------------------------------------------


class Gate:
    """Holds whoever asks Entra until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, seconds: float) -> None:
        assert self._open.wait(60)

    def open(self) -> None:
        self._open.set()


def in_background(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    return pool.submit(run)


def wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def held(microsoft: Sandbox) -> Any:
    """A sweep that has asked Entra and waits: call it to begin, then open the gate."""
    gate = Gate()
    microsoft.sleep = gate
    with ThreadPoolExecutor(1) as pool:

        def begin(work: Callable[[], Tally] = refresh_due, **fault: Any) -> tuple[Any, Gate]:
            entra_fails(microsoft, times=1, hold=1.0, **fault)
            all_due()
            asked = microsoft.counters["faults"]
            running = in_background(pool, work)
            wait_until(lambda: microsoft.counters["faults"] > asked)
            return running, gate

        yield begin
        gate.open()


@with_commits
@pytest.mark.parametrize("fault", [{}, {"aadsts": 50173}, {"status": 503}])
def test_a_reconnect_during_a_sweep_wins_whatever_the_sweep_brings(
    contoso: Account, consent: Callable[..., Any], held: Any, fault: dict[str, Any]
) -> None:
    running, gate = held(**fault)
    assert consent(contoso, "ada@contoso.example", mode="admin").status_code == 200
    row = TokenRecord.objects.get()
    gate.open()
    assert running.result(60) == Tally(skipped=1)
    after = TokenRecord.objects.get()
    assert (after.refresh_token, after.version, after.failures) == (row.refresh_token, row.version, 0)
    assert Connection.objects.get().state == "enabled"


@with_commits
@pytest.mark.parametrize("fault", [{}, {"aadsts": 50173}])
def test_a_disconnect_during_a_sweep_stays_a_disconnect(contoso: Account, held: Any, fault: dict[str, Any]) -> None:
    running, gate = held(**fault)
    disconnect(contoso, why="a test", actor="a test")
    gate.open()
    assert running.result(60) == Tally(skipped=1)
    assert not TokenRecord.objects.exists()
    assert Connection.objects.get().state == "disabled"


@with_commits
@pytest.mark.parametrize(
    ("fault", "tally"), [({}, Tally(refreshed=1)), ({"status": 503}, Tally(failed=1)), ({"aadsts": 50173}, None)]
)
def test_all_counts_the_outcome_of_whoever_holds_a_row(
    contoso: Account, microsoft: Sandbox, held: Any, fault: dict[str, Any], tally: Tally | None
) -> None:
    running, gate = held(**fault)
    threading.Timer(0.4, gate.open).start()
    assert refresh_all() == (tally or Tally(needs_consent=1))
    assert running.result(60) == (tally or Tally(needs_consent=1))
    assert microsoft.counters["faults"] == 1


@with_commits
def test_a_request_that_needs_the_token_waits_for_the_sweep_that_has_it(
    contoso: Account, microsoft: Sandbox, held: Any
) -> None:
    running, gate = held()
    TokenRecord.objects.update(access_expires_at=timezone.now())
    row = Connection.objects.select_related("account", "token").get()
    threading.Timer(0.2, gate.open).start()
    token = vault.ConnectionTokens(row, row.token, vault.Deadline.after(30)).bearer()
    assert running.result(60) == Tally(refreshed=1)
    assert token == TokenRecord.objects.get().access_token
    assert microsoft.counters["token_refresh"] == 1


def test_what_a_killed_worker_had_claimed_comes_back_by_its_lease(contoso: Account) -> None:
    all_due()
    rows = TokenRecord.objects.filter(refresh_due_at__lte=timezone.now())
    assert len(refreshing._claim(rows, 500)) == 1  # and then the process is gone
    assert refresh_due() == Tally()
    with time_machine.travel(timezone.now() + timedelta(seconds=refreshing.LEASE_SECONDS + 1), tick=True):
        assert refresh_due() == Tally(refreshed=1)


@pytest.mark.parametrize("answer", [refreshing._Answer(error=refreshing.Unavailable()), refreshing._Answer()])
def test_who_lost_a_row_to_another_by_time_leaves_its_lease_alone(contoso: Account, answer: Any) -> None:
    all_due()
    (mine,) = refreshing._claim(TokenRecord.objects.all(), 500)
    with time_machine.travel(timezone.now() + timedelta(seconds=refreshing.LEASE_SECONDS + 1), tick=False):
        (theirs,) = refreshing._claim(TokenRecord.objects.all(), 500)
        refreshing._Run().write([(mine, answer)])
    row = TokenRecord.objects.get()
    assert (row.lease_holder, row.failures) == (theirs.holder, 0)


def test_a_claim_whose_lease_may_end_before_the_answer_is_not_begun(contoso: Account, microsoft: Sandbox) -> None:
    all_due()
    (row,) = refreshing._claim(TokenRecord.objects.all(), 500)
    late = replace(row, begin_by=time.monotonic() - 0.001)
    assert refreshing._Run().ask(late).tokens is None
    assert microsoft.counters["token_refresh"] == 0


@with_commits
def test_two_sweeps_share_the_rows_and_ask_for_each_once(contoso: Account, microsoft: Sandbox, settings: Any) -> None:
    settings.SWEEP_WIDTH = 4
    copies(contoso, 40)
    all_due()
    with ThreadPoolExecutor(2) as pool:
        running = [in_background(pool, refresh_due) for _ in range(2)]
        tallies = [run.result(60) for run in running]
    assert sum(tally.refreshed for tally in tallies) == 41
    assert microsoft.counters["token_refresh"] == 41
    assert set(TokenRecord.objects.values_list("version", flat=True)) == {2}


def test_a_hanging_call_is_left_behind_and_counts_as_a_failure(
    contoso: Account, microsoft: Sandbox, monkeypatch: Any
) -> None:
    monkeypatch.setattr(refreshing, "PATIENCE_SECONDS", 0.3)
    gate = Gate()
    microsoft.sleep = gate
    entra_fails(microsoft, hold=1.0)
    all_due()
    try:
        assert refresh_due() == Tally(failed=1)
    finally:
        gate.open()
    assert TokenRecord.objects.get().last_failure_code == "timeout"


# --- while nobody gets an answer ------------------------------------------------------------------------------------


def open_breaker(error: Any) -> str:
    service = microsoft365.entra_service(Account(cloud="global"))
    for number in range(3):
        breakers.report(service, f"tenant-{number}", error)
    assert breakers.whole_open(service)
    return service


def test_while_entra_is_down_for_all_what_is_due_is_put_off_at_random_and_nothing_marked(
    contoso: Account, microsoft: Sandbox
) -> None:
    copies(contoso, 30)
    all_due()
    open_breaker(refreshing.Unavailable())
    now = timezone.now()
    assert refresh_due() == Tally(skipped=31)
    rows = TokenRecord.objects.all()
    assert microsoft.counters["token_refresh"] == 0
    assert all(timedelta(minutes=2) <= row.refresh_due_at - now <= timedelta(minutes=11) for row in rows)
    assert len({row.refresh_due_at for row in rows}) == 31
    assert {(row.failures, row.last_failure_code, row.lease_until) for row in rows} == {(0, "", None)}
    assert set(Connection.objects.values_list("state", flat=True)) == {"enabled"}


def test_the_first_trial_that_succeeds_lets_the_others_through(contoso: Account, microsoft: Sandbox) -> None:
    service = open_breaker(refreshing.Unavailable())
    with time_machine.travel(timezone.now() + timedelta(seconds=16), tick=True):
        all_due()
        assert refresh_due() == Tally(refreshed=1)
        assert breakers.whole_open(service) is None


def test_during_an_outage_few_calls_are_made_however_many_are_due(
    contoso: Account, microsoft: Sandbox, settings: Any
) -> None:
    settings.SWEEP_WIDTH = 2
    copies(contoso, 60)
    for number, row in enumerate(Connection.objects.all()):
        Connection.objects.filter(pk=row.pk).update(tenant_id=f"tenant-{number}")
    all_due()
    entra_fails(microsoft, status=503)
    tally = refresh_due()
    assert tally.failed == microsoft.counters["faults"] <= 5  # three open the breaker; two were under way
    assert tally.failed + tally.skipped == 61


def test_our_own_expired_secret_is_asked_about_once_and_no_tenant_is_marked(
    contoso: Account, microsoft: Sandbox, settings: Any
) -> None:
    settings.SWEEP_WIDTH = 1
    copies(contoso, 20)
    all_due()
    entra_fails(microsoft, aadsts=7000222)
    assert refresh_due() == Tally(failed=1, skipped=20)
    assert microsoft.counters["faults"] == 1
    assert set(Connection.objects.values_list("state", flat=True)) == {"enabled"}


def test_all_goes_through_an_open_breaker(contoso: Account) -> None:
    open_breaker(refreshing.Unavailable())
    assert refresh_due() == Tally()
    assert refresh_all() == Tally(refreshed=1)


def test_a_request_with_an_ended_token_meets_the_open_breaker_and_one_that_still_lives_serves(
    contoso: Account, microsoft: Sandbox
) -> None:
    old: Secret = TokenRecord.objects.get().access_token
    open_breaker(refreshing.Unavailable())

    def bearer() -> Secret:
        row = Connection.objects.select_related("account", "token").get()
        return vault.ConnectionTokens(row, row.token, vault.Deadline.after(20)).bearer()

    TokenRecord.objects.update(access_expires_at=timezone.now() + timedelta(minutes=4))
    assert bearer() == old
    TokenRecord.objects.update(access_expires_at=timezone.now())
    with pytest.raises(refreshing.Unavailable) as refused:
        bearer()
    assert 0 < (refused.value.retry_after or 0) <= 15
    assert microsoft.counters["token_refresh"] == 0
