"""Opens, worsens and closes incidents: at a change, in its transaction, and by the minute for what no change tells."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone

from alerts import outbox
from alerts.models import Incident
from alerts.trouble import DEGRADED_LASTS, Ending, Severity, Trouble, ending, trouble
from tenants import breaker_store, breakers
from tenants.breakers import OpenBreaker
from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Connection

log = logging.getLogger(__name__)


def subject_of(connection_id: int) -> str:
    """How a connection's incidents are named."""
    return f"connection:{connection_id}"


def follow(connection_id: int, change: Change, **_: Any) -> None:
    """Receiver of `connection_changed`: what the change means for the connection's incident."""
    over = ending(change.state, change.health)
    if over is not None:
        if change.first_check:  # which a sweep after many consents finds for each of them
            return
        close(subject_of(connection_id), over, change.at)
        return
    found = trouble(change.state, change.health, since=change.at, seen_at=change.at, code=change.reason)
    if found is not None:
        _tell(Connection.objects.select_related("account").get(pk=connection_id), found, change.at)


def reconcile() -> None:
    """What no single change tells: outages for all, degraded for long; and whatever a lost change left behind."""
    now = timezone.now()
    standing = {f"service:{it.service}": it for it in breakers.standing() if not it.tenant}
    if not breaker_store.is_away():  # none is listed then, which must not pass for the end of an outage
        follow_outages(standing, now)
    for pk in (*_not_told(), *_told_otherwise()):
        _follow_row(pk, now)


def _not_told() -> list[int]:
    """Connections in trouble without an open incident; while all are, only those that an outage cannot explain."""
    bad = Q(state=State.NEEDS_CONSENT)
    if not Incident.open().filter(connection=None).exists():
        lasting = Q(health=Health.DEGRADED, last_check_at__gte=F("health_since") + DEGRADED_LASTS)
        bad |= Q(Q(health=Health.DOWN) | lasting, state=State.ENABLED)
    told = Exists(Incident.open().filter(connection=OuterRef("pk")))
    return list(Connection.objects.filter(bad, ~told).values_list("pk", flat=True))


def _told_otherwise() -> list[int]:
    """Connections whose open incident says something else than their row."""
    over = Q(connection__state=State.ENABLED, connection__health=Health.HEALTHY)
    over |= Q(connection__state__in=[State.DISABLED, State.PENDING])
    worse = Q(connection__state=State.NEEDS_CONSENT) & ~Q(severity=Severity.NEEDS_CONSENT)
    worse |= Q(connection__state=State.ENABLED, connection__health=Health.DOWN, severity=Severity.DEGRADED)
    return list(Incident.open().filter(over | worse).values_list("connection", flat=True))


def follow_outages(standing: Mapping[str, OpenBreaker], now: datetime) -> None:
    """One incident for each service that fails for all; those that no longer do are closed."""
    for subject, breaker in standing.items():
        _open(subject, None, Trouble(Severity.EVERYBODY, breaker.code, breaker.since), now)
    gone = Incident.open().filter(connection=None, subject__startswith="service:").exclude(subject__in=standing)
    for subject in list(gone.values_list("subject", flat=True)):
        close(subject, Ending.RECOVERED, now)


def _follow_row(connection_id: int, now: datetime) -> None:
    """As `follow`, from the row alone; locked, so that no change comes in between."""
    with transaction.atomic():
        rows = Connection.objects.select_for_update(of=("self",)).select_related("account")
        row = rows.filter(pk=connection_id).first()
        if row is None:
            return
        state, health = State(row.state), Health(row.health)
        over = ending(state, health)
        if over is not None:
            close(subject_of(row.pk), over, now)
            return
        lost = state is State.NEEDS_CONSENT
        found = trouble(
            state,
            health,
            since=row.state_changed_at if lost else row.health_since,
            seen_at=row.last_check_at,
            code=row.reason_code if lost else row.last_check_code,
        )
        if found is not None:
            _tell(row, found, now)


def _tell(connection: Connection, found: Trouble, now: datetime) -> None:
    """Worsens the connection's open incident, or opens one unless everybody's trouble explains it."""
    subject = subject_of(connection.pk)
    if not (_worsen(subject, connection, found, now) or _explained(connection, found)):
        _open(subject, connection, found, now)


def _explained(connection: Connection, found: Trouble) -> bool:
    """An outage for all tells it already; one that has ended explains what nobody has checked since."""
    if not found.may_be_everybodys:
        return False
    for_all = Incident.objects.filter(connection=None)
    if for_all.filter(closed_at=None).exists():
        return True
    ended_at = for_all.aggregate(latest=Max("closed_at"))["latest"]
    seen_at = connection.last_check_at
    return ended_at is not None and seen_at is not None and found.since <= ended_at and seen_at <= ended_at


def _open(subject: str, connection: Connection | None, found: Trouble, now: datetime) -> None:
    row = Incident(
        subject=subject,
        connection=connection,
        code=found.code[:64],
        severity=found.severity.value,
        began_at=found.since,
        opened_at=now,
    )
    with transaction.atomic():
        if Incident.open().filter(subject=subject).exists():
            return
        # Whoever came first has opened the same; the mails' keys keep theirs from coming twice.
        Incident.objects.bulk_create([row], ignore_conflicts=True)
        incident = Incident.open().filter(subject=subject).first()
        if incident is not None:
            outbox.alert(incident, connection.account if connection else None, now)
            log.warning("incident opened", extra={"incident": incident.pk, "subject": subject, "code": row.code})


def _worsen(subject: str, connection: Connection, found: Trouble, now: datetime) -> bool:
    """Whether an incident is open; it takes over what is worse. No second alert, save to whoever had none."""
    incident = Incident.open().filter(subject=subject).first()
    if incident is None:
        return False
    if found.severity.worse_than(Severity(incident.severity)):
        changed = Incident.open().filter(pk=incident.pk, severity=incident.severity)
        if changed.update(severity=found.severity.value, code=found.code[:64], escalations=F("escalations") + 1):
            incident.refresh_from_db()
            outbox.alert(incident, connection.account, now)
    return True


def close(subject: str, how: Ending, now: datetime) -> None:
    """Ends the open incident of this subject, if there is one."""
    with transaction.atomic():
        incident = Incident.open().filter(subject=subject).first()
        if incident is None:
            return
        if Incident.open().filter(pk=incident.pk).update(closed_at=now, ending=how.value):
            outbox.withdraw(incident)
            if how is Ending.RECOVERED:
                outbox.all_clear(incident, now)
            log.info("incident closed", extra={"incident": incident.pk, "subject": subject, "ending": how.value})
