"""Cadence Admin's webhooks: who may do what, what is written down, and that a secret is shown exactly once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.models import Account, AuditEntry
from tests.factories import make_account
from tests.webhooks.conftest import MakeEndpoint
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.outbox import note_test

URL = "https://8.8.8.8/events/of-cadence"  # public, and needs no name server


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def viewer(db: None) -> Client:
    """Staff who may look at webhooks and no more."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="webhooks", codename__startswith="view_")
    )
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, model: str, action: str, *pks: int, **extra: Any) -> Any:
    data = {"action": action, "_selected_action": [str(pk) for pk in pks], "index": "0", **extra}
    return client.post(f"/admin/webhooks/{model}/", data, follow=True)


def add(client: Client, **fields: Any) -> Any:
    return client.post("/admin/webhooks/endpoint/add/", {"url": URL, "all_accounts": "on", **fields})


def entries() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return [(entry.action, entry.account_slug, entry.actor) for entry in rows]


def test_a_new_endpoint_shows_its_secret_on_the_answer_and_never_again(root: Client) -> None:
    make_account("contoso")
    answer = add(root, all_accounts="", accounts=[Account.objects.get().pk], events=["connection.down"])
    endpoint = Endpoint.objects.get()
    secret = endpoint.secret.reveal()
    assert answer.status_code == 200 and secret in answer.content.decode()
    assert (endpoint.url, endpoint.events, endpoint.all_accounts) == (URL, ["connection.down"], False)
    assert entries() == [("webhook_created", "contoso", "root")]
    pages = [root.get("/admin/webhooks/endpoint/"), root.get(f"/admin/webhooks/endpoint/{endpoint.pk}/change/")]
    pages.append(root.get(f"/admin/webhooks/endpoint/{endpoint.pk}/history/"))
    for page in pages:
        assert page.status_code == 200 and "whsec_" not in page.content.decode()
    assert "whsec_" not in str(AuditEntry.objects.values_list("details", flat=True))
    assert not any(secret in str(value) for value in root.session.values())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://8.8.8.8/"}, "Only https"),
        ({"url": "https://10.0.0.1/"}, "private or reserved"),
        ({"url": "https://localhost/"}, "private or reserved"),
        ({"url": "not an address"}, "is needed"),
        ({"all_accounts": ""}, "Choose either"),
        ({"events": ["connection.exploded"]}, "Select a valid choice"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused_with_words(
    root: Client, fields: dict[str, Any], words: str
) -> None:
    answer = add(root, **fields)
    assert answer.status_code == 200 and words in answer.content.decode()
    assert not Endpoint.objects.exists() and not AuditEntry.objects.exists()


def test_changing_an_endpoint_leaves_its_secret(root: Client, make_endpoint: MakeEndpoint) -> None:
    endpoint, secret = make_endpoint(URL)
    form = {"url": "https://1.1.1.1/", "all_accounts": "on", "events": ["connection.down", "connection.recovered"]}
    assert root.post(f"/admin/webhooks/endpoint/{endpoint.pk}/change/", form).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.secret.reveal()) == ("https://1.1.1.1/", secret)
    assert endpoint.events == ["connection.down", "connection.recovered"]
    assert entries() == [("webhook_changed", "", "root")]


def test_a_secret_is_renewed_after_a_question_and_shown_once(root: Client, make_endpoint: MakeEndpoint) -> None:
    endpoint, old = make_endpoint(URL)
    asked = act(root, "endpoint", "renew_secret", endpoint.pk)
    assert "Renew the secret?" in asked.content.decode() and Endpoint.objects.get().secret.reveal() == old
    answer = act(root, "endpoint", "renew_secret", endpoint.pk, confirmed="yes")
    row = Endpoint.objects.get()
    assert row.secret.reveal() in answer.content.decode() and old not in answer.content.decode()
    assert row.previous_secret is not None and row.previous_secret.reveal() == old
    assert row.previous_until is not None and row.previous_until > timezone.now() + timedelta(days=2)
    assert entries() == [("webhook_secret_renewed", "", "root")]


def test_two_secrets_at_a_time_are_not_renewed(root: Client, make_endpoint: MakeEndpoint) -> None:
    one, two = make_endpoint(URL)[0], make_endpoint(URL)[0]
    answer = act(root, "endpoint", "renew_secret", one.pk, two.pk, confirmed="yes")
    assert "Choose one endpoint" in answer.content.decode()
    assert not Endpoint.objects.exclude(previous_until=None).exists()


def test_endpoints_are_disabled_after_a_question_and_enabled_again(root: Client, make_endpoint: MakeEndpoint) -> None:
    endpoint, _ = make_endpoint(URL)
    act(root, "endpoint", "disable", endpoint.pk)
    assert Endpoint.objects.get().disabled_at is None
    for _ in range(2):
        act(root, "endpoint", "disable", endpoint.pk, confirmed="yes")
    assert Endpoint.objects.get().disabled_at is not None
    for _ in range(2):
        act(root, "endpoint", "enable", endpoint.pk)
    assert Endpoint.objects.get().disabled_at is None
    assert entries() == [("webhook_disabled", "", "root"), ("webhook_enabled", "", "root")]


