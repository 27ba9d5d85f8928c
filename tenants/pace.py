"""How often a connection is looked at: often while it is in use, seldom while it rests, soon again after trouble."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from tenants.health import Health, Rollup, health_now

AGAIN = timedelta(minutes=4)  # after the first bad check: "two in a row" is then known within minutes
JITTER = (0.9, 1.1)  # what random factor to give, so that those checked together do not stay together
LONGEST_WAIT = timedelta(days=1)  # the longest Retry-After that is believed


@dataclass(frozen=True, slots=True)
class Pace:
    """`in_use_for`: how long a read through the API, or a consent, makes a connection one that is in use."""

    in_use_for: timedelta
    interval: timedelta
    idle_interval: timedelta
    least_stale: timedelta

    def in_use(self, last_used_at: datetime | None, connected_at: datetime | None, now: datetime) -> bool:
        """Whether anybody relied on the connection lately."""
        return any(at is not None and now - at <= self.in_use_for for at in (last_used_at, connected_at))

    def between(self, *, in_use: bool) -> timedelta:
        """Time between two probes when all is well."""
        return self.interval if in_use else self.idle_interval

    def stale_after(self, *, in_use: bool) -> timedelta:
        """How long a check speaks for the connection: two of its intervals, and not less than an hour or so."""
        return max(self.least_stale, 2 * self.between(in_use=in_use))

    def wait(self, after: Rollup, *, in_use: bool, asked: float | None, factor: float) -> timedelta:
        """Time until the next probe.

        Sooner after a bad check, backing off to the usual interval while bad ones follow each other. Never sooner
        than the seconds that Microsoft `asked` for. `factor`: random, within JITTER.
        """
        usual = self.between(in_use=in_use)
        wait = min(usual, AGAIN * 2 ** min(after.bad_in_a_row - 1, 10)) if after.bad_in_a_row else usual
        return max(wait * factor, min(timedelta(seconds=min(asked or 0.0, 1e6)), LONGEST_WAIT))

    def shown(
        self,
        health: Health,
        last_check_at: datetime | None,
        *,
        last_used_at: datetime | None,
        connected_at: datetime | None,
        now: datetime,
    ) -> Health:
        """The health that may be shown now: unknown when nobody checked lately."""
        in_use = self.in_use(last_used_at, connected_at, now)
        return health_now(health, last_check_at, now, self.stale_after(in_use=in_use))


def pace() -> Pace:
    """As this installation is set."""
    return Pace(
        in_use_for=timedelta(seconds=settings.IN_USE_SECONDS),
        interval=timedelta(seconds=settings.PROBE_INTERVAL_SECONDS),
        idle_interval=timedelta(seconds=settings.PROBE_IDLE_INTERVAL_SECONDS),
        least_stale=timedelta(seconds=settings.HEALTH_STALE_SECONDS),
    )
