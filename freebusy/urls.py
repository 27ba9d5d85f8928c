"""API v1."""

from __future__ import annotations

from django.urls import path

from freebusy import views

urlpatterns = [
    path("accounts/<slug:slug>/connection/", views.ConnectionView.as_view(), name="api-connection"),
    path("accounts/<slug:slug>/availability/", views.AvailabilityView.as_view(), name="api-availability"),
    path("accounts/<slug:slug>/slots/", views.SlotsView.as_view(), name="api-slots"),
    path("accounts/<slug:slug>/roster/refresh/", views.RosterView.as_view(), name="api-roster-refresh"),
]
