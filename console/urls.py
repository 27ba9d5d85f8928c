"""Routes of Cadence Admin's own pages, below /admin/ and in its namespace."""

from __future__ import annotations

from django.urls import URLPattern

from console import account_page, actions, availability, bundle, landing, policy, preflight, sign_in
from console.evidence import pages as evidence

# Each module lists its own, in the order of the pages.
urlpatterns: list[URLPattern] = [
    *landing.urlpatterns,
    *account_page.urlpatterns,
    *actions.urlpatterns,
    *availability.urlpatterns,
    *policy.urlpatterns,
    *preflight.urlpatterns,
    *bundle.urlpatterns,
    *evidence.urlpatterns,
    *sign_in.urlpatterns,
]
