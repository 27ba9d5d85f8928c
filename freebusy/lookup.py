"""The one shell function of reading: account + mailboxes + window → schedules."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from django.utils import timezone

from freebusy import mailboxes
from freebusy.asking import ask, schedule_of
from freebusy.core.intervals import Interval
from freebusy.core.schedule import External, Schedule, Unreadable
from freebusy.problems import MicrosoftUnavailable, NotConnected
from microsoft.errors import ConsentRequired, IntegrationError, Throttled, Unavailable
from microsoft.graph import CallRecord, MailboxSchedule
from microsoft.http import Deadline
from tenants import breakers, microsoft365
from tenants.models import Account, Connection

log = logging.getLogger(__name__)


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


def _refuse_while_a_breaker_is_open(account: Account, connection: Connection, own: Sequence[str]) -> None:
    """As if Graph had not answered just now, without the wait and without one more call to a service in trouble."""
    try:
        breakers.permit(microsoft365.graph_service(account), connection.tenant_id)
    except IntegrationError as error:
        log.info("free/busy not asked", extra={"account": account.slug, "mailboxes": len(own), "error": error.code})
        retry_after = error.retry_after if isinstance(error, Unavailable | Throttled) else None
        raise MicrosoftUnavailable(f"Microsoft has not answered the last calls ({error.code}).", retry_after) from None


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
