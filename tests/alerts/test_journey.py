"""From what breaks at Microsoft to the mails that people read, and to those that say it works again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts.models import Incident, Kind, Mail, Status
from sandbox import Sandbox
from tenants import tasks
from tenants.models import Account, Connection, TokenRecord
from tests.alerts.conftest import CONTACT, SUPPORT
from tests.factories import make_account

pytestmark = pytest.mark.django_db

Minutes = Callable[[int], None]


def revoke(microsoft: Sandbox) -> None:
    """An administrator at the customer revokes the reader's sign-in, and our refresh finds out."""
    microsoft.control.set({"revoke_refresh_tokens": "*"})
    TokenRecord.objects.update(refresh_due_at=timezone.now())
    tasks.refresh_due_tokens()


def to(recipient: str, mailbox: Any) -> list[Any]:
    return [mail for mail in mailbox if mail.to == [recipient]]


def test_a_revoked_reader_is_told_once_to_the_contact_and_once_to_support(
    contoso: Account, microsoft: Sandbox, minutes: Minutes, mailoutbox: Any
) -> None:
    revoke(microsoft)
    minutes(30)

    (contact,), (support,) = to(CONTACT, mailoutbox), to(SUPPORT, mailoutbox)
    assert contact.subject == "Contoso: calendars can no longer be read, please sign in again"
    assert "The permission was revoked" in contact.body
    assert "Open the consent link and sign in again with the same account." in contact.body
    assert contoso.consent_url in contact.body.splitlines()
    assert "You get one more mail when it works again." in contact.body
    assert "Expected after a password reset" not in contact.body
    assert support.subject == "[Cadence Exchange] contoso: needs a new sign-in (AADSTS50173)"
    assert "For support: Expected after a password reset by an administrator." in support.body
    incident = Incident.objects.get()
    assert f"http://localhost:8000/admin/alerts/incident/{incident.pk}/change/" in support.body.splitlines()
    assert contoso.consent_key not in support.body
    assert len(mailoutbox) == 2


def test_a_reconnect_is_the_all_clear_for_both_in_the_thread_of_their_alert(
    contoso: Account, microsoft: Sandbox, minutes: Minutes, mailoutbox: Any, consent: Callable[..., Any]
) -> None:
    revoke(microsoft)
    minutes(30)
    alerts = {mail.to[0]: mail.extra_headers["Message-ID"] for mail in mailoutbox}
    mailoutbox.clear()

    assert consent(contoso).status_code == 200
    minutes(30)

    incident = Incident.objects.get()
    assert (incident.ending, incident.closed_at is not None) == ("recovered", True)
    again = [mail for mail in mailoutbox if "In-Reply-To" in mail.extra_headers]
    assert {mail.to[0]: mail.extra_headers["In-Reply-To"] for mail in again if mail.to == [CONTACT]} == {
        CONTACT: alerts[CONTACT]
    }
    assert [mail.subject for mail in to(CONTACT, mailoutbox)] == [
        "Contoso: calendars can be read again",
        "Contoso: your calendars are connected",
    ]
    (support,) = to(SUPPORT, mailoutbox)  # the confirmation and the all-clear together
    assert support.subject == "[Cadence Exchange] 1 all-clear, 1 consent"
    assert "contoso: works again" in support.body


def test_the_consent_is_confirmed_with_what_was_proven(
    db: None, clock: Any, consent: Callable[..., Any], minutes: Minutes, mailoutbox: Any
) -> None:
    account = make_account("contoso", contact_email=CONTACT, language="de")
    assert consent(account).status_code == 200
    minutes(1)
    connection = Connection.objects.get()
    (contact,), (support,) = to(CONTACT, mailoutbox), to(SUPPORT, mailoutbox)
    assert contact.subject == "Contoso: Ihre Kalender sind verbunden"
    for mail in (contact, support):
        assert connection.reader in mail.body and connection.tenant_id in mail.body
    assert "(Europe/Berlin)" in contact.body
    start = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    end = start + timedelta(days=1)
    assert f"from {start:%Y-%m-%d %H:%M} UTC to {end:%Y-%m-%d %H:%M} UTC" in " ".join(support.body.split())


def test_disconnecting_ends_the_incident_without_an_all_clear(
    contoso: Account, microsoft: Sandbox, minutes: Minutes, mailoutbox: Any
) -> None:
    from tenants.disconnecting import disconnect

    revoke(microsoft)
    minutes(5)
    mailoutbox.clear()
    disconnect(contoso, why="moved", actor="root")
    minutes(20)
    assert Incident.objects.get().ending == "disconnected"
    assert mailoutbox == []


def test_what_passes_before_the_alert_is_told_to_nobody(contoso: Account, minutes: Minutes, mailoutbox: Any) -> None:
    from tenants.health import Outcome
    from tenants.recording import CheckResult, record_check

    for _ in range(2):
        record_check(contoso.connection, CheckResult(Outcome.UNREACHABLE, code="microsoft_unavailable"), timezone.now())
    assert Incident.open().get().severity == "down"
    minutes(1)
    record_check(contoso.connection, CheckResult(Outcome.OK), timezone.now())
    minutes(30)
    assert mailoutbox == []
    assert set(Mail.objects.exclude(incident=None).values_list("kind", "status")) == {(Kind.ALERT, Status.DROPPED)}
