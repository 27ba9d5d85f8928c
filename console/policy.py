"""Policy what-if: which entries would start or stop counting under another preset; then the choice itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from rest_framework.exceptions import APIException, ValidationError

from console.answering import refusal, span
from console.availability import MEANINGS
from console.pages import account_of, may, page, show
from console.question_form import AddressesField, WindowForm, coming_days
from freebusy.answers import policy_json
from freebusy.core.intervals import from_instant
from freebusy.core.rules import PRESETS, ConflictPolicy
from freebusy.core.schedule import Schedule
from freebusy.inspection import read_now
from freebusy.lookup import Reading
from freebusy.models import KnownMailbox
from freebusy.questions import Question
from freebusy.what_if import Calendar, Difference, differences
from tenants import audit
from tenants.admin.parts import who
from tenants.models import Account, Policy

Json = dict[str, Any]


class WhatIfForm(WindowForm):
    """Another preset, and whose calendars to compare it on."""

    required = AddressesField(label="People", help_text="One address per line.")
    rooms = AddressesField(label="Rooms", help_text="Judged by the rules for rooms.")
    policy = forms.ChoiceField(label="Compare with", widget=forms.RadioSelect)
    known = forms.BooleanField(
        label="Also the mailboxes that the API was asked for lately", required=False, initial=True
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._account = account
        others = [(value, label) for value, label in Policy.choices if value != account.policy]
        choice = self.fields["policy"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101 - declared above
        choice.choices, choice.initial = others, others[0][0]

    def body(self) -> Json:
        body = super().body()
        if self.cleaned_data["known"]:
            listed = {one["email"].casefold() for one in body["attendees"]} | {r.casefold() for r in body["rooms"]}
            rows = KnownMailbox.objects.filter(account=self._account).order_by("address")
            found = [address for address in rows.values_list("address", flat=True) if address not in listed]
            body["attendees"] += [{"email": address} for address in found]
        return body


# A comparison comes with the POST itself, since it is kept nowhere; a choice is a redirect away, with a message.
@page("change_policy", "GET", "HEAD", "POST")
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """GET the rules in force, POST to compare, POST `save` to choose."""
    account = account_of(slug)
    if request.method == "POST" and "save" in request.POST:
        return _choose(request, account)
    if request.method == "POST":
        return _compare(request, account)
    return _shown(request, account, WhatIfForm(initial=coming_days(account), account=account))


def _compare(request: HttpRequest, account: Account) -> HttpResponse:
    if not may(request, "see_availability"):
        raise PermissionDenied  # it shows when people are busy
    form = WhatIfForm(request.POST, account=account)
    if not form.is_valid():
        return _shown(request, account, form, 400)
    chosen = PRESETS[form.cleaned_data["policy"]]
    body = form.body()
    outcome = "ok"
    try:
        question, reading = read_now(account, body)
    except APIException as error:
        refused = refusal(error)
        outcome = refused.problem["code"]
        # A mistake is mended first; a Microsoft that does not answer need not keep anybody from choosing.
        after = None if isinstance(error, ValidationError) else policy_json(chosen)
        answer = _shown(request, account, form, refused.status, refused=refused, after=after)
    else:
        answer = _shown(request, account, form, after=policy_json(chosen), **_compared(question, reading, chosen))
    mailboxes = len(body["attendees"]) + len(body["rooms"])
    audit.record(account, "policy_compared", outcome, **who(request), policy=chosen.name, mailboxes=mailboxes)
    return answer


def _compared(question: Question, reading: Reading, after: ConflictPolicy) -> Json:
    rooms = set(question.rooms)
    calendars = [Calendar(address, reading.of(address), address in rooms) for address in question.addresses]
    found = differences(calendars, question.policy, after, question.account_zone)
    rows = [_row(difference, question) for difference in found]
    return {
        "compared": True,
        "starting": [row for row in rows if row["starts_counting"]],
        "stopping": [row for row in rows if not row["starts_counting"]],
        "read": sum(isinstance(calendar.schedule, Schedule) for calendar in calendars),
        "asked": len(calendars),
        "unread": [calendar.address for calendar in calendars if not isinstance(calendar.schedule, Schedule)],
        "time_zone": question.zone.key,
    }


def _row(difference: Difference, question: Question) -> Json:
    start, end = (from_instant(i, question.zone).isoformat() for i in (difference.start, difference.end))
    return {
        "address": difference.address,
        "is_room": difference.is_room,
        "when": span(start, end),
        "start": start,
        "end": end,
        "status": difference.status.value,
        "starts_counting": difference.starts_counting,
        "before": difference.before.value,
        "after": difference.after.value,
        "meaning": MEANINGS[difference.before.value if difference.starts_counting else difference.after.value],
    }


def _choose(request: HttpRequest, account: Account) -> HttpResponse:
    """Saves the preset, unless somebody else has chosen meanwhile: then what was compared is not what would change."""
    wanted, seen = request.POST.get("policy", ""), request.POST.get("seen", "")
    again = HttpResponseRedirect(reverse("admin:policy", args=[account.slug]))
    if wanted not in PRESETS:
        messages.error(request, "There is no such policy.")
        return again
    with transaction.atomic():
        changed = Account.objects.filter(pk=account.pk, policy=seen).exclude(policy=wanted).update(policy=wanted)
        if changed:
            version = PRESETS[wanted].version
            audit.record(account, "policy_changed", "ok", **who(request), previous=seen, policy=wanted, version=version)
    if changed:
        messages.success(request, f"{account} is now judged by the policy “{wanted}”.")
    else:
        messages.error(request, "The policy was changed in the meantime; please compare again.")
    return again


def _shown(
    request: HttpRequest, account: Account, form: WindowForm, status: int = 200, after: Json | None = None, **more: Any
) -> HttpResponse:
    before = policy_json(PRESETS[account.policy])
    rules = _rules(before, after)
    context = {"account": account, "form": form, "before": before, "after": after, "rules": rules, **more}
    return show(request, "policy.html", f"Conflict policy: {account}", status, **context)


def _rules(before: Json, after: Json | None) -> list[tuple[str, str, str]]:
    """Each rule in words, now and then."""
    words = list(_words(before))
    then = dict(_words(after)) if after else {}
    return [(rule, value, then.get(rule, "")) for rule, value in words]


def _words(given: Json) -> list[tuple[str, str]]:
    rules, room = given["rules"], given["rules"]["room"]
    hours = f"{rules['long_minutes'] / 60:g} hours"
    return [
        *((f"status {status}", _counts(counts)) for status, counts in rules["statuses"].items()),
        ("all day", f"{_counts(rules['all_day_conflicts'])}; of rooms {_counts(room['all_day_conflicts'])}"),
        (f"{hours} or longer", f"{_counts(rules['long_conflicts'])}; of rooms {_counts(room['long_conflicts'])}"),
    ]


def _counts(conflicts: bool) -> str:
    return "counts" if conflicts else "is ignored"


urlpatterns = [path("accounts/<slug:slug>/policy/", policy, name="policy")]
