"""What the worker does on schedule, called as functions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from cadence_exchange.celery import app
from microsoft.secret import Secret
from tenants import heartbeat, tasks
from tenants.models import Account, AuditEntry, ConsentAttempt, Mode, TokenRecord
from tests.factories import make_account

pytestmark = pytest.mark.django_db


def test_due_tokens_are_refreshed(contoso: Account) -> None:
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    tasks.refresh_due_tokens()
    assert TokenRecord.objects.get().version == 2


def test_a_token_is_refreshed_by_the_schedule_long_before_it_ends(contoso: Account) -> None:
    row = TokenRecord.objects.get()
    with time_machine.travel(row.refresh_due_at + timedelta(seconds=60), tick=False):
        tasks.refresh_due_tokens()
    assert TokenRecord.objects.get().version == 2
    assert row.refresh_due_at < row.access_expires_at - timedelta(minutes=10)


@pytest.mark.parametrize(("age", "left"), [(timedelta(hours=23), 1), (timedelta(hours=25), 0)])
def test_consent_attempts_are_forgotten_a_day_after_they_ended(age: timedelta, left: int) -> None:
    ConsentAttempt.objects.create(
        account=make_account(),
        mode=Mode.ADMIN,
        state_hash="s",
        browser_hash="b",
        flow=Secret("flow"),
        expires_at=timezone.now() - age,
    )
    tasks.forget_old_consent_attempts()
    assert ConsentAttempt.objects.count() == left


def test_what_a_task_finds_in_the_trail_has_an_id_of_its_own(contoso: Account, microsoft: Any) -> None:
    microsoft.control.set({"revoke_refresh_tokens": "*"})
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    tasks.refresh_due_tokens()
    entries = AuditEntry.objects.filter(action__in=["consent", "connection_lost"]).order_by("pk")
    consented, lost = entries.values_list("request_id", flat=True)
    assert lost
    assert lost != consented


def test_the_heartbeat_says_how_old_it_is_and_grows_stale() -> None:
    with pytest.raises(LookupError, match="no worker"):
        heartbeat.describe(heartbeat.Process.WORKER)
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        tasks.heartbeat()
        clock.shift(heartbeat.STALE_SECONDS)
        assert heartbeat.describe(heartbeat.Process.WORKER) == f"{heartbeat.STALE_SECONDS:.0f} s ago"
        clock.shift(1)
        with pytest.raises(LookupError, match="silent"):
            heartbeat.describe(heartbeat.Process.WORKER)


def test_every_task_of_the_schedule_exists_and_expires_before_its_next_turn() -> None:
    app.loader.import_default_modules()
    schedule = app.conf.beat_schedule
    assert {"tenants.tasks.refresh_due_tokens", "freebusy.tasks.probe_due_connections"} <= {
        entry["task"] for entry in schedule.values()
    }
    for entry in schedule.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"] <= entry["schedule"]
