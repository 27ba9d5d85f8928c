"""What the pages' permissions hang on, and what two people must agree about."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from console.permissions import PERMISSIONS
from tenants.models import Account


class NoRows(models.Manager["Console"]):
    """Finds nothing, without asking: Django's admin looks for rows of any model that it is told of."""

    def get_queryset(self) -> models.QuerySet[Console]:
        return super().get_queryset().none()


class Console(models.Model):
    """No table: Django wants a model for permissions that are about no kind of row."""

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ()
        permissions = list(PERMISSIONS.items())

    def __str__(self) -> str:
        return "Cadence Admin"


class TenantSwitch(models.Model):
    """That somebody proposes to let an account move to another Entra tenant, and what became of it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    tenant_id = models.CharField(max_length=36, help_text="Where to")
    previous_tenant_id = models.CharField(max_length=36, blank=True, help_text="Where from")
    # Without its proposer nobody could tell whether a second person approves it: it is then dead.
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    proposed_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, help_text="When it was approved or withdrawn")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["account"], condition=Q(settled_at=None), name="one_switch_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} to {self.tenant_id}"
