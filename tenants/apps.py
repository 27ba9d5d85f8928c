"""The app of accounts, consent and tokens."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Customers and how we may ask Microsoft."""

    name = "tenants"
    verbose_name = "Customers and connections"

    def ready(self) -> None:
        from microsoft import watching
        from tenants import microsoft_calls

        watching.watch(microsoft_calls.count)
