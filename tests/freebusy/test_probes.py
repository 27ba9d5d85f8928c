"""The connectivity checker, over real faults of the simulated Microsoft."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from alerts.models import Incident
from freebusy import probes
from freebusy.models import KnownMailbox
from freebusy.tasks import probe_due_connections
from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.health import Health
from tenants.models import Account, Connection, HealthCheck, TokenRecord
from tests.conftest import READER
from tests.factories import Api, make_account
from tests.freebusy.asking import mailbox, rewrite


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
    row = Connection.objects.get()
    assert (row.state, row.last_check_code, HealthCheck.objects.count()) == ("enabled", "", 1)
    assert row.probe_due_at > timezone.now()


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


# --- the sample ---------------------------------------------------------------------------------------------------
def remember(account: Account, *names: str, entries: int | None = None) -> None:
    """The API was asked for these a moment ago; with `entries` they were looked at too."""
    now = timezone.now()
    for name in names:
        address = f"{name}@{account.slug}.example"
        at = None if entries is None else now
        KnownMailbox.objects.create(
            account=account, address=address, last_asked_at=now, entries=entries, entries_at=at, last_probed_at=at
        )


def counts() -> dict[str, int | None]:
    return {row.address.split("@")[0]: row.entries for row in KnownMailbox.objects.all()}


def empty_from_now_on(microsoft: Sandbox) -> None:
    def edit(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            entry.update(scheduleItems=[], availabilityView="0")

    rewrite(microsoft, edit)


def test_a_probe_looks_at_the_reader_and_nineteen_others_in_one_call(contoso: Account, microsoft: Sandbox) -> None:
    names = [f"p{number}" for number in range(25)]
    microsoft.control.set({"mailboxes": [f"{name}@contoso.example" for name in names]})
    remember(contoso, *names)
    microsoft.counters.reset()
    assert [probe(), probe()] == [Health.HEALTHY] * 2
    assert [call.mailboxes for call in microsoft.counters.seen] == [20, 20]
    looked = KnownMailbox.objects.exclude(last_probed_at=None)
    assert looked.count() == 25  # the second took those the first had left, and then the oldest


def test_of_each_mailbox_the_number_of_entries_is_kept_and_nothing_else(contoso: Account, microsoft: Sandbox) -> None:
    now = timezone.now()
    day = (now + timedelta(days=3)).isoformat(), (now + timedelta(days=3, hours=1)).isoformat()
    too_far = (now + timedelta(days=20)).isoformat(), (now + timedelta(days=20, hours=1)).isoformat()
    mailbox(microsoft, "one", day, too_far)
    mailbox(microsoft, "none")
    remember(contoso, "one", "none", "nobody-here")
    probe()
    assert counts() == {"one": 1, "none": 0, "nobody-here": None}


def test_a_mailbox_of_a_domain_that_was_taken_away_is_not_asked_for(contoso: Account, microsoft: Sandbox) -> None:
    remember(contoso, "ann")
    Account.objects.update(domains=["other.example"])
    microsoft.counters.reset()
    probe()
    assert [call.mailboxes for call in microsoft.counters.seen] == [1]


# --- what cannot be believed --------------------------------------------------------------------------------------
def test_calendars_that_are_empty_all_at_once_are_suspicious_and_stay_so_until_an_entry_is_seen(
    contoso: Account, microsoft: Sandbox, api: Api
) -> None:
    remember(contoso, "ann", "bob", "cleo")
    handle = microsoft.handle
    assert probe() is Health.HEALTHY
    believed = counts()
    assert sum(entries or 0 for entries in believed.values()) > 5
    empty_from_now_on(microsoft)
    assert [probe(), probe(), probe()] == [Health.DEGRADED] * 3  # amber, never red
    assert last_check() == ("suspicious", "canary_empty", 200)
    assert counts() == believed
    assert api.get("contoso").json()["reason"]["code"] == "canary_empty"
    microsoft.handle = handle  # type: ignore[method-assign]  # the simulator, not the product
    assert probe() is Health.HEALTHY
    assert api.get("contoso").json()["reason"] is None


def test_calendars_that_never_had_an_entry_are_no_reason_to_doubt(contoso: Account, microsoft: Sandbox) -> None:
    for name in ("one", "two", "three"):
        mailbox(microsoft, name)
    remember(contoso, "one", "two", "three")
    assert [probe(), probe()] == [Health.HEALTHY] * 2


def test_doubt_ends_by_itself_a_fortnight_after_the_last_believed_look(contoso: Account, microsoft: Sandbox) -> None:
    empty_from_now_on(microsoft)
    remember(contoso, "ann", "bob", entries=9)
    assert probe() is Health.DEGRADED
    KnownMailbox.objects.update(entries_at=timezone.now() - timedelta(days=15))
    assert probe() is Health.HEALTHY
    assert counts() == {"ann": 0, "bob": 0}


def test_a_reader_that_answers_while_everybody_else_is_refused_is_suspicious(
    contoso: Account, microsoft: Sandbox
) -> None:
    remember(contoso, "ann", "bob", "cleo", entries=2)
    refused = {f"{name}@contoso.example": "ErrorNoFreeBusyAccess" for name in ("ann", "bob", "cleo")}
    microsoft.control.set({"trouble": refused})
    assert probe() is Health.DEGRADED
    assert last_check() == ("suspicious", "sample_unreadable", 200)
    microsoft.control.set({"trouble": {"bob@contoso.example": ""}})
    assert probe() is Health.HEALTHY


# --- the pace -----------------------------------------------------------------------------------------------------
def wait_after_a_probe() -> timedelta:
    Connection.objects.update(probe_due_at=timezone.now() - timedelta(seconds=1))
    before = timezone.now()
    probe_due_connections()
    return Connection.objects.get().probe_due_at - before


def rest() -> None:
    long_ago = timezone.now() - timedelta(days=30)
    Connection.objects.update(connected_at=long_ago, last_used_at=long_ago)


def test_a_connection_that_nobody_uses_is_probed_seldom_and_believed_longer(
    contoso: Account, microsoft: Sandbox, api: Api, settings: Any
) -> None:
    rest()
    idle = timedelta(seconds=settings.PROBE_IDLE_INTERVAL_SECONDS)
    assert idle * 0.85 < wait_after_a_probe() < idle * 1.15
    Connection.objects.update(last_check_at=timezone.now() - idle * 1.9)
    assert api.get("contoso").json()["health"] == "healthy"
    Connection.objects.update(last_check_at=timezone.now() - idle * 2.1)
    assert api.get("contoso").json()["health"] == "unknown"


@pytest.mark.parametrize("resting", [False, True])
def test_after_a_bad_probe_the_next_comes_within_five_minutes(
    contoso: Account, microsoft: Sandbox, resting: bool
) -> None:
    if resting:
        rest()
    order(microsoft, status=403)
    assert timedelta(minutes=1) < wait_after_a_probe() < timedelta(minutes=5)
    assert wait_after_a_probe() > timedelta(minutes=5)


@pytest.mark.parametrize("path", ["getSchedule", "/token"])
def test_never_sooner_than_microsoft_asked(contoso: Account, microsoft: Sandbox, path: str) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    order(microsoft, path, status=429, retry_after="7200")
    assert wait_after_a_probe() > timedelta(minutes=119)


def test_a_stored_token_that_graph_refuses_is_renewed_once_and_the_probe_is_good(
    contoso: Account, microsoft: Sandbox
) -> None:
    microsoft.control.set({"expire_access_tokens": "*"})
    assert probe() is Health.HEALTHY
    assert TokenRecord.objects.get().version == 2
    assert HealthCheck.objects.count() == 2


def test_a_consent_that_came_while_a_probe_was_under_way_counts_more(contoso: Account, microsoft: Sandbox) -> None:
    order(microsoft, status=403)
    Connection.objects.update(connected_at=timezone.now() + timedelta(minutes=1))
    assert probe() is Health.HEALTHY
    assert HealthCheck.objects.count() == 1


# --- trouble of all -----------------------------------------------------------------------------------------------
Consent = Callable[..., Any]
TENANTS = ("acme", "bolt", "cone")


@pytest.fixture
def many(db: None, microsoft: Sandbox, consent: Consent) -> list[Account]:
    """Three accounts of different Entra tenants, due now."""
    microsoft.control.set({"tenants": dict.fromkeys(TENANTS, 1)})
    accounts = [make_account(name) for name in TENANTS]
    for account in accounts:
        assert consent(account, f"cadence-service@{account.slug}.example").status_code == 200
    Connection.objects.update(probe_due_at=timezone.now() - timedelta(seconds=1))
    return accounts


def healths() -> list[str]:
    return list(Connection.objects.order_by("account__slug").values_list("health", flat=True))


@pytest.mark.parametrize("path", ["getSchedule", "/token"])
@pytest.mark.parametrize("status", [503, 429])
def test_when_a_service_is_down_for_all_nothing_is_recorded_and_probes_come_again_scattered(
    many: list[Account], microsoft: Sandbox, settings: Any, path: str, status: int
) -> None:
    if path == "/token":
        TokenRecord.objects.update(access_expires_at=timezone.now())
    order(microsoft, path, status=status, retry_after="60")
    probe_due_connections()
    assert healths() == ["healthy"] * 3
    assert HealthCheck.objects.count() == 3  # of the consents
    now = timezone.now()
    waits = [row.probe_due_at - now for row in Connection.objects.all()]
    assert all(timedelta(seconds=50) < wait for wait in waits)
    assert all(wait <= probes.SOONEST + timedelta(seconds=settings.PROBE_INTERVAL_SECONDS) for wait in waits)
    assert len(set(waits)) == 3


@pytest.mark.parametrize("path", ["getSchedule", "/token"])
def test_the_trouble_of_one_tenant_is_its_own_even_when_it_alone_was_due(
    many: list[Account], microsoft: Sandbox, path: str
) -> None:
    alone = Connection.objects.filter(account=many[0])
    Connection.objects.exclude(account=many[0]).update(probe_due_at=timezone.now() + timedelta(hours=1))
    TokenRecord.objects.filter(connection__in=alone).update(access_expires_at=timezone.now())
    order(microsoft, path, status=503, retry_after="60", tenant="acme.example")
    probe_due_connections()
    assert healths() == ["degraded", "healthy", "healthy"]
    assert HealthCheck.objects.count() == 4  # witnesses are not recorded


def test_a_witness_whose_token_still_lives_does_not_speak_for_entra(many: list[Account], microsoft: Sandbox) -> None:
    alone = Connection.objects.filter(account=many[0])
    Connection.objects.exclude(account=many[0]).update(probe_due_at=timezone.now() + timedelta(hours=1))
    TokenRecord.objects.filter(connection__in=alone).update(access_expires_at=timezone.now())
    order(microsoft, "/token", status=503, retry_after="60")
    probe_due_connections()
    assert healths() == ["healthy"] * 3
    assert HealthCheck.objects.count() == 3  # of the consents


def test_probes_slow_down_during_an_outage_and_recover_without_a_hand(many: list[Account], microsoft: Sandbox) -> None:
    order(microsoft, status=503, retry_after="60")
    probe_due_connections()
    start = timezone.now()
    microsoft.counters.reset()
    for minute in range(1, 61):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            probe_due_connections()
    during = microsoft.counters["requests"]
    assert during <= 3 * 60 / 5  # each every quarter of an hour, and their witnesses
    mend(microsoft)
    for minute in range(61, 81):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            probe_due_connections()
    assert healths() == ["healthy"] * 3
    assert HealthCheck.objects.filter(at__gte=start).exclude(outcome="ok").count() == 0
    assert set(Connection.objects.filter(last_check_at__gt=start).values_list("account__slug", flat=True)) == {*TENANTS}


def test_our_expired_secret_hits_all_and_is_recorded_for_none(many: list[Account], microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"secret_expired": True})
    microsoft.counters.reset()
    probe_due_connections()
    assert healths() == ["healthy"] * 3
    assert list(Connection.objects.values_list("state", flat=True)) == ["enabled"] * 3
    assert HealthCheck.objects.count() == 3
    assert not Connection.objects.filter(probe_due_at__lte=timezone.now()).exists()


def test_a_customer_in_the_wrong_cloud_is_down_and_no_connection_is_taken_away_for_it(
    contoso: Account, microsoft: Sandbox
) -> None:
    microsoft.control.set({"conditions": {"contoso.example": {"wrong_cloud": True}}})
    TokenRecord.objects.update(access_expires_at=timezone.now())
    assert [probe(), probe()] == [Health.DEGRADED, Health.DOWN]
    assert last_check() == ("refused", "AADSTS90038", None)
    assert Connection.objects.get().state == "enabled"
    assert list(Incident.objects.values_list("code", "closed_at")) == [("AADSTS90038", None)]
    microsoft.control.set({"conditions": {"contoso.example": {"wrong_cloud": False}}})
    assert probe() is Health.HEALTHY


def test_a_token_that_no_key_opens_is_our_fault_and_does_not_stop_the_others(
    many: list[Account], microsoft: Sandbox
) -> None:
    alien = Fernet(Fernet.generate_key()).encrypt(b"token")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tenants_tokenrecord SET access_token = %s WHERE connection_id = "
            "(SELECT id FROM tenants_connection WHERE account_id = %s)",
            [alien, many[0].pk],
        )
    probe_due_connections()
    assert healths() == ["healthy"] * 3
    assert HealthCheck.objects.count() == 3 + 2
