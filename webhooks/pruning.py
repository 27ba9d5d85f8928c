"""Forgets what is old: deliveries with their attempts, and secrets that no longer sign."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from webhooks.models import Delivery, Endpoint

KEEP = timedelta(days=30)
BATCH = 500


def prune() -> int:
    """How many deliveries went, whether delivered, failed or still waiting for a disabled endpoint."""
    now = timezone.now()
    Endpoint.objects.filter(previous_until__lte=now).update(previous_secret=None, previous_until=None)
    pruned = 0
    # In batches: no transaction is long, and a kill loses nothing.
    while batch := list(Delivery.objects.filter(created_at__lt=now - KEEP).values_list("pk", flat=True)[:BATCH]):
        Delivery.objects.filter(pk__in=batch).delete()
        pruned += len(batch)
    return pruned
