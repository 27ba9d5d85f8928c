"""Cadence Admin: endpoints of webhooks and the log of their deliveries. A secret is shown once, when it is made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from microsoft.secret import Secret
from tenants.admin.confirm import Question, Row, ask_first
from tenants.admin.parts import ReadOnlyAdmin, badge, who
from tenants.admin.typed import ModelAdmin, ModelForm
from webhooks import endpoints, signing
from webhooks.events import TEST, EventType
from webhooks.models import Attempt, Delivery, Endpoint


class EndpointForm(ModelForm[Endpoint]):
    """Where to, of which accounts, of which events."""

    events = forms.MultipleChoiceField(
        choices=[(event.value, event.value) for event in EventType],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all, also those that are added later.",
    )

    class Meta:
        model = Endpoint
        fields = ("url", "accounts", "all_accounts", "events")
        help_texts = {
            "url": "https only. Hosts in private networks must be named in WEBHOOK_PRIVATE_HOSTS.",
            "all_accounts": "Also of accounts that are added later, and of what concerns the whole installation.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(cleaned.get("all_accounts")) == bool(cleaned.get("accounts")):
            raise forms.ValidationError("Choose either some accounts or “all accounts”.", code="reach")
        return cleaned


@admin.register(Endpoint)
class EndpointAdmin(ModelAdmin[Endpoint]):
    """Address and reach can change; the secret is made here and never shown again."""

    form = EndpointForm
    list_display = ["host", "reach", "hears", "status", "created_at"]
    list_filter = ["all_accounts", ("disabled_at", admin.EmptyFieldListFilter)]
    search_fields = ["url", "accounts__slug"]
    filter_horizontal = ["accounts"]
    actions = ["send_test", "renew_secret", "disable", "enable"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        return super().get_queryset(request).prefetch_related("accounts")

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[Any]:
        decided = ["url", "accounts", "all_accounts", "events"]
        return [*decided, *self.get_readonly_fields(request, obj)] if obj else decided

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        return ["status", "created_at", "disabled_at", "previous_until"]

    def has_delete_permission(self, request: HttpRequest, obj: Endpoint | None = None) -> bool:
        return False  # a disabled endpoint stays, so that log and audit trail still name something

    @admin.display(ordering="url")
    def host(self, endpoint: Endpoint) -> str:
        return endpoint.host

    @admin.display(description="Hears of")
    def reach(self, endpoint: Endpoint) -> str:
        if endpoint.all_accounts:
            return "all accounts"
        return ", ".join(account.slug for account in endpoint.accounts.all())

    @admin.display(description="Events")
    def hears(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.events) or "all"

    @admin.display(ordering="disabled_at")
    def status(self, endpoint: Endpoint) -> SafeString:
        return badge("disabled" if endpoint.disabled_at else "in use")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        # Their redirects would skip the only page that shows the new secret.
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: EndpointForm, change: bool) -> None:
        if change:
            obj.save(update_fields=["url", "all_accounts", "events"])
            return
        made = signing.new_secret()
        obj.secret = made  # type: ignore[assignment]  # the column takes and gives a Secret
        # The request ends with the page that shows it: nothing longer-lived may hold it.
        request.issued_secret = made  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: EndpointForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.changed_data:
            endpoints.record(form.instance, "webhook_changed" if change else "webhook_created", **_who(request))

    def response_add(self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None) -> HttpResponse:
        """The secret, in the answer itself: a message would put it into a cookie or the session."""
        return self._issued(request, obj, request.issued_secret)  # type: ignore[attr-defined]

    @admin.action(description="Renew secret", permissions=["change"])
    def renew_secret(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> HttpResponse | None:
        chosen = list(queryset)
        if len(chosen) != 1:
            self.message_user(request, "Choose one endpoint: its new secret is shown on a page.", messages.WARNING)
            return None
        [endpoint] = chosen
        question = Question(
            "renew_secret",
            "Renew the secret?",
            f"Events are signed with a new secret at once, and with the present one too for {endpoints.OVERLAP.days} "
            "days. A still older one ends now.",
            "Renew secret",
        )
        if page := ask_first(self, request, question, [Row(endpoint.pk, str(endpoint))]):
            return page
        return self._issued(request, endpoint, endpoints.renew_secret(endpoint, **_who(request)))

    @admin.action(description="Send a test event", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        live = list(queryset.filter(disabled_at=None))
        for endpoint in live:
            endpoints.send_test(endpoint, **_who(request))
        if live:
            self.message_user(request, f"“{TEST}” goes out within a minute; see Deliveries.", messages.SUCCESS)
        else:
            self.message_user(request, "A disabled endpoint is sent nothing.", messages.WARNING)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> HttpResponse | None:
        live = list(queryset.filter(disabled_at=None))
        question = Question(
            "disable",
            "Disable webhook endpoints?",
            "They hear of nothing that happens from now on. What still waits goes out when they are enabled again.",
            "Disable",
        )
        if live and (page := ask_first(self, request, question, [Row(row.pk, str(row)) for row in live])):
            return page
        done = [str(row) for row in live if endpoints.disable(row.pk, why="by hand", **_who(request))]
        self._say(request, "Disabled", done)
        return None

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        done = [str(row) for row in queryset if endpoints.enable(row.pk, **_who(request))]
        self._say(request, "Enabled", done)

    def _say(self, request: HttpRequest, what: str, done: list[str]) -> None:
        if done:
            self.message_user(request, f"{what}: {', '.join(done)}.", messages.SUCCESS)
        else:
            self.message_user(request, "Nothing to do: they were so before.", messages.WARNING)

    def _issued(self, request: HttpRequest, endpoint: Endpoint, secret: Secret) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The signing secret",
            "endpoint": endpoint,
            "secret": secret.reveal(),
        }
        return TemplateResponse(request, "admin/webhooks/secret_issued.html", context)


class StandingFilter(admin.SimpleListFilter):
    """Waiting, delivered or failed."""

    title = "standing"
    parameter_name = "standing"
    _ROWS = {
        "waiting": Q(next_try_at__isnull=False),
        "delivered": Q(next_try_at=None, delivered_at__isnull=False),
        "failed": Q(next_try_at=None, delivered_at=None),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self._ROWS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(self._ROWS.get(str(self.value()), Q()))


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]  # at run time it takes no parameter
    """Each attempt with what came of it."""

    model = Attempt
    extra = 0
    can_delete = False
    fields = ["at", "status", "error", "latency_ms"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("webhooks.view_delivery")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    """What was told to whom, and what is still on its way."""

    list_display = [
        *("created_at", "endpoint", "type", "slug", "status", "attempts"),
        *("last_status", "last_error", "latency_ms", "next_try_at"),
    ]
    list_filter = [StandingFilter, "type", "endpoint"]
    search_fields = ["=event_id", "account__slug"]
    show_full_result_count = False
    actions = ["deliver_again"]
    inlines = [AttemptInline]
    fields = [
        *("created_at", "endpoint", "event_id", "type", "slug", "payload", "status", "attempts"),
        *("delivered_at", "failed_at", "next_try_at", "last_status", "last_error", "latency_ms"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows = super().get_queryset(request).select_related("endpoint", "account")
        return rows.defer("endpoint__secret", "endpoint__previous_secret")

    @admin.display(description="Account", ordering="account__slug")
    def slug(self, delivery: Delivery) -> str:
        return delivery.account.slug if delivery.account else ""

    @admin.display(description="Standing")
    def status(self, delivery: Delivery) -> SafeString:
        return badge(delivery.standing)

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhooks.change_delivery")

    @admin.action(description="Deliver again", permissions=["redeliver"])
    def deliver_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.select_related("account"))
        for delivery in chosen:
            endpoints.deliver_again(delivery, **_who(request))
        self.message_user(request, f"{len(chosen)} on their way once more.", messages.SUCCESS)


def _who(request: HttpRequest) -> endpoints.Who:
    entry = who(request)
    return {"actor": entry["actor"], "address": entry["address"]}
