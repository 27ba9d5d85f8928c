"""Lives through a story with the real engine: its tasks, its lookups, its consent pages, a simulated Microsoft."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from freebusy import lookup
from freebusy.core.intervals import Interval, to_instant
from freebusy.problems import MicrosoftUnavailable, NotConnected
from microsoft.http import Deadline
from sandbox import Sandbox
from tenants.models import Account, Connection
from tests.factories import make_account
from tests.year.beat import Beat
from tests.year.story import BEGIN, WORKDAY, Misfortune, Outage, Service, Story, Trouble

GRAIN = timedelta(minutes=10)  # the longest that TICK_SECONDS allows
QUIET_GRAIN = timedelta(minutes=30)  # messages lost or late: that must do no harm, and saves half of the time
PEOPLE = 1


def reader(tenant: str) -> str:
    """Who signs in for a tenant."""
    return f"cadence-service@{tenant}.example"


@dataclass
class Simulation:
    """One story in one installation; `travel` sets the product's clock, `consent` walks an account's pages."""

    story: Story
    microsoft: Sandbox
    travel: Callable[[datetime], None]
    consent: Callable[..., Any]
    accounts: dict[str, Account] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    calls_in_outages: dict[Outage, int] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)
    in_force: list[Misfortune | Outage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._order = count()
        self._days_of_outages = {outage.begins.date() for outage in self.story.outages}
        self._coming: list[tuple[datetime, int, Callable[[], None]]] = []
        for own in self.story.misfortunes:
            self._plan(own.begins, lambda own=own: self._strike(own))
            self._plan(own.mended, lambda own=own: self._mend(own))
            self._plan(own.reconnected, lambda own=own: self._reconnect(own.tenant))
        for outage in self.story.outages:
            self._plan(outage.begins, lambda outage=outage: self._fail(outage))
            self._plan(outage.ends, lambda outage=outage: self._recover(outage))

    def begin(self) -> None:
        """Everybody is there and connects, through the pages."""
        self._move(BEGIN)
        for tenant in self.story.tenants:
            self.microsoft.directory.add_tenant(tenant, people=PEOPLE)
            self.accounts[tenant] = make_account(tenant, contact_email=f"it@{tenant}.example")
            self._reconnect(tenant)
        self.beat = Beat(settings.CELERY_BEAT_SCHEDULE, BEGIN, self._grain, idle=nothing_due)

    def days(self) -> Iterator[datetime]:
        """Lives on; stops at every midnight, for whoever wants to look."""
        reads = heapq.merge(((at, next(self._order), tenant) for at, tenant in self.story.reads()))
        read = next(reads, None)
        midnight = BEGIN + timedelta(days=1)
        while midnight <= self.story.end:
            at = min(midnight, self.beat.next_at, *(item[0] for item in (read, *self._coming[:1]) if item))
            self._move(at)
            if self._coming and self._coming[0][0] <= at:
                with self._timed("happenings"):
                    heapq.heappop(self._coming)[2]()
            elif read and read[0] <= at:
                with self._timed("reads"):
                    self._read(read[2])
                read = next(reads, None)
            elif self.beat.next_at <= at:
                with self._timed("tasks"):
                    self.beat.run_due(at)
            else:
                yield midnight
                midnight += timedelta(days=1)

    # --- what happens ---------------------------------------------------------------------------------------------
    def _strike(self, own: Misfortune) -> None:
        domain, who = f"{own.tenant}.example", reader(own.tenant)
        if own.trouble is Trouble.PASSWORD_RESET:
            self.microsoft.control.set({"revoke_refresh_tokens": who})
        elif own.trouble is Trouble.CONSENT_WITHDRAWN:
            self.microsoft.control.set({"withdraw_consent": domain})
        elif own.trouble is Trouble.TENANT_DELETED:
            self.microsoft.control.set({"conditions": {domain: {"deleted": True}}})
        elif own.trouble is Trouble.CONDITIONAL_ACCESS:
            self.microsoft.control.set({"conditions": {who: {"conditional_access": True}}})
        elif own.trouble is Trouble.LICENCE_LOST:
            self.microsoft.control.set({"licences": {who: False}})
        else:
            self.in_force.append(own)
            self._order_faults()

    def _mend(self, own: Misfortune) -> None:
        if own.trouble is Trouble.CONDITIONAL_ACCESS:
            self.microsoft.control.set({"cure": reader(own.tenant)})
        elif own.trouble is Trouble.LICENCE_LOST:
            self.microsoft.control.set({"licences": {reader(own.tenant): True}})
        elif own in self.in_force:
            self.in_force.remove(own)
            self._order_faults()

    def _reconnect(self, tenant: str) -> None:
        page = self.consent(self.accounts[tenant], reader(tenant))
        assert page.status_code == 200 and Connection.objects.get(account__slug=tenant).enabled, page.content

    def _fail(self, outage: Outage) -> None:
        self.calls_in_outages[outage] = -self._calls(outage.service)
        self.microsoft.options.secret_expired = outage.service is Service.SECRET
        self.in_force.append(outage)
        self._order_faults()

    def _recover(self, outage: Outage) -> None:
        self.calls_in_outages[outage] += self._calls(outage.service)
        self.microsoft.options.secret_expired = False
        self.in_force.remove(outage)
        self._order_faults()

    def _order_faults(self) -> None:
        faults = [fault for trouble in self.in_force if (fault := _fault(trouble))]
        self.microsoft.control.set({"clear_faults": True, "faults": faults})

    def _calls(self, service: Service) -> int:
        """How often a service was asked so far, with or without an answer."""
        wanted = "getSchedule" if service is Service.GRAPH else "token"
        return self.microsoft.counters[f"asked:{wanted}"]

    # --- what the Cadence backend does ----------------------------------------------------------------------------
    def _read(self, tenant: str) -> None:
        """A read as the API makes it, from the account's row on."""
        account = Account.objects.select_related("connection", "connection__token").get(slug=tenant)
        now = timezone.now()
        window = Interval(to_instant(now), to_instant(now + timedelta(days=1)))
        people = [f"person{number}@{tenant}.example" for number in range(1, PEOPLE + 1)]
        try:
            lookup.read(account, people, window, Deadline.after(settings.ANSWER_DEADLINE_SECONDS))
        except NotConnected:
            self.reads["not connected"] += 1
        except MicrosoftUnavailable:
            self.reads["unavailable"] += 1
        else:
            self.reads["answered"] += 1

    # --- clockwork ------------------------------------------------------------------------------------------------
    def _plan(self, at: datetime | None, what: Callable[[], None]) -> None:
        if at is not None:
            heapq.heappush(self._coming, (at, next(self._order), what))

    def _grain(self, at: datetime) -> timedelta:
        """How long beat rests at least: by the book on days on which Microsoft, or our secret, fails for all."""
        works = WORKDAY[0] <= at.hour < WORKDAY[1]
        return GRAIN if works and at.date() in self._days_of_outages else QUIET_GRAIN

    def _move(self, at: datetime) -> None:
        self.travel(at)
        self.microsoft.clock.set(at)

    def _timed(self, what: str) -> Any:
        return _Stopwatch(self.seconds, what)


