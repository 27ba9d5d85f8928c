"""Hands a letter to the mail server, and says of a failure whether another try may help."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from alerts.letters import Letter


class Server(Protocol):
    """A mail backend of Django's."""

    def open(self) -> object: ...

    def close(self) -> None: ...

    def send_messages(self, email_messages: list[EmailMessage]) -> int: ...


class NotSent(Exception):
    """`code`: a short word or number, never a server's own text, which may quote addresses.

    `permanent`: this mail will never get through. `server_away`: no other would get through now either.
    """

    def __init__(self, code: str, *, permanent: bool = False, server_away: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.permanent = permanent
        self.server_away = server_away


@contextmanager
def server() -> Iterator[Server]:
    """The server of EMAIL_URL; it is called upon with the first letter, and left at the end."""
    found: Server = get_connection()
    try:
        yield found
    finally:
        _hang_up(found)


def post(letter: Letter, *, to: str, message_id: str, through: Server) -> None:
    """Raises NotSent. After success the server has the letter; what it does with it we do not learn."""
    headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
    if letter.follows:
        headers |= {"In-Reply-To": letter.follows, "References": letter.follows}
    try:
        through.open()
        through.send_messages([EmailMessage(letter.subject, letter.body, settings.EMAIL_FROM, [to], headers=headers)])
    except (smtplib.SMTPException, OSError, ValueError) as error:
        _hang_up(through)
        raise _judged(error) from None


def _judged(error: Exception) -> NotSent:
    """https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1: 4yz may pass, 5yz will not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max((status for status, _ in error.recipients.values()), default=450)
        return NotSent(f"recipient {code}", permanent=code >= 500)
    if isinstance(error, smtplib.SMTPDataError):
        return NotSent(f"data {error.smtp_code}", permanent=error.smtp_code >= 500)
    if isinstance(error, smtplib.SMTPResponseException):  # greeting, sign-in or sender: ours to mend, for all mails
        return NotSent(f"server {error.smtp_code}", server_away=True)
    if isinstance(error, ValueError):  # a header or an address that cannot be written
        return NotSent("unusable address", permanent=True)
    return NotSent(type(error).__name__, server_away=True)


def _hang_up(connection: Server) -> None:
    """A server that is gone already cannot be told goodbye."""
    try:
        connection.close()
    except (smtplib.SMTPException, OSError):
        return
