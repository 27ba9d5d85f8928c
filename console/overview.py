"""How the whole installation stands, for the landing page: a fixed number of queries, then words and links.

Nothing here reads single checks or grows with the number of connections beyond what one query of the database counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils.safestring import SafeString
from redis.exceptions import RedisError

from alerts import outbox as mails
from alerts.credentials import own_credential
from alerts.models import Incident
from alerts.trouble import Severity
from microsoft.reasons import Actor, Reason, reason
from microsoft.reasons import Kind as ReasonKind
from tenants import breaker_store, breakers, heartbeat, recent, status
from tenants.admin.parts import account_url, badge
from tenants.breakers import OpenBreaker
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Connection
from tenants.spans import span
from webhooks import outbox as webhooks

FAILING_SHOWN = 20
TENANTS_SHOWN = 5
BEHIND = timedelta(minutes=30)  # as the alert rules have it
ENDS_SOON, ENDS_NOW = timedelta(days=30), timedelta(days=3)
GIVEN_UP_SHOWN = timedelta(days=7)
SERVICES = {"entra": "Microsoft Entra ID", "graph": "Microsoft Graph"}

States = Mapping[tuple[State, Health], int]
_Away = (RedisError, sqlite3.Error)


@dataclass(frozen=True, slots=True)
class Link:
    """`words` that lead to `url`."""

    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Banner:
    """What is everybody's trouble, and what to do about it."""

    headline: str
    text: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Tile:
    """How many connections stand so, and the list of them. `tone`: of the badge, good, warn, bad or calm."""

    name: str
    count: int
    tone: str
    url: str


