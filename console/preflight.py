"""Roster pre-flight: paste or upload addresses, watch the run, read which calendars cannot be read and why."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from redis.exceptions import RedisError

from console.pages import account_of, page, show
from freebusy.models import Preflight, PreflightAddress
from freebusy.preflight import runs
from freebusy.preflight.addresses import Roster, decode, parse
from freebusy.preflight.checking import WINDOW
from freebusy.preflight.findings import READABLE, UNASKED, Finding, finding, order
from freebusy.preflight.table import as_csv
from microsoft.reasons import reason
from tenants import audit, heartbeat
from tenants.admin.parts import connection_of, who
from tenants.models import Account

LARGEST_FILE = 1_000_000  # bytes; five hundred addresses with names and columns are a tenth of it
RUNS_SHOWN = 10


class RosterForm(forms.Form):
    """Text, a file, or both; `cleaned_data["roster"]` is what they hold."""

    addresses = forms.CharField(
        required=False,
        label="Addresses",
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off"}),
        help_text="One a line, or between commas, semicolons or spaces. Names beside them do no harm.",
    )
    file = forms.FileField(
        required=False,
        label="Or a file",
        widget=forms.FileInput(attrs={"accept": ".txt,.csv,text/plain,text/csv"}),
        help_text="Text or CSV, as a spreadsheet saves it.",
    )

    def clean_file(self) -> str:
        """Its text."""
        file: UploadedFile[bytes] | None = self.cleaned_data["file"]
        if file is None:
            return ""
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(f"This file is larger than {LARGEST_FILE // 1_000_000} MB.", "too_large")
        try:
            return decode(file.read())
        except ValueError as error:
            raise forms.ValidationError(str(error), "no_text") from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        roster = parse(data["addresses"], data["file"])
        if roster.size == 0:
            raise forms.ValidationError("Paste addresses, or choose a file that holds some.", "empty")
        if roster.size > runs.MOST:
            none = f", {len(roster.invalid)} of them no addresses" if roster.invalid else ""
            message = f"These are {roster.size} entries{none}; a run takes at most {runs.MOST}. Split the list."
            raise forms.ValidationError(message, "too_many")
        return {**data, "roster": roster}


@dataclass(frozen=True, slots=True)
class Group:
    """The addresses of a run with one and the same result."""

    code: str
    raw: str
    words: Finding
    addresses: list[str]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return f"{self.code}-{self.raw}" if self.raw else self.code


@page("preflight", "GET", "HEAD", "POST")
def preflight(request: HttpRequest, slug: str) -> HttpResponse:
    """GET the form and the last runs, POST to start one."""
    account = account_of(slug)
    form, problem = RosterForm(), ""
    if request.method == "POST":
        form = RosterForm(request.POST, request.FILES)
        roster, problem = _asked_for(request, account, form)
        if roster is not None:
            return _start(request, account, roster)
    counted = {"size": Count("addresses"), "readable": Count("addresses", filter=Q(addresses__code=READABLE))}
    last = Preflight.objects.filter(account=account).annotate(**counted).order_by("-started_at", "-pk")
    return show(
        request,
        "preflight.html",
        f"Roster pre-flight: {account}",
        400 if request.method == "POST" else 200,
        account=account,
        form=form,
        problem=problem,
        connected=_connected(account),
        running=runs.running(account),
        known=len(runs.known(account).addresses),
        most=runs.MOST,
        days=WINDOW.days,
        kept_days=runs.KEPT_FOR.days,
        last=last[:RUNS_SHOWN],
        no_worker=_no_worker(),
    )


@page("preflight")
def run_page(request: HttpRequest, slug: str, run: int) -> HttpResponse:
    """How far a run is, and what it found until now."""
    account, found = account_of(slug), _run_of(slug, run)
    now = runs.progress(found)
    context: dict[str, Any] = {
        "account": account,
        "run": found,
        "progress": now,
        "groups": _groups(found),
        "days": WINDOW.days,
    }
    title = f"Pre-flight of {found.started_at:%-d %B %Y, %H:%M} UTC: {account}"
    return show(request, "preflight_run.html", title, words=_words(found, now), note=_note(found), **context)


@page("preflight")
def progress_json(request: HttpRequest, slug: str, run: int) -> HttpResponse:
    """The same in small, for the page to ask again and again."""
    found = _run_of(slug, run)
    now = runs.progress(found)
    state = {"outcome": found.outcome, "done": now.done, "total": now.total}
    return JsonResponse({**state, "words": _words(found, now), "note": _note(found)})


@page("preflight")
def result_csv(request: HttpRequest, slug: str, run: int) -> HttpResponse:
    """All addresses with result, cause and fix, in the order in which they were given."""
    found = _run_of(slug, run)
    content = as_csv(found.addresses.order_by("pk").values_list("address", "code", "raw", "checked_at"))
    name = f"preflight-{slug}-{found.started_at:%Y-%m-%d-%H%M}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


@page("preflight", "POST")
def cancel(request: HttpRequest, slug: str, run: int) -> HttpResponse:
    """Ends a run; what it found stays."""
    account, found = account_of(slug), _run_of(slug, run)
    if runs.cancel(found):
        audit.record(account, "preflight_canceled", "ok", **who(request), run=found.pk)
        messages.success(request, "Canceled. What was found until now is below.")
    else:
        messages.info(request, "The run had ended before.")
    return _to_run(account, found)


def _asked_for(request: HttpRequest, account: Account, form: RosterForm) -> tuple[Roster | None, str]:
    """What to check; else None with a problem that is none of the form's, or "" where the form says it."""
    if not _connected(account):
        return None, "The account is not connected, so nothing can be asked."
    if request.POST.get("source") != Preflight.Source.KNOWN:
        return (form.cleaned_data["roster"] if form.is_valid() else None), ""
    roster = runs.known(account)
    return (roster, "") if roster.size else (None, "No mailbox of this account was asked for through the API lately.")


