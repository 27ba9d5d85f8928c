"""A simulated Microsoft 365 is marked for people, and refused at a public address that is not for training."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cadence_exchange.checks import a_simulated_microsoft_is_for_training
from sandbox import Sandbox
from sandbox.browser import sign_in
from tenants.models import Account, AuditEntry, Connection, TokenRecord
from tenants.refreshing import refresh_all
from tenants.simulation import is_simulated
from tests.factories import Api, make_account, make_api_key

pytestmark = pytest.mark.django_db
BADGE = '<span class="badge badge-warn">simulated</span>'


def public(settings: Any, *, training: bool = False) -> None:
    """The installation as it is behind https."""
    settings.PUBLIC_HTTPS = True
    settings.SECURE_SSL_REDIRECT = False  # the test's client speaks plain http
    settings.ALLOW_SIMULATED_MICROSOFT = training


def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_a_connection_made_with_the_simulation_says_so_for_good(contoso: Account, settings: Any) -> None:
    row = Connection.objects.get()
    assert row.simulated and is_simulated(row)
    settings.MICROSOFT_AUTHORITY_URL = ""
    assert is_simulated(row)
    assert Api(make_api_key(contoso)).get("contoso").json()["simulated"] is True


def test_a_connection_that_is_read_from_the_simulation_now_says_so(contoso: Account, settings: Any) -> None:
    Connection.objects.update(simulated=False)
    assert is_simulated(Connection.objects.get())
    settings.MICROSOFT_AUTHORITY_URL = "https://login.microsoftonline.com"
    assert not is_simulated(Connection.objects.get())
    assert Api(make_api_key(contoso)).get("contoso").json()["simulated"] is False


def test_a_real_one_is_marked_nowhere(contoso: Account, settings: Any) -> None:
    settings.MICROSOFT_AUTHORITY_URL = ""
    Connection.objects.update(simulated=False)
    browser = root()
    for path in admin_pages(contoso):
        assert BADGE not in browser.get(path).content.decode()
    assert "simulated" not in Client().get(f"/connect/{contoso.consent_key}/").content.decode()


def admin_pages(account: Account) -> list[str]:
    connection = Connection.objects.get()
    return [
        "/admin/tenants/account/",
        f"/admin/tenants/account/{account.pk}/change/",
        "/admin/tenants/connection/",
        f"/admin/tenants/connection/{connection.pk}/change/",
    ]


def test_the_admin_marks_it_in_lists_and_on_single_pages(contoso: Account) -> None:
    browser = root()
    for path in admin_pages(contoso):
        assert BADGE in browser.get(path).content.decode(), path


def test_at_a_public_address_nobody_connects_with_the_simulation(microsoft: Sandbox, settings: Any) -> None:
    account = make_account("contoso")
    public(settings)
    answer = Client().post(f"/connect/{account.consent_key}/", {"mode": "admin"})
    assert answer.status_code == 502
    assert "This is our fault" in answer.content.decode()
    assert AuditEntry.objects.get(action="consent").outcome == "simulation_refused"
    assert microsoft.counters["authorize"] == 0


def test_at_a_public_address_a_way_back_from_the_simulation_connects_nobody(microsoft: Sandbox, settings: Any) -> None:
    account, browser = make_account("contoso"), Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "service_account"})["Location"]
    back = sign_in(away, "cadence-service@contoso.example")
    public(settings)
    assert browser.get(back.removeprefix("http://localhost:8000")).status_code == 502
    assert not TokenRecord.objects.exists()


def test_at_a_public_address_a_connection_of_the_simulation_is_not_renewed_and_not_lost(
    contoso: Account, settings: Any
) -> None:
    past = timezone.now() - timedelta(hours=1)
    TokenRecord.objects.update(access_expires_at=past, refresh_due_at=past)
    public(settings)
    assert refresh_all().failed == 1
    assert Connection.objects.get().state == "enabled"


def test_a_training_installation_may_use_it(microsoft: Sandbox, settings: Any, consent: Callable[..., Any]) -> None:
    account = make_account("contoso")
    public(settings, training=True)
    browser = Client()
    away = browser.post(f"/connect/{account.consent_key}/", {"mode": "service_account"})
    assert away.status_code == 302
    back = sign_in(away["Location"], "cadence-service@contoso.example")
    browser.cookies["cadence_browser"]["secure"] = ""
    assert browser.get(back.removeprefix("http://localhost:8000")).status_code == 200


@pytest.mark.parametrize(
    ("https", "authority", "training", "ids"),
    [
        (False, "https://localhost:8443", False, []),
        (True, "", False, []),
        (True, "https://login.microsoftonline.us", False, []),
        (True, "https://localhost:8443", False, ["cadence.W003"]),
        (True, "https://localhost:8443", True, ["cadence.I001"]),
    ],
)
def test_the_start_says_what_a_public_simulation_means(
    settings: Any, https: bool, authority: str, training: bool, ids: list[str]
) -> None:
    settings.PUBLIC_HTTPS, settings.MICROSOFT_AUTHORITY_URL = https, authority
    settings.ALLOW_SIMULATED_MICROSOFT = training
    assert [message.id for message in a_simulated_microsoft_is_for_training()] == ids
