"""The app of incidents and mails."""

from __future__ import annotations

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Hears from the app below what happens to connections."""

    name = "alerts"
    verbose_name = "Incidents and mails"
