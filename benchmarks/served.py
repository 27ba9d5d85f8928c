"""One connected customer with an API key, in the database that the environment names, for `benchmarks.serving`.

python -m benchmarks.served      # migrates, fills, prints {"key": …}
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from benchmarks.calendar_endpoint import DOMAIN  # noqa: E402
from microsoft.secret import Secret  # noqa: E402
from tenants.authentication import new_key  # noqa: E402
from tenants.lifecycle import State  # noqa: E402
from tenants.models import Account, ApiKey, Connection, TokenRecord  # noqa: E402

SLUG = "contoso"


def fill(reader: str) -> str:
    """The customer, connected just now with a token for hours; returns the clear key."""
    now = timezone.now()
    account = Account.objects.create(slug=SLUG, name="Contoso", domains=[DOMAIN], time_zone="Europe/Berlin")
    connection = Connection.objects.create(
        account=account,
        mode="service_account",
        state=State.ENABLED.value,
        tenant_id="00000000-0000-4000-8000-000000000001",
        reader_oid="00000000-0000-4000-9000-000000000001",
        reader=reader,
        connected_at=now,
        last_used_at=now,
        probe_due_at=now + timedelta(days=1),
    )
    TokenRecord.objects.create(
        connection=connection,
        refresh_token=Secret("r" * 1400),
        access_token=Secret("a" * 2200),
        access_expires_at=now + timedelta(hours=12),
        refreshed_at=now,
        refresh_due_at=now + timedelta(hours=6),
    )
    made = new_key()
    key = ApiKey.objects.create(name="backend", prefix=made.prefix, key_hash=made.key_hash)
    key.accounts.add(account)
    return made.key.reveal()


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    print(json.dumps({"key": fill(f"reader@{DOMAIN}")}))
