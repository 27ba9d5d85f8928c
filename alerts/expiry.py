"""Warns of what ends by its age: our own credential, and sign-ins that nobody has used for long."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from alerts import outbox
from alerts.credentials import own_credential
from alerts.models import ExpiryWarning, Kind
from tenants.lifecycle import State
from tenants.models import TokenRecord
from tenants.signals import credential_expiring

log = logging.getLogger(__name__)

DAYS = (30, 14, 3)
# https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
UNUSED_LASTS = timedelta(days=90)


def threshold(left: timedelta) -> int | None:
    """Which of the three warnings is due with so much time left: only the last of several; None before the first."""
    return min((days for days in DAYS if left <= timedelta(days=days)), default=None)


def warn() -> int:
    """Writes the warnings that are due, each once; returns how many are new."""
    now = timezone.now()
    return _of_our_own(now) + sum(_of_idle(token, now) for token in _idle_tokens(now))


def _of_our_own(now: datetime) -> int:
    try:
        found = own_credential()
    except (OSError, ValueError, IndexError) as error:
        log.exception("the client certificate cannot be read", extra={"error": type(error).__name__})
        return 0
    if found is None or (days := _new(found.subject, found.expires_at, now)) is None:
        return 0
    with transaction.atomic():
        if not _first(found.subject, found.expires_at, days, now):
            return 0
        facts = {"credential": found.in_words, **_end(found.expires_at, now)}
        outbox.tell_support(Kind.EXPIRING, _about(found.subject, found.expires_at, days), facts, now)
    return 1


def _idle_tokens(now: datetime) -> list[TokenRecord]:
    """Tokens of enabled connections that nobody has used for so long that a warning is due."""
    since = now - UNUSED_LASTS + timedelta(days=max(DAYS))
    rows = TokenRecord.objects.filter(refreshed_at__lte=since, connection__state=State.ENABLED)
    return list(rows.select_related("connection__account").only("refreshed_at", "connection__account"))


def _of_idle(token: TokenRecord, now: datetime) -> int:
    account, ends = token.connection.account, token.refreshed_at + UNUSED_LASTS
    subject = f"token:{account.slug}"
    days = _new(subject, ends, now)
    if days is None:
        return 0
    with transaction.atomic():
        if not _first(subject, ends, days, now):
            return 0
        facts = {"used_at": token.refreshed_at.isoformat(), **_end(ends, now)}
        outbox.tell_both(Kind.IDLE, account, _about(subject, ends, days), facts, now)
    return 1


def _new(subject: str, ends: datetime, now: datetime) -> int | None:
    """The warning that is due and was not given; read first, so that an hour without news writes nothing."""
    days = threshold(ends - now)
    if days is None:
        return None
    given = ExpiryWarning.objects.filter(subject=subject, expires_at=ends, days=days)
    return None if given.exists() else days


def _first(subject: str, ends: datetime, days: int, now: datetime) -> bool:
    """Whether this caller is the one to warn; tells the other apps in the same transaction."""
    _, created = ExpiryWarning.objects.get_or_create(subject=subject, expires_at=ends, days=days, defaults={"at": now})
    if created:
        left = max((ends - now).days, 0)
        log.warning("credential ends soon", extra={"subject": subject, "days_left": left})
        credential_expiring.send(ExpiryWarning, subject=subject, expires_at=ends, days_left=left)
    return created


def _end(ends: datetime, now: datetime) -> dict[str, object]:
    return {"expires_at": ends.isoformat(), "days_left": max((ends - now).days, 0)}


def _about(subject: str, ends: datetime, days: int) -> str:
    return f"{subject}:{ends:%Y-%m-%d}:{days}"
