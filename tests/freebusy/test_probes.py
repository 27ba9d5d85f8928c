"""The connectivity checker, over real faults of the simulated Microsoft."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from freebusy import probes
from freebusy.tasks import probe_due_connections
from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.health import Health
from tenants.models import Account, Connection, HealthCheck, TokenRecord
from tests.conftest import READER
from tests.factories import make_account


def command(*arguments: str) -> tuple[list[str], dict[str, int]]:
    """The lines before the last one of `manage.py probe`, and the object on the last."""
    out = StringIO()
    call_command("probe", *arguments, stdout=out)
    *lines, last = out.getvalue().splitlines()
    counts: dict[str, int] = json.loads(last)
    assert set(counts) == {"healthy", "degraded", "down", "unknown"}
    return lines, counts


def probe() -> Health:
    """One probe of the only connection, freshly read as a worker would."""
    return probes.probe(probes.enabled_connections().get())


def last_check() -> tuple[str, str, int | None]:
    check = HealthCheck.objects.first()
    assert check is not None
    return check.outcome, check.code, check.http_status


def order(microsoft: Sandbox, path: str = "getSchedule", **what: Any) -> None:
    microsoft.control.set({"clear_faults": True, "faults": [{"path": path, "times": None, **what}]})


def mend(microsoft: Sandbox) -> None:
    microsoft.control.set({"clear_faults": True})


# --- outcomes -----------------------------------------------------------------------------------------------------
def test_a_good_probe_is_a_real_read_of_the_readers_own_mailbox(contoso: Account, microsoft: Sandbox) -> None:
    microsoft.counters.reset()
    assert probe() is Health.HEALTHY
    [call] = microsoft.counters.seen
    assert (call.reader, call.mailboxes, call.status) == (READER, 1, 200)
    check = HealthCheck.objects.first()
    assert check is not None
    assert (check.outcome, check.code, check.http_status) == ("ok", "", 200)
    assert check.latency_ms is not None and check.microsoft_request_id


OUTCOMES: list[tuple[str, dict[str, Any], str, int | None]] = [
    ("getSchedule", {"status": 429, "retry_after": "60"}, "throttled", 429),
    ("getSchedule", {"status": 429, "retry_after": "60", "code": "ApplicationThrottled"}, "throttled", 429),
    ("getSchedule", {"status": 503, "retry_after": "60"}, "unreachable", 503),
    ("getSchedule", {"status": 500, "retry_after": "60"}, "unreachable", 500),
    ("getSchedule", {"status": 502, "kind": "html", "retry_after": "60"}, "unreachable", 502),
    ("getSchedule", {"status": 403}, "refused", 403),
    ("getSchedule", {"status": 404, "code": "MailboxNotEnabledForRESTAPI"}, "refused", 404),
    ("getSchedule", {"status": 401}, "refused", 401),
    ("/token", {"status": 503}, "unreachable", None),
    ("/token", {"status": 429, "retry_after": "60"}, "throttled", None),
    ("/token", {"kind": "html"}, "unreachable", None),
    ("/token", {"aadsts": 50173}, "refused", None),
]


@pytest.mark.parametrize(("path", "what", "outcome", "status"), OUTCOMES, ids=str)
def test_a_bad_probe_says_whether_microsoft_throttled_refused_or_could_not_be_reached(
    contoso: Account, microsoft: Sandbox, path: str, what: dict[str, Any], outcome: str, status: int | None
) -> None:
    if path == "/token":
        TokenRecord.objects.update(access_expires_at=timezone.now())
    order(microsoft, path, **what)
    assert probe() is Health.DEGRADED
    found, code, http_status = last_check()
    assert (found, http_status) == (outcome, status)
    assert code


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [("ErrorServerBusy", "unreachable"), ("ErrorNoFreeBusyAccess", "refused"), ("5009", "refused")],
)
def test_a_reader_whose_own_mailbox_fails_is_no_good_probe(
    contoso: Account, microsoft: Sandbox, trouble: str, outcome: str
) -> None:
    microsoft.control.set({"trouble": {READER: trouble}})
    assert probe() is Health.DEGRADED
    assert last_check() == (outcome, trouble, 200)


def test_our_own_secret_refused_is_no_check_of_the_tenant_at_all(contoso: Account, microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"secret_expired": True})
    assert probe() is Health.HEALTHY
    connection = Connection.objects.get()
    assert (connection.state, connection.last_check_code, HealthCheck.objects.count()) == ("enabled", "", 1)
    assert connection.probe_due_at > timezone.now()


def test_a_revoked_grant_found_by_a_probe_needs_consent(contoso: Account, microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": READER})
    probe()
    assert Connection.objects.get().state == "needs_consent"
    assert command() == ([], {"healthy": 0, "degraded": 0, "down": 0, "unknown": 0})


# --- hysteresis ---------------------------------------------------------------------------------------------------
def test_one_bad_probe_degrades_two_in_a_row_are_down_and_one_good_one_heals(
    contoso: Account, microsoft: Sandbox
) -> None:
    order(microsoft, status=403)
    assert [probe(), probe(), probe()] == [Health.DEGRADED, Health.DOWN, Health.DOWN]
    mend(microsoft)
    assert probe() is Health.HEALTHY
    order(microsoft, status=403)
    assert probe() is Health.DEGRADED


def test_bad_probes_of_different_kinds_are_in_a_row_too(contoso: Account, microsoft: Sandbox) -> None:
    order(microsoft, status=429, retry_after="60")
    assert probe() is Health.DEGRADED
    order(microsoft, status=403)
    assert probe() is Health.DOWN


def test_the_history_of_probes_is_kept(contoso: Account, microsoft: Sandbox) -> None:
    order(microsoft, status=403)
    probe()
    mend(microsoft)
    probe()
    outcomes = HealthCheck.objects.values_list("outcome", flat=True)
    assert list(outcomes) == ["ok", "refused", "ok"]  # newest first; the oldest is the verifying read


# --- the command --------------------------------------------------------------------------------------------------
def test_the_command_says_a_line_per_account_and_then_the_counts(
    contoso: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    other = make_account("abbott", domains=["contoso.example"])
    assert consent(other, "ann@contoso.example").status_code == 200
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 403, "times": None, "reader": READER}]})
    lines, counts = command()
    assert lines == ["abbott: healthy", "contoso: degraded"]
    assert counts == {"healthy": 1, "degraded": 1, "down": 0, "unknown": 0}
    assert command("--account", "contoso") == (
        ["contoso: down"],
        {"healthy": 0, "degraded": 0, "down": 1, "unknown": 0},
    )


@pytest.mark.parametrize("state", ["pending", "verifying", "needs_consent", "disabled"])
def test_only_enabled_accounts_are_probed(contoso: Account, microsoft: Sandbox, state: str) -> None:
    Connection.objects.update(state=state)
    make_account("nobody")
    microsoft.counters.reset()
    for arguments in ([], ["--account", "contoso"], ["--account", "nobody"]):
        assert command(*arguments) == ([], {"healthy": 0, "degraded": 0, "down": 0, "unknown": 0})
    assert microsoft.counters["requests"] == 0


def test_an_unknown_account_is_one_line_and_no_traceback(db: None) -> None:
    with pytest.raises(CommandError, match=r"^There is no account “nowhere”\.$"):
        call_command("probe", "--account", "nowhere", stdout=StringIO())


def test_a_connection_whose_token_is_gone_is_refused_and_does_not_stop_the_others(
    contoso: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    other = make_account("zeta", domains=["contoso.example"])
    assert consent(other, "ann@contoso.example").status_code == 200
    TokenRecord.objects.filter(connection__account=contoso).delete()
    lines, _ = command()
    assert lines == ["contoso: degraded", "zeta: healthy"]


# --- the timer ----------------------------------------------------------------------------------------------------
def test_the_task_probes_what_is_due_and_makes_the_next_one_due_an_interval_later(
    contoso: Account, microsoft: Sandbox, settings: Any
) -> None:
    Connection.objects.update(probe_due_at=timezone.now() - timedelta(seconds=1))
    probe_due_connections()
    assert HealthCheck.objects.count() == 2
    wait = Connection.objects.get().probe_due_at - timezone.now()
    interval = timedelta(seconds=settings.PROBE_INTERVAL_SECONDS)
    assert interval * 0.85 < wait < interval * 1.15
    probe_due_connections()
    assert HealthCheck.objects.count() == 2


def test_a_connection_is_claimed_by_one_worker_only(contoso: Account, microsoft: Sandbox) -> None:
    """The second looks while the first is asking Microsoft."""
    Connection.objects.update(probe_due_at=timezone.now() - timedelta(seconds=1))
    assert probes.claim_due(10) == [Connection.objects.get().pk]
    assert probes.claim_due(10) == []
    with time_machine.travel(timezone.now() + probes.LEASE + timedelta(seconds=1), tick=False):
        assert len(probes.claim_due(10)) == 1  # the first was killed


@pytest.mark.django_db(transaction=True)
def test_a_fresh_consent_needs_no_probe_at_once(
    transactional_db: None, consent: Callable[..., Any], microsoft: Sandbox
) -> None:
    assert consent(make_account("contoso")).status_code == 200
    assert Connection.objects.get().probe_due_at > timezone.now() + timedelta(minutes=5)


def test_a_disconnected_account_is_never_due(contoso: Account, microsoft: Sandbox) -> None:
    Connection.objects.update(probe_due_at=timezone.now() - timedelta(seconds=1))
    disconnect(contoso, why="test", actor="test")
    microsoft.counters.reset()
    probe_due_connections()
    assert microsoft.counters["requests"] == 0
