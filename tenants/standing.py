"""How a connection stands, as its own consent page tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from microsoft.reasons import Reason, reason
from tenants.health import Health, Outcome, believable
from tenants.models import Account, Connection
from tenants.pace import pace


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
    why = why_bad(connection)
    return Standing(connection, shown_health(connection, timezone.now()), reason(why) if why else None)


def shown_health(connection: Connection, now: datetime) -> Health:
    """The one health that pages, API and admin show: unknown when nobody checked lately, as lately goes for it."""
    return pace().shown(
        believable(Health(connection.health), enabled=connection.enabled),
        connection.last_check_at,
        last_used_at=connection.last_used_at,
        connected_at=connection.connected_at,
        now=now,
    )


def why_bad(connection: Connection) -> str:
    """The code of what is wrong: why it was lost, or what the last check met; "" when nothing is."""
    if connection.reason_code or connection.last_check_outcome == Outcome.OK:
        return connection.reason_code
    return connection.last_check_code
