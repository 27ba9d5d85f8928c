"""Celery tasks of incidents and mails: driven by rows, so a lost or doubled message does no harm."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from alerts import expiry, incidents, outbox, sending
from tenants.correlation import adopt_request_id

KEEP_MAILS = timedelta(days=400)


@shared_task
def reconcile_incidents() -> None:
    """Outages for all, what is degraded for long, and whatever a lost change left behind."""
    adopt_request_id()
    incidents.reconcile()


@shared_task
def send_mails() -> None:
    """Empties the outbox."""
    adopt_request_id()
    sending.send_due()


@shared_task
def warn_of_expiry() -> None:
    """Our own credential, and sign-ins near 90 idle days."""
    adopt_request_id()
    expiry.warn()


@shared_task
def forget_old_mails() -> None:
    """Their recipients are people: the rows are kept as long as the daily sums of checks."""
    outbox.forget(timezone.now() - KEEP_MAILS)
