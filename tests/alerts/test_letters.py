"""What people read: in their language and time zone, complete, and nothing that is not theirs to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from alerts import confirming, incidents, letters, outbox, reconnecting
from alerts.models import Audience, Incident, Kind, Mail
from alerts.trouble import Severity
from microsoft.reasons import REASONS, reason
from tenants.models import Account
from tenants.verification import Proof
from tests.alerts.test_outbox import connected

pytestmark = pytest.mark.django_db

BEGAN = datetime(2027, 3, 16, 23, 30, tzinfo=UTC)  # the 17th in Berlin


def letter(
    kind: Kind, audience: Audience, *, code: str = "AADSTS50173", severity: str = "needs_consent", **account: Any
) -> letters.Letter:
    row = connected("contoso", **account)
    incident = Incident.objects.create(
        subject=incidents.subject_of(row.pk), connection=row, code=code, severity=severity, began_at=BEGAN
    )
    outbox.alert(incident, row.account, timezone.now())
    if kind == Kind.ALL_CLEAR:
        incident.closed_at = BEGAN + timedelta(hours=2)
        incident.save()
        outbox.all_clear(incident, timezone.now())
    return letters.letter_of([Mail.objects.get(kind=kind, audience=audience)])


@pytest.mark.parametrize(
    ("language", "kind", "subject", "sentence"),
    [
        (
            "en",
            Kind.ALERT,
            "Contoso: calendars can no longer be read, please sign in again",
            "Microsoft 365 has not let Event Cadence read the calendars of Contoso since 17 March 2027, 00:30 "
            "(Europe/Berlin).",
        ),
        (
            "de",
            Kind.ALERT,
            "Contoso: Kalender nicht mehr lesbar, bitte melden Sie sich neu an",
            "Microsoft 365 lässt Event Cadence die Kalender von Contoso seit 17. März 2027, 00:30 (Europe/Berlin) "
            "nicht mehr lesen.",
        ),
        (
            "fr",
            Kind.ALL_CLEAR,
            "Contoso\u00a0: les calendriers peuvent de nouveau être lus",
            "Event Cadence lit de nouveau les calendriers de Contoso depuis le 17 mars 2027, 02:30 (Europe/Berlin).",
        ),
        (
            "es",
            Kind.ALL_CLEAR,
            "Contoso: los calendarios se pueden leer de nuevo",
            "Event Cadence vuelve a leer los calendarios de Contoso desde el 17 de marzo de 2027, 02:30",
        ),
    ],
)
def test_a_contact_reads_their_own_language_and_clock(language: str, kind: Kind, subject: str, sentence: str) -> None:
    found = letter(kind, Audience.CONTACT, language=language)
    assert found.subject == subject
    assert sentence in " ".join(found.body.split(" ")).replace("\n", " ")


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_makes_a_whole_mail_for_both(code: str) -> None:
    row = reason(code)
    support = " ".join(letter(Kind.ALERT, Audience.SUPPORT, code=code).body.split())
    assert all(" ".join(text.split()) in support for text in (row.title, row.cause, row.support))
    mail = Mail.objects.filter(audience=Audience.CONTACT).first()
    assert (mail is None) == (row.kind == "our_fault")
    if mail is not None:
        contact = " ".join(letters.letter_of([mail]).body.split())
        assert all(" ".join(text.split()) in contact for text in (row.title, row.cause, row.what_to_do))
        assert " ".join(row.support.split()) not in contact


@pytest.mark.parametrize("severity", [Severity.DOWN, Severity.DEGRADED])
@pytest.mark.parametrize("code", ["microsoft_unavailable", ""])
def test_what_passes_by_itself_asks_for_nothing(severity: Severity, code: str) -> None:
    found = letter(Kind.ALERT, Audience.CONTACT, code=code, severity=severity.value)
    assert "please sign in" not in found.subject and "This is the consent link:" not in found.body
    assert ("Nothing. We keep trying" in found.body) == bool(code)
    assert "We keep trying." in found.body


@pytest.mark.parametrize("kind", [Kind.ALERT, Kind.ALL_CLEAR])
@pytest.mark.parametrize("audience", Audience)
def test_a_letter_is_tidy(kind: Kind, audience: Audience) -> None:
    found = letter(kind, audience, name="A company whose long name\twould break\nlines and <b>&amp;</b>")
    lines = found.body.split("\n")
    assert "\n" not in found.subject and "{" not in found.body and "\n\n\n" not in found.body
    assert all(len(line) <= letters.WIDTH or "://" in line for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []
    if audience == Audience.CONTACT:
        assert "<b>&amp;</b>" in found.subject


def test_only_the_all_clear_answers_another_mail() -> None:
    assert letter(Kind.ALERT, Audience.CONTACT).follows == ""
    Incident.objects.all().delete()
    Account.objects.all().delete()
    told = letter(Kind.ALL_CLEAR, Audience.CONTACT).follows
    alert = Mail.objects.get(kind=Kind.ALERT, audience=Audience.CONTACT)
    assert told == letters.message_id(alert) != ""


def test_support_is_told_neither_the_consent_link_nor_who_the_contact_is() -> None:
    found = letter(Kind.ALERT, Audience.SUPPORT)
    account = Account.objects.get()
    assert account.consent_key not in found.body and account.contact_email not in found.body


def test_a_simulated_microsoft_is_named_in_every_mail(settings: Any) -> None:
    settings.MICROSOFT_AUTHORITY_URL = "https://localhost:8443"
    assert "Simuliertes Microsoft 365." in letter(Kind.ALERT, Audience.CONTACT, language="de").body
    support = letters.letter_of([Mail.objects.get(audience=Audience.SUPPORT)])
    assert "where Microsoft 365 is simulated" in support.body


def test_writing_a_letter_leaves_language_and_zone_as_they_were() -> None:
    before = translation.get_language(), timezone.get_current_timezone_name()
    letter(Kind.ALERT, Audience.CONTACT, language="fr")
    assert (translation.get_language(), timezone.get_current_timezone_name()) == before


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_the_proof_of_a_consent_is_in_the_mail(language: str) -> None:
    row = connected("contoso", language=language, time_zone="America/New_York")
    row.tenant_id, row.mode = "11111111-1111-4111-8111-111111111111", "admin"
    row.save()
    end = BEGAN + timedelta(days=1)
    confirming.confirm(row.pk, Proof("reader@contoso.example", BEGAN, end, BEGAN, 12, 200, "microsoft-id"))
    contact, support = (
        letters.letter_of([Mail.objects.get(kind=Kind.CONNECTED, audience=audience)]).body
        for audience in (Audience.CONTACT, Audience.SUPPORT)
    )
    for text in ("reader@contoso.example", row.tenant_id):
        assert text in contact and text in support
    assert "19:30" in contact and "(America/New_York)" in contact
    assert "2027-03-16 23:30 UTC" in support and "microsoft-id" in support


RECONNECT = {
    "en": ("Contoso: please sign in again for your calendars", "Contoso: please connect your calendars"),
    "de": ("Contoso: bitte melden Sie sich für Ihre Kalender neu an", "Contoso: bitte verbinden Sie Ihre Kalender"),
    "fr": (
        "Contoso\u00a0: veuillez vous reconnecter pour vos calendriers",
        "Contoso\u00a0: veuillez connecter vos calendriers",
    ),
    "es": ("Contoso: vuelva a iniciar sesión para sus calendarios", "Contoso: conecte sus calendarios"),
}


@pytest.mark.parametrize("language", RECONNECT)
def test_a_reconnect_link_says_what_for_and_why(language: str) -> None:
    row = connected("contoso", language=language, contact_email="it@contoso.example")
    row.connected_at, row.state, row.reason_code = BEGAN, "needs_consent", "AADSTS50173"
    row.save()
    assert reconnecting.invite(row.account, timezone.now())
    mail = Mail.objects.get(kind=Kind.RECONNECT)
    again = letters.letter_of([mail])
    assert again.subject == RECONNECT[language][0]
    with translation.override(language):
        title = translation.gettext(reason("AADSTS50173").title)
    assert row.account.consent_url in again.body and title in " ".join(again.body.split())
    row.delete()
    first = letters.letter_of([mail])
    assert first.subject == RECONNECT[language][1] and title not in " ".join(first.body.split())


def test_of_a_working_connection_an_old_reason_is_not_told() -> None:
    row = connected("contoso", contact_email="it@contoso.example")
    row.state, row.reason_code = "enabled", "AADSTS50173"
    row.save()
    reconnecting.invite(row.account, timezone.now())
    assert "What happened" not in letters.letter_of([Mail.objects.get(kind=Kind.RECONNECT)]).body


def test_a_mail_without_its_account_is_a_bug() -> None:
    mail = Mail(kind=Kind.IDLE, audience=Audience.CONTACT)
    with pytest.raises(ValueError, match="belongs to an account"):
        letters.to_contact(mail)


def test_the_longest_digest_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "MOST_LISTED", 2)
    for number in range(3):
        row = connected(f"customer{number}")
        incident = Incident.objects.create(
            subject=str(number), connection=row, code="AADSTS50173", severity="needs_consent", began_at=BEGAN
        )
        outbox.alert(incident, row.account, timezone.now())
    body = letters.letter_of(list(Mail.objects.filter(audience=Audience.SUPPORT).order_by("pk"))).body
    assert body.count("needs a new sign-in") == 2 and "and more" in body
