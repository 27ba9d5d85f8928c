"""The app of Cadence Admin's own pages, and the admin site that carries them."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AppConfig):
    """Pages over what all the apps below know."""

    name = "console"
    verbose_name = "Cadence Admin"


class CadenceAdminConfig(AdminConfig):
    """Django's admin with our site in the place of its own, so that every app still registers with `admin.site`."""

    default_site = "console.site.CadenceAdmin"
