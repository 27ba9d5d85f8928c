"""Celery tasks: driven by rows, so a lost or doubled message does no harm."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from microsoft.http import Deadline
from tenants import heartbeat as heartbeats
from tenants import refreshing, rollups
from tenants.correlation import adopt_request_id
from tenants.models import ConsentAttempt

KEEP_ATTEMPTS = timedelta(days=1)
# A worker that is asked to stop waits for its task, and so does whoever asked it; the next tick goes on.
REFRESHING_SECONDS = 25.0


@shared_task
def refresh_due_tokens() -> None:
    """Renews tokens well before they end."""
    adopt_request_id()
    end = Deadline.after(REFRESHING_SECONDS)
    refreshing.refresh_due(stop=lambda: end.expired)


@shared_task
def forget_old_consent_attempts() -> None:
    """Their flow is of no use after ten minutes, and the audit trail keeps what matters."""
    ConsentAttempt.objects.filter(expires_at__lt=timezone.now() - KEEP_ATTEMPTS).delete()


@shared_task
def prune_checks() -> None:
    """Single checks for a week, sums by hour for two days, by day for more than a year."""
    rollups.prune(timezone.now())


@shared_task
def heartbeat() -> None:
    """Shows that broker and worker are alive; that beat is, it says itself when it sends this."""
    heartbeats.report(heartbeats.Process.WORKER, timezone.now())
