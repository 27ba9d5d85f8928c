"""Consent pages: the account's page, the way back from Microsoft, the result."""

from __future__ import annotations

import logging
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from microsoft.errors import IntegrationError
from microsoft.http import Deadline
from microsoft.reasons import reason
from tenants import approval, audit, consent
from tenants.consent import Visitor
from tenants.correlation import current_request_id
from tenants.models import Account, Mode
from tenants.simulation import is_simulated
from tenants.standing import standing

log = logging.getLogger(__name__)

BROWSER_COOKIE = "cadence_browser"
BROWSER_COOKIE_SECONDS = 3600


@never_cache
@require_http_methods(["GET", "POST"])
def connect(request: HttpRequest, key: str) -> HttpResponse:
    """The account's consent page; its form leads to Microsoft."""
    account = get_object_or_404(Account, consent_key=key)
    if request.method == "GET":
        return _consent_page(request, account)
    mode = request.POST.get("mode", "")
    if mode not in Mode.values:
        return _consent_page(request, account, problem=True, status=400)
    try:
        begun = consent.begin(account, Mode(mode), _visitor(request), _deadline())
    except IntegrationError as error:
        return _result_page(request, consent.Result(502, reason(error.code), account))
    response = HttpResponseRedirect(begun.auth_uri)
    response.set_cookie(
        BROWSER_COOKIE,
        begun.browser,
        max_age=BROWSER_COOKIE_SECONDS,
        path="/connect/",
        secure=settings.PUBLIC_HTTPS,
        httponly=True,
        samesite="Lax",  # Microsoft's redirect back is a top-level GET, which Lax lets through
    )
    return response


@never_cache
@require_GET  # not HEAD: a preview must not use the code up
def callback(request: HttpRequest) -> HttpResponse:
    """The redirect URI: exchange, verifying read and enabling happen inside this request."""
    query = {name: request.GET[name] for name in request.GET}
    visitor = _visitor(request)
    arrived = approval.arrive(query, visitor)
    if isinstance(arrived, approval.Reported):
        context = {"account": arrived.account, "request_id": current_request_id(), "simulated": is_simulated(None)}
        return render(request, "tenants/approval.html", context)
    return _result_page(request, arrived or consent.complete(query, visitor, _deadline()))


def _consent_page(request: HttpRequest, account: Account, *, problem: bool = False, status: int = 200) -> HttpResponse:
    now = standing(account)
    context = {
        "standing": now,
        "simulated": is_simulated(now.connection if now else None),
        "modes": Mode,
        "problem": problem,
        "scope": settings.MICROSOFT_CALENDAR_SCOPE,
    }
    return render(request, "tenants/connect.html", context, status=status)


def _result_page(request: HttpRequest, result: consent.Result) -> HttpResponse:
    template = "tenants/connected.html" if result.reason is None else "tenants/not_connected.html"
    context = {
        "result": result,
        "request_id": current_request_id(),
        "simulated": is_simulated(result.connection),
        **_to_forward(result),
    }
    response = render(request, template, context, status=result.status)
    # The flow has logged one structured line already; Django's own "Bad Gateway" would say it twice.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _to_forward(result: consent.Result) -> dict[str, object]:
    """For visitors who lack the right: the approval link, and a text that asks IT to open it."""
    if result.account is None or result.reason is None or result.reason.code not in approval.NEEDED:
        return {}
    links = {"admin_consent_url": approval.link(result.account), "consent_url": result.account.consent_url}
    text = render_to_string("tenants/forward.txt", links).strip()
    lines = text.replace("\n", "\r\n")  # RFC 6068, section 5
    mail = {"subject": gettext("Please approve: calendars for Event Cadence"), "body": lines}
    return {**links, "forward_text": text, "forward_mail": f"mailto:?{urlencode(mail, quote_via=quote)}"}


def _visitor(request: HttpRequest) -> Visitor:
    return Visitor(request.COOKIES.get(BROWSER_COOKIE, ""), audit.client_address(request))


def _deadline() -> Deadline:
    return Deadline.after(settings.ANSWER_DEADLINE_SECONDS)
