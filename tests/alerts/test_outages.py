"""What fails for everybody: one incident for support, none for the customers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisIsAway

from alerts.models import Incident
from alerts.trouble import Ending
from microsoft.errors import Misconfigured, Unavailable
from sandbox import Sandbox
from sandbox.options import CLIENT_SECRET
from tenants import breakers, tasks
from tenants.health import Health
from tenants.models import Account, Connection, TokenRecord
from tests.alerts.conftest import SUPPORT
from tests.alerts.test_outbox import connected, turn

pytestmark = pytest.mark.django_db

Minutes = Callable[[int], None]
ENTRA = "entra:https://login.microsoftonline.com"


def fail(clock: Any, tenants: int = 3) -> None:
    for number in range(tenants):
        breakers.report(ENTRA, f"tenant{number}", Unavailable())
        clock.shift(timedelta(seconds=1))


def test_our_expired_secret_is_told_to_support_once_and_to_no_customer(
    contoso: Account, microsoft: Sandbox, minutes: Minutes, mailoutbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    microsoft.control.set({"registration": {"client_secret": "changed"}})
    for _ in range(6):
        TokenRecord.objects.update(refresh_due_at=timezone.now())
        tasks.refresh_due_tokens()
        minutes(5)

    incident = Incident.objects.get()
    assert (incident.connection, incident.code, incident.severity) == (None, "AADSTS7000215", "everybody")
    assert [record.message for record in caplog.records].count("incident opened") == 1
    assert [mail.to for mail in mailoutbox] == [[SUPPORT]]
    assert "fails for everybody (AADSTS7000215)" in mailoutbox[0].subject
    assert Connection.objects.get().state == "enabled"

    microsoft.control.set({"registration": {"client_secret": CLIENT_SECRET}})
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    tasks.refresh_due_tokens()
    minutes(15)
    assert Incident.objects.get().ending == Ending.RECOVERED
    assert [mail.to for mail in mailoutbox] == [[SUPPORT], [SUPPORT]]
    assert "answers again, for everybody" in mailoutbox[1].subject


def test_an_outage_explains_what_cannot_be_read_while_it_lasts(clock: Any, minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    fail(clock)
    minutes(1)
    turn(row, Health.DOWN, "microsoft_unavailable")
    minutes(30)
    assert [incident.subject for incident in Incident.objects.all()] == [f"service:{ENTRA}"]
    assert [mail.to for mail in mailoutbox] == [[SUPPORT]]


def test_what_is_still_down_after_an_outage_is_told_once_a_check_has_seen_it(clock: Any, minutes: Minutes) -> None:
    row = connected("contoso")
    fail(clock)
    minutes(1)
    turn(row, Health.DOWN, "microsoft_unavailable")
    minutes(10)
    breakers.report(ENTRA, "tenant0", None)
    clock.shift(timedelta(seconds=1))
    minutes(10)
    assert not Incident.open().exists()
    Connection.objects.filter(pk=row.pk).update(last_check_at=timezone.now())
    minutes(1)
    assert Incident.open().get().connection == row


def test_a_lost_sign_in_is_told_during_an_outage_too(clock: Any, minutes: Minutes) -> None:
    row = connected("contoso")
    fail(clock)
    minutes(1)
    Connection.objects.filter(pk=row.pk).update(state="needs_consent", reason_code="AADSTS50173")
    minutes(1)
    assert Incident.open().filter(connection=row, severity="needs_consent").exists()


def test_a_tenants_own_breaker_is_nobody_elses_incident(clock: Any, minutes: Minutes) -> None:
    breakers.report(ENTRA, "answers", None)
    for _ in range(6):
        breakers.report(ENTRA, "tenant", Unavailable())
        clock.shift(timedelta(seconds=1))
    assert [breaker.tenant for breaker in breakers.standing()] == ["tenant"]
    minutes(1)
    assert not Incident.objects.exists()


def test_an_outage_is_not_over_because_the_store_of_breakers_is_away(
    clock: Any, minutes: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    breakers.report(ENTRA, "tenant", Misconfigured("AADSTS7000222"))
    clock.shift(timedelta(seconds=1))
    minutes(1)

    class Away:
        def read(self, name: str) -> None:
            raise RedisIsAway(name)

    with monkeypatch.context() as patch:
        patch.setattr("tenants.breaker_store.coordinator", Away)
        patch.setattr("tenants.breaker_store.REMEMBERED_SECONDS", 0.0)
        assert breakers.standing() == []
        minutes(3)
        assert Incident.open().count() == 1
    minutes(1)
    assert Incident.open().count() == 1
