"""Ends a connection from our side: tokens are deleted, reading stops, the binding to the Entra tenant is cleared."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from tenants import audit, vault
from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import Event, State, after
from tenants.models import Account, Connection
from tenants.signals import connection_changed, connection_lost


def disconnect(account: Account, *, why: str, actor: str, address: str | None = None) -> Connection:
    """The account's connection, now disabled. Safe to repeat."""
    now = timezone.now()
    with transaction.atomic():
        connection, _ = Connection.objects.select_for_update().get_or_create(account=account)
        was_enabled, state_before, health_before = (
            connection.enabled,
            State(connection.state),
            Health(connection.health),
        )
        connection.state = after(State(connection.state), Event.DISCONNECTED).value
        connection.state_changed_at = now
        connection.reason_code, connection.reason_at = "disconnected", now
        connection.health, connection.health_since = Health.UNKNOWN.value, now
        connection.bad_in_a_row = 0
        connection.tenant_id = connection.refused_tenant_id = connection.allowed_tenant_id = ""
        connection.save()
        vault.forget(connection)
        audit.record(account, "disconnect", "disabled", actor=actor, address=address, why=why)
        change = Change(now, state_before, State.DISABLED, health_before, Health.UNKNOWN, "disconnected")
        connection_changed.send(Connection, connection_id=connection.pk, change=change)
        if was_enabled:
            transaction.on_commit(
                lambda: connection_lost.send(Connection, connection_id=connection.pk, reason="disconnected")
            )
    return connection
