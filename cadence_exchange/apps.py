"""The wiring as a Django app, so that its checks are found."""

from __future__ import annotations

from django.apps import AppConfig


class WiringConfig(AppConfig):
    """Registers the start-up checks, and the Celery application that tasks are sent through."""

    name = "cadence_exchange"
    verbose_name = "Cadence Exchange"

    def ready(self) -> None:
        from cadence_exchange import celery, checks  # noqa: F401  (both register themselves)