def _start(request: HttpRequest, account: Account, roster: Roster) -> HttpResponse:
    known = request.POST.get("source") == Preflight.Source.KNOWN
    source = Preflight.Source.KNOWN if known else Preflight.Source.GIVEN
    try:
        run = runs.start(account, roster, by=request.user.get_username(), source=source)
    except runs.AlreadyRunning:
        messages.warning(request, "This account has a run that has not ended. Wait for it, or cancel it.")
        running = runs.running(account)
        return _to_run(account, running) if running else HttpResponseRedirect(request.path)
    numbers: dict[str, Any] = {"addresses": len(roster.addresses), "invalid": len(roster.invalid)}
    audit.record(account, "preflight_started", "ok", **who(request), run=run.pk, source=source.value, **numbers)
    messages.success(request, " ".join(_started(roster)))
    return _to_run(account, run)


def _started(roster: Roster) -> Iterator[str]:
    yield f"Started over {roster.size} entr{'y' if roster.size == 1 else 'ies'}."
    if roster.invalid:
        yield f"{len(roster.invalid)} of them: no e-mail address."
    if roster.repeated:
        yield f"Named more than once and taken once: {roster.repeated}."
    if roster.beside:
        yield f"Words or columns beside addresses that were taken for names: {roster.beside}."


def _connected(account: Account) -> bool:
    connection = connection_of(account)
    return connection is not None and connection.enabled


def _run_of(slug: str, run: int) -> Preflight:
    return get_object_or_404(Preflight, pk=run, account__slug=slug)


def _to_run(account: Account, run: Preflight) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:preflight_run", args=[account.slug, run.pk]))


def _groups(run: Preflight) -> list[Group]:
    """By result, what needs somebody first; without those that a running run has still to ask."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    rows = PreflightAddress.objects.filter(preflight=run).order_by("pk").values_list("code", "raw", "address")
    for code, raw, address in rows:
        if code or run.outcome:
            found[code or UNASKED, raw].append(address)
    groups = [Group(code, raw, finding(code, raw), addresses) for (code, raw), addresses in found.items()]
    return sorted(groups, key=lambda group: (order(group.code), -len(group.addresses), group.anchor))


def _words(run: Preflight, now: runs.Progress) -> str:
    words = f"{now.done} of {now.total} checked, {now.readable} readable."
    return words if run.outcome else f"Running: {words}"


def _note(run: Preflight) -> str:
    """What keeps a run from going on, "" when nothing does."""
    if run.outcome == Preflight.Outcome.NOT_CONNECTED:
        return "The account is not connected any more, so the rest could not be asked."
    if run.outcome or run.next_try_at is None:
        return ""
    if silent := _no_worker():
        return f"No worker answers ({silent}). The run goes on by itself as soon as one does."
    if run.held_up and not run.holder:
        at = f"{run.next_try_at:%H:%M:%S} UTC"
        return f"Held up: {reason(run.held_up).title} ({run.held_up}). It goes on by itself, at {at} at the earliest."
    return ""


def _no_worker() -> str:
    """Why it is thought that nobody works off runs, "" when somebody does."""
    try:
        heartbeat.describe(heartbeat.Process.WORKER)
    except LookupError as error:
        return str(error.args[0])
    except (RedisError, sqlite3.Error):
        return "its signs of life cannot be read now"
    return ""


urlpatterns = [
    path("accounts/<slug:slug>/preflight/", preflight, name="preflight"),
    path("accounts/<slug:slug>/preflight/<int:run>/", run_page, name="preflight_run"),
    path("accounts/<slug:slug>/preflight/<int:run>/progress.json", progress_json, name="preflight_progress"),
    path("accounts/<slug:slug>/preflight/<int:run>/result.csv", result_csv, name="preflight_csv"),
    path("accounts/<slug:slug>/preflight/<int:run>/cancel/", cancel, name="preflight_cancel"),
]
