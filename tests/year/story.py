"""Pure: what happens to customers and to Microsoft in a stretch of time, written by a seeded die.

All instants are aware UTC. A tenant's name is also its account's slug and, with `.example`, its domain.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

BEGIN = datetime(2027, 1, 4, tzinfo=UTC)  # a Monday
QUIET_BEFORE_THE_END = timedelta(days=3)  # so that whatever happened has been found out by then
WORKDAY = (8, 18)


class Trouble(StrEnum):
    """What may happen to one customer."""

    PASSWORD_RESET = "password_reset"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    TENANT_DELETED = "tenant_deleted"
    CONDITIONAL_ACCESS = "conditional_access"
    LICENCE_LOST = "licence_lost"
    NETWORK_DOWN = "network_down"
    THROTTLED = "throttled"


# These take the connection away: it stays away until somebody at the customer consents again.
LASTING = {
    Trouble.PASSWORD_RESET: "AADSTS50173",
    Trouble.CONSENT_WITHDRAWN: "AADSTS65001",
    Trouble.TENANT_DELETED: "AADSTS90002",
    Trouble.CONDITIONAL_ACCESS: "AADSTS53003",
}
# Nobody at the customer ends these for good: a tenant that Microsoft deleted, most of all.
_NEVER_MENDED = {Trouble.TENANT_DELETED}


class Service(StrEnum):
    """What may fail for everybody."""

    ENTRA = "entra"
    GRAPH = "graph"
    SECRET = "secret"  # our own client secret has expired


@dataclass(frozen=True, slots=True)
class Misfortune:
    """One customer's trouble. `mended`: when its cause went away; `reconnected`: when somebody consented again."""

    tenant: str
    trouble: Trouble
    begins: datetime
    mended: datetime | None = None
    reconnected: datetime | None = None

    @property
    def over(self) -> datetime | None:
        """When the connection can work again; None if it never does."""
        return self.reconnected if self.trouble in LASTING else self.mended


@dataclass(frozen=True, slots=True)
class Outage:
    """Everybody's trouble."""

    service: Service
    begins: datetime
    ends: datetime

    def during(self, at: datetime) -> bool:
        return self.begins <= at < self.ends


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that happens, and who is there to see it."""

    days: int
    hourly: tuple[str, ...]  # read every hour of a workday, and so in use
    daily: tuple[str, ...]  # read once a workday, idle otherwise
    misfortunes: tuple[Misfortune, ...]
    outages: tuple[Outage, ...]

    @property
    def tenants(self) -> tuple[str, ...]:
        return self.hourly + self.daily

    @property
    def end(self) -> datetime:
        return BEGIN + timedelta(days=self.days)

    def of(self, tenant: str) -> list[Misfortune]:
        """The tenant's own troubles, in order."""
        return sorted((own for own in self.misfortunes if own.tenant == tenant), key=lambda own: own.begins)

    def share(self, number: int, of: int) -> Story:
        """What the first, second … of several installations lives through: its customers, and everybody's troubles."""
        hourly, daily = self.hourly[number - 1 :: of], self.daily[number - 1 :: of]
        own = tuple(one for one in self.misfortunes if one.tenant in {*hourly, *daily})
        return replace(self, hourly=hourly, daily=daily, misfortunes=own)

    def reads(self) -> Iterator[tuple[datetime, str]]:
        """When the Cadence backend asks for whose calendars, in order."""
        for day in range(self.days):
            midnight = BEGIN + timedelta(days=day)
            if midnight.weekday() < 5:
                for hour in range(*WORKDAY):
                    at = midnight + timedelta(hours=hour, minutes=5)
                    yield from ((at, tenant) for tenant in self.hourly)
                    yield from ((at, tenant) for tenant in self.daily if _usual_hour(tenant) == hour)


