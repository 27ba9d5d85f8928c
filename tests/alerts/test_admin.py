"""Incidents and mails in Cadence Admin: to read, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts import incidents
from alerts.models import Incident, Mail, Status
from alerts.trouble import Ending, Severity, Trouble
from tests.alerts.test_outbox import connected, lose

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Iterator[Client]:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def lost(slug: str) -> Incident:
    row = connected(slug)
    lose(row)
    return Incident.objects.get(connection=row)


def test_an_incident_is_shown_with_its_reason_in_words_and_its_mails(root: Client) -> None:
    page = root.get(f"/admin/alerts/incident/{lost('contoso').pk}/change/").content.decode()
    assert "The permission was revoked" in page and "Expected after a password reset" in page
    assert "alert to contact, waiting" in page and 'name="_save"' not in page


def test_an_incident_of_everybody_is_shown_as_what_it_is(root: Client) -> None:
    incidents._open("service:entra:x", None, Trouble(Severity.EVERYBODY, "", timezone.now()), timezone.now())
    assert "service:entra:x" in root.get("/admin/alerts/incident/").content.decode()


@pytest.mark.parametrize(
    ("wanted", "slugs"), [("", {"open", "closed"}), ("?lasting=open", {"open"}), ("?lasting=closed", {"closed"})]
)
def test_the_list_tells_what_lasts_from_what_is_over(root: Client, wanted: str, slugs: set[str]) -> None:
    lost("open")
    incidents.close(lost("closed").subject, Ending.RECOVERED, timezone.now())
    rows = root.get(f"/admin/alerts/incident/{wanted}").context["cl"].result_list
    assert {row.connection.account.slug for row in rows} == slugs


@pytest.mark.parametrize(("model", "query"), [("incident", "contoso"), ("incident", "AADSTS50173"), ("mail", "it@con")])
def test_both_can_be_searched(root: Client, model: str, query: str) -> None:
    lost("contoso")
    found = root.get(f"/admin/alerts/{model}/", {"q": query}).context["cl"].result_list
    assert len(found) >= 1
    assert not root.get(f"/admin/alerts/{model}/", {"q": "fabrikam"}).context["cl"].result_list


def test_mails_to_nobody_are_seen(root: Client, settings: Any) -> None:
    settings.SUPPORT_EMAIL = ""
    lost("contoso")
    rows = root.get("/admin/alerts/mail/", {"status": Status.NOBODY}).context["cl"].result_list
    assert [row.audience for row in rows] == ["support"]


@pytest.mark.parametrize("model", ["incident", "mail"])
def test_the_list_asks_no_more_for_more_rows(root: Client, model: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(database) as found:
            assert root.get(f"/admin/alerts/{model}/").status_code == 200
        return len(found)

    lost("first")
    few = queries()
    for number in range(5):
        lost(f"customer{number}")
    assert queries() == few


def test_no_consent_key_is_shown(root: Client) -> None:
    incident = lost("contoso")
    key = incident.connection.account.consent_key if incident.connection else ""
    pages = [f"incident/{incident.pk}/change/", "incident/", f"mail/{Mail.objects.all()[0].pk}/change/", "mail/"]
    assert key and not any(key in root.get(f"/admin/alerts/{page}").content.decode() for page in pages)
