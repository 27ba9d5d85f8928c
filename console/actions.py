"""The buttons of an account's page: each behind its own permission, by POST, written down, answered in words.

A script of the page asks for the answer as JSON and shows it in place; without it the answer is a message on the page
that one is sent back to.
"""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone

from alerts import reconnecting
from console.account_page import account_page
from console.pages import account_of, page, show
from console.switching import Refused, approve, propose, withdraw
from console.timeline import Tone
from freebusy.probes import Seen, probe_within
from microsoft.reasons import reason
from tenants import audit
from tenants.admin.parts import connection_of, who
from tenants.disconnecting import disconnect
from tenants.health import Outcome
from tenants.models import Account, Connection, TokenRecord, new_consent_key
from tenants.refreshing import Tally, refresh_all

CHECK_SECONDS = 15.0
HELD_SECONDS = 5.0  # for a refresh that another process is at

_LEVELS = {Tone.GOOD: messages.SUCCESS, Tone.CALM: messages.INFO, Tone.WARN: messages.WARNING, Tone.BAD: messages.ERROR}


@dataclass(frozen=True, slots=True)
class Said:
    """What a button is answered with."""

    text: str
    tone: Tone = Tone.GOOD


# --- ask Microsoft now -----------------------------------------------------------------------------------------------
@page("check_now", "POST")
def check_now(request: HttpRequest, slug: str) -> HttpResponse:
    """One probe, now; it counts as any other does."""
    account = account_of(slug)
    connection = connection_of(account)
    seen = probe_within(connection, CHECK_SECONDS) if connection else None
    outcome = "not_asked" if seen is None else seen.finding.result.outcome.value
    code = seen.finding.result.code if seen else ""
    audit.record(account, "check_now", code or outcome, **who(request))
    return _answer(request, account, _of_check(seen))


def _of_check(seen: Seen | None) -> Said:
    if seen is None:
        return Said("Nothing was asked: only an enabled connection can be checked.", Tone.WARN)
    result = seen.finding.result
    took = f" in {result.latency_ms} ms" if result.latency_ms is not None else ""
    if result.outcome is Outcome.OK:
        return Said(f"It works: Microsoft let us read the reader’s free/busy{took}.")
    why = _in_words(result.code)
    if result.outcome is Outcome.SUSPICIOUS:
        return Said(f"Microsoft answered{took}, but the answer is hard to believe. {why}", Tone.WARN)
    if seen.finding.our_fault:
        return Said(f"Our own fault, so nothing was noted for this connection. {why}", Tone.BAD)
    if not seen.recorded:
        why = f"Microsoft fails for others too, so nothing was noted for this connection. {why}"
    return Said(f"It does not work: {why}", Tone.BAD)


@page("refresh_now", "POST")
def refresh_now(request: HttpRequest, slug: str) -> HttpResponse:
    """A new access token, whatever the due time, back-off and breakers."""
    account = account_of(slug)
    tally = refresh_all(slug, wait=HELD_SECONDS)
    said = _of_refresh(tally, Connection.objects.filter(account=account).first())
    outcome = next(name for name in ("refreshed", "needs_consent", "failed", "skipped") if getattr(tally, name, 0))
    audit.record(account, "refresh_now", outcome, **who(request))
    return _answer(request, account, said)


def _of_refresh(tally: Tally, connection: Connection | None) -> Said:
    if tally.refreshed:
        return Said("Refreshed: Microsoft gave a new token.")
    if tally.needs_consent and connection:
        return Said(f"Microsoft refuses for good; somebody must sign in again. {_in_words(connection.reason_code)}",
                    Tone.BAD)  # fmt: skip
    if tally.failed and connection:
        token = TokenRecord.objects.filter(connection=connection).only("last_failure_code").first()
        why = _in_words(token.last_failure_code) if token and token.last_failure_code else "Another process is at it."
        return Said(f"Not refreshed; the present token stays. {why}", Tone.BAD)
    return Said("Nothing was asked: only an enabled connection has a token to refresh.", Tone.WARN)


def _in_words(code: str) -> str:
    why = reason(code)
    return f"{why.title} ({why.code}). Who acts: {why.actor.in_words}. Next: {why.next_step}"


# --- the consent link ------------------------------------------------------------------------------------------------
@page("send_link", "POST")
def copy_link(request: HttpRequest, slug: str) -> HttpResponse:
    """The link itself, in the answer alone: a message would put it into a cookie or the session."""
    account = account_of(slug)
    audit.record(account, "reconnect_link_copied", "ok", **who(request))
    if _in_place(request):
        return JsonResponse({"text": "The reconnect link:", "tone": Tone.CALM, "link": account.consent_url})
    return account_page(request, account, link=account.consent_url)


