"""All routes."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from cadence_exchange import problems


def home(request: HttpRequest) -> HttpResponse:
    """A visitor who only knows the host learns where the ways in are."""
    return render(request, "home.html")


urlpatterns = [
    path("", home, name="home"),
    path("connect/", include("tenants.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("freebusy.urls")),
    path("api/v1/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]

handler400 = problems.bad_request
handler403 = problems.forbidden
handler404 = problems.not_found
handler500 = problems.server_error
