"""The one shell function of reading: account + mailboxes + window → schedules."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NoReturn

from django.utils import timezone

from freebusy import mailboxes
from freebusy.core.intervals import Interval, from_instant
from freebusy.core.schedule import External, Schedule, Unreadable, parse_schedule
from freebusy.problems import MicrosoftUnavailable, NotConnected
from microsoft.errors import (
    ConsentRequired,
    IntegrationError,
    Misconfigured,
    Refused,
    Throttled,
    Unavailable,
    error_for,
)
from microsoft.graph import CallRecord, MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.http import Deadline
from tenants import breakers, microsoft365
from tenants.models import Account, Connection
from tenants.vault import ConnectionTokens

log = logging.getLogger(__name__)

_NO_ANSWER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Reading:
    """What the mailboxes said; keys are addresses in lower case. `at`: when Microsoft was asked; `calls`: how."""

    at: datetime
    schedules: dict[str, Schedule | Unreadable | External]
    calls: tuple[CallRecord, ...] = ()

    def of(self, address: str) -> Schedule | Unreadable | External:
        """The schedule of an address as the caller wrote it."""
        return self.schedules[address.casefold()]

    def as_of(self, address: str) -> datetime | None:
        """When this mailbox was read; None for one that was not."""
        return self.at if isinstance(self.of(address), Schedule) else None

    @property
    def oldest(self) -> datetime:
        """The age of the whole answer."""
        return self.at


def read(
    account: Account, addresses: Sequence[str], window: Interval, deadline: Deadline, *, as_use: bool = True
) -> Reading:
    """Asks Microsoft for the account's own mailboxes; others are external and never asked.

    `account` comes with its connection and token joined. `as_use`: whether this counts as use of the connection, and
    its mailboxes as worth a probe; what support looks at does not. Raises NotConnected, or MicrosoftUnavailable when
    mailboxes were asked, none could be read, and for at least one the reason may pass; and while a breaker is open.
    """
    connection = connection_of(account)
    at = timezone.now()
    own = [address for address in addresses if account.owns(address)]
    schedules: dict[str, Schedule | Unreadable | External] = {address.casefold(): External() for address in addresses}
    calls: tuple[CallRecord, ...] = ()
    if own:
        _refuse_while_a_breaker_is_open(account, connection, own)
        report = ask(account, connection, own, window, deadline)
        calls = report.calls
        schedules |= {address: schedule_of(result, window) for address, result in report.results.items()}
        could_read = [address for address, result in report.results.items() if isinstance(result, MailboxSchedule)]
        if as_use:
            mailboxes.note_use(connection, could_read, at)
        if report.error is not None and not could_read:
            _refuse_without_token(account, connection, report.error, calls)
        _refuse_when_nothing_could_be_read([schedules[address.casefold()] for address in own], calls)
    return Reading(at, schedules, calls)


def connection_of(account: Account) -> Connection:
    """The connection to ask through, which comes joined with its token; raises NotConnected."""
    connection: Connection | None = getattr(account, "connection", None)
    if connection is None or not connection.enabled or not hasattr(connection, "token"):
        raise NotConnected(account, connection)
    return connection


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


def _refuse_while_a_breaker_is_open(account: Account, connection: Connection, own: Sequence[str]) -> None:
    """As if Graph had not answered just now, without the wait and without one more call to a service in trouble."""
    try:
        breakers.permit(microsoft365.graph_service(account), connection.tenant_id)
    except IntegrationError as error:
        log.info("free/busy not asked", extra={"account": account.slug, "mailboxes": len(own), "error": error.code})
        retry_after = error.retry_after if isinstance(error, Unavailable | Throttled) else None
        raise MicrosoftUnavailable(f"Microsoft has not answered the last calls ({error.code}).", retry_after) from None


def schedule_of(result: MailboxSchedule | MailboxFailure, window: Interval) -> Schedule | Unreadable:
    """What one mailbox said, or why it is not known."""
    if isinstance(result, MailboxFailure):
        return Unreadable(result.code, result.message, result.retryable, result.raw)
    return parse_schedule(result.entries, window)


def _refuse_without_token(
    account: Account, connection: Connection, error: IntegrationError, calls: Sequence[CallRecord]
) -> NoReturn:
    """Only a refusal that the customer can end takes the connection away; our own fault never does."""
    if isinstance(error, ConsentRequired):
        connection.refresh_from_db(fields=["state"])
        if not connection.enabled:
            raise NotConnected(account, connection)
    retry_after = error.retry_after if isinstance(error, Unavailable | Throttled) else None
    raise MicrosoftUnavailable(f"Microsoft gave no access token ({error.code}).", retry_after, calls)


def _refuse_when_nothing_could_be_read(
    schedules: Sequence[Schedule | Unreadable | External], calls: Sequence[CallRecord]
) -> None:
    unread = [schedule for schedule in schedules if isinstance(schedule, Unreadable)]
    if len(unread) == len(schedules) and any(schedule.retryable for schedule in unread):
        codes = ", ".join(sorted({schedule.code for schedule in unread}))
        raise MicrosoftUnavailable(f"None of the mailboxes could be read ({codes}).", calls=calls)
