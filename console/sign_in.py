"""The pages of a sign-in after the password: the code, setting up the second factor, and what a lock-out shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout, user_login_failed
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from staff import second_factor, sign_ins
from staff.second_factor import Step, next_step
from tenants import audit
from tenants.admin.parts import who


def half_way(view: Callable[[HttpRequest, User], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """For staff whose password was right, whatever they still have to do; never cached."""

    @wraps(view)
    def inner(request: HttpRequest) -> HttpResponseBase:
        if not (request.user.is_active and request.user.is_staff):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return view(request, request.user)

    return never_cache(require_http_methods(("GET", "HEAD", "POST"))(inner))


def on_to(request: HttpRequest, step: Step) -> HttpResponse:
    """The page of that step, which afterwards leads where the visitor wanted to go."""
    return redirect(f"{reverse(f'admin:{step}')}?{urlencode({'next': _wanted(request)})}")


def _wanted(request: HttpRequest) -> str:
    """Where the visitor wanted to go; never away from here."""
    address = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return address
    return reverse("admin:index")


def _page(request: HttpRequest, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
    frame = admin.site.each_context(request)
    if not admin.site.has_permission(request):  # not yet somebody who may know what there is
        frame |= {"available_apps": [], "is_nav_sidebar_enabled": False}
    values = {**frame, "title": title, "next": _wanted(request), **context}
    return render(request, f"admin/{template}", values, status=status)


@half_way
def code(request: HttpRequest, user: User) -> HttpResponseBase:
    """Asks for the code of the authenticator app, or a recovery code."""
    if next_step(user) is not Step.CODE:
        return redirect(_wanted(request))
    if request.method == "POST" and "cancel" in request.POST:
        logout(request)
        return redirect("admin:login")
    if request.method != "POST":
        return _page(request, "login_code.html", "Second factor")
    if not AxesProxyHandler.is_allowed(request):
        return locked_out(request)
    accepted = second_factor.accept(user, request.POST.get("code", ""))
    if accepted is None:
        user_login_failed.send(__name__, credentials={"username": user.get_username()}, request=request)
        return _page(request, "login_code.html", "Second factor", wrong=True)
    device, factor = accepted
    sign_ins.vouched(request, device)
    audit.record(None, "sign_in", "ok", **who(request), second_factor=factor.value)
    if factor is second_factor.Factor.RECOVERY_CODE:
        left = second_factor.recovery_codes_left(user)
        messages.warning(request, f"A recovery code was used up; {left} are left. Lost the app? Set up a new one.")
    return redirect(_wanted(request))


@half_way
def own_second_factor(request: HttpRequest, user: User) -> HttpResponseBase:
    """One's own second factor: whether there is one, and setting one up or removing it."""
    step = next_step(user)
    if step is Step.CODE:
        return on_to(request, step)
    if request.method == "POST" and request.POST.get("action") == "remove":
        return _remove(request, user)
    if request.method == "POST":
        second_factor.begin(user)
        return redirect(f"{reverse('admin:second-factor-enrol')}?{urlencode({'next': _wanted(request)})}")
    return _page(
        request,
        "second_factor.html",
        "Second factor",
        device=second_factor.authenticator_of(user),
        codes_left=second_factor.recovery_codes_left(user),
        required=settings.ADMIN_REQUIRE_TOTP,
    )


def _remove(request: HttpRequest, user: User) -> HttpResponse:
    """By a fresh code, so that an unattended browser is not enough."""
    if settings.ADMIN_REQUIRE_TOTP:
        messages.error(request, "Everybody needs a second factor here. You may set up another app instead.")
    elif second_factor.accept(user, request.POST.get("code", "")) is None:
        messages.error(request, "The code is not right, or was used before. Nothing was removed.")
    elif second_factor.remove(user):
        audit.record(None, "second_factor_removed", "ok", **who(request))
        messages.success(request, "Your second factor is removed.")
    return redirect("admin:second-factor")


@half_way
def enrol(request: HttpRequest, user: User) -> HttpResponseBase:
    """Shows the new secret, and puts it in force when the app gives a right code."""
    step, device = next_step(user), second_factor.unconfirmed_of(user)
    if step is Step.CODE:
        return on_to(request, step)
    if device is None:
        return on_to(request, Step.ENROL)
    confirmed = second_factor.confirm(user, request.POST.get("code", "")) if request.method == "POST" else None
    if confirmed is None:
        return _page(
            request,
            "second_factor_enrol.html",
            "Set up the second factor",
            secret=second_factor.shown_secret(device),
            uri=second_factor.uri(device),
            qr_code=second_factor.qr_code(device),
            wrong=request.method == "POST",
        )
    authenticator, recovery_codes = confirmed
    sign_ins.vouched(request, authenticator)
    audit.record(None, "second_factor_set_up", "ok", **who(request))
    return _page(request, "second_factor_codes.html", "Recovery codes", recovery_codes=recovery_codes)


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """What an address sees that failed too often; django-axes calls it too."""
    answer = _page(request, "login_locked.html", "Too many failed sign-ins", status=429)
    answer["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return answer


urlpatterns = [
    path("second-factor/", own_second_factor, name="second-factor"),
    path("second-factor/enrol/", enrol, name="second-factor-enrol"),
    path("second-factor/code/", code, name="second-factor-code"),
]
