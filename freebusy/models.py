"""Rows: mailboxes asked for lately, where probes look; rosters checked before use; what is left of rosters to read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tenants.models import Account


class KnownMailbox(models.Model):
    """A mailbox that somebody asked for lately and that could be read; what it holds is kept as a number only."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="known_mailboxes", db_index=False)
    address = models.CharField(max_length=254, help_text="Lower case, of one of the account's domains")
    last_asked_at = models.DateTimeField(db_index=True)
    last_probed_at = models.DateTimeField(null=True)
    entries = models.PositiveIntegerField(null=True, help_text="Of the probe's window, when last seen and believed")
    entries_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "address"], name="mailbox_of_account")]
        indexes = [models.Index(fields=["account", "last_probed_at"], name="mailbox_by_probe")]

    def __str__(self) -> str:
        return f"mailbox {self.pk} of account {self.account_id}"


class Preflight(models.Model):
    """One run over a roster of addresses: can each calendar be read?

    `next_try_at` drives everything; null once the run has ended. To claim the run is to move it ahead under one's own
    `holder`; when the claimer dies it is due again by itself.
    """

    class Outcome(models.TextChoices):
        """How a run ended; a running one has none yet."""

        RUNNING = "", "running"
        DONE = "done", "done"
        CANCELED = "canceled", "canceled"
        NOT_CONNECTED = "not_connected", "the account is not connected"

    class Source(models.TextChoices):
        """Where the addresses come from."""

        GIVEN = "given", "pasted or uploaded"
        KNOWN = "known", "known mailboxes"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="preflights", db_index=False)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.GIVEN)
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_by = models.CharField(max_length=254)
    next_try_at = models.DateTimeField(null=True, db_index=True)
    holder = models.CharField(max_length=36, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Of the addresses under way, without an answer")
    held_up = models.CharField(max_length=64, blank=True, help_text="Why the last try brought no answer")
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True, default=Outcome.RUNNING)

    class Meta:
        indexes = [models.Index(fields=["account", "started_at"], name="preflight_of_account")]
        constraints = [
            # One call at a time for a customer: this is background work.
            models.UniqueConstraint(
                fields=["account"], condition=Q(next_try_at__isnull=False), name="one_running_preflight"
            )
        ]

    def __str__(self) -> str:
        return f"preflight {self.pk} of account {self.account_id}"


class PreflightAddress(models.Model):
    """One address of a run and what became of it; nothing of what the calendar holds."""

    preflight = models.ForeignKey(Preflight, on_delete=models.CASCADE, related_name="addresses", db_index=False)
    address = models.CharField(max_length=254, help_text="As it was given")
    code = models.CharField(max_length=32, blank=True, help_text="Of freebusy.preflight.findings; empty: not asked yet")
    raw = models.CharField(max_length=64, blank=True, help_text="Microsoft's own code")
    checked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["preflight", "address"], name="address_of_preflight")]

    def __str__(self) -> str:
        return f"address {self.pk} of preflight {self.preflight_id}"


class UnfinishedRoster(models.Model):
    """What of a roster is still to be read ahead; the row is deleted when nothing is left, or is of use no more.

    To claim it is to move `next_try_at` ahead under one's own `holder`, as for a Preflight.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="unfinished_rosters")
    addresses = models.JSONField(default=list, help_text="As they were given")
    start = models.DateTimeField()
    end = models.DateTimeField()
    read_since = models.DateTimeField(help_text="What was read before is too old")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    next_try_at = models.DateTimeField(default=timezone.now, db_index=True)
    holder = models.CharField(max_length=36, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Since the last that brought anything")

    def __str__(self) -> str:
        return f"unfinished roster {self.pk} of account {self.account_id}"
