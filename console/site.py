"""The admin site with our pages in it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.urls import URLPattern, URLResolver


class CadenceAdmin(AdminSite):
    """Django's admin; our own pages come first, since its last pattern takes everything."""

    site_header = "Cadence Admin"
    site_title = "Cadence Admin"
    index_title = "Customers, connections and keys"

    def get_urls(self) -> list[Any]:
        from console.urls import urlpatterns  # the views need the finished site

        own: list[URLPattern | URLResolver] = list(urlpatterns)
        return [*own, *super().get_urls()]
