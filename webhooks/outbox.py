"""Writes events into the table of deliveries, within the transaction of what they tell of.

So an event exists exactly when its cause does: a change that is rolled back was never told, and one that is committed
will be, whatever happens to this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db.models import Count, Min, Q
from django.utils import timezone

from tenants.changes import Change
from tenants.models import Account
from tenants.status import Backlog
from webhooks.events import TEST, EventType, data_of, envelope, expiring, types_of
from webhooks.models import Delivery, Endpoint


def note_change(*, connection_id: int, change: Change, **_: Any) -> None:
    """Hears tenants.signals.connection_changed."""
    types = types_of(change)
    if types and Endpoint.objects.filter(disabled_at=None).exists():
        account = Account.objects.get(connection=connection_id)
        for event_type in types:
            _tell(event_type, account, change.at, data_of(change))


def note_expiry(*, subject: str, expires_at: datetime, days_left: int, **_: Any) -> None:
    """Hears tenants.signals.credential_expiring; a subject without an account is the installation's own."""
    what, _colon, slug = subject.partition(":")
    account = Account.objects.get(slug=slug) if slug else None
    _tell(EventType.EXPIRING, account, timezone.now(), expiring(what, expires_at, days_left))


def note_test(endpoint: Endpoint) -> Delivery:
    """An event that only says that the way is open."""
    event_id, now = uuid4(), timezone.now()
    payload = envelope(event_id, TEST, now, None, {})
    return Delivery.objects.create(
        endpoint=endpoint, event_id=event_id, type=TEST, payload=payload, created_at=now, next_try_at=now
    )


def backlog(now: datetime) -> Backlog:
    """Deliveries whose time has come, to endpoints that are not disabled."""
    due = Delivery.objects.filter(next_try_at__lte=now, endpoint__disabled_at=None)
    return Backlog(**due.aggregate(due=Count("pk"), oldest=Min("next_try_at")))


def failed_since(at: datetime) -> int:
    """How many deliveries of events since then were given up."""
    return Delivery.objects.filter(next_try_at=None, delivered_at=None, created_at__gte=at).count()


def _tell(event_type: EventType, account: Account | None, at: datetime, data: Mapping[str, object]) -> None:
    event_id, now = uuid4(), timezone.now()
    payload = envelope(event_id, event_type.value, at, account.slug if account else None, data)
    Delivery.objects.bulk_create(
        Delivery(
            endpoint_id=endpoint_id,
            event_id=event_id,
            type=event_type.value,
            account=account,
            payload=payload,
            created_at=now,
            next_try_at=now,
        )
        for endpoint_id in _interested(event_type, account)
    )


def _interested(event_type: EventType, account: Account | None) -> list[int]:
    """Values and no rows: a secret that cannot be opened must not stop what happens to a connection."""
    reach = Q(all_accounts=True)
    if account is not None:
        reach |= Q(pk__in=Endpoint.accounts.through.objects.filter(account=account).values("endpoint"))
    rows = Endpoint.objects.filter(reach, disabled_at=None).values_list("pk", "events")
    return [pk for pk, events in rows if not events or event_type.value in events]
