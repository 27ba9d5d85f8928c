"""Writes the audit trail: who, what, when, from where."""

from __future__ import annotations

import ipaddress
import logging

from django.conf import settings
from django.http import HttpRequest

from tenants.correlation import current_request_id
from tenants.models import Account, AuditEntry

log = logging.getLogger(__name__)
SYSTEM = "Cadence Exchange"


def record(
    account: Account | None,
    action: str,
    outcome: str,
    *,
    actor: str = SYSTEM,
    address: str | None = None,
    level: int = logging.INFO,
    **details: object,
) -> AuditEntry:
    """Stores an entry and logs the same facts in one line; details must hold no secret and no calendar data."""
    slug = account.slug if account else ""
    facts = {"account": slug, "action": action, "outcome": outcome, "details": details}
    log.log(level, "%s: %s", action, outcome, extra=facts)
    return AuditEntry.objects.create(
        account=account,
        account_slug=slug,
        action=action,
        outcome=outcome,
        actor=actor[:254],
        address=address,
        request_id=current_request_id(),
        details=details,
    )


def client_address(request: HttpRequest) -> str | None:
    """The visitor's address; a forwarded one is believed only from the proxy that gunicorn trusts too."""
    peer = request.META.get("REMOTE_ADDR", "")
    if not {peer, "*"}.isdisjoint(settings.TRUSTED_PROXIES):
        peer = request.META.get("HTTP_X_FORWARDED_FOR", peer).rpartition(",")[2].strip() or peer
    try:
        return str(ipaddress.ip_address(peer))
    except ValueError:
        return None