def test_a_test_event_is_put_among_what_is_due(root: Client, make_endpoint: MakeEndpoint) -> None:
    endpoint, _ = make_endpoint(URL)
    act(root, "endpoint", "send_test", endpoint.pk)
    delivery = Delivery.objects.get()
    assert (delivery.type, delivery.standing, delivery.payload["data"]) == ("webhook.test", "waiting", {})
    Endpoint.objects.update(disabled_at=timezone.now())
    assert "is sent nothing" in act(root, "endpoint", "send_test", endpoint.pk).content.decode()
    assert Delivery.objects.count() == 1
    assert entries() == [("webhook_tested", "", "root")]


@pytest.mark.parametrize("action", ["renew_secret", "send_test", "disable", "enable"])
def test_who_may_only_look_changes_nothing(viewer: Client, make_endpoint: MakeEndpoint, action: str) -> None:
    endpoint, secret = make_endpoint(URL, disabled_at=timezone.now() if action == "enable" else None)
    before = Endpoint.objects.values().get()
    act(viewer, "endpoint", action, endpoint.pk, confirmed="yes")
    assert {**Endpoint.objects.values().get(), "secret": 0} == {**before, "secret": 0}
    assert Endpoint.objects.get().secret.reveal() == secret
    assert not Delivery.objects.exists() and not AuditEntry.objects.exists()
    note_test(endpoint)
    Delivery.objects.update(next_try_at=None, failed_at=timezone.now())
    act(viewer, "delivery", "deliver_again", Delivery.objects.get().pk)
    assert Delivery.objects.get().standing == "failed"


@pytest.mark.parametrize("action", ["add/", "1/delete/"])
def test_nobody_writes_or_deletes_a_delivery(root: Client, action: str) -> None:
    assert root.get(f"/admin/webhooks/delivery/{action}").status_code in (302, 403)


def test_the_log_tells_each_attempt_and_is_found_by_standing_event_and_account(
    root: Client, viewer: Client, make_endpoint: MakeEndpoint
) -> None:
    endpoint, _ = make_endpoint(URL)
    waiting, delivered, failed = (note_test(endpoint) for _ in range(3))
    now = timezone.now()
    Delivery.objects.filter(pk=delivered.pk).update(next_try_at=None, delivered_at=now)
    Delivery.objects.filter(pk=failed.pk).update(next_try_at=None, failed_at=now)
    Attempt.objects.create(delivery=failed, at=now, status=503, error="http_503", latency_ms=41)
    page = viewer.get(f"/admin/webhooks/delivery/{failed.pk}/change/").content.decode()
    assert "http_503" in page and str(failed.event_id) in page
    for query, found in [
        ("?standing=waiting", waiting),
        ("?standing=delivered", delivered),
        ("?standing=failed", failed),
        (f"?q={failed.event_id}", failed),
    ]:
        html = root.get(f"/admin/webhooks/delivery/{query}").content.decode()
        assert set(re.findall(r"/admin/webhooks/delivery/(\d+)/change/", html)) == {str(found.pk)}, query


def test_a_failed_delivery_is_delivered_again(root: Client, make_endpoint: MakeEndpoint) -> None:
    delivery = note_test(make_endpoint(URL)[0])
    Delivery.objects.update(next_try_at=None, failed_at=timezone.now(), attempts=9)
    act(root, "delivery", "deliver_again", delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.standing, delivery.attempts, delivery.failed_at) == ("waiting", 0, None)
    assert entries() == [("webhook_delivered_again", "", "root")]


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(root: Client, make_endpoint: MakeEndpoint) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(database) as queries:
            assert root.get(path).status_code == 200
        return len(queries)

    note_test(make_endpoint(URL, make_account("one"))[0])
    paths = ("/admin/webhooks/endpoint/", "/admin/webhooks/delivery/")
    before = [count(path) for path in paths]
    for number in range(5):
        note_test(make_endpoint(URL, make_account(f"more-{number}"))[0])
    assert [count(path) for path in paths] == before


def test_pages_open_although_no_key_opens_the_secrets(root: Client, settings: Any, make_endpoint: MakeEndpoint) -> None:
    from cryptography.fernet import Fernet

    delivery = note_test(make_endpoint(URL)[0])
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    for path in (
        "endpoint/",
        "delivery/",
        f"delivery/{delivery.pk}/change/",
        f"endpoint/{delivery.endpoint_id}/change/",
    ):
        assert root.get(f"/admin/webhooks/{path}").status_code == 200, path
