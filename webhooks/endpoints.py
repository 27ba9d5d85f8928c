"""What people, and a receiver that is gone, do to endpoints and deliveries; each with its audit entry."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from microsoft.secret import Secret
from tenants import audit
from tenants.models import Account
from webhooks import outbox, signing
from webhooks.models import Delivery, Endpoint

OVERLAP = timedelta(days=3)  # how long the secret before the newest still signs


class Who(TypedDict, total=False):
    """Actor and address of an audit entry."""

    actor: str
    address: str | None


def renew_secret(endpoint: Endpoint, **who: Unpack[Who]) -> Secret:
    """A new secret, to be shown this once; the old one signs beside it for a while."""
    made = signing.new_secret()
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        Endpoint.objects.filter(pk=row.pk).update(
            secret=made, previous_secret=row.secret, previous_until=timezone.now() + OVERLAP
        )
        record(row, "webhook_secret_renewed", **who)
    return made


def disable(endpoint_id: int, *, why: str, **who: Unpack[Who]) -> bool:
    """Nothing is written or sent for it any more; what waits keeps waiting. False when it was so already."""
    with transaction.atomic():
        rows = Endpoint.objects.filter(pk=endpoint_id)
        if not rows.filter(disabled_at=None).update(disabled_at=timezone.now()):
            return False
        record(rows.get(), "webhook_disabled", why=why, **who)
    return True


def enable(endpoint_id: int, **who: Unpack[Who]) -> bool:
    """Goes on, with what still waits. False when it was so already."""
    with transaction.atomic():
        rows = Endpoint.objects.filter(pk=endpoint_id)
        if not rows.filter(disabled_at__isnull=False).update(disabled_at=None):
            return False
        record(rows.get(), "webhook_enabled", **who)
    return True


def send_test(endpoint: Endpoint, **who: Unpack[Who]) -> Delivery:
    """Puts a test event among what is due."""
    with transaction.atomic():
        record(endpoint, "webhook_tested", **who)
        return outbox.note_test(endpoint)


def deliver_again(delivery: Delivery, **who: Unpack[Who]) -> None:
    """From the start, whatever became of it; its id stays, so a receiver that had it can tell."""
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(
            next_try_at=timezone.now(), holder="", attempts=0, delivered_at=None, failed_at=None
        )
        audit.record(
            delivery.account,
            "webhook_delivered_again",
            "ok",
            **who,
            endpoint=delivery.endpoint_id,
            event=str(delivery.event_id),
        )


def record(endpoint: Endpoint, action: str, *, why: str = "", **who: Unpack[Who]) -> None:
    """One entry per account the endpoint hears of; one without an account when it hears of all."""
    accounts: list[Account | None] = [None] if endpoint.all_accounts else [*endpoint.accounts.all()]
    for account in accounts:
        audit.record(account, action, "ok", **who, endpoint=endpoint.pk, host=endpoint.host, why=why)