def write_story(*, days: int, hourly: int, daily: int, seed: int) -> Story:
    """Every kind of trouble at least twice, outages spread over the time; the same for the same numbers."""
    die = random.Random(seed)
    often = tuple(f"hourly{number:02}" for number in range(hourly))
    seldom = tuple(f"daily{number:03}" for number in range(daily))
    outages = _outages(days, die)
    wanted = max(2, days * (hourly + daily) // 10_000)
    misfortunes: list[Misfortune] = []
    free = [*seldom]
    die.shuffle(free)
    last_begin = BEGIN + timedelta(days=days) - QUIET_BEFORE_THE_END - timedelta(days=7)
    for trouble in [kind for kind in Trouble for _ in range(wanted)]:
        # Some hours of throttling show only where somebody looks more often than that.
        tenant = die.choice(often) if trouble is Trouble.THROTTLED else free.pop() if free else die.choice(seldom)
        for _ in range(1000):
            own = _misfortune(tenant, trouble, last_begin, die)
            if not _collides(own, misfortunes, outages):
                misfortunes.append(own)
                break
        else:
            raise ValueError(f"no room for {trouble} in {days} days of {len(often + seldom)} tenants")
    return Story(days, often, seldom, tuple(sorted(misfortunes, key=lambda own: own.begins)), outages)


def _outages(days: int, die: random.Random) -> tuple[Outage, ...]:
    """One of each kind, of Microsoft's two a further one every seven weeks; in working hours, never two at once."""
    services = [Service.SECRET] + [Service.ENTRA, Service.GRAPH] * max(1, days // 50)
    weekdays = [
        day for day in range(2, days - QUIET_BEFORE_THE_END.days) if (BEGIN + timedelta(days=day)).weekday() < 5
    ]
    hours = {Service.ENTRA: 3, Service.GRAPH: 2, Service.SECRET: 5}
    found = []
    for service, day in zip(services, die.sample(weekdays, len(services)), strict=True):
        begins = BEGIN + timedelta(days=day, hours=die.randint(8, 12), minutes=die.randrange(60))
        found.append(Outage(service, begins, begins + timedelta(hours=hours[service])))
    return tuple(sorted(found, key=lambda outage: outage.begins))


def _misfortune(tenant: str, trouble: Trouble, last_begin: datetime, die: random.Random) -> Misfortune:
    begins = BEGIN + (last_begin - BEGIN) * die.uniform(0.03, 1.0)
    if trouble is Trouble.THROTTLED:
        noon = datetime.combine(begins.date() - timedelta(days=max(0, begins.weekday() - 4)), time(12), UTC)
        return Misfortune(tenant, trouble, noon, mended=noon + timedelta(hours=3))
    if trouble in (Trouble.LICENCE_LOST, Trouble.NETWORK_DOWN):
        return Misfortune(tenant, trouble, begins, mended=begins + timedelta(hours=die.uniform(30, 72)))
    if trouble in _NEVER_MENDED or die.random() < 0.3:
        return Misfortune(tenant, trouble, begins)
    mended = begins + timedelta(days=die.uniform(1.5, 5))
    return Misfortune(tenant, trouble, begins, mended, mended + timedelta(hours=die.uniform(0.5, 20)))


def _collides(own: Misfortune, others: list[Misfortune], outages: tuple[Outage, ...]) -> bool:
    """A tenant has one trouble at a time, and what passes by itself must not pass behind an outage."""
    ends = own.over or datetime.max.replace(tzinfo=UTC)
    rest = timedelta(days=3)
    for other in others:
        if other.tenant == own.tenant and own.begins < (other.over or ends) + rest and other.begins < ends + rest:
            return True
    near = timedelta(hours=8)
    moments = [moment for moment in (own.begins, own.mended, own.reconnected) if moment]
    return any(outage.begins - near < moment < outage.ends + near for outage in outages for moment in moments)


def _usual_hour(tenant: str) -> int:
    return WORKDAY[0] + int(tenant[-3:]) % (WORKDAY[1] - WORKDAY[0])
