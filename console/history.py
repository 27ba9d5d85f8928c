"""Reads what became of an account from the rows of all apps, a few queries however long the history is."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from alerts.models import Incident, Mail
from console import timeline
from console.timeline import Event, Probe, Stretch
from tenants.models import Account, AuditEntry, Connection, HealthCheck, TokenRecord
from tenants.rollups import KEEP_CHECKS
from webhooks.models import Delivery

PAGE = 40
# Each source gives as many and a few more: what one transaction writes has the same time, and stays on one page.
MOST = PAGE + 20
MOST_PROBES = 5_000  # more than are kept of one connection at any usual pace


def history(account: Account, connection: Connection | None, before: datetime, now: datetime) -> Stretch:
    """What happened before that moment, newest first, as much as fits on a page."""
    return timeline.merge(
        (
            map(timeline.of_audit, _audit(account, before)),
            map(timeline.of_mail, Mail.objects.filter(account=account, created_at__lt=before)[:MOST]),
            map(timeline.of_delivery, _deliveries(account, before)),
            [] if connection is None else _of_connection(connection, before, now),
        ),
        PAGE,
    )


def _of_connection(connection: Connection, before: datetime, now: datetime) -> list[Event]:
    incidents = Incident.objects.filter(connection=connection, opened_at__lt=before)[:MOST]
    token = TokenRecord.times_of(connection)
    found = [event for incident in incidents for event in timeline.of_incident(incident)]
    found += timeline.of_token(token) if token else []
    found += timeline.of_probes(_probes(connection, before, now))
    return [event for event in found if event.at < before]


def _audit(account: Account, before: datetime) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(account=account, at__lt=before)[:MOST]


def _deliveries(account: Account, before: datetime) -> QuerySet[Delivery]:
    rows = Delivery.objects.filter(account=account, created_at__lt=before).select_related("endpoint")
    return rows.defer("payload", "endpoint__secret", "endpoint__previous_secret")[:MOST]


def _probes(connection: Connection, before: datetime, now: datetime) -> list[Probe]:
    """All that are kept, also those after `before`: a stretch that reaches over it is one and the same."""
    if before < now - KEEP_CHECKS:
        return []
    rows = HealthCheck.objects.filter(connection=connection).order_by("-at")
    return list(map(Probe._make, rows.values_list("at", "outcome", "code", "latency_ms")[:MOST_PROBES]))
