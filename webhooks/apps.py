"""The app of webhooks."""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Hears from the app below what happens to connections."""

    name = "webhooks"
    verbose_name = "Webhooks"
