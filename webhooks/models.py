"""Rows: endpoints of receivers, events to deliver to them, and each attempt to do so."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from microsoft.errors import Unavailable
from microsoft.http import Deadline, within
from microsoft.secret import Secret
from tenants.fields import EncryptedTextField
from tenants.models import Account
from webhooks.addresses import AddressRefused, parse, resolve
from webhooks.events import EventType

_NAME_PATIENCE_SECONDS = 5.0


def validate_address(url: str) -> None:
    """Only addresses that may be sent to, by what their name resolves to now."""
    hosts = settings.WEBHOOK_PRIVATE_HOSTS
    try:
        target = parse(url, hosts)
        within(Deadline.after(_NAME_PATIENCE_SECONDS), lambda: resolve(target, hosts))
    except AddressRefused as refused:
        raise ValidationError(str(refused), code=refused.code) from None
    except Unavailable:
        raise ValidationError("This host name could not be looked up in time.", code="name_unknown") from None


def validate_events(events: Any) -> None:
    """A list of known events, each once; empty means all."""
    known = {event.value for event in EventType}
    if not isinstance(events, list) or not set(events) <= known or len(set(events)) != len(events):
        raise ValidationError(f"Events are {', '.join(sorted(known))}.", code="events")


class EndpointManager(models.Manager["Endpoint"]):
    """Leaves secrets encrypted until they are asked for: lists and filters work also while their key is missing."""

    def get_queryset(self) -> models.QuerySet[Endpoint]:
        return super().get_queryset().defer("secret", "previous_secret")


class Endpoint(models.Model):
    """An address of the Cadence backend, which accounts and events it hears of, and the secret that signs."""

    url = models.CharField("address", max_length=500, validators=[validate_address])
    secret = EncryptedTextField()
    # Signs beside the new one until then, so that the receiver may change its copy when it suits.
    previous_secret = EncryptedTextField(null=True)
    previous_until = models.DateTimeField(null=True, editable=False)
    accounts = models.ManyToManyField(Account, blank=True, related_name="webhook_endpoints")
    all_accounts = models.BooleanField(default=False)
    events = models.JSONField(default=list, blank=True, validators=[validate_events], help_text="Empty: all")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)

    objects = EndpointManager()

    class Meta:
        ordering = ["pk"]
        verbose_name = "webhook endpoint"

    def __str__(self) -> str:
        return f"{self.host} (endpoint {self.pk})"

    @property
    def host(self) -> str:
        """What may be shown and logged of the address: its path may be a secret of the receiver's."""
        return self.url.partition("://")[2].partition("/")[0].partition("?")[0]

    def secrets_at(self, now: Any) -> tuple[Secret, ...]:
        """Those that sign at this time, the newest first."""
        if self.previous_secret is None or self.previous_until is None or self.previous_until <= now:
            return (self.secret,)
        return self.secret, self.previous_secret


class Delivery(models.Model):
    """One event on its way to one endpoint.

    `next_try_at` drives everything: null once the delivery has ended. To claim a row is to move it ahead under one's
    own `holder`; when the claimer dies the row is due again by itself.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField(default=uuid4)
    type = models.CharField(max_length=40)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="+")
    payload = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    next_try_at = models.DateTimeField(default=timezone.now, null=True)
    holder = models.CharField(max_length=36, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=32, blank=True)
    latency_ms = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event_id"], name="event_once_per_endpoint")]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="delivery_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    @property
    def standing(self) -> str:
        """In a word."""
        if self.next_try_at is not None:
            return "waiting"
        return "delivered" if self.delivered_at else "failed"


class Attempt(models.Model):
    """One try of a delivery: what the receiver answered, never the answer itself."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=32, blank=True)
    latency_ms = models.PositiveIntegerField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.error or self.status}"
