"""EMAIL_URL: what it may say, and that a bad one never shows its password."""

from __future__ import annotations

import pytest

from cadence_exchange import env
from cadence_exchange.email_url import MailServer, email_url

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://mail.example", MailServer(SMTP, "mail.example", 587, tls="starttls")),
        ("smtp://mail.example:2525?tls=starttls", MailServer(SMTP, "mail.example", 2525, tls="starttls")),
        ("smtp://127.0.0.1?tls=none", MailServer(SMTP, "127.0.0.1", 25, tls="none")),
        ("smtp://me%40x.example:p%2Fw@mail/", MailServer(SMTP, "mail", 587, "me@x.example", "p/w", "starttls")),
        ("smtps://me:pw@mail.example", MailServer(SMTP, "mail.example", 465, "me", "pw", "smtps")),
        ("smtps://[::1]:1465", MailServer(SMTP, "::1", 1465, tls="smtps")),
        ("console://", MailServer("django.core.mail.backends.console.EmailBackend")),
        ("file:///var/mails", MailServer("django.core.mail.backends.filebased.EmailBackend", folder="/var/mails")),
    ],
)  # fmt: skip
def test_what_can_be_read(text: str, expected: MailServer) -> None:
    assert email_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:port",
        "smtp://mail.example:99999",
        "smtp://mail.example/path",
        "smtp://mail.example?tls=maybe",
        "smtp://mail.example?tls=smtps",
        "smtps://mail.example?tls=none",
        "smtp://mail.example?timeout=3",
        "smtp://mail.example?tls",
        "smtp://only-a-user@mail.example",
        "smtp://:only-a-password@mail.example",
        "smtp://mail.example#x",
        "console://x",
        "file://relative",
        "file://",
        "file:///",
    ],
)
def test_what_cannot(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        email_url(text)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("support@example.com", True),
        ("", True),
        ("Support <support@example.com>", False),
        ("a@b.example, c@d.example", False),
        ("support", False),
        ("a@b.example\nBcc: c@d.example", False),
    ],
)
def test_an_address_is_one_address(monkeypatch: pytest.MonkeyPatch, value: str, usable: bool) -> None:
    monkeypatch.setattr(env, "PROBLEMS", [])
    monkeypatch.setenv("SUPPORT_EMAIL", value)
    assert env.env_address("SUPPORT_EMAIL") == (value if usable else "")
    assert [problem.variable for problem in env.PROBLEMS] == ([] if usable else ["SUPPORT_EMAIL"])


@pytest.mark.parametrize(("value", "usable"), [("2027-03-31", True), ("", True), ("31.3.2027", False), ("soon", False)])
def test_a_day_is_a_day(monkeypatch: pytest.MonkeyPatch, value: str, usable: bool) -> None:
    monkeypatch.setattr(env, "PROBLEMS", [])
    monkeypatch.setenv("MICROSOFT_CLIENT_SECRET_EXPIRES", value)
    found = env.env_date("MICROSOFT_CLIENT_SECRET_EXPIRES")
    assert str(found or "") == (value if usable else "")
    assert bool(env.PROBLEMS) is not usable
