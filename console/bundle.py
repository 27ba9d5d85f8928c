"""Support bundle: a download that lets somebody else see what happened, without names; replayed by `replay_bundle`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.exceptions import APIException

from console.answering import refusal
from console.pages import account_of, may, page, show
from console.question_form import QuestionForm, coming_days
from freebusy import bundle as bundles
from tenants import audit
from tenants.admin.parts import who
from tenants.models import Account


class AboutForm(forms.Form):
    """The request that the bundle is about, if it is about one."""

    request_id = forms.RegexField(
        r"^[A-Za-z0-9._:-]{1,64}$",
        label="Request id",
        required=False,
        help_text="The X-Request-ID of an answer of the API. While nobody is named below, its answer is in the bundle.",
    )
    log_lines = forms.CharField(
        label="Log lines of that request",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="JSON lines as they are in the log. Numbers, codes and Microsoft's ids are taken, no name.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("log_lines") and not cleaned.get("request_id"):
            self.add_error("request_id", "Which request are the log lines of?")
        return cleaned


@page("make_bundle", "GET", "HEAD", "POST")
def bundle(request: HttpRequest, slug: str) -> HttpResponse:
    """GET the forms, POST for the download; without people and without a request it tells of the connection alone."""
    account = account_of(slug)
    if request.method != "POST":
        return _shown(request, account, AboutForm(), QuestionForm(initial=coming_days(account)))
    about, form = AboutForm(request.POST), QuestionForm(request.POST)
    asked = any(request.POST.get(name, "").strip() for name in ("required", "optional", "rooms"))
    if asked and not may(request, "see_availability"):
        raise PermissionDenied  # it tells when people are busy, to somebody who knows whom they asked for
    if not about.is_valid() or (asked and not form.is_valid()):
        return _shown(request, account, about, form, 400)
    request_id, log_lines = about.cleaned_data["request_id"], about.cleaned_data["log_lines"]
    try:
        made = bundles.make(
            account,
            form.body() if asked else None,
            request_id=request_id,
            log_lines=log_lines,
            with_calendars=may(request, "see_availability"),
        )
    except APIException as error:
        refused = refusal(error)
        return _shown(request, account, about, form, refused.status, refused=refused)
    except bundles.Damaged as error:
        about.add_error("log_lines", str(error))
        return _shown(request, account, about, form, 400)
    outcome = "ok" if made.problem is None else str(made.problem["code"])
    audit.record(account, "bundle_made", outcome, **who(request), about=request_id, asked=asked)
    return _download(bundles.encoded(made))


def _shown(
    request: HttpRequest, account: Account, about: AboutForm, form: QuestionForm, status: int = 200, **more: Any
) -> HttpResponse:
    context = {"account": account, "about": about, "form": form, "kept_hours": settings.ANSWERS_KEPT_HOURS, **more}
    return show(request, "bundle.html", f"Support bundle: {account}", status, **context)


def _download(raw: bytes) -> HttpResponse:
    # The name says when, not of whom: files are passed on.
    name = f"cadence-support-bundle-{timezone.now():%Y%m%d-%H%M%S}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(raw, content_type="application/json", headers=headers)


urlpatterns = [path("accounts/<slug:slug>/bundle/", bundle, name="bundle")]
