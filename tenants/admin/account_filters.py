"""Filters of the account list: by what the rows show, not by what happens to stand in the columns.

They work on the annotations of `AccountAdmin.get_queryset`: `shown` and `why`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from microsoft.reasons import reason
from tenants import status
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Connection


class StateFilter(admin.SimpleListFilter):
    """An account that was never connected is pending."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value.replace("_", " ")) for state in State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in list(State):
            return queryset
        wanted = Q(connection__state=self.value())
        return queryset.filter(wanted | Q(connection=None) if self.value() == State.PENDING else wanted)


class HealthFilter(admin.SimpleListFilter):
    """The health that is shown: one that nobody checked lately is unknown."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(health.value, health.value) for health in Health]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(shown=self.value()) if self.value() in list(Health) else queryset


class AttentionFilter(admin.SimpleListFilter):
    """Those that the landing page lists as failing."""

    title = "needs somebody"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status.in_trouble("connection__")) if self.value() == "yes" else queryset


class ReasonFilter(admin.SimpleListFilter):
    """What is wrong; offers the codes that occur now."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        some = Connection.objects.exclude(reason_code="", last_check_code="")  # most rows are done with at once
        rows = some.annotate(shown=status.shown_health(timezone.now())).annotate(why=status.why())
        codes = rows.exclude(why="").order_by().values_list("why", flat=True).distinct()
        return sorted((code, f"{reason(code).title} ({code})") for code in codes)

    def has_output(self) -> bool:
        return True  # also when nothing is wrong: a filtered address must not become an unfiltered list

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(why=self.value()) if self.value() else queryset


class CheckedFilter(admin.SimpleListFilter):
    """How long ago the last check was."""

    title = "last check"
    parameter_name = "checked"
    _HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("hour", "within the hour"),
            ("day", "within the day, not the hour"),
            ("older", "longer ago"),
            ("never", "never"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hour, day = timezone.now() - self._HOUR, timezone.now() - self._DAY
        wanted = {
            "hour": Q(connection__last_check_at__gte=hour),
            "day": Q(connection__last_check_at__lt=hour, connection__last_check_at__gte=day),
            "older": Q(connection__last_check_at__lt=day),
            "never": Q(connection__last_check_at=None),
        }
        return queryset.filter(wanted.get(str(self.value()), Q()))


class DueFilter(admin.SimpleListFilter):
    """What waits for the worker."""

    title = "due now"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("refresh", "token refresh"), ("probe", "probe")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        enabled = Q(connection__state=State.ENABLED.value)
        wanted = {
            "refresh": enabled & Q(connection__token__refresh_due_at__lte=now),
            "probe": enabled & Q(connection__probe_due_at__lte=now),
        }
        return queryset.filter(wanted.get(str(self.value()), Q()))
