"""Pure: an account's history on one line of time, from rows of several apps to events, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from statistics import median
from typing import NamedTuple

from django.utils.timesince import timesince

from alerts.models import Audience, Incident, Mail, Status
from alerts.models import Kind as MailKind
from alerts.trouble import Ending, Severity
from microsoft.reasons import reason
from tenants.health import Outcome
from tenants.models import AuditEntry, TokenRecord
from webhooks.models import Delivery


class Kind(StrEnum):
    """What an event is about."""

    CONSENT = "consent"
    REFRESH = "refresh"
    PROBE = "probe"
    INCIDENT = "incident"
    MAIL = "mail"
    WEBHOOK = "webhook"
    ADMIN = "admin"


class Tone(StrEnum):
    """How an event is to be taken."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    CALM = "calm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `row`: model and key of what it was read from, where the admin has a page for it."""

    at: datetime
    kind: Kind
    headline: str
    detail: str = ""
    who: str = ""
    tone: Tone = Tone.CALM
    row: tuple[str, int] | None = None


class Probe(NamedTuple):
    """The columns of a single check that a timeline needs."""

    at: datetime
    outcome: str
    code: str
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events of one page; `older_than`: where the next page begins, None at the end of what is kept."""

    events: tuple[Event, ...]
    older_than: datetime | None


def merge(streams: Iterable[Iterable[Event]], size: int) -> Stretch:
    """The newest `size` of all streams together, and what happened in the same moment as the last of them."""
    events = sorted((event for stream in streams for event in stream), key=lambda event: event.at, reverse=True)
    if len(events) <= size:
        return Stretch(tuple(events), None)
    last = events[size - 1].at
    shown = tuple(event for event in events if event.at >= last)
    return Stretch(shown, last if len(events) > len(shown) else None)


# --- what was written down -------------------------------------------------------------------------------------------
_ACTIONS: dict[str, tuple[Kind, str, Tone]] = {
    "account_created": (Kind.ADMIN, "Account created", Tone.CALM),
    "account_changed": (Kind.ADMIN, "Account changed", Tone.CALM),
    "admin_approval": (Kind.CONSENT, "Back from the administrator’s approval", Tone.CALM),
    "check_now": (Kind.ADMIN, "Checked by hand", Tone.CALM),
    "connection_lost": (Kind.REFRESH, "Microsoft ended the access", Tone.BAD),
    "consent_begun": (Kind.CONSENT, "Set out for Microsoft from the consent page", Tone.CALM),
    "consent_key_renewed": (Kind.ADMIN, "Consent key renewed: links sent before are dead", Tone.WARN),
    "disconnect": (Kind.ADMIN, "Disconnected", Tone.WARN),
    "reconnect_link_copied": (Kind.ADMIN, "Reconnect link copied", Tone.CALM),
    "reconnect_link_sent": (Kind.ADMIN, "Reconnect link sent to the contact", Tone.CALM),
    "refresh_now": (Kind.ADMIN, "Token refreshed by hand", Tone.CALM),
    "tenant_switch_allowed": (Kind.ADMIN, "Switch to another tenant allowed", Tone.WARN),
    "tenant_switch_proposed": (Kind.ADMIN, "Switch to another tenant proposed", Tone.WARN),
    "tenant_switch_withdrawn": (Kind.ADMIN, "Proposed switch withdrawn", Tone.CALM),
}
_TOLD = ("why", "mode", "tenant_id", "previous_tenant_id", "proposed_by", "microsoft_request_id")


def of_audit(entry: AuditEntry) -> Event:
    """An entry of the audit log."""
    kind, headline, tone = _ACTIONS.get(entry.action) or (Kind.ADMIN, _sentence(entry.action), Tone.CALM)
    if entry.action == "consent":
        given = entry.outcome == "enabled"
        headline = "Consent given, and the first read succeeded" if given else "Consent did not lead to a connection"
        kind, tone = Kind.CONSENT, Tone.GOOD if given else Tone.WARN
    told = [f"{name.replace('_', ' ')} {entry.details[name]}" for name in _TOLD if entry.details.get(name)]
    if entry.action == "account_changed" and isinstance(entry.details.get("values"), dict):
        told.append(", ".join(sorted(entry.details["values"])))
    return Event(
        at=entry.at,
        kind=kind,
        headline=headline,
        detail=_joined(_outcome_in_words(entry), *told),
        who=entry.actor,
        tone=tone,
        row=("tenants.auditentry", entry.pk),
    )


def _outcome_in_words(entry: AuditEntry) -> str:
    said_already = entry.outcome in ("ok", "enabled", "disabled")
    if said_already or entry.action == "consent_begun":
        return ""
    if entry.action in ("consent", "connection_lost", "admin_approval") and entry.outcome != "reported":
        return f"{reason(entry.outcome).title} ({entry.outcome})"
    return entry.outcome.replace("_", " ")


def _sentence(action: str) -> str:
    return action.replace("_", " ").capitalize()


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


