"""Consent pages."""

from __future__ import annotations

from django.urls import path

from tenants import views

urlpatterns = [
    path("callback/", views.callback, name="connect-callback"),
    path("<slug:key>/", views.connect, name="connect"),
]
