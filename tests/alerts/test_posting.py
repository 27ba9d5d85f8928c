"""Mails handed to a real server on a socket: what it gets, and what its refusals lead to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts import outbox, sending
from alerts.models import Audience, Kind, Mail, Status
from cadence_exchange.email_url import email_url
from tenants.models import Account
from tests.alerts.conftest import CONTACT
from tests.alerts.smtp_server import SmtpServer, smtp_server
from tests.factories import make_account

pytestmark = pytest.mark.django_db

FACTS = {"used_at": "2027-01-01T00:00:00+00:00", "expires_at": "2027-04-01T00:00:00+00:00", "days_left": 14}


@pytest.fixture
def through(settings: Any) -> Callable[..., None]:
    """Lets mails leave through a server, as EMAIL_URL would."""

    settings.SUPPORT_EMAIL = ""

    def use(server: SmtpServer, *, tls: str = "none") -> None:
        found = email_url(f"smtp://127.0.0.1:{server.port}?tls={tls}")
        settings.EMAIL_BACKEND = found.backend
        settings.EMAIL_HOST, settings.EMAIL_PORT = found.host, found.port
        settings.EMAIL_USE_TLS = found.tls == "starttls"

    return use


def waiting_mail(name: str = "Contoso", contact: str = CONTACT) -> Mail:
    account = make_account(f"a{Account.objects.count()}", name=name, contact_email=contact)
    outbox.tell_both(Kind.IDLE, account, f"test:{account.pk}", dict(FACTS), timezone.now())
    return Mail.objects.get(account=account, audience=Audience.CONTACT)


def test_the_server_gets_the_whole_mail(through: Callable[..., None]) -> None:
    mail = waiting_mail(name="Größe & Söhne")
    with smtp_server() as server:
        through(server)
        assert sending.send_due() == 1
    (message,), (envelope,) = server.received, server.envelopes
    assert envelope[0].startswith("FROM:<exchange@eventcadence.example>") and envelope[1] == f"TO:<{CONTACT}>"
    assert message["Subject"].strip() == "Größe & Söhne: the access to your calendars ends on 1 April 2027"
    assert message["Message-ID"] == f"<{mail.message_id}@localhost>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    body = message.get_content()
    assert mail.account is not None and mail.account.consent_url in body.splitlines() and "Größe & Söhne" in body
    mail.refresh_from_db()
    assert (mail.status, mail.attempts, mail.last_error) == (Status.SENT, 1, "")


def test_one_connection_carries_all_mails_of_a_run(through: Callable[..., None]) -> None:
    for _ in range(5):
        waiting_mail()
    with smtp_server() as server:
        through(server)
        assert sending.send_due() == 5
    assert (server.connections, len(server.received)) == (1, 5)


def test_a_name_with_line_breaks_writes_no_header(through: Callable[..., None]) -> None:
    waiting_mail(name="Contoso\r\nBcc: everybody@contoso.example")
    with smtp_server() as server:
        through(server)
        assert sending.send_due() == 1
    (message,) = server.received
    assert message["Bcc"] is None and message["To"] == CONTACT
    assert message["Subject"].startswith("Contoso Bcc: everybody@contoso.example: ")


@pytest.mark.parametrize(
    ("answers", "status", "error"),
    [
        ({"RCPT": "550 no such user"}, Status.FAILED, "recipient 550"),
        ({"RCPT": "451 greylisted"}, Status.WAITING, "recipient 451"),
        ({"END": "554 looks like spam"}, Status.FAILED, "data 554"),
        ({"END": "452 disk full"}, Status.WAITING, "data 452"),
        ({"MAIL": "553 sender unknown"}, Status.WAITING, "server 553"),
        ({"CONNECT": "554 not now"}, Status.WAITING, "server 554"),
    ],
)
def test_a_refusal_of_the_recipient_is_final_and_everything_else_is_tried_again(
    answers: dict[str, str], status: str, error: str, through: Callable[..., None]
) -> None:
    mail = waiting_mail()
    with smtp_server(**answers) as server:
        through(server)
        assert sending.send_due() == 0
    mail.refresh_from_db()
    assert (mail.status, mail.last_error) == (status, error)
    assert (mail.next_try_at > timezone.now()) == (status == Status.WAITING) or status == Status.FAILED


def test_a_refused_recipient_does_not_keep_the_others_from_theirs(through: Callable[..., None]) -> None:
    for _ in range(3):
        waiting_mail()
    with smtp_server(RCPT="550 no such user") as server:
        through(server)
        sending.send_due()
    assert set(Mail.objects.filter(audience=Audience.CONTACT).values_list("status", flat=True)) == {Status.FAILED}


def test_without_starttls_nothing_is_said_in_clear(through: Callable[..., None]) -> None:
    mail = waiting_mail()
    with smtp_server() as server:
        through(server, tls="starttls")
        assert sending.send_due() == 0
    mail.refresh_from_db()
    assert (server.received, mail.status, mail.last_error) == ([], Status.WAITING, "SMTPNotSupportedError")


def test_a_server_that_is_gone_costs_one_try_a_run_however_many_wait(through: Callable[..., None]) -> None:
    with smtp_server() as server:
        through(server)
    for _ in range(4):
        waiting_mail()
    assert sending.send_due() == 0
    tried = Mail.objects.filter(audience=Audience.CONTACT, attempts__gt=0)
    assert list(tried.values_list("status", "last_error")) == [(Status.WAITING, "ConnectionRefusedError")]


def test_once_the_server_is_back_the_same_mail_arrives_once(clock: Any, through: Callable[..., None]) -> None:
    mail = waiting_mail()
    with smtp_server(CONNECT="421 maintenance") as server:
        through(server)
        sending.send_due()
    with smtp_server() as server:
        through(server)
        assert sending.send_due() == 0  # not before its time
        clock.shift(timedelta(minutes=2))
        assert [sending.send_due(), sending.send_due()] == [1, 0]
    assert [message["Message-ID"] for message in server.received] == [f"<{mail.message_id}@localhost>"]


def test_no_line_of_the_log_names_an_address(through: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    waiting_mail()
    waiting_mail(contact="")
    with smtp_server(RCPT=f"550 <{CONTACT}> is unknown here") as server:
        through(server)
        sending.send_due()
    assert caplog.records
    assert CONTACT not in "".join(str(vars(record)) for record in caplog.records)
