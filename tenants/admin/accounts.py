"""Accounts: what a person decides, how the connection is, and the link that opens the consent page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenants import audit
from tenants.admin.confirm import Question, Row, ask_first
from tenants.admin.forms import AccountForm
from tenants.admin.parts import connection_of, health_badge, state_badge, who
from tenants.admin.typed import ModelAdmin
from tenants.disconnecting import disconnect
from tenants.models import Account, new_consent_key


@admin.register(Account)
class AccountAdmin(ModelAdmin[Account]):
    """Accounts with the state of their connection and the link that opens their consent page."""

    form = AccountForm
    list_display = ["slug", "name", "state", "health", "reader", "consent_link"]
    list_select_related = ["connection"]
    list_filter = ["connection__state", "policy", "cloud"]
    search_fields = ["slug", "name", "contact_email", "connection__reader", "domains_text"]
    actions = ["renew_consent_key", "disconnect_selected"]
    readonly_fields = ["consent_address", "state", "health", "reader", "created_at"]
    fieldsets = [
        (None, {"fields": ["slug", "name", "domains", "time_zone", "contact_email", "language"]}),
        ("Microsoft 365", {"fields": ["cloud", "policy"]}),
    ]
    _machine_fieldset = ("Connection", {"fields": ["consent_address", "state", "health", "reader", "created_at"]})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        # As text: a JSON column compares with the JSON form of what was typed, quotes included.
        rows = super().get_queryset(request)
        return rows.annotate(domains_text=Cast("domains", TextField()))

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        return [*self.fieldsets, self._machine_fieldset] if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        return [*self.readonly_fields, "slug"] if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False  # history stays; an account that ends is disconnected

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

    @admin.display(description="Consent link")
    def consent_link(self, account: Account) -> SafeString:
        return _copyable(account, "open")

    @admin.display(description="Consent link")
    def consent_address(self, account: Account) -> SafeString:
        return _copyable(account, account.consent_url)

    def save_model(self, request: HttpRequest, obj: Account, form: AccountForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.changed_data:
            values = {name: form.cleaned_data[name] for name in form.changed_data}
            action = "account_changed" if change else "account_created"
            audit.record(obj, action, "ok", **who(request), values=values)

    @admin.action(description="Renew the consent key (old links stop working)", permissions=["change"])
    def renew_consent_key(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        question = Question(
            "renew_consent_key",
            "Renew consent keys?",
            "Links that were sent for these accounts stop working; connections are not touched.",
            "Renew the keys",
        )
        if page := ask_first(self, request, question, [Row(a.pk, str(a), str(a.pk)) for a in queryset]):
            return page
        for account in queryset:
            Account.objects.filter(pk=account.pk).update(consent_key=new_consent_key())
            audit.record(account, "consent_key_renewed", "ok", **who(request))
        self.message_user(request, f"Renewed: {', '.join(map(str, queryset))}.", messages.SUCCESS)
        return None

    @admin.action(description="Disconnect from Microsoft 365", permissions=["change"])
    def disconnect_selected(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        question = Question(
            "disconnect_selected",
            "Disconnect from Microsoft 365?",
            "Reading stops at once and the stored sign-ins are deleted. Only the customer can connect again.",
            "Disconnect",
        )
        if page := ask_first(self, request, question, [Row(a.pk, str(a), str(a.pk)) for a in queryset]):
            return page
        for account in queryset:
            disconnect(account, why="disconnected in Cadence Admin", **who(request))
        self.message_user(request, f"Disconnected: {', '.join(map(str, queryset))}.", messages.SUCCESS)
        return None


def _copyable(account: Account, text: str) -> SafeString:
    """The link to the consent page; without JavaScript the button stays hidden."""
    return format_html(
        '<span class="copy-link"><a href="{0}">{1}</a>'
        '<button class="copy" type="button" hidden data-copy="{0}" aria-label="Copy the consent link of {2}">'
        "Copy link</button></span>",
        account.consent_url,
        text,
        account.slug,
    )
