"""What the admin's pages share: who acts, how states look, rows that stay as they are."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenants import audit
from tenants.admin.typed import ModelAdmin
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Account, Connection
from tenants.simulation import is_simulated
from tenants.standing import shown_health

M = TypeVar("M", bound=Model)

_TONES: dict[str, str] = {
    State.ENABLED: "good",
    State.VERIFYING: "warn",
    State.NEEDS_CONSENT: "bad",
    Health.HEALTHY: "good",
    Health.DEGRADED: "warn",
    Health.DOWN: "bad",
    "simulated": "warn",
}


def badge(value: str) -> SafeString:
    """A state or health as a small labelled pill."""
    return format_html('<span class="badge badge-{}">{}</span>', _TONES.get(value, "calm"), value.replace("_", " "))


def who(request: HttpRequest) -> dict[str, Any]:
    """Actor and address of an audit entry."""
    return {"actor": request.user.get_username(), "address": audit.client_address(request)}


def connection_of(account: Account) -> Connection | None:
    """The account's connection, None before the first sign-in."""
    return getattr(account, "connection", None)  # Django's RelatedObjectDoesNotExist is an AttributeError


def health_badge(connection: Connection | None) -> SafeString:
    """The health that may be shown now: unknown when nobody checked lately."""
    if connection is None:
        return badge(Health.UNKNOWN)
    return badge(shown_health(connection, timezone.now()))


def state_badge(connection: Connection | None) -> SafeString:
    """The state, and beside it that the calendars are made up."""
    state = badge(connection.state if connection else State.PENDING)
    return format_html("{} {}", state, badge("simulated")) if is_simulated(connection) else state


def account_url(slug: str) -> str:
    """The account's own page in Cadence Admin."""
    return reverse("admin:account", args=[slug])


class ReadOnlyAdmin(ModelAdmin[M]):
    """Rows that only machines write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False
