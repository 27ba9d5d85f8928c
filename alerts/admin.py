"""Incidents and mails in Cadence Admin: to read, never to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.models import Incident, Mail
from microsoft.reasons import reason
from tenants.admin.parts import ReadOnlyAdmin


class OpenFilter(admin.SimpleListFilter):
    """Filters by whether it lasts."""

    title = "lasting"
    parameter_name = "lasting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("closed", "closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() not in ("open", "closed"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin[Incident]):
    """What broke, since when, why, and how it ended."""

    list_display = ["opened_at", "whose", "severity", "code", "began_at", "closed_at", "ending", "escalations"]
    list_select_related = ["connection__account"]
    list_filter = [OpenFilter, "severity", "ending"]
    search_fields = ["connection__account__slug", "connection__account__name", "subject", "code"]
    show_full_result_count = False
    fields = [
        "whose",
        "severity",
        "reason_in_words",
        "began_at",
        "opened_at",
        "closed_at",
        "ending",
        "escalations",
        "told",
    ]

    @admin.display(description="Whose", ordering="subject")
    def whose(self, incident: Incident) -> str:
        return str(incident.connection.account) if incident.connection else incident.subject

    @admin.display(description="Reason", empty_value="–")
    def reason_in_words(self, incident: Incident) -> str | SafeString:
        if not incident.code:
            return ""
        why = reason(incident.code)
        return format_html(
            '<div class="reason"><p><strong>{}</strong> ({})</p><p>{}</p><p>{}</p></div>',
            why.title,
            why.code,
            why.cause,
            why.support,
        )

    @admin.display(description="Mails", empty_value="–")
    def told(self, incident: Incident) -> str:
        return ", ".join(map(str, incident.mails.order_by("created_at")))


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin[Mail]):
    """Who was, is to be or could not be told; what a mail said is kept nowhere."""

    list_display = ["created_at", "kind", "audience", "recipient", "account", "status", "settled_at", "last_error"]
    list_select_related = ["account"]
    list_filter = ["status", "kind", "audience"]
    search_fields = ["account__slug", "recipient"]
    show_full_result_count = False
    fields = [
        "kind",
        "audience",
        "recipient",
        "account",
        "incident",
        "created_at",
        "status",
        "settled_at",
        "attempts",
        "next_try_at",
        "last_error",
    ]
