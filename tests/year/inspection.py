"""Looks at the installation from outside while a story goes on, and keeps what is not as the story says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from alerts.models import Audience, Incident, Kind, Mail, Status
from microsoft.graph_calls import MAX_ATTEMPTS
from tenants.health import Health, health_now
from tenants.models import Connection, HealthCheck
from tenants.sweeping import ROUNDS
from tests.webhooks.receiver import Receiver
from tests.year.expectation import Standing, codes_of, events, found_out_by, letters, standing, troubled
from tests.year.simulation import GRAIN, Simulation, reader
from tests.year.story import LASTING, Misfortune, Outage, Service

OLDEST_TOKEN = timedelta(days=2)


class Inspection:
    """`wrong` is empty when all is well."""

    def __init__(self, simulation: Simulation, outbox: Sequence[EmailMessage], receiver: Receiver) -> None:
        self.simulation, self.outbox, self.receiver = simulation, outbox, receiver
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
        self._check(self.compared > 0, "nothing was compared")
        self._nobody_was_lost_by_our_fault()
        for tenant, account in self.simulation.accounts.items():
            found = list(Incident.objects.filter(connection__account=account).order_by("opened_at"))
            self._incidents(tenant, found, self.story.of(tenant))
            of_tenant = [event for event in self._events() if event["account"] == tenant]
            heard = Counter(event["type"] for event in of_tenant)
            told = events(self.story, tenant)
            recoveries = heard.pop("connection.recovered", 0) - told.pop("connection.recovered", 0)
            falls = heard.pop("connection.degraded", 0) - told.pop("connection.degraded", 0)
            losses = heard["connection.needs_consent"]
            lines = [(event["at"][:16], event["type"], event["data"]["reason"]) for event in of_tenant]
            fits = heard == told and 0 <= recoveries <= falls <= losses
            self._check(fits, f"{tenant}: webhooks {lines}, not {dict(told)}")
            got = sum(account.contact_email in letter.to for letter in self.outbox)
            wanted = letters(self.story, tenant)
            self._check(got == wanted, f"{tenant}: {got} mails to the contact, not {wanted}")
        everybodys = list(Incident.objects.filter(connection=None).order_by("opened_at"))
        self._incidents("everybody", everybodys, self.story.outages)
        ids = [event["id"] for event in self._events()]
        self._check(len(ids) == len(set(ids)), "a webhook came twice")
        for outage, calls in self.simulation.calls_in_outages.items():
            bound = most_calls(outage)
            self._check(calls <= bound, f"{calls} calls during an outage of {outage.service}, more than {bound}")

    def _nobody_was_lost_by_our_fault(self) -> None:
        ended = {own.tenant for own in self.story.misfortunes if own.trouble in LASTING and own.over is None}
        lost = set(Connection.objects.exclude(state="enabled").values_list("account__slug", flat=True))
        self._check(lost == ended, f"lost without a reason: {lost - ended}; still connected: {ended - lost}")

    def _incidents(self, whose: str, found: list[Incident], troubles: Sequence[Misfortune | Outage]) -> None:
        """One for each trouble, from soon after its beginning to soon after its end, with a mail to each about both."""
        self._check(
            len(found) == len(troubles),
            f"{whose}: incidents {[(row.code, row.opened_at) for row in found]}, troubles {list(troubles)}",
        )
        for incident, trouble in zip(found, troubles, strict=False):
            ends = trouble.ends if isinstance(trouble, Outage) else trouble.over
            soon = trouble.begins <= incident.opened_at <= found_out_by(self.story, trouble.begins)
            self._check(soon, f"{whose}: opened {incident.opened_at} for {trouble}")
            if ends is None or incident.closed_at is None:
                self._check(ends == incident.closed_at, f"{whose}: closed {incident.closed_at} for {trouble}")
            else:
                soon = ends <= incident.closed_at <= found_out_by(self.story, ends)
                self._check(soon, f"{whose}: closed {incident.closed_at} for {trouble}")
            if isinstance(trouble, Misfortune):
                self._check(incident.code in codes_of(trouble), f"{whose}: {incident.code} for {trouble}")
            self._mails(whose, incident)

    def _mails(self, whose: str, incident: Incident) -> None:
        audiences = [Audience.SUPPORT] + ([Audience.CONTACT] if incident.connection_id else [])
        kinds = [Kind.ALERT] + ([Kind.ALL_CLEAR] if incident.closed_at else [])
        wanted = Counter((str(kind), str(audience), str(Status.SENT)) for kind in kinds for audience in audiences)
        sent = Counter(Mail.objects.filter(incident=incident).values_list("kind", "audience", "status"))
        self._check(sent == wanted, f"{whose}: mails {dict(sent)} about {incident}")

    def _events(self) -> list[dict[str, Any]]:
        return [received.event for received in self.receiver.received]

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
            "outages": ", ".join(f"{outage.service} {outage.begins:%d %b %H:%M}" for outage in story.outages),
            "standings compared": self.compared,
            "refreshes at Microsoft": counters["token_refresh"],
            "of one daily tenant, a day": f"{min(refreshes) / story.days:.2f} to {max(refreshes) / story.days:.2f}",
            "getSchedule calls": counters["asked:getSchedule"],
            "probes stored": HealthCheck.objects.count(),
            "reads": dict(simulation.reads),
            "calls during outages": ", ".join(
                f"{outage.service} {calls} (at most {most_calls(outage)})"
                for outage, calls in simulation.calls_in_outages.items()
            ),
            "incidents": dict(Counter(Incident.objects.values_list("severity", flat=True))),
            "mails sent": dict(Counter(Mail.objects.filter(status=Status.SENT).values_list("kind", flat=True))),
            "letters, digests as one": len(self.outbox),
            "webhooks received": dict(Counter(event["type"] for event in self._events())),
            "tasks run (seconds)": ", ".join(
                f"{task.rpartition('.')[2]} {runs} ({simulation.beat.seconds[task]:.1f})"
                for task, runs in simulation.beat.runs.most_common()
            ),
            "runs left out, nothing due": simulation.beat.left_out,
            "seconds": {what: round(spent, 1) for what, spent in simulation.seconds.items()},
            "not as the story says": len(self.wrong),
        }
        return "\n".join(["", *(f"  {name:<32}{value}" for name, value in lines.items()), *self.wrong[:50]])


def most_calls(outage: Outage) -> int:
    """What an outage may cost: what was claimed when it began, and then a trial or two for each look at it.

    A question to Graph is asked again at once, a few times.
    """
    looks = (outage.ends - outage.begins) / GRAIN
    requests = MAX_ATTEMPTS if outage.service is Service.GRAPH else 1
    return requests * (settings.SWEEP_WIDTH * ROUNDS + int(2 * looks))


def _found(connection: Connection, at: datetime, wanted: Standing) -> Standing:
    stale = timedelta(seconds=2.2 * settings.PROBE_IDLE_INTERVAL_SECONDS)
    health = str(health_now(Health(connection.health), connection.last_check_at, at, stale))
    code = connection.reason_code if not connection.enabled else connection.last_check_code
    return Standing(connection.state, None if wanted.health is None else health, code)
