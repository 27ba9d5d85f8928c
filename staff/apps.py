"""The app of staff's sign-ins."""

from __future__ import annotations

from django.apps import AppConfig


class StaffConfig(AppConfig):
    """Sign-ins are written down from here on."""

    name = "staff"
    verbose_name = "Staff"

    def ready(self) -> None:
        from staff import checks, sign_ins  # noqa: F401 - they register themselves