class _Stopwatch:
    def __init__(self, seconds: Counter[str], what: str) -> None:
        self._seconds, self._what = seconds, what

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._what] += time.perf_counter() - self._began


# Without the ORM: asked some hundred thousand times a year.
_DUE = {
    "refresh_due_tokens": "SELECT 1 FROM tenants_tokenrecord t JOIN tenants_connection c ON c.id = t.connection_id "
    "WHERE t.refresh_due_at <= %s AND c.state = 'enabled' LIMIT 1",
    "probe_due_connections": "SELECT 1 FROM tenants_connection WHERE probe_due_at <= %s AND state = 'enabled' LIMIT 1",
    "send_due_webhooks": "SELECT 1 FROM webhooks_delivery WHERE next_try_at <= %s LIMIT 1",
    "send_mails": "SELECT 1 FROM alerts_mail WHERE status = 'waiting' AND next_try_at <= %s LIMIT 1",
}


def nothing_due(task: str, now: datetime) -> bool:
    """Whether a row-driven task would find no row; tasks that are not known here always run."""
    due = _DUE.get(task.rpartition(".")[2])
    if due is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(due, [connection.ops.adapt_datetimefield_value(now)])
        return cursor.fetchone() is None


def _fault(trouble: Misfortune | Outage) -> dict[str, Any] | None:
    if isinstance(trouble, Outage):
        path = {Service.ENTRA: "/token", Service.GRAPH: "getSchedule"}.get(trouble.service)
        return (path and {"path": path, "status": 503, "times": None}) or None
    named = {"tenant": f"{trouble.tenant}.example", "times": None}
    if trouble.trouble is Trouble.THROTTLED:
        return {**named, "path": "getSchedule", "status": 429, "retry_after": "120"}
    return {**named, "kind": "dropped"}
