"""Checks are stored with their sums and the health, many in a transaction, and what changed is told inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck as Suppress
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import rollups
from tenants.changes import Change
from tenants.health import Health, Outcome
from tenants.models import AllChecks, CheckSums, Connection, ConnectionChecks, HealthCheck, Period
from tenants.recording import CheckResult, record_check, record_checks
from tenants.signals import connection_changed
from tests.factories import make_account

pytestmark = pytest.mark.django_db

START = datetime(2027, 3, 1, 22, 30, tzinfo=UTC)
OK, BAD = CheckResult(Outcome.OK, 40), CheckResult(Outcome.REFUSED, 90, 403, "ErrorAccessDenied", "id")
NAMES = [outcome.value for outcome in Outcome]


def connect(slug: str, **fields: Any) -> Connection:
    return Connection.objects.create(account=make_account(slug), **{"state": "enabled", **fields})


@pytest.fixture
def told() -> Iterator[list[tuple[int, Change]]]:
    """What receivers hear: connection and change."""
    heard: list[tuple[int, Change]] = []

    def hear(connection_id: int, change: Change, **_: Any) -> None:
        heard.append((connection_id, change))

    connection_changed.connect(hear)
    yield heard
    connection_changed.disconnect(hear)


# --- many at a time -----------------------------------------------------------------------------------------------
def test_many_checks_are_stored_with_a_constant_number_of_queries() -> None:
    costs = []
    for count in (3, 30):
        rows = [connect(f"a{count}-{number}", health="healthy") for number in range(count)]  # no news to tell
        with CaptureQueriesContext(database) as queries:
            record_checks({row.pk: OK for row in rows}, START)
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert HealthCheck.objects.count() == 33


def test_each_connection_gets_its_own_result() -> None:
    good, bad = connect("good"), connect("bad")
    found = record_checks({good.pk: OK, bad.pk: BAD}, START)
    assert {key: rollup.health for key, rollup in found.items()} == {good.pk: Health.HEALTHY, bad.pk: Health.DEGRADED}
    bad.refresh_from_db()
    assert (bad.health, bad.health_since, bad.bad_in_a_row) == ("degraded", START, 1)
    assert (bad.last_check_at, bad.last_check_outcome, bad.last_check_latency_ms) == (START, "refused", 90)
    assert bad.last_check_code == "ErrorAccessDenied"
    check = HealthCheck.objects.get(connection=bad)
    assert (check.http_status, check.code, check.microsoft_request_id) == (403, "ErrorAccessDenied", "id")


def test_the_next_probe_is_due_when_the_caller_says() -> None:
    row = connect("contoso")
    record_checks({row.pk: BAD}, START, wait=lambda key, after: timedelta(minutes=after.bad_in_a_row))
    row.refresh_from_db()
    assert row.probe_due_at == START + timedelta(minutes=1)


@pytest.mark.parametrize(("state", "stored"), [("enabled", 1), ("needs_consent", 1), ("disabled", 0), ("pending", 0)])
def test_what_was_disconnected_meanwhile_is_left_out(state: str, stored: int) -> None:
    row = connect("contoso", state=state)
    assert len(record_checks({row.pk: BAD}, START)) == stored
    assert HealthCheck.objects.count() == ConnectionChecks.objects.filter(period="day").count() == stored


def test_a_check_that_began_before_a_new_consent_says_nothing_of_it() -> None:
    row = connect("contoso", connected_at=START)
    late = CheckResult(Outcome.REFUSED, began=START - timedelta(seconds=1))
    assert record_checks({row.pk: late}, START) == {}
    row.refresh_from_db()
    assert row.health == "unknown"


# --- what is told -------------------------------------------------------------------------------------------------
def test_only_a_change_is_told_with_health_before_and_after(told: list[tuple[int, Change]]) -> None:
    row = connect("contoso")
    for minute, result in enumerate([OK, OK, BAD, BAD, BAD, OK]):
        record_check(row, result, START + timedelta(minutes=minute))
    steps = [(change.health_before.value, change.health.value, change.reason) for _, change in told]
    assert steps == [
        ("unknown", "healthy", ""),
        ("healthy", "degraded", "ErrorAccessDenied"),
        ("degraded", "down", "ErrorAccessDenied"),
        ("down", "healthy", ""),
    ]


def test_the_check_that_finds_a_connection_lost_is_told_as_the_fall_that_it_is(told: list[tuple[int, Change]]) -> None:
    lost = connect("contoso", state="needs_consent")
    record_check(lost, BAD, START)
    assert [(key, change.health_before.value, change.health.value) for key, change in told] == [
        (lost.pk, "unknown", "degraded")
    ]


def test_a_receiver_that_fails_takes_the_check_back() -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("outbox")

    row = connect("contoso")
    connection_changed.connect(refuse)
    try:
        with pytest.raises(RuntimeError):
            record_check(row, OK, START)
    finally:
        connection_changed.disconnect(refuse)
    assert not HealthCheck.objects.exists() and not AllChecks.objects.exists()


# --- sums ---------------------------------------------------------------------------------------------------------
def sums(rows: Any) -> Counter[str]:
    """All amounts of these rows, and the largest latency."""
    found: Counter[str] = Counter()
    for row in rows:
        found.update({name: getattr(row, name) for name in [*NAMES, "latency_count", "latency_sum_ms"]})
    found["max"] = max((row.latency_max_ms for row in rows), default=0)
    return +found


def expected(checks: list[HealthCheck]) -> Counter[str]:
    """The same, counted from single checks."""
    found = Counter(check.outcome for check in checks)
    timed = [check.latency_ms for check in checks if check.latency_ms is not None]
    found.update(latency_count=len(timed), latency_sum_ms=sum(timed), max=max(timed, default=0))
    return +found


CHECKS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 2), min_size=1),
        st.integers(0, 400),
        st.sampled_from(Outcome),
        st.none() | st.integers(0, 9),
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[Suppress.function_scoped_fixture])
@given(CHECKS)
def test_sums_agree_with_the_single_checks_whatever_comes(checks: list[Any]) -> None:
    for model in (HealthCheck, ConnectionChecks, AllChecks):
        model.objects.all().delete()  # type: ignore[attr-defined]
    rows = list(Connection.objects.order_by("pk")) or [connect(f"c{number}") for number in range(3)]
    for chosen, minute, outcome, latency in checks:
        result = CheckResult(outcome, latency)
        record_checks({rows[number].pk: result for number in chosen}, START + timedelta(minutes=minute))
    single = list(HealthCheck.objects.all())
    for period in Period:
        for row in rows:
            own = ConnectionChecks.objects.filter(connection=row, period=period)
            assert sums(own) == expected([check for check in single if check.connection_id == row.pk])
        every = AllChecks.objects.filter(period=period)
        assert sums(every) == expected(single)
        for point in every:
            mine = [check for check in single if rollups.start_of(period, check.at) == point.start]
            assert sums([point]) == expected(mine)


def test_a_check_counts_in_the_hour_and_the_utc_day_it_falls_in() -> None:
    row = connect("contoso")
    record_check(row, OK, START)
    record_check(row, OK, START + timedelta(hours=2))
    found = sorted((sums.period, sums.start, sums.checks) for sums in AllChecks.objects.all())
    assert found == [
        ("day", datetime(2027, 3, 1, tzinfo=UTC), 1),
        ("day", datetime(2027, 3, 2, tzinfo=UTC), 1),
        ("hour", datetime(2027, 3, 1, 22, tzinfo=UTC), 1),
        ("hour", datetime(2027, 3, 2, 0, tzinfo=UTC), 1),
    ]


# --- pruning ------------------------------------------------------------------------------------------------------
def test_what_is_old_is_pruned_and_what_is_not_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "PRUNED_AT_A_TIME", 2)  # several rounds
    row = connect("contoso")
    hour = timedelta(hours=1)
    for keep, model, fields in (
        (rollups.KEEP_CHECKS, HealthCheck, {"connection": row, "outcome": "ok"}),
        (rollups.KEEP_HOURS, ConnectionChecks, {"connection": row, "period": "hour"}),
        (rollups.KEEP_HOURS, AllChecks, {"period": "hour"}),
        (rollups.KEEP_DAYS, ConnectionChecks, {"connection": row, "period": "day"}),
        (rollups.KEEP_DAYS, AllChecks, {"period": "day"}),
    ):
        column = "at" if model is HealthCheck else "start"
        for age in (timedelta(0), keep - hour, keep + hour, keep + 2 * hour, keep + 3 * hour):
            model.objects.create(**{column: START - age}, **fields)  # type: ignore[attr-defined]
    rollups.prune(START)
    assert HealthCheck.objects.count() == 2
    for kind in (ConnectionChecks, AllChecks):
        assert Counter(_periods(kind)) == {"hour": 2, "day": 2}


def _periods(model: type[CheckSums]) -> Iterator[str]:
    yield from model._default_manager.values_list("period", flat=True)
