"""Rows: whose free/busy was asked for lately, so that probes look where it matters."""

from __future__ import annotations

from django.db import models

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
