"""Finds the words of a mail: to a contact in the account's language and time zone, to support in English and UTC."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from alerts.models import Audience, Incident, Kind, Mail
from alerts.trouble import Severity
from microsoft.reasons import Reason, reason
from tenants.lifecycle import State
from tenants.models import Account, Connection
from tenants.simulation import installation_is_simulated, is_simulated

WIDTH = 76
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject on one line, body in plain text, and the Message-ID it answers ("" when it begins a thread)."""

    subject: str
    body: str
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that support is told: what, since or until when, why in the words of the table, and where to look."""

    kind: str
    headline: str
    lines: tuple[str, ...]
    why: Reason | None
    link: str


def to_contact(mail: Mail) -> Letter:
    """A customer's mail."""
    account = mail.account
    if account is None:
        raise ValueError("a mail to a contact belongs to an account")
    connection = Connection.objects.filter(account=account).first()
    code = mail.incident.code if mail.incident else ""
    if mail.kind == Kind.RECONNECT and connection is not None and connection.state == State.NEEDS_CONSENT:
        code = connection.reason_code
    context = {
        "account": account,
        "name": _on_one_line(account.name),
        "incident": mail.incident,
        "why": reason(code) if code else None,
        "facts": {name: _moment(value) for name, value in mail.facts.items()},
        "support": settings.SUPPORT_EMAIL,
        "simulated": is_simulated(connection),
        "before": connection is not None and connection.connected_at is not None,
    }
    with translation.override(account.language), timezone.override(ZoneInfo(account.time_zone)):
        text = render_to_string(f"alerts/{mail.kind}.txt", context)
    return _letter(text, _answered(mail))


def to_support(mails: list[Mail]) -> Letter:
    """One mail about everything that waits: a single thing as itself, several as a digest."""
    notes = [_note(mail) for mail in mails]
    grouped: dict[str, list[Note]] = {}
    for note in notes:
        grouped.setdefault(f"{note.kind}/{note.why.code if note.why else ''}", []).append(note)
    context = {
        "notes": notes,
        "groups": list(grouped.values()),
        "counts": _counts(notes),
        "most": MOST_LISTED,
        "host": settings.PUBLIC_HOST,
        "simulated": installation_is_simulated(),
    }
    with translation.override("en"), timezone.override(UTC):
        text = render_to_string(f"alerts/support/{'digest' if len(notes) > 1 else 'single'}.txt", context)
    return _letter(text, _answered(mails[0]) if len(mails) == 1 else "")


def message_id(mail: Mail) -> str:
    """The Message-ID under which a mail goes out."""
    return f"<{mail.message_id}@{settings.PUBLIC_HOST}>"


def _answered(mail: Mail) -> str:
    """An all-clear stands in the thread of its alert."""
    if mail.kind != Kind.ALL_CLEAR or mail.incident is None:
        return ""
    told = mail.incident.mails.filter(kind=Kind.ALERT, audience=mail.audience).first()
    return message_id(told) if told else ""


def _letter(text: str, follows: str) -> Letter:
    """The template's first line is the subject."""
    subject, _, body = text.strip().partition("\n")
    paragraphs = re.sub(r"\n{3,}", "\n\n", body.strip())
    return Letter(_on_one_line(subject), "\n".join(map(_wrapped, paragraphs.split("\n"))) + "\n", follows)


def _on_one_line(text: str) -> str:
    """Whatever a name holds, nobody writes a header through it."""
    return re.sub(r"[^\S\u00a0]+", " ", text).strip()  # French sets a no-break space before a colon


def _wrapped(line: str) -> str:
    """Lines of a readable length; an address stays in one piece."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _moment(value: object) -> object:
    """JSON keeps times as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", value):
        return datetime.fromisoformat(value)
    return value


def _note(mail: Mail) -> Note:
    slug = mail.account.slug if mail.account else ""
    if mail.incident is not None:
        return _about_incident(mail, mail.incident, slug)
    facts = {name: _moment(value) for name, value in mail.facts.items()}
    link = _admin("tenants_account", mail.account) if mail.account else ""
    lines: tuple[str, ...]
    if mail.kind == Kind.CONNECTED:
        lines = (
            f"Reads through {facts['mailbox']} ({facts['mode']}), Entra tenant {facts['tenant_id']}.",
            f"Proven at {_utc(facts['at'])}: free/busy of {facts['mailbox']} from {_utc(facts['start'])} "
            f"to {_utc(facts['end'])}, answered in {facts['latency_ms']} ms.",
            f"Microsoft request ID: {facts['request_id'] or 'none'}.",
        )
        return Note(mail.kind, f"{slug}: connected", lines, None, link)
    days = f"{facts['days_left']} days left, until {_utc(facts['expires_at'])}"
    if mail.kind == Kind.IDLE:
        lines = (
            f"Last used {_utc(facts['used_at'])}. Microsoft ends a sign-in that is unused for 90 days.",
            "Our refresh should have prevented this: look at worker, beat and the connection's last failure.",
        )
        return Note(mail.kind, f"{slug}: the sign-in rests, {days}", lines, None, link)
    lines = (
        "When it ends Microsoft refuses every customer's refresh at once. Make a new one in the Entra admin center "
        "under App registrations > Certificates & secrets, set it, restart. docs/operations.md says how.",
    )
    return Note(mail.kind, f"our own {facts['credential']} ends: {days}", lines, None, "")


_WHAT = {
    Severity.DEGRADED: "reads with difficulty",
    Severity.DOWN: "cannot be read",
    Severity.NEEDS_CONSENT: "needs a new sign-in",
}


def _about_incident(mail: Mail, incident: Incident, slug: str) -> Note:
    link = _admin("alerts_incident", incident)
    why = reason(incident.code) if incident.code else None
    named = f" ({incident.code})" if incident.code else ""
    service = incident.subject.removeprefix("service:")
    if mail.kind == Kind.ALL_CLEAR:
        lasted = str((incident.closed_at or timezone.now()) - incident.began_at).partition(".")[0]
        headline = f"{slug}: works again" if slug else f"{service}: answers again, for everybody"
        return Note(mail.kind, headline, (f"After {lasted}, since {_utc(incident.began_at)}{named}.",), None, link)
    headline = f"{slug}: {_WHAT[Severity(incident.severity)]}" if slug else f"{service}: fails for everybody"
    return Note(mail.kind, headline + named, (f"Since {_utc(incident.began_at)}.",), why, link)


def _counts(notes: Iterable[Note]) -> str:
    """`300 alerts, 1 all-clear`"""
    found = Counter(Kind(note.kind).label for note in notes)
    return ", ".join(f"{number} {label}{'s' if number > 1 else ''}" for label, number in found.items())


def _utc(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _admin(page: str, row: Account | Incident) -> str:
    return f"{settings.PUBLIC_URL}{reverse(f'admin:{page}_change', args=[row.pk])}"


def letter_of(mails: list[Mail]) -> Letter:
    """The words of a claimed mail, or of all that go to support together."""
    return to_contact(mails[0]) if mails[0].audience == Audience.CONTACT else to_support(mails)
