"""Rows made into targets: everything that a look at a connection needs, read for many at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.db.models import BinaryField, ExpressionWrapper, F
from django.utils import timezone

from freebusy import mailboxes, set_aside
from freebusy.canary import Memory
from freebusy.looks import Target
from microsoft.errors import ConsentRequired, IntegrationError, Throttled, Unavailable, error_for
from tenants import microsoft365, refreshing, vault
from tenants.lifecycle import State
from tenants.models import Account, Connection, quota_key_of
from tenants.pace import pace
from tenants.places import ReaderGate, Urgency

WITNESSES = 2


def targets(connection_ids: Collection[int], urgency: Urgency = Urgency.BACKGROUND) -> list[Target]:
    """These connections as they are now; without a token where it is about to end."""
    now, in_use = timezone.now(), pace().in_use
    rows = _rows(connection_ids)
    careful = set_aside.readers()
    samples = mailboxes.sample([row.account_id for row in rows])
    clouds = {cloud: _Cloud(cloud) for cloud in {row.cloud for row in rows}}
    found: list[Target] = []
    for row in rows:
        quota_key, cloud = quota_key_of(row.tenant_id, row.reader_oid), clouds[row.cloud]
        gate = ReaderGate(quota_key, urgency)
        found.append(
            Target(
                connection_id=row.pk,
                account=row.slug,
                tenant_id=row.tenant_id,
                reader=row.reader,
                graph=microsoft365.graph_through(cloud.graph_url, gate),
                gate=gate,
                quota_key=quota_key,
                graph_service=cloud.graph_service,
                entra_service=cloud.entra_service,
                in_use=in_use(row.last_used_at, row.connected_at, now),
                began=now,
                sealed=_usable_token(row, now),
                sample=_sample(row, quota_key, samples.get(row.account_id, ()), careful),
            )
        )
    return found


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


class _Cloud:
    """What all accounts of one cloud have in common."""

    def __init__(self, name: str) -> None:
        account = Account(cloud=name)
        self.graph_url = microsoft365.graph_url(account)
        self.graph_service = microsoft365.graph_service(account)
        self.entra_service = microsoft365.entra_service(account)


class _Row(NamedTuple):
    """What a target is made of; a sweep reads many, and model objects cost twice as much."""

    pk: int
    state: str
    tenant_id: str
    reader_oid: str
    reader: str
    connected_at: datetime | None
    last_used_at: datetime | None
    account_id: int
    slug: str
    domains: list[str]
    cloud: str
    sealed: bytes | None
    token_ends_at: datetime | None
    token_due_at: datetime | None
    token_failure: str | None


def _rows(connection_ids: Collection[int]) -> list[_Row]:
    found = Connection.objects.filter(pk__in=connection_ids).values_list(
        "pk",
        "state",
        "tenant_id",
        "reader_oid",
        "reader",
        "connected_at",
        "last_used_at",
        "account_id",
        "account__slug",
        "account__domains",
        "account__cloud",
        ExpressionWrapper(F("token__access_token"), BinaryField()),  # as it is stored: one bad row must not stop all
        "token__access_expires_at",
        "token__refresh_due_at",
        "token__last_failure_code",
    )
    return [_Row(*row) for row in found.order_by("account__slug")]


def _sample(row: _Row, quota_key: str, remembered: Sequence[Memory], careful: Collection[str]) -> tuple[Memory, ...]:
    """The account's own, but for those at which whole calls failed: questions of people find out when they are well."""
    if not remembered:
        return ()
    account = Account(domains=row.domains)
    own = [memory for memory in remembered if account.owns(memory.address)]
    if set_aside.may_concern(quota_key, careful):
        well = set(set_aside.without(quota_key, [memory.address for memory in own]))
        own = [memory for memory in own if memory.address in well]
    return tuple(own)


def _usable_token(row: _Row, now: datetime) -> bytes:
    if row.sealed is None or row.token_ends_at is None or row.token_ends_at - now <= vault.EARLY:
        return b""
    return bytes(row.sealed)


def _with_token(target: Target, row: _Row) -> Target:
    now = timezone.now()
    sealed = _usable_token(row, now)
    if sealed and sealed != target.refused:
        return replace(target, sealed=sealed, renewed=True)
    return replace(target, sealed=b"", failure=_failure(row, now), renewed=True)


def _failure(row: _Row, now: datetime) -> IntegrationError:
    """What the attempt met; a refusal that did not cost the connection is one that may pass."""
    if row.token_due_at is None:
        return ConsentRequired("disconnected", "The connection has no tokens any more.")
    error = error_for(row.token_failure or "refresh_wait", "No new access token could be had.")
    wait = max((row.token_due_at - now).total_seconds(), 0.0)  # by then another attempt may be made
    if error.code == "throttled":
        return Throttled(error.code, error.detail, retry_after=wait)
    if isinstance(error, Unavailable) or (isinstance(error, ConsentRequired) and row.state == State.ENABLED):
        return Unavailable(error.code, error.detail, retry_after=wait)
    return error
