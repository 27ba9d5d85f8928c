"""The directory: who exists, and what stands in a mailbox's calendar in a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from sandbox.calendars import LONGEST_DAYS, CalendarKey, Event, mondays, week_events
from sandbox.clock import Clock
from sandbox.people import TENANTS, Account, Mailbox, Tenant, everyone, make_tenant, staff

DAYS_BACK = 30
DAYS_AHEAD = 400
_CACHED_WEEKS = 20_000


class Directory:
    """Accounts by address (compared without case) and their calendars.

    Calendars reach from 30 days before the clock's date to 400 days after it. Events added by hand stand
    beside the seeded ones, wherever they lie.
    """

    def __init__(self, *, seed: str, clock: Clock) -> None:
        self._seed, self._clock = seed, clock
        self._tenants = {name: tenant for tenant in TENANTS for name in _names(tenant)}
        self._accounts = {account.upn.casefold(): account for account in everyone()}
        self._by_oid = {account.oid: account for account in self._accounts.values()}
        self._unlicensed: dict[str, Mailbox] = {}
        self._added: dict[str, list[Event]] = {}
        self._weeks: dict[tuple[str, date], tuple[Event, ...]] = {}

    def find(self, address: str) -> Account | None:
        """Return the account of an address, or None when it resolves to nothing."""
        return self._accounts.get(address.strip().casefold())

    def by_oid(self, oid: str) -> Account | None:
        """Return the account with that object id."""
        return self._by_oid.get(oid)

    def accounts(self, tenant: Tenant | None = None) -> list[Account]:
        """Return all accounts, or those of one tenant, in seeded order."""
        return [account for account in self._accounts.values() if tenant is None or account.tenant == tenant]

    def tenant(self, name: str) -> Tenant | None:
        """Return a tenant by id, verified domain or name."""
        return self._tenants.get(name.casefold())

    def tenants(self) -> list[Tenant]:
        """Return all tenants, each once."""
        return list(dict.fromkeys(self._tenants.values()))

    def add_tenant(self, name: str, *, people: int = 3) -> Tenant:
        """Add a tenant of that name with so many people; ValueError for a name that is taken or cannot be one."""
        tenant = make_tenant(name)
        if self._tenants.keys() & set(_names(tenant)):
            raise ValueError(f"{name} exists already")
        self._tenants |= dict.fromkeys(_names(tenant), tenant)
        for account in staff(tenant, people):
            self.add_account(account)
        return tenant

    def add_account(self, account: Account) -> Account:
        """Add an account, or replace the one with the same address."""
        self._accounts[account.upn.casefold()] = account
        self._by_oid[account.oid] = account
        self._weeks.clear()
        return account

    def add_mailbox(self, address: str, *, mailbox: Mailbox | None = None) -> Account:
        """Add a person with that mailbox (by default an empty one) to the tenant of the domain."""
        tenant = self.tenant(address.rpartition("@")[2])
        if tenant is None:
            raise ValueError(f"{address} lies in no tenant of the sandbox")
        return self.add_account(
            Account(upn=address, name=address, tenant=tenant, mailbox=mailbox or Mailbox(pattern="empty"))
        )

    def add_event(self, address: str, event: Event) -> None:
        """Put an event into a calendar; ValueError when the address has none."""
        account = self.find(address)
        if account is None or account.mailbox is None:
            raise ValueError(f"{address} has no mailbox")
        self._added.setdefault(account.upn.casefold(), []).append(event)

    def set_trouble(self, address: str, code: str) -> None:
        """Let the mailbox's free/busy fail with a responseCode; an empty code mends it."""
        account = self.find(address)
        if account is None or account.mailbox is None:
            raise ValueError(f"{address} has no mailbox")
        self.add_account(replace(account, mailbox=replace(account.mailbox, trouble=code)))

    def set_licence(self, address: str, *, licensed: bool) -> None:
        """Take an account's mailbox away, as a lost licence does, or give it back; ValueError without an account."""
        account = self.find(address)
        if account is None:
            raise ValueError(f"{address} does not exist")
        key = account.upn.casefold()
        if not licensed and account.mailbox is not None:
            self._unlicensed[key] = account.mailbox
            self.add_account(replace(account, mailbox=None))
        elif licensed and account.mailbox is None:
            self.add_account(replace(account, mailbox=self._unlicensed.pop(key, Mailbox(pattern="empty"))))

    def events(self, account: Account, start: datetime, end: datetime) -> list[Event]:
        """Return the events that overlap [start, end), unclipped and unsorted."""
        found = [event for event in self._candidates(account, start, end) if event.start < end and event.end > start]
        added = self._added.get(account.upn.casefold(), ())
        return found + [event for event in added if event.start < end and event.end > start]

    def _candidates(self, account: Account, start: datetime, end: datetime) -> Iterator[Event]:
        today = self._clock.today()
        horizon = (
            datetime.combine(today - timedelta(days=DAYS_BACK), time(), UTC),
            datetime.combine(today + timedelta(days=DAYS_AHEAD), time(), UTC),
        )
        first = (max(start, horizon[0]) - timedelta(days=LONGEST_DAYS + 1)).date()
        last = (min(end, horizon[1]) + timedelta(days=1)).date()
        for monday in mondays(first, last):
            for event in self._week(account, monday):
                if horizon[0] <= event.start < horizon[1]:
                    yield event

    def _week(self, account: Account, monday: date) -> tuple[Event, ...]:
        key = (account.upn.casefold(), monday)
        week = self._weeks.get(key)
        if week is None and account.mailbox is not None:
            if len(self._weeks) > _CACHED_WEEKS:
                self._weeks.clear()
            box = account.mailbox
            week = week_events(
                CalendarKey(seed=self._seed, address=key[0], zone=box.zone, pattern=box.pattern, index=box.index),
                monday,
            )
            self._weeks[key] = week
        return week or ()


def _names(tenant: Tenant) -> tuple[str, ...]:
    return tenant.tid, tenant.domain, tenant.name