@page("send_link", "POST")
def send_link(request: HttpRequest, slug: str) -> HttpResponse:
    """A mail with the link to the account's contact, by the outbox."""
    account = account_of(slug)
    if not account.contact_email:
        return _answer(request, account, Said("Nobody to write to: the account has no contact.", Tone.WARN))
    if not reconnecting.invite(account, timezone.now()):
        minutes = int(reconnecting.PAUSE.total_seconds() // 60)
        words = f"Not sent: a reconnect link went out less than {minutes} minutes ago."
        return _answer(request, account, Said(words, Tone.WARN))
    audit.record(account, "reconnect_link_sent", "ok", **who(request))
    if not settings.SENDS_MAILS:
        return _answer(request, account, Said("The mail waits: EMAIL_URL is not set, so no mail leaves.", Tone.WARN))
    return _answer(request, account, Said("The reconnect link leaves for the contact within a minute."))


@page("renew_key", "GET", "HEAD", "POST")
def renew_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks first, then makes a new consent key."""
    account = account_of(slug)
    if request.method != "POST":
        return show(request, "account_renew_key.html", f"Renew the consent key of {account}?", account=account)
    Account.objects.filter(pk=account.pk).update(consent_key=new_consent_key())
    audit.record(account, "consent_key_renewed", "ok", **who(request))
    return _answer(request, account, Said("Renewed: links that were sent before have stopped working."))


# --- another tenant, or none -----------------------------------------------------------------------------------------
@page("propose_switch", "POST")
def propose_switch(request: HttpRequest, slug: str) -> HttpResponse:
    """The first of two people."""
    return _switch(request, slug, "propose")


@page("approve_switch", "POST")
def approve_switch(request: HttpRequest, slug: str) -> HttpResponse:
    """The second, who must be a superuser."""
    return _switch(request, slug, "approve")


@page("propose_switch", "POST")
def withdraw_switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes a proposal back."""
    return _switch(request, slug, "withdraw")


def _switch(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    account = account_of(slug)
    tenant, user, address = request.POST.get("tenant", ""), request.user, audit.client_address(request)
    if not user.is_authenticated:
        raise TypeError("pages of the admin have somebody signed in")
    try:
        if step == "propose":
            propose(account, tenant, user, address)
            said = Said("Proposed. A second person, a superuser, can approve it within 24 hours.")
        elif step == "approve":
            approve(account, tenant, user, address)
            said = Said(f"Allowed: {account} may now connect from {tenant}. Send the customer the reconnect link.")
        else:
            withdraw(account, user, address)
            said = Said("The proposal is withdrawn.")
    except Refused as refused:
        said = Said(str(refused), Tone.BAD)
    return _answer(request, account, said)


class DisconnectForm(forms.Form):
    """Why a connection is ended: it stays in the audit log."""

    why = forms.CharField(
        label="Reason",
        max_length=200,
        help_text="Stays in the audit log. No personal data, please.",
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
    )


@page("disconnect", "GET", "HEAD", "POST")
def disconnect_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a reason, then ends the connection."""
    account = account_of(slug)
    form = DisconnectForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        disconnect(account, why=form.cleaned_data["why"], **who(request))
        return _answer(request, account, Said("Disconnected: reading has stopped and the stored sign-in is deleted."))
    status = 400 if form.is_bound else 200
    return show(request, "account_disconnect.html", f"Disconnect {account}?", status, account=account, form=form)


# --- answers ---------------------------------------------------------------------------------------------------------
def _in_place(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"


def _answer(request: HttpRequest, account: Account, said: Said) -> HttpResponse:
    if _in_place(request):
        return JsonResponse({"text": said.text, "tone": said.tone})
    messages.add_message(request, _LEVELS[said.tone], said.text)
    return redirect("admin:account", account.slug)


urlpatterns = [
    path("accounts/<slug:slug>/check/", check_now, name="check-now"),
    path("accounts/<slug:slug>/refresh/", refresh_now, name="refresh-now"),
    path("accounts/<slug:slug>/copy-link/", copy_link, name="copy-link"),
    path("accounts/<slug:slug>/send-link/", send_link, name="send-link"),
    path("accounts/<slug:slug>/renew-key/", renew_key, name="renew-key"),
    path("accounts/<slug:slug>/switch/propose/", propose_switch, name="propose-switch"),
    path("accounts/<slug:slug>/switch/approve/", approve_switch, name="approve-switch"),
    path("accounts/<slug:slug>/switch/withdraw/", withdraw_switch, name="withdraw-switch"),
    path("accounts/<slug:slug>/disconnect/", disconnect_now, name="disconnect"),
]
