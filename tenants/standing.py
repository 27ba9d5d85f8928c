"""How a connection stands, as its own consent page tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from microsoft.reasons import Reason, reason
from tenants.health import Health, health_now
from tenants.models import Account, Connection


@dataclass(frozen=True, slots=True)
class Standing:
    """`why`: what the last check met, or why the connection was lost; None when all is well."""

    connection: Connection
    health: Health
    why: Reason | None


def standing(account: Account) -> Standing | None:
    """None for an account that was never connected."""
    connection = Connection.objects.filter(account=account, connected_at__isnull=False).first()
    if connection is None:
        return None
    stale_after = timedelta(seconds=settings.HEALTH_STALE_SECONDS)
    health = health_now(Health(connection.health), connection.last_check_at, timezone.now(), stale_after)
    code = connection.reason_code or (connection.last_check_code if connection.bad_in_a_row else "")
    return Standing(connection, health, reason(code) if code else None)
