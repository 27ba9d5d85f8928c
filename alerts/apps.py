"""The app of incidents and mails."""

from __future__ import annotations

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Hears from the app below what happens to connections."""

    name = "alerts"
    verbose_name = "Incidents and mails"

    def ready(self) -> None:
        from alerts import checks, confirming, incidents  # noqa: F401  (checks register themselves)
        from tenants.signals import connection_changed, connection_proven

        connection_changed.connect(incidents.follow, dispatch_uid="alerts.incidents.follow")
        connection_proven.connect(confirming.confirm, dispatch_uid="alerts.confirming.confirm")
