"""Rows: incidents, the mails about them, and warnings of credentials that end."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

from alerts.trouble import Ending, Severity
from tenants.models import Account, Connection


class Incident(models.Model):
    """One trouble from its beginning to its end. Without a connection it is everybody's."""

    subject = models.CharField(max_length=200, help_text="What is in trouble; one open incident each")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="incidents", null=True)
    code = models.CharField(max_length=64, blank=True, help_text="Reason, as docs/reasons.md lists it")
    severity = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Severity])
    began_at = models.DateTimeField(help_text="When the trouble began, as far as we know")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    ending = models.CharField(max_length=16, choices=[(e.value, e.value) for e in Ending], blank=True)
    escalations = models.PositiveSmallIntegerField(default=0, help_text="How often it became worse while it lasted")

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["subject"], condition=Q(closed_at=None), name="one_open_incident"),
        ]
        indexes = [models.Index(fields=["-opened_at"], name="incident_by_time")]

    def __str__(self) -> str:
        return f"{self.severity} {self.subject} since {self.began_at:%Y-%m-%d %H:%M}"

    @classmethod
    def open(cls) -> models.QuerySet[Incident]:
        """Those that last."""
        return cls.objects.filter(closed_at=None)


class Kind(models.TextChoices):
    """What a mail says."""

    ALERT = "alert", "alert"
    ALL_CLEAR = "all_clear", "all-clear"
    CONNECTED = "connected", "consent"
    EXPIRING = "expiring", "ending credential"
    IDLE = "idle", "unused sign-in"
    RECONNECT = "reconnect", "reconnect link"


class Audience(models.TextChoices):
    """Whom a mail is for."""

    CONTACT = "contact", "contact"
    SUPPORT = "support", "support"


class Status(models.TextChoices):
    """What became of a mail."""

    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    FAILED = "failed", "failed"
    DROPPED = "dropped", "no longer needed"
    NOBODY = "nobody", "no address known"


def new_message_id() -> str:
    """The part before the @ of a Message-ID."""
    return uuid4().hex


class Mail(models.Model):
    """One mail to one reader; its words are found when it is sent and kept nowhere."""

    key = models.CharField(max_length=200, unique=True, help_text="What it is about and for whom: sent once only")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    audience = models.CharField(max_length=16, choices=Audience.choices)
    recipient = models.EmailField(blank=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="mails", null=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="mails", null=True)
    facts = models.JSONField(default=dict, help_text="What no other row keeps: a proof, a date")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    settled_at = models.DateTimeField(null=True, help_text="When it was sent or given up")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now, help_text="While it is being sent: when the claim ends")
    claim = models.CharField(max_length=36, blank=True, editable=False)
    message_id = models.CharField(max_length=32, default=new_message_id, help_text="Mails sent together share one")
    last_error = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["status", "audience", "next_try_at"], name="mail_due")]

    def __str__(self) -> str:
        return f"{self.kind} to {self.audience}, {self.status}"


class Pace(models.Model):
    """Until when no further mail may go to support: kept here so that all workers keep to it."""

    audience = models.CharField(max_length=16, primary_key=True)
    free_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.audience} from {self.free_at:%Y-%m-%d %H:%M}"


class ExpiryWarning(models.Model):
    """That somebody was warned of one end, this many days before it: each only once."""

    subject = models.CharField(max_length=100, help_text="client_secret, client_certificate or token:<account>")
    expires_at = models.DateTimeField()
    days = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "expires_at", "days"], name="one_warning_each")]

    def __str__(self) -> str:
        return f"{self.subject} {self.days} days before {self.expires_at:%Y-%m-%d}"


def settled(**fields: Any) -> dict[str, Any]:
    """The columns of a mail that has found its end, besides `fields`."""
    return {"settled_at": timezone.now(), "claim": "", **fields}
