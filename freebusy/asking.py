"""One question to Graph for mailboxes of an account's own domains, told to the breakers and the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from http import HTTPStatus

from freebusy import set_aside
from freebusy.core.intervals import Interval, from_instant
from freebusy.core.schedule import Schedule, Unreadable, parse_schedule
from microsoft.errors import IntegrationError, Misconfigured, Refused, Throttled, Unavailable, error_for
from microsoft.graph import MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.http import Deadline
from tenants import breakers, microsoft365
from tenants.models import Account, Connection
from tenants.places import Urgency
from tenants.vault import ConnectionTokens

log = logging.getLogger(__name__)

_NO_ANSWER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def ask(
    account: Account,
    connection: Connection,
    own: Sequence[str],
    window: Interval,
    deadline: Deadline,
    urgency: Urgency = Urgency.PERSON,
) -> ScheduleReport:
    """Asks Graph for mailboxes of the account's own domains, and tells the breakers; they were asked for leave before.

    Nothing of Microsoft's is raised: failures are values. Mailboxes that are set aside have theirs without being asked.
    """
    graph = microsoft365.graph_for(account, connection.quota_key, urgency)
    plan = set_aside.plan(connection.quota_key, own)
    asked = [mailbox for mailbox in own if mailbox.casefold() not in plan.left_out]
    report = graph.get_schedule(
        asked,
        from_instant(window.start, UTC),
        from_instant(window.end, UTC),
        token=ConnectionTokens(connection, connection.token, deadline),
        deadline=deadline,
        alone=plan.alone,
        witness=connection.reader,
    )
    set_aside.learn(connection.quota_key, plan.alone, report)
    report = replace(report, results={**report.results, **plan.left_out})
    log.info(
        "free/busy read",
        extra={
            "account": account.slug,
            "mailboxes": len(own),
            "unread": sum(isinstance(result, MailboxFailure) for result in report.results.values()),
            "set_aside": len(plan.left_out),
            "calls": len(report.calls),
            "microsoft_request_ids": [call.request_id for call in report.calls],
            "error": report.error.code if report.error else "",
        },
    )
    if report.calls or (asked and report.error is None):  # else Graph was not asked at all
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
