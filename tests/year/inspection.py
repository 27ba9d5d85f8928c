"""Looks at the installation from outside while a story goes on, and keeps what is not as the story says."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.conf import settings

from tenants.health import Health, health_now
from tenants.models import Connection, HealthCheck
from tests.year.expectation import Standing, standing, troubled
from tests.year.simulation import Simulation, reader
from tests.year.story import LASTING

OLDEST_TOKEN = timedelta(days=2)


class Inspection:
    """`wrong` is empty when all is well."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.story = simulation.story
        self.wrong: list[str] = []
        self.compared = 0

    def every_day(self, at: datetime) -> None:
        for connection in Connection.objects.select_related("account", "token"):
            tenant = connection.account.slug
            wanted = standing(self.story, tenant, at)
            if wanted is not None:
                self.compared += 1
                found = _found(connection, at, wanted)
                self._check(found == wanted, f"{at:%d %b} {tenant}: {found}, not {wanted}")
            if connection.enabled and not troubled(self.story, tenant, at):
                age = at - connection.token.refreshed_at
                self._check(age <= OLDEST_TOKEN, f"{at:%d %b} {tenant}: a token of {age}")

    def at_the_end(self) -> None:
        self._nobody_was_lost_by_our_fault()
        self._check(self.compared > 0, "nothing was compared")

    def _nobody_was_lost_by_our_fault(self) -> None:
        ended = {own.tenant for own in self.story.misfortunes if own.trouble in LASTING and own.over is None}
        lost = set(Connection.objects.exclude(state="enabled").values_list("account__slug", flat=True))
        self._check(lost == ended, f"lost without a reason: {lost - ended}; still connected: {ended - lost}")

    def _check(self, well: bool, otherwise: str) -> None:
        if not well:
            self.wrong.append(otherwise)

    def summary(self) -> str:
        """What happened, in figures."""
        simulation, story = self.simulation, self.story
        counters = simulation.microsoft.counters
        refreshes = [counters[f"token_refresh:{reader(tenant)}"] for tenant in story.daily]
        lines = {
            "simulated days": story.days,
            "tenants in use hourly, daily": f"{len(story.hourly)}, {len(story.daily)}",
            "troubles of single tenants": dict(Counter(str(own.trouble) for own in story.misfortunes)),
            "outages": dict(Counter(str(outage.service) for outage in story.outages)),
            "standings compared": self.compared,
            "refreshes at Microsoft": counters["token_refresh"],
            "of one daily tenant, a day": f"{min(refreshes) / story.days:.2f} to {max(refreshes) / story.days:.2f}",
            "getSchedule calls": counters["asked:getSchedule"],
            "probes stored": HealthCheck.objects.count(),
            "reads": dict(simulation.reads),
            "calls during outages": [
                f"{outage.service} {calls}" for outage, calls in simulation.calls_in_outages.items()
            ],
            "tasks run": simulation.beat.runs,
            "runs left out, nothing due": simulation.beat.left_out,
            "seconds": {what: round(spent, 1) for what, spent in simulation.seconds.items()},
            "not as the story says": len(self.wrong),
        }
        return "\n" + "\n".join(f"  {name:<32}{value}" for name, value in lines.items())


def _found(connection: Connection, at: datetime, wanted: Standing) -> Standing:
    stale = timedelta(seconds=2.2 * settings.PROBE_IDLE_INTERVAL_SECONDS)
    health = str(health_now(Health(connection.health), connection.last_check_at, at, stale))
    code = connection.reason_code if not connection.enabled else connection.last_check_code
    return Standing(connection.state, None if wanted.health is None else health, code)
