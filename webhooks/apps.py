"""The app of webhooks."""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Hears from the app below what happens to connections."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        from tenants.signals import connection_changed, credential_expiring
        from webhooks import outbox

        connection_changed.connect(outbox.note_change, dispatch_uid="webhooks")
        credential_expiring.connect(outbox.note_expiry, dispatch_uid="webhooks")
