"""What a pack tells of one account.

What was consented to comes from the audit trail, which nobody can change; the connection's row says what is true now,
and where the two differ the pack says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from console.evidence import facts
from microsoft.clouds import CLOUDS
from microsoft.reasons import reason
from tenants.admin.parts import connection_of
from tenants.audit import SYSTEM
from tenants.lifecycle import State
from tenants.microsoft365 import calendar_scopes
from tenants.models import Account, AuditEntry, Connection, Mode
from tenants.refusals import VISITOR
from tenants.scopes import extra_scopes, grants
from tenants.simulation import is_simulated

HISTORY = 40  # lines; the audit trail itself has them all
TOLD = ("consent", "admin_approval", "connection_lost", "tenant_switch_allowed", "disconnect")
# Microsoft's answer need not name these: each is proven by what came with it.
SIGN_IN_SCOPES = {
    "openid": "says who signed in; proven by the ID token",
    "profile": "sign-in name and object id of that account; proven by the ID token",
    "offline_access": "renews the access without anybody present; proven by the refresh token",
}
STATES = {
    State.PENDING: "not connected yet",
    State.VERIFYING: "not connected yet: a sign-in is under way",
    State.ENABLED: "connected",
    State.NEEDS_CONSENT: "not connected: Microsoft asks for a new sign-in",
    State.DISABLED: "disconnected: the tokens are deleted",
}


@dataclass(frozen=True, slots=True)
class Consent:
    """The consent in force, as the audit trail has it."""

    at: datetime
    actor: str
    mode: str
    tenant_id: str
    scopes: tuple[str, ...]

    @property
    def shown_mode(self) -> str:
        return str(Mode(self.mode).label)


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: what for, and how asked and granted compare. `flagged` where somebody should look."""

    name: str
    purpose: str
    standing: str
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the history of consents."""

    at: datetime
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The pack. `disagreements` names what the connection's row and the audit trail tell differently: normally none."""

    account: Account
    made_at: datetime
    state: str
    cloud: str
    simulated: bool
    consent: Consent | None
    scopes: tuple[Scope, ...]
    history: tuple[Happened, ...]
    more_history: bool
    disagreements: tuple[str, ...]

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The connection, line by line: what it is called, and how it is."""
        now = (("Account", f"{self.account.name} ({', '.join(self.account.domains)})"), ("State", self.state))
        cloud = (("Microsoft cloud", self.cloud),)
        if self.consent is None:
            return now + cloud
        return (
            *now,
            ("Consented", f"{self.consent.at:%d %b %Y %H:%M} UTC"),
            ("By, and read as", self.consent.actor),
            ("Kind of consent", self.consent.shown_mode),
            ("Entra tenant id", self.consent.tenant_id),
            *cloud,
        )

    @property
    def stored(self) -> tuple[facts.Kept, ...]:
        """The kinds of stored data that concern a customer."""
        return tuple(kept for kept in facts.STORED if kept.of_customers)

    read, never_read = facts.READ, facts.NEVER_READ
    restrict, revoke = facts.RESTRICT, facts.REVOKE


def evidence_of(account: Account, now: datetime) -> Evidence:
    """Everything the page and the PDF tell of this account; two queries."""
    connection = connection_of(account)
    state = State(connection.state) if connection else State.PENDING
    consent = _in_force(account) if state in (State.ENABLED, State.NEEDS_CONSENT) else None
    told = AuditEntry.objects.filter(account_id=account.pk, action__in=TOLD)
    entries = list(told[: HISTORY + 1])
    return Evidence(
        account=account,
        made_at=now,
        state=STATES[state],
        cloud=CLOUDS[account.cloud].label,
        simulated=is_simulated(connection),
        consent=consent,
        scopes=compared(calendar_scopes(account)[0], consent.scopes if consent else None),
        history=tuple(happened(entry) for entry in islice(entries, HISTORY)),
        more_history=len(entries) > HISTORY,
        disagreements=tuple(_disagreements(connection, consent)) if connection else (),
    )


def _in_force(account: Account) -> Consent | None:
    """The last consent that succeeded."""
    entry = AuditEntry.objects.filter(account_id=account.pk, action="consent", outcome="enabled").first()
    if entry is None:
        return None
    told = entry.details
    return Consent(entry.at, entry.actor, told["mode"], told["tenant_id"], tuple(told["scopes"]))


def _disagreements(connection: Connection, consent: Consent | None) -> Iterable[str]:
    """Names of the facts that differ, so that nobody hands out a pack that contradicts the audit trail."""
    if connection.state not in (State.ENABLED, State.NEEDS_CONSENT):
        return
    if consent is None:
        yield "the consent"
        return
    if connection.tenant_id != consent.tenant_id:
        yield "the Entra tenant"
    if connection.reader != consent.actor:
        yield "the account that reads"
    if connection.mode != consent.mode:
        yield "the kind of consent"
    if tuple(connection.scopes) != consent.scopes:
        yield "the granted permissions"


def compared(wanted: str, granted: Sequence[str] | None) -> tuple[Scope, ...]:
    """Asked against granted; `granted` None while nothing is."""
    calendar = "reads free/busy of calendars"
    if granted is None:
        purposes = {wanted: calendar, **SIGN_IN_SCOPES}
        return tuple(Scope(name, purpose, "would be asked for") for name, purpose in purposes.items())
    asked = [
        Scope(wanted, calendar, "asked for and granted")
        if grants(granted, wanted)
        else Scope(wanted, calendar, "asked for now, not granted then: consent again", flagged=True)
    ]
    asked += [Scope(name, purpose, "asked for and granted") for name, purpose in SIGN_IN_SCOPES.items()]
    extra = [
        Scope(name, "not used", "granted, never asked for by us", flagged=True)
        for name in extra_scopes(granted, wanted)
    ]
    return tuple(asked + extra)


def happened(entry: AuditEntry) -> Happened:
    """An audit entry in words for the customer; names of Event Cadence's own staff stay inside."""
    what, who = _in_words(entry)
    return Happened(entry.at, what, who)


def _in_words(entry: AuditEntry) -> tuple[str, str]:
    who = {VISITOR: "a visitor of the consent page", SYSTEM: "Cadence Exchange"}.get(entry.actor, entry.actor)
    match entry.action, entry.outcome:
        case "consent", "enabled":
            mode = Mode(entry.details["mode"]).label
            return f"Consent given ({mode}), Entra tenant {entry.details['tenant_id']}", who
        case "consent", code:
            return f"Sign-in without success: {reason(code).title.rstrip('.')}", who
        case "admin_approval", "reported":
            return "Approval by an administrator reported", who
        case "admin_approval", code:
            return f"Approval not given: {reason(code).title.rstrip('.')}", who
        case "connection_lost", code:
            return f"Access ended by Microsoft: {reason(code).title.rstrip('.')}", "Microsoft"
        case "tenant_switch_allowed", _:
            return f"Move to Entra tenant {entry.details['tenant_id']} allowed", "Event Cadence"
        case _:
            return "Disconnected, tokens deleted", "Event Cadence"
