"""The one shell function of reading: account + mailboxes + window → schedules."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from django.utils import timezone

from freebusy import mailboxes
from freebusy.asking import ask
from freebusy.cache import reading
from freebusy.cache.calendars import Calendars
from freebusy.cache.fetching import Ask, Fetching
from freebusy.cache.flights import Trouble
from freebusy.core.intervals import SECOND, Interval, from_instant, to_instant
from freebusy.core.schedule import External, Schedule, Unreadable
from freebusy.problems import MicrosoftUnavailable, NotConnected
from microsoft.errors import ConsentRequired, HeldBack, IntegrationError, Throttled, Unavailable
from microsoft.graph import CallRecord, ScheduleReport
from microsoft.http import Deadline
from tenants import breakers, microsoft365
from tenants.models import Account, Connection
from tenants.places import Urgency

log = logging.getLogger(__name__)

_EXTERNAL = External()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the mailboxes said; keys are addresses in lower case.

    `at`: when the question came; `calls`: those that it cost; `read_at`: when the mailboxes were read that were not
    read at that time.
    """

    at: datetime
    schedules: Mapping[str, Schedule | Unreadable | External]
    calls: tuple[CallRecord, ...] = ()
    read_at: Mapping[str, datetime] = field(default_factory=dict)

    def of(self, address: str) -> Schedule | Unreadable | External:
        """The schedule of an address as the caller wrote it."""
        return self.schedules[address.casefold()]

    def as_of(self, address: str) -> datetime | None:
        """When this mailbox was read; None for one that was not."""
        key = address.casefold()
        return self.read_at.get(key, self.at) if isinstance(self.schedules[key], Schedule) else None

    @property
    def oldest(self) -> datetime:
        """The age of the whole answer: of the known mailbox that was read the longest ago."""
        known = (key for key, schedule in self.schedules.items() if isinstance(schedule, Schedule))
        return min((self.read_at.get(key, self.at) for key in known), default=self.at)


def read(
    account: Account,
    addresses: Sequence[str],
    window: Interval,
    deadline: Deadline,
    *,
    max_age_seconds: int = 0,
    as_use: bool = True,
    urgency: Urgency = Urgency.PERSON,
) -> Reading:
    """What the account's own mailboxes say, remembered or asked of Microsoft; others are external and never asked.

    `account` comes with its connection and token joined. `max_age_seconds`: how old an answer may be; 0 forces a read.
    `as_use`: whether this counts as use of the connection, and its mailboxes as worth a probe; what support looks at
    does not. Raises NotConnected, or MicrosoftUnavailable when mailboxes were asked, nothing is known of any, and for
    at least one the reason may pass.
    """
    connection = connection_of(account)
    at = timezone.now()
    schedules: dict[str, Schedule | Unreadable | External] = {address.casefold(): _EXTERNAL for address in addresses}
    own = {address.casefold(): address for address in addresses if account.owns(address)}
    if not own:
        return Reading(at, schedules)
    now = to_instant(at)
    calendars = Calendars.of(account, connection, now)
    fetching = Fetching(calendars, _asker(account, connection, deadline, urgency), own, deadline, now)
    answered = reading.read(fetching, window, max_age_seconds)
    schedules |= {mailbox: known.said for mailbox, known in answered.known.items()}
    could_read = [own[mailbox] for mailbox, known in answered.known.items() if isinstance(known.said, Schedule)]
    if as_use:
        mailboxes.note_use(connection, could_read, at)
    calls = tuple(fetching.calls)
    if not could_read:
        if answered.trouble is not None:
            _refuse_for_trouble(account, connection, answered.trouble, calls)
        _refuse_when_it_may_pass([schedules[mailbox] for mailbox in own], calls)
    moments = {known.read_at: from_instant(known.read_at, UTC) for known in answered.known.values()}
    return Reading(at, schedules, calls, {box: moments[known.read_at] for box, known in answered.known.items()})


def remembered(account: Account, addresses: Sequence[str], window: Interval, *, max_age_seconds: int) -> set[str]:
    """Of these addresses those for which `read` would ask nobody; raises NotConnected."""
    connection = connection_of(account)
    if not max_age_seconds:
        return set()
    now = to_instant(timezone.now())
    oldest = now - max_age_seconds * SECOND
    names = {address.casefold(): address for address in addresses}
    found = Calendars.of(account, connection, now).look(names, window, oldest, measured=False)
    return {names[name] for name, calendar in found.items() if calendar.known(window, oldest) is not None}


def connection_of(account: Account) -> Connection:
    """The connection to ask through, which comes joined with its token; raises NotConnected."""
    connection: Connection | None = getattr(account, "connection", None)
    if connection is None or not connection.enabled or not hasattr(connection, "token"):
        raise NotConnected(account, connection)
    return connection


def _asker(account: Account, connection: Connection, deadline: Deadline, urgency: Urgency) -> Ask:
    def asked(own: Sequence[str], window: Interval) -> ScheduleReport:
        try:
            # As if Graph had not answered just now, without the wait and without one more call to a service in trouble.
            breakers.permit(microsoft365.graph_service(account), connection.tenant_id)
        except IntegrationError as error:
            log.info("free/busy not asked", extra={"account": account.slug, "mailboxes": len(own), "error": error.code})
            raise
        return ask(account, connection, own, window, deadline, urgency)

    return asked


def _refuse_for_trouble(
    account: Account, connection: Connection, trouble: Trouble, calls: Sequence[CallRecord]
) -> NoReturn:
    """Only a refusal that the customer can end takes the connection away; our own fault never does."""
    error = trouble.error
    if isinstance(error, ConsentRequired):
        connection.refresh_from_db(fields=["state"])
        if not connection.enabled:
            raise NotConnected(account, connection)
    retry_after = error.retry_after if isinstance(error, Unavailable | Throttled) else None
    if isinstance(error, HeldBack):
        what = "The limits of Microsoft leave no call at this moment"
    else:
        what = "Microsoft has not answered the last calls" if trouble.held_back else "Microsoft gave no access token"
    raise MicrosoftUnavailable(f"{what} ({error.code}).", retry_after, calls)


def _refuse_when_it_may_pass(
    schedules: Sequence[Schedule | Unreadable | External], calls: Sequence[CallRecord]
) -> None:
    unread = [schedule for schedule in schedules if isinstance(schedule, Unreadable)]
    if any(schedule.retryable for schedule in unread):
        codes = ", ".join(sorted({schedule.code for schedule in unread}))
        raise MicrosoftUnavailable(f"None of the mailboxes could be read ({codes}).", calls=calls)
