"""Celery tasks of the connectivity checker."""

from __future__ import annotations

from celery import shared_task

from freebusy import probes
from tenants.correlation import adopt_request_id


@shared_task
def probe_due_connections() -> None:
    """Checks every enabled connection about four times an hour."""
    adopt_request_id()
    for connection in probes.due(probes.enabled_connections()):
        probes.probe(connection)
