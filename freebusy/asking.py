"""One question to Graph for mailboxes of an account's own domains, told to the breakers and the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC
from http import HTTPStatus

from freebusy.core.intervals import Interval, from_instant
from freebusy.core.schedule import Schedule, Unreadable, parse_schedule
from microsoft.errors import IntegrationError, Misconfigured, Refused, Throttled, Unavailable, error_for
from microsoft.graph import MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.http import Deadline
from tenants import breakers, microsoft365
from tenants.models import Account, Connection
from tenants.vault import ConnectionTokens

log = logging.getLogger(__name__)

_NO_ANSWER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def ask(
    account: Account, connection: Connection, own: Sequence[str], window: Interval, deadline: Deadline
) -> ScheduleReport:
    """Asks Graph for mailboxes of the account's own domains, and tells the breakers; they were asked for leave before.

    Nothing of Microsoft's is raised: failures are values.
    """
    graph = microsoft365.graph_for(account, connection.quota_key)
    report = graph.get_schedule(
        own,
        from_instant(window.start, UTC),
        from_instant(window.end, UTC),
        token=ConnectionTokens(connection, connection.token, deadline),
        deadline=deadline,
    )
    log.info(
        "free/busy read",
        extra={
            "account": account.slug,
            "mailboxes": len(own),
            "unread": sum(isinstance(result, MailboxFailure) for result in report.results.values()),
            "calls": len(report.calls),
            "microsoft_request_ids": [call.request_id for call in report.calls],
            "error": report.error.code if report.error else "",
        },
    )
    if report.calls or report.error is None:  # else Graph was not asked at all
        breakers.report(microsoft365.graph_service(account), connection.tenant_id, graph_failure(report))
    return report


def graph_failure(report: ScheduleReport) -> IntegrationError | None:
    """What the calls say about Graph as a service: None when one read anything, Refused when it answered at all."""
    if not report.calls:
        return Unavailable("timeout", "No answer by the deadline.")
    last, statuses = report.calls[-1], {call.status for call in report.calls}
    if any(call.status == HTTPStatus.OK and not call.code for call in report.calls):
        return None
    if any(status is not None and 400 <= status < 500 for status in statuses - _NO_ANSWER):
        return Refused(last.code)
    if HTTPStatus.TOO_MANY_REQUESTS in statuses:
        return Throttled("throttled")
    ours = error_for(last.code)
    return ours if isinstance(ours, Misconfigured) else Unavailable(last.code)


def schedule_of(result: MailboxSchedule | MailboxFailure, window: Interval) -> Schedule | Unreadable:
    """What one mailbox said, or why it is not known."""
    if isinstance(result, MailboxFailure):
        return Unreadable(result.code, result.message, result.retryable, result.raw)
    return parse_schedule(result.entries, window)
