"""What the pages' permissions hang on."""

from __future__ import annotations

from django.db import models

from console.permissions import PERMISSIONS


class Console(models.Model):
    """No table: Django wants a model for permissions that are about no kind of row."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = list(PERMISSIONS.items())

    def __str__(self) -> str:
        return "Cadence Admin"
