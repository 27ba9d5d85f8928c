"""Forms of the admin: domains one per line, keys that see at least one account."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms

from tenants.admin.typed import ModelForm
from tenants.models import Account, ApiKey


class DomainsField(forms.CharField):
    """A list of domains, typed one per line; the model's validators judge what comes out."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 40, "spellcheck": "false", "autocapitalize": "none"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """`" @Contoso.com \\n"` → `["contoso.com"]`; commas and blanks separate as lines do."""
        words = str(value or "").replace(",", " ").split()
        return [word.removeprefix("@").lower() for word in words]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


def _zone_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(available_timezones())]


class AccountForm(ModelForm[Account]):
    """What a person decides about an account; the rest is written by the machine."""

    domains = DomainsField(
        label="E-mail domains",
        help_text="One per line, for example contoso.com. Calendars of other domains are never asked for.",
    )
    time_zone = forms.ChoiceField(
        choices=_zone_choices,
        initial="UTC",
        help_text="Midnight to midnight here counts as a whole day, as in the mailbox's own zone.",
    )

    class Meta:
        model = Account
        fields = ("slug", "name", "domains", "time_zone", "cloud", "contact_email", "language", "policy")
        help_texts = {
            "slug": "Names the account in the API. It cannot be changed later.",
            "cloud": "The customer's Microsoft 365. Each national cloud has an app registration of its own.",
            "contact_email": "Whom to write to when the calendars can no longer be read, and when they can again.",
            "language": "Of the mails to the contact.",
            "policy": "Which calendar entries make a time unavailable.",
        }


class ApiKeyForm(ModelForm[ApiKey]):
    """Name and reach of a key; the key itself is made on save and never typed."""

    class Meta:
        model = ApiKey
        fields = ("name", "accounts", "all_accounts")
        help_texts = {
            "name": "Who uses the key, for example “Event Cadence backend, production”.",
            "all_accounts": "The key also sees accounts that are added later.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(cleaned.get("all_accounts")) == bool(cleaned.get("accounts")):
            raise forms.ValidationError("Choose either some accounts or “all accounts”.", code="reach")
        return cleaned