# --- tokens and probes -----------------------------------------------------------------------------------------------
def of_token(token: TokenRecord) -> list[Event]:
    """The last good refresh, and the failures since; earlier ones no row keeps."""
    found = [Event(at=token.refreshed_at, kind=Kind.REFRESH, headline="Token refreshed", tone=Tone.GOOD)]
    if token.failures and token.last_failure_at:
        why = reason(token.last_failure_code)
        found.append(
            Event(
                at=token.last_failure_at,
                kind=Kind.REFRESH,
                headline=f"Token refresh failed, {token.failures} in a row so far",
                detail=f"{why.title} ({why.code})",
                tone=Tone.WARN,
            )
        )
    return found


_OUTCOMES: dict[str, tuple[str, Tone]] = {
    Outcome.OK: ("Probes answered well", Tone.GOOD),
    Outcome.SUSPICIOUS: ("Probes answered, hard to believe", Tone.WARN),
    Outcome.THROTTLED: ("Microsoft asked probes to slow down", Tone.WARN),
    Outcome.REFUSED: ("Microsoft refused probes", Tone.BAD),
    Outcome.UNREACHABLE: ("Microsoft did not answer probes", Tone.BAD),
}


def of_probes(probes: Sequence[Probe]) -> list[Event]:
    """Checks of one connection, in any order: an event each time something changed, for all that were then alike."""
    ordered = sorted(probes, key=lambda probe: probe.at)
    alike = groupby(ordered, key=lambda probe: (probe.outcome, probe.code))
    return [_stretch_of_probes(outcome, code, list(group)) for (outcome, code), group in alike]


def _stretch_of_probes(outcome: str, code: str, probes: list[Probe]) -> Event:
    headline, tone = _OUTCOMES.get(outcome, (outcome, Tone.WARN))
    timed = [probe.latency_ms for probe in probes if probe.latency_ms is not None]
    last = probes[-1].at
    return Event(
        at=probes[0].at,
        kind=Kind.PROBE,
        headline=headline,
        detail=_joined(
            f"{reason(code).title} ({code})" if code else "",
            "once" if len(probes) == 1 else f"{len(probes)} times, the last at {last:%Y-%m-%d %H:%M} UTC",
            f"typically {median(timed):.0f} ms" if timed else "",
        ),
        tone=tone,
    )


# --- incidents, mails, webhooks --------------------------------------------------------------------------------------
SEVERITIES: dict[str, str] = {
    Severity.DEGRADED: "reads with difficulty",
    Severity.DOWN: "cannot be read",
    Severity.NEEDS_CONSENT: "needs a new sign-in",
    Severity.EVERYBODY: "Microsoft fails for everybody",
}
_ENDINGS: dict[str, tuple[str, Tone]] = {Ending.RECOVERED: ("it works again", Tone.GOOD)}


def of_incident(incident: Incident) -> list[Event]:
    """Its beginning and, once it is over, its end."""
    row = ("alerts.incident", incident.pk)
    found = [
        Event(
            at=incident.opened_at,
            kind=Kind.INCIDENT,
            headline=f"Incident opened: {SEVERITIES.get(incident.severity, 'in trouble')}",
            detail=f"{reason(incident.code).title} ({incident.code})" if incident.code else "",
            tone=Tone.WARN if incident.severity == Severity.DEGRADED else Tone.BAD,
            row=row,
        )
    ]
    if incident.closed_at:
        how, tone = _ENDINGS.get(incident.ending, (incident.ending.replace("_", " "), Tone.CALM))
        lasted = timesince(incident.began_at, incident.closed_at)
        found.append(
            Event(
                at=incident.closed_at,
                kind=Kind.INCIDENT,
                headline=f"Incident closed: {how}",
                detail=f"after {lasted}",
                tone=tone,
                row=row,
            )
        )
    return found


def of_mail(mail: Mail) -> Event:
    """A mail, by what it says and for whom; never to which address."""
    to = "the contact" if mail.audience == Audience.CONTACT else "support"
    tones = {Status.FAILED.value: Tone.BAD, Status.NOBODY.value: Tone.WARN}
    return Event(
        at=mail.created_at,
        kind=Kind.MAIL,
        headline=f"Mail to {to}: {MailKind(mail.kind).label}",
        detail=_joined(Status(mail.status).label, mail.last_error),
        tone=tones.get(mail.status, Tone.CALM),
        row=("alerts.mail", mail.pk),
    )


def of_delivery(delivery: Delivery) -> Event:
    """An event on its way to a receiver of webhooks."""
    tries = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    return Event(
        at=delivery.created_at,
        kind=Kind.WEBHOOK,
        headline=f"Webhook {delivery.type}",
        detail=_joined(delivery.standing, delivery.endpoint.host, tries, delivery.last_error),
        tone=Tone.BAD if delivery.standing == "failed" else Tone.CALM,
        row=("webhooks.delivery", delivery.pk),
    )
