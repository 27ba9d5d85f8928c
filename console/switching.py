"""The move of an account to another Entra tenant takes two people: one proposes it, another, a superuser, allows it.

Only the tenant that was refused last can be proposed, and what is allowed is exactly what was proposed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from console.models import TenantSwitch
from tenants import audit
from tenants.models import Account, Connection

LIFETIME = timedelta(hours=24)


class Refused(Exception):
    """The step is not taken; the words are for whoever tried."""


def waiting(account: Account) -> TenantSwitch | None:
    """The proposal that somebody may still approve."""
    rows = TenantSwitch.objects.filter(account=account, settled_at=None, expires_at__gt=timezone.now())
    return rows.select_related("proposed_by").first()


def why_not(switch: TenantSwitch, connection: Connection, user: User) -> str:
    """Why this person cannot approve it, in words; "" when they can."""
    if switch.proposed_by_id == user.pk:
        return "It takes a second person: whoever proposed the switch cannot approve it."
    if not user.is_superuser:
        return "Only a superuser can approve the switch."
    if (connection.refused_tenant_id, connection.tenant_id) != (switch.tenant_id, switch.previous_tenant_id):
        return "The connection has changed since the switch was proposed. Look again, and propose it anew."
    return ""


def propose(account: Account, tenant_id: str, user: User, address: str | None) -> TenantSwitch:
    """Proposes the tenant that the person was looking at. Raises Refused when it is no longer the one refused last."""
    now = timezone.now()
    with transaction.atomic():
        connection = _locked(account)
        if connection is None or not tenant_id or connection.refused_tenant_id != tenant_id:
            raise Refused("That is not the tenant that was refused last. Please look again.")
        if tenant_id in (connection.allowed_tenant_id, connection.tenant_id):
            raise Refused("The account may connect from that tenant already.")
        open_ones = TenantSwitch.objects.filter(account=account, settled_at=None)
        if open_ones.filter(tenant_id=tenant_id, expires_at__gt=now).exists():
            raise Refused("This switch is proposed already and waits for a second person.")
        open_ones.update(settled_at=now)
        switch = TenantSwitch.objects.create(
            account=account,
            tenant_id=tenant_id,
            previous_tenant_id=connection.tenant_id,
            proposed_by=user,
            proposed_at=now,
            expires_at=now + LIFETIME,
        )
        _write_down("tenant_switch_proposed", switch, user, address)
    return switch


def approve(account: Account, tenant_id: str, user: User, address: str | None) -> TenantSwitch:
    """Lets the next sign-in from exactly this tenant replace the connection. Raises Refused, see `why_not`."""
    with transaction.atomic():
        connection = _locked(account)
        switch = waiting(account)
        if connection is None or switch is None or switch.tenant_id != tenant_id:
            raise Refused("That switch does not wait for approval: it was settled, or proposed more than a day ago.")
        if words := why_not(switch, connection, user):
            raise Refused(words)
        _settle(switch)
        Connection.objects.filter(pk=connection.pk).update(allowed_tenant_id=tenant_id)
        _write_down("tenant_switch_allowed", switch, user, address, proposer=switch.proposed_by.get_username())
    return switch


def withdraw(account: Account, user: User, address: str | None) -> None:
    """Takes a proposal back, whoever made it. Raises Refused when none waits."""
    with transaction.atomic():
        switch = waiting(account)
        if switch is None or not _settle(switch):
            raise Refused("No switch waits for approval.")
        _write_down("tenant_switch_withdrawn", switch, user, address)


def _locked(account: Account) -> Connection | None:
    """The row, so that of two people at the same moment the second sees what the first did."""
    return Connection.objects.select_for_update().filter(account=account).first()


def _settle(switch: TenantSwitch) -> bool:
    return bool(TenantSwitch.objects.filter(pk=switch.pk, settled_at=None).update(settled_at=timezone.now()))


def _write_down(action: str, switch: TenantSwitch, user: User, address: str | None, *, proposer: str = "") -> None:
    second: dict[str, Any] = {"proposed_by": proposer} if proposer else {}
    audit.record(
        switch.account,
        action,
        "ok",
        actor=user.get_username(),
        address=address,
        tenant_id=switch.tenant_id,
        previous_tenant_id=switch.previous_tenant_id,
        **second,
    )
