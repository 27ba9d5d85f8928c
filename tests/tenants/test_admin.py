"""Cadence Admin: who may do what, what is written down, and what is never shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.models import (
    Account,
    AllChecks,
    ApiKey,
    AuditEntry,
    CacheRow,
    Connection,
    ConnectionChecks,
    ConsentAttempt,
    HealthCheck,
    TokenRecord,
)
from tests.factories import Api, make_account, make_api_key

OLD_TENANT = "11111111-1111-4111-8111-111111111111"
NEW_TENANT = "22222222-2222-4222-8222-222222222222"
FORM = {
    "name": "Contoso",
    "time_zone": "Europe/Berlin",
    "cloud": "global",
    "policy": "technical",
    "contact_email": "",
    "language": "en",
}


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser."""
    User.objects.create_superuser("root")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    return client


def act(client: Client, model: str, action: str, *pks: int, **extra: Any) -> Any:
    data = {"action": action, "_selected_action": [str(pk) for pk in pks], "index": "0", **extra}
    return client.post(f"/admin/tenants/{model}/", data, follow=True)


def last_entry() -> AuditEntry:
    entry = AuditEntry.objects.first()
    assert entry is not None
    return entry


def test_what_holds_secrets_is_not_in_the_admin_at_all() -> None:
    shown = {model for model in admin.site._registry if model._meta.app_label == "tenants"}
    assert shown == {Account, Connection, AuditEntry, ApiKey, HealthCheck}
    assert set(apps.get_app_config("tenants").get_models()) - shown == {
        TokenRecord,
        ConsentAttempt,
        CacheRow,
        ConnectionChecks,
        AllChecks,
    }


def test_the_admin_says_whose_it_is(root: Client) -> None:
    assert "Cadence Admin" in root.get("/admin/").content.decode()


# Accounts


