"""Scopes are compared by their short name, in any case, from any cloud."""

from __future__ import annotations

import pytest

from tenants.scopes import extra_scopes, grants, short_name


@pytest.mark.parametrize(
    "spelled",
    [
        "Calendars.Read",
        "calendars.read",
        "CALENDARS.READ",
        "https://graph.microsoft.com/Calendars.Read",
        "https://graph.microsoft.us/calendars.read",
        "https://microsoftgraph.chinacloudapi.cn/Calendars.Read",
    ],
)
def test_a_scope_counts_as_granted_however_microsoft_spells_it(spelled: str) -> None:
    assert short_name(spelled) == "calendars.read"
    assert grants(["openid", spelled], "Calendars.Read")


@pytest.mark.parametrize(
    "granted",
    [
        [],
        ["openid", "profile", "offline_access"],
        ["Calendars.Read.Shared"],
        ["Calendars.ReadBasic"],
        ["Calendars.ReadWrite"],
        ["https://graph.microsoft.com/Calendars.Read.Shared"],
    ],
)
def test_another_calendar_scope_does_not_count_as_the_one_asked(granted: list[str]) -> None:
    assert not grants(granted, "Calendars.Read")


def test_extra_scopes_are_those_nobody_asked_for_as_microsoft_spelled_them() -> None:
    granted = [
        "openid",
        "Profile",
        "offline_access",
        "https://graph.microsoft.com/Calendars.Read",
        "https://graph.microsoft.com/User.Read",
        "email",
        "Mail.Read",
    ]
    assert extra_scopes(granted, "Calendars.Read") == ["https://graph.microsoft.com/User.Read", "email", "Mail.Read"]
