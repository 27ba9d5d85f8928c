"""Forms that become the body of an API request; what is wrong with it is said by the API's own validation."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils import timezone

from freebusy.serializers import DAYS
from tenants.models import Account

Json = dict[str, Any]
_BETWEEN = re.compile(r"[\s,;]+")
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class AddressesField(forms.CharField):
    """Addresses one per line; blanks, commas and semicolons separate as lines do, angle brackets are dropped."""

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"rows": 4, "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
        super().__init__(required=False, widget=forms.Textarea(attrs=attributes), **kwargs)

    def clean(self, value: Any) -> list[str]:
        return [word.strip("<>") for word in _BETWEEN.split(super().clean(value)) if word.strip("<>")]


class WallTimeInput(forms.DateTimeInput):
    """The browser's own picker of date and time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M", attrs={"step": "60"})


class WindowForm(forms.Form):
    """Whom and when. Times are wall times in the zone chosen."""

    required = AddressesField(label="People who must come", help_text="One address per line.")
    rooms = AddressesField(label="Rooms", help_text="One of them must be free.")
    start = forms.CharField(label="From", widget=WallTimeInput)
    end = forms.CharField(label="Until", widget=WallTimeInput)
    time_zone = forms.ChoiceField(label="Time zone", choices=lambda: [(n, n) for n in sorted(available_timezones())])

    def body(self) -> Json:
        """The request, once the form is valid."""
        given = self.cleaned_data
        return {
            "attendees": [{"email": email} for email in given["required"]],
            "rooms": given["rooms"],
            "start": _with_offset(given["start"], given["time_zone"]),
            "end": _with_offset(given["end"], given["time_zone"]),
            "time_zone": given["time_zone"],
        }


class QuestionForm(WindowForm):
    """A question for times that work."""

    optional = AddressesField(label="People who may come")
    duration_minutes = forms.IntegerField(label="Minutes long", initial=60)
    step_minutes = forms.IntegerField(label="A candidate every … minutes", initial=30)
    days = forms.MultipleChoiceField(
        choices=list(zip(DAYS, _DAY_NAMES, strict=True)),
        initial=list(DAYS[:5]),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    hours_start = forms.CharField(label="Hours from", initial="09:00", widget=forms.TextInput(attrs={"size": 5}))
    hours_end = forms.CharField(label="Hours until", initial="17:00", widget=forms.TextInput(attrs={"size": 5}))
    order = forms.ChoiceField(
        choices=[("time", "by time"), ("fewest_conflicts", "fewest conflicts of optional people first")]
    )
    include_unverified = forms.BooleanField(
        label="Offer times also while somebody who must come cannot be read", required=False
    )

    def body(self) -> Json:
        given, window = self.cleaned_data, super().body()
        return {
            **window,
            "attendees": [*window["attendees"], *({"email": e, "required": False} for e in given["optional"])],
            "duration_minutes": given["duration_minutes"],
            "step_minutes": given["step_minutes"],
            "working_hours": {"days": given["days"], "start": given["hours_start"], "end": given["hours_end"]},
            "order": given["order"],
            "include_unverified": given["include_unverified"],
            "explain": True,
        }


def coming_days(account: Account) -> Json:
    """What the forms begin with: the next three days, by the account's clocks."""
    zone = ZoneInfo(account.time_zone)
    day = timezone.now().astimezone(zone).date() + timedelta(days=1)
    return {"start": f"{day}T00:00", "end": f"{day + timedelta(days=3)}T00:00", "time_zone": zone.key}


def _with_offset(wall: str, zone: str) -> str:
    """`2027-03-16T09:00` as clocks in the zone show it → RFC 3339; what is no such time stays, to be refused."""
    try:
        return datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone)).isoformat()
    except ValueError:
        return wall