def test_an_account_is_added_with_domains_one_per_line(root: Client) -> None:
    domains = " @Contoso.example\r\n\r\nmail.contoso.example, contoso.test "
    answer = root.post("/admin/tenants/account/add/", {**FORM, "slug": "contoso", "domains": domains})
    assert answer.status_code == 302
    assert Account.objects.get().domains == ["contoso.example", "mail.contoso.example", "contoso.test"]
    entry = last_entry()
    assert (entry.action, entry.actor, entry.address) == ("account_created", "root", "127.0.0.1")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"domains": "no domain!"}, "is no lower-case domain"),
        ({"domains": "contoso.example contoso.example"}, "named twice"),
        ({"domains": " \n"}, "This field is required"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"policy": "strict"}, "Select a valid choice"),
        ({"slug": "Con Toso"}, "slug"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused_with_words(
    root: Client, changed: dict[str, str], words: str
) -> None:
    form = {**FORM, "slug": "contoso", "domains": "contoso.example", **changed}
    answer = root.post("/admin/tenants/account/add/", form)
    assert answer.status_code == 200 and words in answer.content.decode()
    assert not Account.objects.exists() and not AuditEntry.objects.exists()


def test_a_change_is_written_down_with_its_new_values_and_the_slug_stays(root: Client) -> None:
    account = make_account("contoso")
    form = {**FORM, "slug": "other", "domains": "contoso.example", "name": "Contoso Ltd"}
    root.post(f"/admin/tenants/account/{account.pk}/change/", form)
    account.refresh_from_db()
    assert (account.slug, account.name) == ("contoso", "Contoso Ltd")
    assert last_entry().action == "account_changed"
    assert last_entry().details == {"values": {"name": "Contoso Ltd"}}


def test_another_policy_is_chosen_only_where_its_effect_is_seen_first(root: Client) -> None:
    account = make_account("contoso")
    address = f"/admin/tenants/account/{account.pk}/change/"
    assert 'href="/admin/accounts/contoso/policy/"' in root.get(address).content.decode()
    root.post(address, {**FORM, "domains": "contoso.example", "name": "New", "policy": "cautious"})
    account.refresh_from_db()
    assert (account.name, account.policy) == ("New", "technical")


def test_saving_without_a_change_writes_nothing_down(root: Client) -> None:
    account = make_account("contoso")
    root.post(f"/admin/tenants/account/{account.pk}/change/", {**FORM, "domains": "contoso.example"})
    assert not AuditEntry.objects.exists()


def test_the_consent_link_can_be_copied_from_the_form(root: Client) -> None:
    account = make_account("contoso")
    html = root.get(f"/admin/tenants/account/{account.pk}/change/").content.decode()
    assert f'data-copy="{account.consent_url}"' in html
    assert "/static/copy.js" in html


def test_accounts_are_found_by_domain(root: Client) -> None:
    make_account("contoso")
    make_account("fabrikam", domains=["mail.fab.example"])
    answer = root.get("/admin/tenants/account/", {"q": "mail.fab"})
    assert [row.slug for row in answer.context["cl"].queryset] == ["fabrikam"]


def test_nobody_deletes_an_account_or_a_key(root: Client) -> None:
    account = make_account("contoso")
    make_api_key(account)
    for model, row in (("account", account), ("apikey", ApiKey.objects.get())):
        assert root.post(f"/admin/tenants/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
        act(root, model, "delete_selected", row.pk, post="yes")
    assert Account.objects.exists() and ApiKey.objects.exists()


# Connections


def switchable(slug: str = "contoso", refused: str = NEW_TENANT) -> Connection:
    return Connection.objects.create(
        account=make_account(slug),
        state="enabled",
        tenant_id=OLD_TENANT,
        refused_tenant_id=refused,
        connected_at=datetime.now(UTC),
    )


def test_a_lost_connection_shows_its_reason_in_words(root: Client) -> None:
    row = switchable()
    Connection.objects.update(state="needs_consent", reason_code="AADSTS50173")
    html = root.get(f"/admin/tenants/connection/{row.pk}/change/").content.decode()
    assert "The permission was revoked" in html and "AADSTS50173" in html


@pytest.mark.parametrize(
    ("stored", "checked_minutes_ago", "shown"),
    [("healthy", 5, "healthy"), ("down", 5, "down"), ("healthy", 61, "unknown"), ("healthy", None, "unknown")],
)
def test_a_health_that_nobody_checked_lately_is_shown_and_filtered_as_unknown(
    root: Client, settings: Any, stored: str, checked_minutes_ago: int | None, shown: str
) -> None:
    settings.HEALTH_STALE_SECONDS = 3600
    row = switchable()
    at = None if checked_minutes_ago is None else datetime.now(UTC) - timedelta(minutes=checked_minutes_ago)
    Connection.objects.update(health=stored, last_check_at=at)
    for model in ("account", "connection"):
        assert f">{shown}</span>" in root.get(f"/admin/tenants/{model}/").content.decode()
    for health in ("healthy", "degraded", "down", "unknown"):
        found = root.get("/admin/tenants/connection/", {"health": health}).context["cl"].queryset
        assert list(found) == ([row] if health == shown else [])


# API keys


def add_key(client: Client, **form: Any) -> Any:
    return client.post("/admin/tenants/apikey/add/", {"name": "backend", **form})


def shown_key(answer: Any) -> str:
    found = re.search(r'id="issued-key">(cadence_[^<]+)<', answer.content.decode())
    assert found is not None
    return found.group(1)


def test_a_key_is_shown_exactly_once_and_works(root: Client) -> None:
    account, other = make_account("contoso"), make_account("fabrikam")
    answer = add_key(root, accounts=[account.pk])
    key = shown_key(answer)
    assert answer.status_code == 200 and "no-store" in answer.headers["Cache-Control"]
    assert Api(key).get("contoso").status_code == 200
    assert Api(key).get(other.slug).status_code == 404
    row = ApiKey.objects.get()
    secret = key.removeprefix(f"cadence_{row.prefix}_")
    for path in ("/admin/", "/admin/tenants/apikey/", f"/admin/tenants/apikey/{row.pk}/change/"):
        html = root.get(path).content.decode()
        assert secret not in html and row.key_hash not in html


def test_a_new_key_leaves_no_trace_in_session_cookies_or_audit(root: Client) -> None:
    make_account("contoso")
    answer = add_key(root, all_accounts="on")
    key = shown_key(answer)
    kept = [*(dict(root.session).values()), *(cookie.value for cookie in root.cookies.values())]
    entry = last_entry()
    assert key not in str(kept) and "cadence_" not in str(kept)
    assert key not in str(entry.details) and entry.details["prefix"] == ApiKey.objects.get().prefix
    assert (entry.action, entry.actor, entry.account) == ("api_key_created", "root", None)


def test_a_key_sees_some_accounts_or_all_but_never_none(root: Client) -> None:
    account = make_account("contoso")
    for form in ({}, {"accounts": [account.pk], "all_accounts": "on"}):
        assert "Choose either some accounts" in add_key(root, **form).content.decode()
    assert not ApiKey.objects.exists() and not AuditEntry.objects.exists()


def test_only_name_and_reach_of_a_key_can_change(root: Client) -> None:
    account, other = make_account("contoso"), make_account("fabrikam")
    key = shown_key(add_key(root, accounts=[account.pk]))
    before = ApiKey.objects.get()
    forged = {"prefix": "00000000", "key_hash": "0" * 64, "revoked_at_0": "2020-01-01", "revoked_at_1": "00:00"}
    path = f"/admin/tenants/apikey/{before.pk}/change/"
    answer = root.post(path, {"name": "renamed", "accounts": [other.pk], **forged})
    after = ApiKey.objects.get()
    assert answer.status_code == 302 and after.name == "renamed"
    assert (after.prefix, after.key_hash, after.revoked_at) == (before.prefix, before.key_hash, None)
    assert Api(key).get(other.slug).status_code == 200
    assert (last_entry().action, last_entry().account) == ("api_key_changed", other)


def test_a_revoked_key_is_refused_and_stays_revoked_since_then(root: Client) -> None:
    account = make_account("contoso")
    key = shown_key(add_key(root, accounts=[account.pk]))
    row = ApiKey.objects.get()
    assert "Revoke API keys?" in act(root, "apikey", "revoke", row.pk).content.decode()
    assert Api(key).get("contoso").status_code == 200
    act(root, "apikey", "revoke", row.pk, confirmed="yes")
    assert Api(key).get("contoso").status_code == 401
    assert (last_entry().action, last_entry().account) == ("api_key_revoked", account)
    since = ApiKey.objects.get().revoked_at
    assert "were revoked before" in act(root, "apikey", "revoke", row.pk, confirmed="yes").content.decode()
    assert ApiKey.objects.get().revoked_at == since
    assert AuditEntry.objects.filter(action="api_key_revoked").count() == 1


# Records


@pytest.fixture
def records(db: None) -> dict[str, int]:
    """One row of each model that only machines write, by its admin name."""
    row = switchable()
    check = HealthCheck.objects.create(connection=row, outcome="ok", latency_ms=120)
    entry = AuditEntry.objects.create(account=row.account, account_slug="contoso", action="consent", outcome="enabled")
    return {"connection": row.pk, "healthcheck": check.pk, "auditentry": entry.pk}


@pytest.mark.parametrize("model", ["connection", "healthcheck", "auditentry"])
def test_what_a_machine_writes_is_read_only_even_for_superusers(
    root: Client, records: dict[str, int], model: str
) -> None:
    path = f"/admin/tenants/{model}/{records[model]}"
    html = root.get(f"{path}/change/").content.decode()
    assert "View " in html and 'name="_save"' not in html
    assert root.post(f"{path}/change/", {"state": "disabled"}).status_code == 403
    assert root.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert root.get(f"/admin/tenants/{model}/add/").status_code == 403


@pytest.mark.parametrize("found_by", ["contoso", "somebody@contoso.example", "req-42"])
def test_audit_entries_are_found_by_account_actor_and_request_id(root: Client, found_by: str) -> None:
    common = {"action": "consent", "outcome": "declined"}
    wanted = AuditEntry.objects.create(
        account_slug="contoso", actor="somebody@contoso.example", request_id="req-42", **common
    )
    AuditEntry.objects.create(account_slug="fabrikam", actor="root", request_id="req-43", **common)
    answer = root.get("/admin/tenants/auditentry/", {"q": found_by})
    assert list(answer.context["cl"].queryset) == [wanted]


def fill(count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        row = switchable(f"account-{number}")
        HealthCheck.objects.create(connection=row, outcome="ok")
        AuditEntry.objects.create(
            account=row.account, account_slug=row.account.slug, action="consent", outcome="enabled"
        )
        make_api_key(row.account)


@pytest.mark.parametrize("model", ["account", "connection", "apikey", "auditentry", "healthcheck"])
def test_a_list_takes_as_many_queries_for_thirty_rows_as_for_three(root: Client, model: str) -> None:
    path = f"/admin/tenants/{model}/"
    root.get(path)  # content types and permissions are remembered from here on
    counted = []
    for count, start in ((3, 0), (27, 3)):
        fill(count, start)
        with CaptureQueriesContext(database) as queries:
            answer = root.get(path)
        assert len(answer.context["cl"].result_list) == start + count
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12


@pytest.mark.parametrize("model", ["account", "connection", "apikey", "auditentry", "healthcheck"])
def test_no_page_of_the_admin_needs_inline_script_or_style(root: Client, records: dict[str, int], model: str) -> None:
    make_api_key(Account.objects.get())
    pk = apps.get_model("tenants", model).objects.get().pk
    paths = ["", f"{pk}/change/", *(["add/"] if model in ("account", "apikey") else [])]
    for path in paths:
        html = root.get(f"/admin/tenants/{model}/{path}").content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)", html)
