"""Celery tasks of the webhooks: driven by rows, so a lost or doubled message does no harm."""

from __future__ import annotations

import logging

from celery import shared_task

from microsoft.errors import Misconfigured
from tenants.correlation import adopt_request_id
from webhooks import pruning, sending

log = logging.getLogger(__name__)


@shared_task
def send_due_webhooks() -> None:
    """Delivers what has become due."""
    adopt_request_id()
    try:
        sending.send_due()
    except Misconfigured as error:
        log.error("webhooks wait", extra={"code": error.code, "detail": error.detail})


@shared_task
def forget_old_deliveries() -> None:
    """The log of deliveries goes back a month."""
    pruning.prune()
