"""The admin site with our pages in it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver
from django.utils import timezone


class CadenceAdmin(AdminSite):
    """Django's admin; our own pages come first, since its last pattern takes everything."""

    site_header = "Cadence Admin"
    site_title = "Cadence Admin"
    index_title = "Customers, connections and keys"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The landing page for who may see it; Django's list of rows for others."""
        from console.landing import landing
        from console.pages import may

        answer = super().index(request, extra_context)
        if may(request, "view_status"):
            answer.template_name = "admin/console/landing.html"
            answer.context_data = {**(answer.context_data or {}), **landing(timezone.now())}
        return answer

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff who have given all that their sign-in asks for."""
        from staff.second_factor import next_step

        return super().has_permission(request) and not next_step(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The password; whoever has given it goes on to what is still to do."""
        from console.sign_in import on_to
        from staff.second_factor import next_step

        if request.method == "GET" and super().has_permission(request) and (step := next_step(request.user)):
            return on_to(request, step)
        return super().login(request, extra_context)

    def get_urls(self) -> list[Any]:
        from console.urls import urlpatterns  # the views need the finished site

        own: list[URLPattern | URLResolver] = list(urlpatterns)
        return [*own, *super().get_urls()]
