"""Rows made into targets: everything that a look at a connection needs, read for many at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import BinaryField, ExpressionWrapper, F
from django.utils import timezone

from freebusy import mailboxes, set_aside
from freebusy.canary import Memory
from freebusy.looks import Target
from microsoft.errors import ConsentRequired, IntegrationError, Throttled, Unavailable, error_for
from tenants import microsoft365, refreshing, vault
from tenants.lifecycle import State
from tenants.models import Connection
from tenants.pace import pace
from tenants.places import Urgency

WITNESSES = 2


def targets(connection_ids: Collection[int], urgency: Urgency = Urgency.BACKGROUND) -> list[Target]:
    """These connections as they are now; without a token where it is about to end."""
    now = timezone.now()
    rows = _rows(connection_ids)
    careful = set_aside.readers()
    samples = mailboxes.sample([row.account_id for row in rows])
    return [
        Target(
            connection_id=row.pk,
            account=row.account.slug,
            tenant_id=row.tenant_id,
            reader=row.reader,
            graph=microsoft365.graph_for(row.account, row.quota_key, urgency),
            quota_key=row.quota_key,
            graph_service=microsoft365.graph_service(row.account),
            entra_service=microsoft365.entra_service(row.account),
            in_use=pace().in_use(row.last_used_at, row.connected_at, now),
            began=now,
            sealed=_usable_token(row, now),
            sample=_sample(row, samples.get(row.account_id, ()), careful),
        )
        for row in rows
    ]


def renewed(old: Sequence[Target]) -> list[Target]:
    """The targets with new access tokens, or with the reason why they have none; asked of Entra all at once."""
    ids = [target.connection_id for target in old]
    refreshing.refresh_these(ids)
    rows = {row.pk: row for row in _rows(ids)}
    return [_with_token(target, rows[target.connection_id]) for target in old if target.connection_id in rows]


def witnesses(of: Target, service: str) -> list[Target]:
    """Up to two connections of other tenants at this service, those checked last first."""
    others = Connection.objects.filter(state=State.ENABLED.value).exclude(tenant_id=of.tenant_id)
    latest = others.order_by(F("last_check_at").desc(nulls_last=True)).values_list("pk", flat=True)
    found: dict[str, Target] = {}
    for target in targets(list(latest[: 10 * WITNESSES])):
        if service in (target.graph_service, target.entra_service):
            found.setdefault(target.tenant_id, replace(target, sample=()))
    chosen = list(found.values())[:WITNESSES]
    return [_as_witness(target, service) for target in chosen]


def _as_witness(target: Target, service: str) -> Target:
    """For Graph the token at hand will do; for Entra only one that Entra has just given."""
    if service == target.graph_service and target.sealed:
        return target
    return next(iter(renewed([replace(target, refused=target.sealed)])), target)


# Connections with annotations, which Django's types do not know.
def _rows(connection_ids: Collection[int]) -> list[Any]:
    return list(
        Connection.objects.filter(pk__in=connection_ids)
        .select_related("account")
        .annotate(
            sealed=ExpressionWrapper(F("token__access_token"), BinaryField()),  # one bad row must not stop all
            token_ends_at=F("token__access_expires_at"),
            token_due_at=F("token__refresh_due_at"),
            token_failure=F("token__last_failure_code"),
        )
    )


def _sample(row: Any, remembered: Sequence[Memory], careful: Collection[str]) -> tuple[Memory, ...]:
    """The account's own, but for those at which whole calls failed: questions of people find out when they are well."""
    own = [memory for memory in remembered if row.account.owns(memory.address)]
    if set_aside.may_concern(row.quota_key, careful):
        well = set(set_aside.without(row.quota_key, [memory.address for memory in own]))
        own = [memory for memory in own if memory.address in well]
    return tuple(own)


def _usable_token(row: Any, now: datetime) -> bytes:
    usable = row.token_ends_at is not None and row.token_ends_at - now > vault.EARLY
    return bytes(row.sealed) if usable else b""


def _with_token(target: Target, row: Any) -> Target:
    now = timezone.now()
    sealed = _usable_token(row, now)
    if sealed and sealed != target.refused:
        return replace(target, sealed=sealed, renewed=True)
    return replace(target, sealed=b"", failure=_failure(row, now), renewed=True)


def _failure(row: Any, now: datetime) -> IntegrationError:
    """What the attempt met; a refusal that did not cost the connection is one that may pass."""
    if row.token_ends_at is None:
        return ConsentRequired("disconnected", "The connection has no tokens any more.")
    error = error_for(row.token_failure or "refresh_wait", "No new access token could be had.")
    wait = max((row.token_due_at - now).total_seconds(), 0.0)  # by then another attempt may be made
    if error.code == "throttled":
        return Throttled(error.code, error.detail, retry_after=wait)
    if isinstance(error, Unavailable) or (isinstance(error, ConsentRequired) and row.state == State.ENABLED):
        return Unavailable(error.code, error.detail, retry_after=wait)
    return error
