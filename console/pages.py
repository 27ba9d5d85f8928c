"""How a page of ours is served inside the admin: signed in, allowed, and in the admin's frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from tenants.models import Account

View = Callable[..., HttpResponseBase]


def page(permission: str, *methods: str) -> Callable[[View], View]:
    """For staff with `console.<permission>`; others are sent to the sign-in, or get 403. `methods` default to GET."""

    def decorate(view: View) -> View:
        @wraps(view)
        def allowed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not may(request, permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return admin.site.admin_view(require_http_methods(methods or ("GET", "HEAD"))(allowed))

    return decorate


def may(request: HttpRequest, permission: str) -> bool:
    """Whether whoever asks has `console.<permission>`."""
    return bool(request.user.has_perm(f"console.{permission}"))


def show(request: HttpRequest, template: str, title: str, status: int = 200, **context: Any) -> TemplateResponse:
    """`templates/admin/console/<template>` in the admin's frame; there `may.<permission>` says what to offer."""
    frame = admin.site.each_context(request)
    granted = {name.removeprefix("console."): True for name in request.user.get_all_permissions()}
    values = {**frame, "title": title, "may": granted, **context}
    return TemplateResponse(request, f"admin/console/{template}", values, status=status)


def account_of(slug: str) -> Account:
    """The account with its connection, if it has one; 404 for a slug of none."""
    return get_object_or_404(Account.objects.select_related("connection"), slug=slug)
