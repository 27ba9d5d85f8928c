"""API keys: made here, shown exactly once, revoked here; the key itself is kept nowhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from tenants import audit
from tenants.admin.confirm import Question, Row, ask_first
from tenants.admin.forms import ApiKeyForm
from tenants.admin.parts import badge, who
from tenants.admin.typed import ModelAdmin
from tenants.authentication import new_key
from tenants.models import Account, ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin[ApiKey]):
    """Only name and reach of a key can change; what identifies it is written by the machine."""

    form = ApiKeyForm
    list_display = ["name", "prefix", "reach", "status", "last_used_at", "created_at"]
    list_filter = ["all_accounts", ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "prefix", "accounts__slug"]
    filter_horizontal = ["accounts"]
    actions = ["revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).prefetch_related("accounts")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        decided = ["name", "accounts", "all_accounts"]
        return [*decided, *self.get_readonly_fields(request, obj)] if obj else decided

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return ["prefix", "status", "created_at", "last_used_at", "revoked_at"]

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # a revoked key stays, so that the audit trail still names something

    @admin.display(description="Sees")
    def reach(self, api_key: ApiKey) -> str:
        if api_key.all_accounts:
            return "all accounts"
        return ", ".join(account.slug for account in api_key.accounts.all())

    @admin.display(ordering="revoked_at")
    def status(self, api_key: ApiKey) -> SafeString:
        return badge("revoked" if api_key.revoked_at else "in use")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        # Their redirects would skip the only page that shows the new key.
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ApiKeyForm, change: bool) -> None:
        if not change:
            made = new_key()
            obj.prefix, obj.key_hash = made.prefix, made.key_hash
            # The request ends with the page that shows it: nothing longer-lived may hold a key.
            request.issued_key = made.key  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ApiKeyForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.changed_data:
            _record(request, "api_key_changed" if change else "api_key_created", form.instance)

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The key, in the answer itself: a message would put it into a cookie or the session."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Your new API key",
            "api_key": obj,
            "key": request.issued_key.reveal(),  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/tenants/key_issued.html", context)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        live = list(queryset.filter(revoked_at=None))
        if not live:
            self.message_user(request, "These keys were revoked before.", messages.WARNING)
            return None
        question = Question(
            "revoke",
            "Revoke API keys?",
            "Whoever uses these keys is refused from now on. A revoked key cannot be brought back.",
            "Revoke",
        )
        if page := ask_first(self, request, question, [Row(key.pk, str(key)) for key in live]):
            return page
        for api_key in live:
            if ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=timezone.now()):
                _record(request, "api_key_revoked", api_key)
        self.message_user(request, f"Revoked: {', '.join(map(str, live))}.", messages.SUCCESS)
        return None


def _record(request: HttpRequest, action: str, api_key: ApiKey) -> None:
    """One entry per account the key sees; one without an account when it sees all."""
    accounts: list[Account | None] = [None] if api_key.all_accounts else [*Account.objects.filter(api_keys=api_key)]
    for account in accounts:
        audit.record(account, action, "ok", **who(request), prefix=api_key.prefix, key_name=api_key.name)
