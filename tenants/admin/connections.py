"""Connections as the machine left them, with the reason of a loss in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from microsoft.reasons import reason
from tenants import status
from tenants.admin.parts import ReadOnlyAdmin, health_badge, state_badge
from tenants.admin.typed import ModelAdmin
from tenants.health import Health
from tenants.models import Connection


class HealthFilter(admin.SimpleListFilter):
    """Filters by the health that is shown: one that nobody checked lately counts as unknown."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(health.value, health.value) for health in Health]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet[Connection]:
        if self.value() not in list(Health):
            return queryset
        return queryset.annotate(now_shown=status.shown_health(timezone.now())).filter(now_shown=self.value())


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin[Connection]):
    """Connections as the machine left them, with the reason of a loss in words."""

    list_display = [
        "account",
        "shown_state",
        "shown_health",
        "reader",
        "reason_code",
        "last_check_at",
        "refused_tenant_id",
    ]
    list_select_related = ["account"]
    list_filter = ["state", HealthFilter, "mode"]
    search_fields = ["account__slug", "account__name", "reader", "tenant_id", "refused_tenant_id"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "account",
                    "shown_state",
                    "state_changed_at",
                    "mode",
                    "connected_at",
                    "reason_in_words",
                    "reason_at",
                ]
            },
        ),
        (
            "Microsoft 365",
            {
                "fields": [
                    "tenant_id",
                    "reader",
                    "reader_oid",
                    "scopes",
                    "extra_scopes",
                    "refused_tenant_id",
                    "allowed_tenant_id",
                ]
            },
        ),
        (
            "Health",
            {
                "fields": [
                    "shown_health",
                    "health_since",
                    "bad_in_a_row",
                    "last_check_at",
                    "last_check_outcome",
                    "last_check_latency_ms",
                    "last_check_code",
                    "probe_due_at",
                ]
            },
        ),
    ]

    @admin.display(description="State", ordering="state")
    def shown_state(self, connection: Connection) -> SafeString:
        return state_badge(connection)

    @admin.display(description="Health", ordering="health")
    def shown_health(self, connection: Connection) -> SafeString:
        return health_badge(connection)

    @admin.display(description="Reason", empty_value="–")
    def reason_in_words(self, connection: Connection) -> str | SafeString:
        if not connection.reason_code:
            return ""
        why = reason(connection.reason_code)
        return format_html(
            '<div class="reason"><p><strong>{}</strong> ({})</p><p>{}</p><p>{}</p></div>',
            why.title,
            why.code,
            why.cause,
            why.support,
        )
