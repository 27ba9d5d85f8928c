"""Until when our own credential at Microsoft lasts, as far as we are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from django.conf import settings


@dataclass(frozen=True, slots=True)
class Credential:
    """`subject`: client_secret or client_certificate. `expires_at`: aware, UTC."""

    subject: str
    expires_at: datetime

    @property
    def in_words(self) -> str:
        """For people."""
        return self.subject.replace("_", " ")


def own_credential() -> Credential | None:
    """The one in use; None when there is none, or nobody has said when the secret ends.

    Raises OSError or ValueError when the certificate's file has become unreadable since the start.
    """
    if settings.MICROSOFT_CLIENT_CERTIFICATE:
        pem = Path(settings.MICROSOFT_CLIENT_CERTIFICATE).read_bytes()
        first = x509.load_pem_x509_certificates(pem)[0]
        return Credential("client_certificate", first.not_valid_after_utc)
    day = settings.MICROSOFT_CLIENT_SECRET_EXPIRES
    if settings.MICROSOFT_CLIENT_SECRET and day:
        return Credential("client_secret", datetime(day.year, day.month, day.day, tzinfo=UTC))
    return None
