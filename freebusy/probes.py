"""The connectivity checker: is the token usable, and does getSchedule answer for the reader?"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from microsoft.errors import IntegrationError, Throttled, Unavailable
from microsoft.graph import MailboxFailure, ScheduleReport
from microsoft.http import Deadline
from tenants import microsoft365
from tenants.health import Health, Outcome
from tenants.lifecycle import State
from tenants.models import Connection
from tenants.recording import CheckResult, record_check
from tenants.vault import ConnectionTokens
from tenants.verification import WINDOW, raise_for_mailbox

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 15.0


def enabled_connections() -> QuerySet[Connection]:
    """What may be probed."""
    return Connection.objects.select_related("account", "token").filter(state=State.ENABLED.value)


def probe(connection: Connection) -> Health:
    """One check of one connection; stores it and returns the health after it."""
    result = _check(connection)
    log.info(
        "probe",
        extra={"account": connection.account.slug, "outcome": result.outcome.value, "code": result.code},
    )
    return record_check(connection, result, timezone.now()).health


def due(connections: QuerySet[Connection]) -> Iterable[Connection]:
    """Those whose time has come, each claimed by moving its due time, so that two workers never probe the same."""
    now = timezone.now()
    for connection in connections.filter(probe_due_at__lte=now).order_by("probe_due_at"):
        claimed = Connection.objects.filter(pk=connection.pk, probe_due_at=connection.probe_due_at)
        if claimed.update(probe_due_at=now + _interval()):
            yield connection


def schedule_next(connection_id: int, **_: Any) -> None:
    """A fresh consent was checked by its verifying read; the next probe comes an interval later."""
    Connection.objects.filter(pk=connection_id).update(probe_due_at=timezone.now() + _interval())


def _interval() -> timedelta:
    return timedelta(seconds=settings.PROBE_INTERVAL_SECONDS * random.uniform(0.9, 1.1))


def _check(connection: Connection) -> CheckResult:
    start = timezone.now().replace(second=0, microsecond=0)
    deadline = Deadline.after(PATIENCE_SECONDS)
    if not hasattr(connection, "token"):
        return CheckResult(Outcome.REFUSED, code="disconnected")
    report = microsoft365.graph_for(connection.account, connection.quota_key).get_schedule(
        [connection.reader],
        start,
        start + WINDOW,
        token=ConnectionTokens(connection, connection.token, deadline),
        deadline=deadline,
    )
    call = report.calls[-1] if report.calls else None
    facts: dict[str, Any] = {}
    if call is not None:
        facts = {"latency_ms": call.latency_ms, "http_status": call.status, "request_id": call.request_id}
    outcome, code = _outcome(report, connection.reader)
    return CheckResult(outcome, code=code, **facts)


def _outcome(report: ScheduleReport, reader: str) -> tuple[Outcome, str]:
    try:
        raise_for_mailbox(report, reader)
    except IntegrationError as error:
        result = report.results[reader.casefold()]
        # The error has Microsoft's own code, of which there are several for one and the same.
        if isinstance(error, Throttled) or (isinstance(result, MailboxFailure) and result.code == "throttled"):
            return Outcome.THROTTLED, error.code
        return (Outcome.UNREACHABLE if isinstance(error, Unavailable) else Outcome.REFUSED), error.code
    return Outcome.OK, ""
