"""What a status page asks: right answers, and as few and as cheap queries for ten thousand connections as for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from microsoft.secret import Secret
from tenants import status
from tenants.health import Health, Outcome
from tenants.lifecycle import State
from tenants.models import Account, Connection, ConnectionChecks, HealthCheck, TokenRecord
from tenants.rollups import Checked, add
from tenants.standing import shown_health
from tests.factories import make_account

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 16, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def connect(slug: str, health: str = "healthy", **fields: Any) -> Connection:
    """In use, and checked a minute ago."""
    values = {"state": "enabled", "last_used_at": NOW, "last_check_at": NOW - MINUTE, "health_since": NOW - HOUR}
    return Connection.objects.create(account=make_account(slug), health=health, **{**values, **fields})


# --- how connections stand ----------------------------------------------------------------------------------------
def test_connections_are_counted_by_state_and_by_the_health_that_may_be_shown() -> None:
    connect("good-a")
    connect("good-b")
    connect("stale", last_check_at=NOW - 2 * HOUR)
    connect("resting", last_check_at=NOW - 2 * HOUR, last_used_at=NOW - 30 * DAY)
    connect("new", health="unknown", last_check_at=None)
    connect("bad", "down")
    connect("lost", "down", state="needs_consent", last_check_at=NOW - DAY)
    make_account("never")
    assert status.states(NOW) == {
        (State.ENABLED, Health.HEALTHY): 3,
        (State.ENABLED, Health.UNKNOWN): 2,
        (State.ENABLED, Health.DOWN): 1,
        (State.NEEDS_CONSENT, Health.UNKNOWN): 1,
        (State.PENDING, Health.UNKNOWN): 1,
    }


@pytest.mark.parametrize("state", ["verifying", "enabled", "needs_consent", "disabled"])
@pytest.mark.parametrize("health", ["healthy", "degraded", "down", "unknown"])
def test_a_connection_that_is_not_enabled_is_never_shown_healthy(state: str, health: str) -> None:
    row = connect("contoso", health, state=state)
    found = Connection.objects.annotate(shown=status.shown_health(NOW)).values_list("shown", flat=True).get()
    assert found == shown_health(row, NOW)
    assert found == (Health.UNKNOWN if health == "healthy" and state != "enabled" else health)


@pytest.mark.parametrize("used", [None, timedelta(0), 3 * DAY, 3 * DAY + MINUTE])
@pytest.mark.parametrize("connected", [None, DAY, 9 * DAY])
@pytest.mark.parametrize("checked", [None, HOUR, HOUR + MINUTE, 12 * HOUR, 12 * HOUR + MINUTE])
def test_the_database_and_a_single_page_agree_on_what_is_unknown(
    used: timedelta | None, connected: timedelta | None, checked: timedelta | None
) -> None:
    ages = {"last_used_at": used, "connected_at": connected, "last_check_at": checked}
    row = connect("contoso", "degraded", **{name: None if age is None else NOW - age for name, age in ages.items()})
    found = Connection.objects.annotate(shown=status.shown_health(NOW)).values_list("shown", flat=True).get()
    assert found == shown_health(row, NOW)


def test_the_worst_come_first_with_reason_since_and_who_must_act() -> None:
    connect("good")
    connect("ended", state="disabled", health="unknown")
    connect("stale", last_check_at=NOW - 2 * HOUR)
    connect("shaky", "degraded", last_check_code="canary_empty", health_since=NOW - 2 * MINUTE)
    connect("broken", "down", last_check_code="ErrorAccessDenied", health_since=NOW - 3 * MINUTE)
    connect("newly-broken", "down", last_check_code="throttled", health_since=NOW - MINUTE)
    connect(
        "lost", "degraded", state="needs_consent", reason_code="AADSTS50173", state_changed_at=NOW - DAY,
        last_check_code="ErrorAccessDenied",
    )  # fmt: skip
    rows = status.failing(NOW)
    assert [(row.account, row.why.code if row.why else "", row.since) for row in rows] == [
        ("lost", "AADSTS50173", NOW - DAY),
        ("newly-broken", "throttled", NOW - MINUTE),
        ("broken", "ErrorAccessDenied", NOW - 3 * MINUTE),
        ("shaky", "canary_empty", NOW - 2 * MINUTE),
        ("stale", "", NOW - 2 * HOUR),
    ]
    assert all(row.why is None or row.why.actor for row in rows)
    assert (rows[0].state, rows[3].health, rows[4].health) == (State.NEEDS_CONSENT, Health.DEGRADED, Health.UNKNOWN)
    assert len(status.failing(NOW, limit=2)) == 2


# --- trends and uptime --------------------------------------------------------------------------------------------
def test_a_trend_has_every_hour_oldest_first_the_running_one_last() -> None:
    row = connect("contoso")
    for age, outcome, latency in (
        (0, Outcome.OK, 40),
        (0, Outcome.REFUSED, 60),
        (23, Outcome.OK, None),
        (24, Outcome.OK, 1),
    ):
        add([Checked(row.pk, NOW - age * HOUR, outcome, latency)])
    points = status.trend_of_hours(NOW)
    assert [point.start for point in points] == [NOW.replace(minute=0) - age * HOUR for age in range(23, -1, -1)]
    assert [point.checks for point in points] == [1, *[0] * 22, 2]
    assert (points[0].latency_ms, points[1].latency_ms) == (None, None)
    assert (points[-1].by_outcome, points[-1].latency_ms, points[-1].latency_max_ms) == (
        {"ok": 1, "refused": 1},
        50,
        60,
    )


def test_a_trend_of_days_ends_today() -> None:
    row = connect("contoso")
    add([Checked(row.pk, NOW - age * DAY, Outcome.OK, 10) for age in (0, 0, 29, 30)])
    points = status.trend_of_days(NOW)
    assert [point.checks for point in points] == [1, *[0] * 28, 2]


def test_uptime_is_the_share_of_good_checks_over_a_day_a_week_a_month_and_a_quarter() -> None:
    row, other = connect("contoso"), connect("zeta")
    good, bad = Outcome.OK, Outcome.UNREACHABLE
    for age, outcome in ((0, good), (2, bad), (6, good), (20, Outcome.SUSPICIOUS), (80, bad), (90, bad)):
        add([Checked(row.pk, NOW - age * DAY, outcome, 10)])
    add([Checked(other.pk, NOW, bad, 10)])
    found = status.uptime(row, NOW)
    assert (found.day, found.week, found.month, found.quarter) == (1.0, 2 / 3, 2 / 4, 2 / 5)


def test_uptime_of_a_connection_without_checks_is_not_known() -> None:
    found = status.uptime(connect("contoso"), NOW)
    assert (found.day, found.week, found.month, found.quarter) == (None, None, None, None)


# --- what waits ---------------------------------------------------------------------------------------------------
def test_the_backlog_counts_what_is_due_and_how_long_the_first_waits() -> None:
    for slug, state, age in (("a", "enabled", 1), ("b", "enabled", 5), ("c", "enabled", -1), ("d", "disabled", 9)):
        row = connect(slug, state=state, probe_due_at=NOW - age * MINUTE)
        token = {"access_expires_at": NOW, "refreshed_at": NOW, "refresh_due_at": NOW - 2 * age * MINUTE}
        TokenRecord.objects.create(connection=row, refresh_token=Secret("r"), access_token=Secret("a"), **token)
    probe, refresh = status.probe_backlog(NOW), status.refresh_backlog(NOW)
    assert (probe.due, probe.oldest_seconds(NOW)) == (2, 300.0)
    assert (refresh.due, refresh.oldest_seconds(NOW)) == (2, 600.0)
    assert status.probe_backlog(NOW - DAY).oldest_seconds(NOW) == 0.0


# --- ten thousand -------------------------------------------------------------------------------------------------
def crowd(count: int) -> None:
    """So many accounts, each connected, some failing, each with checks and sums."""
    known = Account.objects.count()
    accounts = Account.objects.bulk_create(
        Account(slug=f"n{number}", name="n", domains=["n.example"]) for number in range(known, known + count)
    )
    rows = Connection.objects.bulk_create(
        Connection(
            account=account,
            state="enabled",
            health="down" if number % 50 == 0 else "healthy",
            health_since=NOW,
            last_check_at=NOW,
            last_check_code="throttled",
            probe_due_at=NOW - MINUTE * (number % 30) + 15 * MINUTE,
        )
        for number, account in enumerate(accounts)
    )
    HealthCheck.objects.bulk_create(HealthCheck(connection=row, at=NOW, outcome="ok", latency_ms=9) for row in rows)
    ConnectionChecks.objects.bulk_create(
        ConnectionChecks(connection=row, period="day", start=NOW, ok=1) for row in rows
    )


def everything() -> None:
    """All that the page shows."""
    status.states(NOW)
    status.failing(NOW)
    status.trend_of_hours(NOW)
    status.trend_of_days(NOW)
    status.refresh_backlog(NOW)
    status.probe_backlog(NOW)
    status.uptime(Connection.objects.select_related("account")[0], NOW)


def statements(of: Callable[[], None]) -> list[str]:
    with CaptureQueriesContext(database) as queries:
        of()
    return [query["sql"] for query in queries]


def plan(sql: str) -> str:
    """As this database would go about it."""
    with database.cursor() as cursor:
        explain = "EXPLAIN" if database.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {sql}")
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def test_ten_thousand_connections_cost_as_many_queries_as_ten_and_no_single_check_is_read() -> None:
    crowd(10)
    few = statements(everything)
    crowd(9_990)
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute("ANALYZE")
    many = statements(everything)
    assert len(many) == len(few) == 10
    plans = [plan(sql) for sql in many]
    assert all(plans)
    assert not any("tenants_healthcheck" in text for text in [*plans, *many])
    # Sums of one connection come by their key, not by a walk over everybody's.
    [uptime] = [text for sql, text in zip(many, plans, strict=True) if 'FROM "tenants_connectionchecks"' in sql]
    assert "Seq Scan" not in uptime and "SCAN tenants_connectionchecks" not in uptime
