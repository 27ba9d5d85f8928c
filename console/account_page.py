"""An account's page: how its connection stands, why, who must act, what happened, and what one may do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from alerts.models import Incident
from console import switching
from console.charts import line, percent
from console.history import history
from console.models import TenantSwitch
from console.pages import account_of, may, page, show
from console.timeline import SEVERITIES, Event
from microsoft.reasons import Reason, reason
from tenants import microsoft365, status
from tenants.admin.parts import connection_of, health_badge, state_badge
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Account, AuditEntry, Connection, TokenRecord
from tenants.scopes import short_name
from tenants.standing import shown_health, why_bad
from tenants.status import Point

# Route, permission and words of the pages that go deeper.
_DEEPER = (
    ("preflight", "preflight", "Roster pre-flight"),
    ("availability-check", "see_availability", "Availability check"),
    ("policy", "change_policy", "Policy what-if"),
    ("evidence", "make_evidence", "Evidence pack for IT"),
    ("bundle", "make_bundle", "Support bundle"),
)
# What proves itself by an id_token and a refresh token; Microsoft need not name them among what it granted.
_PROVEN = {
    "openid": "proven by the sign-in",
    "profile": "proven by the sign-in",
    "offline_access": "proven by the refresh token",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope, asked or granted; `remark` says what is odd about it, `odd` whether anything is."""

    name: str
    asked: bool
    granted: bool
    remark: str
    odd: bool = False


@dataclass(frozen=True, slots=True)
class Switching:
    """Where the account wants to move to. `waiting`: the proposal, None before; `why_not`: why this reader may not."""

    tenant_id: str
    waiting: TenantSwitch | None
    why_not: str


@page("view_status")
def account(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; `before` in its query turns the pages of the timeline."""
    return account_page(request, account_of(slug))


def account_page(request: HttpRequest, account: Account, *, link: str = "") -> TemplateResponse:
    """The page as it is now. `link`: the consent link, for whoever has just asked for it."""
    now = timezone.now()
    before = _moment(request.GET.get("before", ""))
    connection = connection_of(account)
    stretch = history(account, connection, before or now, now)
    return show(
        request,
        "account.html",
        f"{account.name} ({account.slug})" if account.name != account.slug else account.slug,
        account=account,
        connection=connection,
        now=now,
        link=link,
        state=state_badge(connection),
        health=health_badge(connection),
        deeper=_deeper(request, account),
        events=[(event, _link(request, event)) for event in stretch.events],
        turned=before is not None,
        older=urlencode({"before": stretch.older_than.isoformat()}) if stretch.older_than else "",
        sends_mails=settings.SENDS_MAILS,
        incidents=_incidents(connection),
        **(_of_connection(request, account, connection, now) if connection else {"never": True}),
    )


def _of_connection(request: HttpRequest, account: Account, connection: Connection, now: datetime) -> dict[str, Any]:
    code = why_bad(connection)
    health = shown_health(connection, now)
    unchecked = connection.enabled and health is Health.UNKNOWN
    consents = AuditEntry.objects.filter(account=account, action="consent", outcome="enabled")
    token = TokenRecord.times_of(connection)
    hours = status.hours_of(connection, now)
    return {
        "why": reason(code) if code and not unchecked else None,
        "unchecked": unchecked,
        "well": connection.enabled and health is Health.HEALTHY,
        "consented": consents.first(),
        "token": token,
        "token_failure": reason(token.last_failure_code) if token and token.failures else None,
        "scopes": scopes(account, connection) if connection.scopes else [],
        "uptime": _uptime(connection, now),
        "hours": [hour for hour in reversed(hours) if hour.checks],
        "sparkline": _sparkline(hours),
        "fastness": _fastness(hours),
        "switching": _switching(request, account, connection),
        "lost": connection.state == State.NEEDS_CONSENT,
    }


def scopes(account: Account, connection: Connection) -> list[Scope]:
    """What Microsoft was asked for against what it granted, by short name, what was never asked for at the end."""
    granted = {short_name(scope): scope for scope in connection.scopes}
    wanted = [*_PROVEN, *microsoft365.calendar_scopes(account)]
    rows = [_scope(scope, short_name(scope) in granted) for scope in wanted]
    asked = {short_name(scope) for scope in wanted}
    extra = {short_name(scope) for scope in connection.extra_scopes}
    for short, scope in granted.items():
        if short not in asked:
            remark = "granted although never asked for" if short in extra else "comes with a sign-in"
            rows.append(Scope(scope, asked=False, granted=True, remark=remark, odd=short in extra))
    return rows


def _scope(name: str, granted: bool) -> Scope:
    proven = _PROVEN.get(name, "")
    missing = "" if granted or proven else "not among what Microsoft granted"
    return Scope(name, asked=True, granted=granted or bool(proven), remark=proven or missing, odd=bool(missing))


def _uptime(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    found = status.uptime(connection, now)
    shares = (("24 h", found.day), ("7 days", found.week), ("30 days", found.month), ("90 days", found.quarter))
    return [(span, "no probes" if share is None else percent(share)) for span, share in shares]


def _sparkline(hours: Sequence[Point]) -> SafeString | None:
    values = [hour.latency_ms for hour in hours]
    return line(values, f"Latency by hour: {_fastness(hours)}") if any(v is not None for v in values) else None


def _fastness(hours: Sequence[Point]) -> str:
    means = [hour.latency_ms for hour in hours if hour.latency_ms is not None]
    if not means:
        return "no answer in the last 24 hours"
    most = max(hour.latency_max_ms for hour in hours)
    between = f", hourly means from {min(means):.0f} to {max(means):.0f} ms" if len(means) > 1 else ""
    return f"{means[-1]:.0f} ms lately{between}, slowest {most:,} ms"


def _switching(request: HttpRequest, account: Account, connection: Connection) -> Switching | None:
    refused = connection.refused_tenant_id
    if not refused or refused in (connection.allowed_tenant_id, connection.tenant_id):
        return None
    waiting = switching.waiting(account)
    if waiting is None or waiting.tenant_id != refused:
        return Switching(refused, None, "")
    user = request.user
    if not user.is_authenticated or not may(request, "approve_switch"):
        return Switching(refused, waiting, "A superuser can approve it.")
    return Switching(refused, waiting, switching.why_not(waiting, connection, user))


def _incidents(connection: Connection | None) -> list[tuple[Incident, str, Reason | None]]:
    """Those that last, the connection's own and everybody's, with how bad it is in words, and why."""
    own = Q(connection=None) if connection is None else Q(connection=None) | Q(connection=connection)
    rows = Incident.open().filter(own).order_by("-began_at")
    return [(row, SEVERITIES.get(row.severity, "in trouble"), reason(row.code) if row.code else None) for row in rows]


def _deeper(request: HttpRequest, account: Account) -> list[tuple[str, str]]:
    """Address and words of each page that exists and that the reader may open."""
    found = []
    for name, permission, words in _DEEPER:
        if may(request, permission):
            try:
                found.append((reverse(f"admin:{name}", args=[account.slug]), words))
            except NoReverseMatch:
                continue
    return found


def _link(request: HttpRequest, event: Event) -> str:
    """The admin's page of the row, for whoever may look at it."""
    if event.row is None:
        return ""
    model, pk = event.row
    app, name = model.split(".")
    return reverse(f"admin:{app}_{name}_change", args=[pk]) if request.user.has_perm(f"{app}.view_{name}") else ""


def _moment(text: str) -> datetime | None:
    """A time from the query; whatever is none means the newest page."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


urlpatterns = [path("accounts/<slug:slug>/", account, name="account")]