@dataclass(frozen=True, slots=True)
class Vital:
    """One part of the machinery: how it is in a word, and what makes us say so."""

    name: str
    word: str
    tone: str
    detail: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row of the list of failing connections.

    `stands`: the health of one that is enabled, else the state. `note`: what support should know besides the next step.
    """

    account: str
    name: str
    url: str
    stands: str
    since: datetime | None
    lasts: str
    title: str
    code: str
    actor: str
    next_step: str
    note: str

    @property
    def badge(self) -> SafeString:
        """How it stands, as everywhere in the admin."""
        return badge(self.stands)


@dataclass(frozen=True, slots=True)
class Overview:
    """All of the page but its charts. `failing`: the first of `in_trouble`."""

    banners: list[Banner]
    tiles: list[Tile]
    grid: list[tuple[str, list[Tile]]]
    failing: list[Trouble]
    in_trouble: int
    vitals: list[Vital]


def overview(now: datetime) -> Overview:
    """As things stand now; what the shared store keeps is left out, with a word, while it is away."""
    states = status.states(now)
    standing = breakers.standing()
    return Overview(
        banners=[banner(breaker, now) for breaker in standing if not breaker.tenant],
        tiles=tiles(states),
        grid=grid(states),
        failing=[_trouble(row, now) for row in status.failing(now, FAILING_SHOWN)],
        in_trouble=in_trouble(states),
        vitals=list(_vitals(now, [breaker for breaker in standing if breaker.tenant])),
    )


def accounts_url(**filters: str) -> str:
    """The account list, filtered."""
    return _listed("tenants_account", **filters)


def in_trouble(states: States) -> int:
    """Pure: how many need somebody."""
    return sum(
        count
        for (state, health), count in states.items()
        if state is State.NEEDS_CONSENT or (state is State.ENABLED and health is not Health.HEALTHY)
    )


def tiles(states: States) -> list[Tile]:
    """The whole of the connections in as few numbers as tell support what to do."""

    def of_state(state: State) -> int:
        return sum(count for (found, _), count in states.items() if found is state)

    working = [
        Tile(name, states.get((State.ENABLED, health), 0), tone, accounts_url(state="enabled", health=health.value))
        for name, health, tone in (
            ("working", Health.HEALTHY, "good"),
            ("degraded", Health.DEGRADED, "warn"),
            ("down", Health.DOWN, "bad"),
            ("not checked lately", Health.UNKNOWN, "calm"),
        )
    ]
    others = [
        Tile(name, of_state(state), tone, accounts_url(state=state.value))
        for name, state, tone in (
            ("need a new consent", State.NEEDS_CONSENT, "bad"),
            ("being verified", State.VERIFYING, "warn"),
            ("not connected yet", State.PENDING, "calm"),
            ("disconnected", State.DISABLED, "calm"),
        )
    ]
    return working + [tile for tile in others if tile.count or tile.name != "being verified"]


def grid(states: States) -> list[tuple[str, list[Tile]]]:
    """Each state with its numbers by health, in the order of Health."""
    return [
        (
            state.value.replace("_", " "),
            [
                Tile(
                    health.value,
                    states.get((state, health), 0),
                    "",
                    accounts_url(state=state.value, health=health.value),
                )
                for health in Health
            ],
        )
        for state in State
    ]


def banner(breaker: OpenBreaker, now: datetime) -> Banner:
    """For a service that fails for all; our own fault is called ours."""
    why = reason(breaker.code)
    service = SERVICES.get(breaker.service.partition(":")[0], breaker.service)
    since = f"since {breaker.since:%Y-%m-%d %H:%M} UTC ({span(now - breaker.since)})"
    headline = f"{service} refuses us {since}" if breaker.own_fault else f"{service} fails for all {since}"
    return Banner(headline, f"{why.title} ({why.code}). No customer has to do anything.", why.support)


def _trouble(row: status.Failing, now: datetime) -> Trouble:
    why = row.why or _UNCHECKED
    return Trouble(
        account=row.account,
        name=row.name,
        url=account_url(row.account),
        stands=row.health.value if row.state is State.ENABLED else row.state.value,
        since=row.since,
        lasts=span(now - row.since) if row.since else "",
        title=why.title,
        code=why.code,
        actor=why.actor.in_words,
        next_step=why.next_step,
        note=why.support if why.customer_acts else "",
    )


_UNCHECKED = Reason(
    code="",
    kind=ReasonKind.UNKNOWN,
    actor=Actor.CADENCE,
    title="Nobody has checked it lately",
    cause="",
    what_to_do="",
    support="See below whether worker and beat run and whether probes are in time; then check the connection.",
)


def _vitals(now: datetime, of_tenants: list[OpenBreaker]) -> Iterator[Vital]:
    for process in heartbeat.Process:
        yield _heartbeat(process)
    yield _backlog("Token refreshes", status.refresh_backlog(now), now, Link("these accounts", _due("refresh")))
    yield _backlog("Probes", status.probe_backlog(now), now, Link("these accounts", _due("probe")))
    yield _throttling(now)
    yield _breakers(of_tenants)
    yield credential(now)
    yield _incidents()
    yield _mails(now)
    yield _webhooks(now)


def _heartbeat(process: heartbeat.Process) -> Vital:
    name = process.value.capitalize()
    try:
        age = heartbeat.age(process)
    except _Away:
        return Vital(name, "not known", "warn", "the shared store is away")
    if age is None:
        return Vital(name, "never seen", "bad", "none has reported yet")
    seen = f"last sign of life {span(timedelta(seconds=age))} ago"
    if age > heartbeat.STALE_SECONDS:
        return Vital(name, "silent", "bad", seen)
    return Vital(name, "running", "good", seen)


def _backlog(name: str, waiting: status.Backlog, now: datetime, *links: Link, given_up: int = 0) -> Vital:
    failed = f"{given_up:,} given up in 7 days" if given_up else ""
    if waiting.oldest is None:
        return Vital(name, "in time", "good", failed or "nothing waits", links if given_up else ())
    detail = f"{waiting.due:,} due, the oldest for {span(now - waiting.oldest)}"
    behind = now - waiting.oldest > BEHIND
    words = ", ".join(filter(None, (detail, failed)))
    return Vital(name, "behind" if behind else "in time", "bad" if behind else "good", words, links)


def _throttling(now: datetime) -> Vital:
    name = "Throttling, last hour"
    try:
        counted = recent.within_the_hour("microsoft_throttled", now)
    except _Away:
        return Vital(name, "not known", "warn", "the shared store is away")
    if not counted:
        return Vital(name, "none", "good", "Microsoft asked nobody to slow down")
    words = ", ".join(f"{SERVICES.get(service, service)} {amount:,.0f}" for service, amount in sorted(counted.items()))
    link = Link("throttled probes", _listed("tenants_healthcheck", outcome__exact="throttled"))
    return Vital(name, "throttled", "warn", f"answers with status 429: {words}", (link,))


def _breakers(of_tenants: list[OpenBreaker]) -> Vital:
    name = "Circuit breakers"
    if breaker_store.is_away():
        return Vital(name, "not known", "warn", "the shared store is away")
    if not of_tenants:
        return Vital(name, "closed", "good", "no single customer’s is open")
    tenants = sorted({breaker.tenant for breaker in of_tenants})
    slugs = dict(Connection.objects.filter(tenant_id__in=tenants).values_list("tenant_id", "account__slug"))
    links = tuple(Link(slugs.get(it, it), accounts_url(q=it)) for it in tenants[:TENANTS_SHOWN])
    return Vital(name, "open", "warn", f"of {len(tenants):,} Entra tenant{'s' if len(tenants) > 1 else ''}:", links)


def credential(now: datetime) -> Vital:
    """Our own at Microsoft: when it ends it ends for all customers at once."""
    name = "Our credential"
    try:
        own = own_credential()
    except (OSError, ValueError) as error:
        return Vital(name, "unreadable", "bad", f"MICROSOFT_CLIENT_CERTIFICATE: {type(error).__name__}")
    if own is None:
        return Vital(name, "end not known", "warn", "set MICROSOFT_CLIENT_SECRET_EXPIRES, so that somebody is warned")
    left = own.expires_at - now
    on = f"the {own.in_words} ends on {own.expires_at:%Y-%m-%d}"
    if left <= timedelta(0):
        return Vital(name, "ended", "bad", f"the {own.in_words} ended on {own.expires_at:%Y-%m-%d}")
    tone = "bad" if left < ENDS_NOW else "warn" if left < ENDS_SOON else "good"
    return Vital(name, "valid" if tone == "good" else "ends soon", tone, f"{left.days} days left: {on}")


def _incidents() -> Vital:
    found = dict(Incident.open().order_by().values_list("severity").annotate(count=Count("pk")))
    if not found:
        return Vital("Incidents", "none open", "good", "")
    worst = next((severity for severity in _WORST_FIRST if severity in found), Severity.DEGRADED)
    words = ", ".join(f"{found[s]:,} {s.value.replace('_', ' ')}" for s in _WORST_FIRST if s in found)
    tone = "warn" if worst is Severity.DEGRADED else "bad"
    return Vital(
        "Incidents", "open", tone, words, (Link("these incidents", _listed("alerts_incident", lasting="open")),)
    )


_WORST_FIRST = tuple(reversed(Severity))


def _mails(now: datetime) -> Vital:
    failed = mails.failed_since(now - GIVEN_UP_SHOWN)
    wanted = "failed" if failed else "waiting"
    link = Link(f"{wanted} mails", _listed("alerts_mail", status__exact=wanted))
    if not settings.SENDS_MAILS:
        return Vital("Mails", "switched off", "warn", "EMAIL_URL is not set: nobody is told anything", (link,))
    return _backlog("Mails", mails.backlog(now), now, link, given_up=failed)


def _webhooks(now: datetime) -> Vital:
    failed = webhooks.failed_since(now - GIVEN_UP_SHOWN)
    wanted = "failed" if failed else "waiting"
    link = Link(f"{wanted} deliveries", _listed("webhooks_delivery", standing=wanted))
    return _backlog("Webhooks", webhooks.backlog(now), now, link, given_up=failed)


def _due(work: str) -> str:
    return accounts_url(due=work)


def _listed(model: str, **filters: str) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?{urlencode(filters)}"
