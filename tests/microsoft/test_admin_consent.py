"""The approval link as https://learn.microsoft.com/entra/identity-platform/v2-admin-consent describes it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from microsoft.admin_consent import admin_consent_url


def test_the_approval_link_has_the_documented_form():
    url = admin_consent_url(
        "https://login.microsoftonline.us",
        client_id="5a9db0c5-0000-4000-8000-00000000ca1e",
        scopes=["https://graph.microsoft.us/Calendars.Read"],
        redirect_uri="https://exchange.example/connect/callback/",
        state="a&b=c #?",
    )
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "login.microsoftonline.us")
    assert parts.path == "/organizations/v2.0/adminconsent"
    assert parse_qs(parts.query) == {
        "client_id": ["5a9db0c5-0000-4000-8000-00000000ca1e"],
        "scope": ["https://graph.microsoft.us/Calendars.Read openid profile offline_access"],
        "redirect_uri": ["https://exchange.example/connect/callback/"],
        "state": ["a&b=c #?"],
    }


def test_the_approval_link_survives_a_mail_program():
    url = admin_consent_url("https://login.example/", client_id="c", scopes=["s"], redirect_uri="r", state="t:u")
    assert not set(url) & set(" +<>\"'")
    assert "//organizations" not in url
