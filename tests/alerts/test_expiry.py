"""What ends by its age is told in time: our credential, and sign-ins that nobody uses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from alerts import expiry, sending, tasks
from alerts.credentials import own_credential
from alerts.models import ExpiryWarning
from tenants.models import Account, TokenRecord
from tenants.signals import credential_expiring
from tests.alerts.conftest import CONTACT, SUPPORT

pytestmark = pytest.mark.django_db

ENDS = datetime(2027, 6, 30, tzinfo=UTC)


@pytest.fixture
def secret(settings: Any) -> None:
    settings.MICROSOFT_CLIENT_CERTIFICATE = ""
    settings.MICROSOFT_CLIENT_SECRET = "secret"
    settings.MICROSOFT_CLIENT_SECRET_EXPIRES = date(2027, 6, 30)


@pytest.fixture
def heard() -> Any:
    """What the other apps are told."""
    found: list[tuple[str, datetime, int]] = []

    def hear(subject: str, expires_at: datetime, days_left: int, **_: Any) -> None:
        found.append((subject, expires_at, days_left))

    credential_expiring.connect(hear)
    yield found
    credential_expiring.disconnect(hear)


def certificate(path: Path, ends: datetime) -> str:
    """Key and certificate in one file, as MICROSOFT_CLIENT_CERTIFICATE names it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "cadence-exchange")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(ends - timedelta(days=365)).not_valid_after(ends)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return str(path)


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), 30),
        (timedelta(days=14, seconds=1), 30),
        (timedelta(days=14), 14),
        (timedelta(days=3), 3),
        (timedelta(0), 3),
        (timedelta(days=-5), 3),
    ],
)
def test_the_warning_that_is_due(left: timedelta, warning: int | None) -> None:
    assert expiry.threshold(left) == warning


def test_two_months_of_days_warn_of_our_secret_three_times(secret: None, heard: Any, mailoutbox: Any) -> None:
    with time_machine.travel(ENDS - timedelta(days=60), tick=False) as clock:
        for _ in range(65):
            tasks.warn_of_expiry()
            sending.send_due()
            clock.shift(timedelta(days=1))
    assert heard == [("client_secret", ENDS, days) for days in (30, 14, 3)]
    assert [mail.to for mail in mailoutbox] == [[SUPPORT]] * 3
    assert [mail.subject for mail in mailoutbox] == [
        f"[Cadence Exchange] our own client secret ends: {days} days left, until 2027-06-30 00:00 UTC"
        for days in (30, 14, 3)
    ]


def test_a_new_secret_is_warned_of_anew(secret: None, settings: Any, heard: Any) -> None:
    with time_machine.travel(ENDS - timedelta(days=2), tick=False) as clock:
        tasks.warn_of_expiry()
        settings.MICROSOFT_CLIENT_SECRET_EXPIRES = date(2028, 6, 30)
        tasks.warn_of_expiry()
        clock.shift(timedelta(days=360))
        tasks.warn_of_expiry()
    assert [(ends.year, days) for _, ends, days in heard] == [(2027, 2), (2028, 8)]


def test_the_end_of_a_certificate_is_read_from_it(settings: Any, tmp_path: Path, heard: Any) -> None:
    settings.MICROSOFT_CLIENT_CERTIFICATE = certificate(tmp_path / "client.pem", ENDS)
    settings.MICROSOFT_CLIENT_SECRET_EXPIRES = date(2026, 1, 1)  # the certificate wins over the secret
    with time_machine.travel(ENDS - timedelta(days=10), tick=False):
        tasks.warn_of_expiry()
    assert heard == [("client_certificate", ENDS, 10)]


def test_a_certificate_that_has_become_unreadable_stops_no_other_warning(
    settings: Any, contoso: Account, clock: Any, heard: Any
) -> None:
    settings.MICROSOFT_CLIENT_CERTIFICATE = "/nowhere/client.pem"
    clock.shift(timedelta(days=61))
    tasks.warn_of_expiry()
    assert [subject for subject, _, _ in heard] == ["token:contoso"]


def test_without_a_date_nobody_is_warned(settings: Any, secret: None) -> None:
    settings.MICROSOFT_CLIENT_SECRET_EXPIRES = None
    assert own_credential() is None
    assert expiry.warn() == 0


def test_a_sign_in_that_nobody_uses_is_told_to_contact_and_support_before_it_ends(
    contoso: Account, clock: Any, heard: Any, mailoutbox: Any
) -> None:
    used_at = TokenRecord.objects.get().refreshed_at
    for _ in range(95):
        clock.shift(timedelta(days=1))
        tasks.warn_of_expiry()
        sending.send_due()
    ends = used_at + timedelta(days=90)
    assert [(subject, at) for subject, at, _ in heard] == [("token:contoso", ends)] * 3
    assert [days for _, _, days in heard] == pytest.approx([30, 14, 3], abs=1)
    assert [sum(mail.to == [who] for mail in mailoutbox) for who in (CONTACT, SUPPORT)] == [3, 3]
    contact = next(mail for mail in mailoutbox if mail.to == [CONTACT])
    ends = ends.astimezone(ZoneInfo(contoso.time_zone))  # the day as the customer's calendar has it
    assert f"ends on {ends.day} {ends:%B %Y}" in contact.subject and contoso.consent_url in contact.body


def test_a_sign_in_in_use_is_never_warned_of(contoso: Account, clock: Any, heard: Any) -> None:
    for _ in range(120):
        clock.shift(timedelta(days=1))
        TokenRecord.objects.update(refreshed_at=timezone.now())
        tasks.warn_of_expiry()
    assert heard == []


def test_two_workers_warn_once(secret: None, heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with time_machine.travel(ENDS - timedelta(days=2), tick=False):
        # Both have looked before either has written.
        monkeypatch.setattr(expiry, "_new", lambda subject, ends, now: 3)
        assert [expiry.warn(), expiry.warn()] == [1, 0]
    assert (len(heard), ExpiryWarning.objects.count()) == (1, 1)


def test_what_a_listener_cannot_store_is_warned_of_again(secret: None, heard: Callable[..., Any]) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("the outbox of webhooks is away")

    with time_machine.travel(ENDS - timedelta(days=2), tick=False):
        credential_expiring.connect(fails)
        try:
            with pytest.raises(RuntimeError):
                expiry.warn()
        finally:
            credential_expiring.disconnect(fails)
        assert not ExpiryWarning.objects.exists()
        assert expiry.warn() == 1
