"""Routes of Cadence Admin's own pages, below /admin/ and in its namespace."""

from __future__ import annotations

from django.urls import URLPattern

from console import landing
from console.evidence import pages as evidence

# Each module lists its own, in the order of the pages.
urlpatterns: list[URLPattern] = [*landing.urlpatterns, *evidence.urlpatterns]
