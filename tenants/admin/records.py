"""What was written down: audit entries and single probes. To read, never to change."""

from __future__ import annotations

from django.contrib import admin

from tenants.admin.parts import ReadOnlyAdmin
from tenants.models import AuditEntry, HealthCheck


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """Who did what, when, from where."""

    list_display = ["at", "account_slug", "action", "outcome", "actor", "address", "request_id"]
    list_filter = ["action", "outcome"]
    search_fields = ["account_slug", "actor", "request_id"]
    show_full_result_count = False
    fields = ["at", "account_slug", "action", "outcome", "actor", "address", "request_id", "details"]


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin[HealthCheck]):
    """Single probes."""

    list_display = ["at", "account", "outcome", "latency_ms", "http_status", "code", "microsoft_request_id"]
    list_select_related = ["connection__account"]
    list_filter = ["outcome"]
    search_fields = ["connection__account__slug", "microsoft_request_id", "code"]
    show_full_result_count = False
    fields = ["at", "account", "outcome", "latency_ms", "http_status", "code", "microsoft_request_id"]

    @admin.display(ordering="connection__account__slug")
    def account(self, check: HealthCheck) -> str:
        return check.connection.account.slug
