"""The wiring as a Django app, so that its checks are found."""

from __future__ import annotations

from django.apps import AppConfig


class WiringConfig(AppConfig):
    """Registers the start-up checks."""

    name = "cadence_exchange"
    verbose_name = "Cadence Exchange"

    def ready(self) -> None:
        from cadence_exchange import checks  # noqa: F401  (registers itself once apps are ready)
