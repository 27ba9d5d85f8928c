"""Says of tokens that are stored already which of FERNET_KEYS they are under."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import migrations
from django.db.models import BinaryField
from django.db.models.functions import Cast

BATCH = 500


def fill(apps: Any, schema_editor: Any) -> None:
    """Row by row, only where nobody wrote meanwhile; what no key opens, or two do, stays without."""
    keys = {sha256(key.encode()).hexdigest()[:16]: Fernet(key) for key in settings.FERNET_KEYS}
    rows = apps.get_model("tenants", "TokenRecord").objects.using(schema_editor.connection.alias).filter(key_id="")
    raw = rows.annotate(**{f"raw_{name}": Cast(name, BinaryField()) for name in ("refresh_token", "access_token")})
    last = 0
    while batch := list(
        raw.filter(pk__gt=last)
        .order_by("pk")
        .values_list("pk", "version", "raw_refresh_token", "raw_access_token")[:BATCH]
    ):
        for pk, version, *values in batch:
            found = {_key_of(bytes(value), keys) for value in values}
            if len(found) == 1:
                rows.filter(pk=pk, version=version).update(key_id=found.pop())
        last = batch[-1][0]


def _key_of(value: bytes, keys: dict[str, Fernet]) -> str:
    for name, fernet in keys.items():
        try:
            fernet.decrypt(value)
        except InvalidToken:
            continue
        return name
    return ""


class Migration(migrations.Migration):
    atomic = False  # no row stays locked while the version before serves
    dependencies = [("tenants", "0003_years_of_checks")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
