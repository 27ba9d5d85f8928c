"""Accounts: what a person decides, how the connection is, and the link that opens the consent page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from microsoft.reasons import reason
from tenants import audit, status
from tenants.admin.account_filters import (
    AttentionFilter,
    CheckedFilter,
    DueFilter,
    HealthFilter,
    ReasonFilter,
    StateFilter,
)
from tenants.admin.forms import AccountForm
from tenants.admin.parts import account_url, badge, connection_of, health_badge, state_badge, who
from tenants.admin.typed import ModelAdmin
from tenants.models import Account, Mode
from tenants.spans import span


class _Pages(Paginator):  # type: ignore[type-arg]  # Django's own class takes no parameter
    """A page by the keys of its rows: what is worked out for each row is not worked out for all the rows before it."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Any], self.object_list)
        return rows.count() if rows.query.where else Account.objects.count()  # joins nothing when nothing is filtered

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        rows = cast(QuerySet[Any], self.object_list)
        first = (number - 1) * self.per_page
        if not first:
            return super().page(number)
        # Keys that are known: with a subquery PostgreSQL may work everything out for each row after all.
        keys = list(rows.values_list("pk", flat=True)[first : first + self.per_page])
        return Page(rows.filter(pk__in=keys), number, self)


@admin.register(Account)
class AccountAdmin(ModelAdmin[Account]):
    """Accounts with how their connection stands; constant in queries at any number of them."""

    form = AccountForm
    list_select_related = ["connection"]
    list_filter = [
        AttentionFilter,
        StateFilter,
        HealthFilter,
        ReasonFilter,
        CheckedFilter,
        DueFilter,
        "connection__mode",
        "cloud",
        "policy",
    ]
    list_per_page = 50
    paginator = _Pages
    show_full_result_count = False
    search_fields = ["slug", "name", "contact_email", "connection__reader", "connection__tenant_id", "domains_text"]
    readonly_fields = ["consent_address", "state", "health", "reader", "created_at"]
    fieldsets = [
        (None, {"fields": ["slug", "name", "domains", "time_zone", "contact_email", "language"]}),
        ("Microsoft 365", {"fields": ["cloud", "policy"]}),
    ]
    _machine_fieldset = ("Connection", {"fields": ["consent_address", "state", "health", "reader", "created_at"]})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        # As text: a JSON column compares with the JSON form of what was typed, quotes included.
        searched = super().get_queryset(request).annotate(domains_text=Cast("domains", TextField()))
        rows = searched.annotate(shown=status.shown_health(timezone.now(), "connection__"))
        return rows.annotate(why=status.why("connection__"), stands_since=status.since("connection__"))

    def get_list_display(self, request: HttpRequest) -> Any:
        # Without the permission the account's page is closed to them; the row's own page is not.
        first = "page" if request.user.has_perm("console.view_status") else "row"
        return [first, "shown_state", "shown_health", "why_in_words", "last_check", "reading"]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return ["row"] if "row" in list_display else None

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        person, _ = self.fieldsets
        return [person, ("Microsoft 365", {"fields": ["cloud", "policy_in_force"]}), self._machine_fieldset]

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        return [*self.readonly_fields, "slug", "policy_in_force"] if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False  # history stays; an account that ends is disconnected

    @admin.display(description="Policy")
    def policy_in_force(self, account: Account) -> SafeString:
        """Another one is chosen on a page that first shows what would change."""
        url = reverse("admin:policy", args=[account.slug])
        return format_html('{} <a href="{}">Compare and choose another</a>', account.get_policy_display(), url)

    @admin.display(ordering="connection__state")
    def state(self, account: Account) -> SafeString:
        return state_badge(connection_of(account))

    @admin.display(ordering="connection__health")
    def health(self, account: Account) -> SafeString:
        return health_badge(connection_of(account))

    @admin.display(ordering="connection__reader", empty_value="–")
    def reader(self, account: Account) -> str:
        connection = connection_of(account)
        return connection.reader if connection else ""

    @admin.display(description="account", ordering="slug")
    def page(self, account: Account) -> SafeString:
        url = account_url(account.slug)
        return format_html('<a href="{}">{}</a><span class="under">{}</span>', url, account.slug, account.name)

    @admin.display(description="account", ordering="slug")
    def row(self, account: Account) -> SafeString:
        return format_html('{}<span class="under">{}</span>', account.slug, account.name)

    @admin.display(description="state", ordering="connection__state")
    def shown_state(self, account: Any) -> SafeString:
        """The state, with how long it has stood so unless it is enabled: then the health has something to say."""
        connection = connection_of(account)
        shown = state_badge(connection)
        return shown if connection is None or connection.enabled else _lasting(shown, account.stands_since)

    @admin.display(description="health", ordering="shown")
    def shown_health(self, account: Any) -> SafeString:
        """The health that may be shown, with how long it has stood so."""
        connection = connection_of(account)
        shown = badge(account.shown)
        return _lasting(shown, account.stands_since) if connection and connection.enabled else shown

    @admin.display(description="reason", ordering="why", empty_value="–")
    def why_in_words(self, account: Any) -> str:
        return reason(account.why).title if account.why else ""

    @admin.display(ordering="connection__last_check_at", empty_value="never")
    def last_check(self, account: Account) -> SafeString | str:
        connection = connection_of(account)
        return _moment(connection.last_check_at, "{} ago") if connection and connection.last_check_at else ""

    @admin.display(description="read by", ordering="connection__reader")
    def reading(self, account: Account) -> SafeString:
        connection = connection_of(account)
        if connection is None or not connection.reader:
            return format_html('–<span class="under">{}</span>', account.cloud)
        how = f"{_MODES.get(connection.mode, connection.mode)}, {account.cloud}"
        return format_html('{}<span class="under">{}</span>', _with_a_break(connection.reader), how)

    @admin.display(description="Consent link")
    def consent_address(self, account: Account) -> SafeString:
        return _copyable(account)

    def save_model(self, request: HttpRequest, obj: Account, form: AccountForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.changed_data:
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            action = "account_changed" if change else "account_created"
            audit.record(obj, action, "ok", **who(request), values=values)


_MODES = {Mode.ADMIN.value: "administrator", Mode.SERVICE_ACCOUNT.value: "service account"}


def _with_a_break(address: str) -> SafeString:
    """May be broken after its @, so that a narrow column breaks it nowhere else."""
    local, at, domain = address.rpartition("@")
    return format_html("{}{}<wbr>{}", local, at, domain)


def _lasting(shown: SafeString, since: datetime | None) -> SafeString:
    if since is None:
        return shown
    return format_html('{}<span class="under">{}</span>', shown, _moment(since, "for {}"))


def _moment(at: datetime, form: str) -> SafeString:
    """How long ago, and when exactly under the pointer."""
    words = form.format(span(timezone.now() - at))
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', f"{at:%Y-%m-%dT%H:%M:%SZ}", words)


def _copyable(account: Account) -> SafeString:
    """The link to the consent page; without JavaScript the button stays hidden."""
    return format_html(
        '<span class="copy-link"><a href="{0}">{0}</a>'
        '<button class="copy" type="button" hidden data-copy="{0}" aria-label="Copy the consent link of {1}">'
        "Copy link</button></span>",
        account.consent_url,
        account.slug,
    )
