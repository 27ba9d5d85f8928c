"""Every sign-in is written down and ends after a time; failed ones end in a lock-out (by django-axes)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import django_otp
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from staff.models import Authenticator
from staff.second_factor import Step, next_step
from tenants import audit
from tenants.models import fingerprint

UNFINISHED = timedelta(minutes=15)  # from the password to the second factor


def hashed_name(request: HttpRequest | None, credentials: Mapping[str, str] | None = None) -> str:
    """What django-axes stores of a name: what is typed there may be a password."""
    given = (credentials or {}).get("username") or (request.POST.get("username", "") if request else "")
    return fingerprint(given)


def vouched(request: HttpRequest, device: Authenticator) -> None:
    """A device has vouched for whoever is signed in: a new session key, and the full time."""
    django_otp.login(request, device)
    request.session.cycle_key()
    _lasts(request, timedelta(hours=settings.ADMIN_SESSION_HOURS))


@receiver(user_logged_in)
def _signed_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    step = next_step(user)
    # From the sign-in, however busy the session: a forgotten browser is signed out by the next morning.
    _lasts(request, UNFINISHED if step else timedelta(hours=settings.ADMIN_SESSION_HOURS))
    if request.resolver_match is None:
        return  # by code, as from a shell: nobody came through a page
    outcome = {Step.NONE: "ok", Step.CODE: "code_needed", Step.ENROL: "enrolment_needed"}[step]
    audit.record(None, "sign_in", outcome, **_who(request, user.get_username()))


@receiver(user_logged_out)
def _signed_out(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None and request.resolver_match is not None:
        audit.record(None, "sign_out", "ok", **_who(request, user.get_username()))


@receiver(user_login_failed)
def _failed(sender: Any, credentials: Mapping[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    # What a locked-out address goes on trying is written down by nobody: its entries have an end.
    if request is not None and not getattr(request, "axes_locked_out", False):
        name = _told_name(str(credentials.get("username", "")))
        audit.record(None, "sign_in", "failed", **_who(request, name), level=logging.WARNING)


@receiver(user_locked_out)
def _locked_out(sender: Any, request: HttpRequest, **_: Any) -> None:
    # Sent again for every further try; the failures are counted for the one that locks.
    if getattr(request, "axes_failures_since_start", None) is not None:
        credentials = getattr(request, "axes_credentials", None) or {}
        name = _told_name(str(credentials.get("username", "")))
        audit.record(None, "sign_in", "locked_out", **_who(request, name), level=logging.WARNING)


def _lasts(request: HttpRequest, time: timedelta) -> None:
    request.session.set_expiry(timezone.now() + time)


def _who(request: HttpRequest, name: str) -> dict[str, Any]:
    return {"actor": name, "address": audit.client_address(request)}


def _told_name(name: str) -> str:
    """A name that exists as it is; of another one only its beginning, since it may be a password in the wrong field."""
    if get_user_model().objects.filter(username=name).exists():
        return name
    return f"{name[:2]}…"
