"""Confirms a consent to the contact and to support: who signed in, and what was read to prove it."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from alerts import outbox
from alerts.models import Kind
from tenants.models import Connection
from tenants.verification import Proof


def confirm(connection_id: int, proof: Proof, **_: Any) -> None:
    """Receiver of `connection_proven`: one mail each, whichever consent of the account it is."""
    connection = Connection.objects.select_related("account").get(pk=connection_id)
    facts: dict[str, object] = {
        "mailbox": proof.mailbox,
        "mode": connection.get_mode_display(),
        "tenant_id": connection.tenant_id,
        "start": proof.start.isoformat(),
        "end": proof.end.isoformat(),
        "at": proof.at.isoformat(),
        "latency_ms": proof.latency_ms,
        "request_id": proof.request_id,
    }
    about = f"consent:{connection.pk}:{proof.at.isoformat()}"
    outbox.tell_both(Kind.CONNECTED, connection.account, about, facts, timezone.now())
