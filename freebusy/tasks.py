"""Celery tasks of the connectivity checker."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from freebusy import mailboxes, probes
from tenants.correlation import adopt_request_id


@shared_task
def probe_due_connections() -> None:
    """Checks what is due: often what is in use, seldom what rests, soon again what failed."""
    adopt_request_id()
    probes.probe_due()


@shared_task
def forget_unasked_mailboxes() -> None:
    """What nobody asks for any more is nothing to keep."""
    mailboxes.forget_unasked(timezone.now())
