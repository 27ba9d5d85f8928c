"""People of the admin with just some permissions, and the question that the pages' forms take."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

Fields = dict[str, Any]


def staff(*permissions: str, name: str = "sam") -> Client:
    """A browser in which somebody with exactly these permissions of the console is signed in."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions, content_type__app_label="console"))
    browser = Client()
    browser.force_login(user)
    return browser


def fields(*required: str, optional: tuple[str, ...] = (), rooms: tuple[str, ...] = (), **more: Any) -> Fields:
    """The form as a browser sends it: Tuesday 16 March 2027 in Berlin, an hour between nine and five."""
    return {
        "required": "\n".join(required),
        "optional": "\n".join(optional),
        "rooms": "\n".join(rooms),
        "start": "2027-03-16T00:00",
        "end": "2027-03-17T00:00",
        "time_zone": "Europe/Berlin",
        "duration_minutes": "60",
        "step_minutes": "30",
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "hours_start": "09:00",
        "hours_end": "17:00",
        "order": "time",
        **more,
    }
