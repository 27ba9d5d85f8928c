"""The evidence pack: it agrees with the audit log, with docs/privacy.md, and the PDF says what the page says."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pypdf import PdfReader

from console.evidence.facts import NEVER_READ, READ, STORED
from console.evidence.pack import compared, evidence_of
from tenants.disconnecting import disconnect
from tenants.models import Account, AuditEntry, Connection
from tests.factories import make_account

PRIVACY = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"


@pytest.fixture
def support(db: None) -> Client:
    """Somebody of the group that only looks."""
    user = User.objects.create_user("eve", is_staff=True)
    user.groups.add(Group.objects.get(name="Support (read)"))
    browser = Client()
    browser.force_login(user)
    return browser


def page_text(browser: Client, slug: str) -> str:
    answer = browser.get(f"/admin/accounts/{slug}/evidence/")
    assert answer.status_code == 200
    main = answer.content.decode().partition('<article class="evidence">')[2].partition("</article>")[0]
    return squeezed(unescape(re.sub(r"<[^>]+>", " ", main)))


def pdf_text(browser: Client, slug: str) -> str:
    answer = browser.get(f"/admin/accounts/{slug}/evidence.pdf")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/pdf"
    return squeezed(" ".join(sheet.extract_text() for sheet in PdfReader(BytesIO(answer.content)).pages))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def unspaced(text: str) -> str:
    """Line breaks within a PDF's cells fall anywhere, also within long words."""
    return re.sub(r"\s", "", text)


def consent_entry() -> AuditEntry:
    return AuditEntry.objects.get(action="consent", outcome="enabled")


@pytest.mark.parametrize("text_of", [page_text, pdf_text])
def test_both_say_what_the_audit_log_says_of_the_consent(
    contoso: Account, support: Client, text_of: Callable[..., str]
) -> None:
    entry, text = consent_entry(), unspaced(text_of(support, "contoso"))
    for fact in (
        f"{entry.at:%d %b %Y %H:%M} UTC",
        entry.actor,
        entry.details["tenant_id"],
        "dedicated service account",
        *(scope.rpartition("/")[2] for scope in entry.details["scopes"]),
    ):
        assert unspaced(str(fact)) in text
    assert "Donothandthisout" not in text


@pytest.mark.parametrize("text_of", [page_text, pdf_text])
def test_both_hold_all_that_is_told_of_every_customer(
    contoso: Account, support: Client, text_of: Callable[..., str]
) -> None:
    text, pack = unspaced(text_of(support, "contoso")), evidence_of(contoso, timezone.now())
    told = [*READ, *NEVER_READ]
    told += [part for kept in pack.stored for part in (kept.what, kept.where, kept.how_long)]
    told += [part for advice in (*pack.restrict, *pack.revoke) for part in (advice.title, advice.text, advice.command)]
    assert [part for part in told if unspaced(part) not in text] == []


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("tenant_id", "00000000-0000-0000-0000-00000000beef", "the Entra tenant"),
        ("reader", "somebody@contoso.example", "the account that reads"),
        ("mode", "admin", "the kind of consent"),
        ("scopes", ["Calendars.ReadWrite"], "the granted permissions"),
    ],
)
def test_a_connection_that_contradicts_the_audit_log_is_not_to_be_handed_out(
    contoso: Account, support: Client, column: str, value: Any, named: str
) -> None:
    Connection.objects.update(**{column: value})
    for text in (page_text(support, "contoso"), pdf_text(support, "contoso")):
        assert f"Do not hand this out: connection and audit log differ in {named}." in text


def test_the_table_of_what_is_stored_is_the_one_of_the_privacy_page() -> None:
    lines = [line for line in PRIVACY.read_text().splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip() for cell in plain(line).strip("|").split("|")) for line in lines[2:]]
    assert rows == [(kept.what, kept.where, kept.how_long) for kept in STORED]


@pytest.mark.parametrize("sentence", [*READ[:1], *NEVER_READ])
def test_what_is_read_and_never_read_is_worded_as_on_the_privacy_page(sentence: str) -> None:
    assert sentence.rstrip(".") in squeezed(plain(PRIVACY.read_text()))


def plain(markdown: str) -> str:
    """Without links and code marks."""
    markdown = re.sub(r" \(\[[^]]*\]\([^)]*\)\)", "", markdown)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "")


def test_an_extra_permission_is_flagged_and_so_is_a_missing_one() -> None:
    flagged = {
        scope.name: scope.standing
        for scope in compared("Calendars.Read", ["https://graph.microsoft.com/Mail.Read", "openid"])
        if scope.flagged
    }
    assert flagged == {
        "Calendars.Read": "asked for now, not granted then: consent again",
        "https://graph.microsoft.com/Mail.Read": "granted, never asked for by us",
    }


def test_what_was_granted_as_asked_is_not_flagged() -> None:
    granted = ["https://graph.microsoft.com/Calendars.Read", "profile"]
    assert [scope.name for scope in compared("Calendars.Read", granted) if scope.flagged] == []


def test_the_history_tells_declines_and_the_disconnect_without_our_own_names(
    db: None, consent: Callable[..., Any], support: Client
) -> None:
    account = make_account("contoso")
    consent(account, accept=False)
    consent(account)
    disconnect(account, why="they asked us not to tell", actor="mallory", address="192.0.2.7")
    text = page_text(support, "contoso")
    history = text.partition("History of consents")[2]
    assert re.search(r"Disconnected, tokens deleted Event Cadence .* Consent given .* Sign-in without success", history)
    assert [inner for inner in ("mallory", "asked us", "192.0.2.7") if inner in text] == []
    assert "disconnected: the tokens are deleted" in text


def test_an_account_that_nobody_connected_has_a_pack_too(db: None, support: Client) -> None:
    make_account("fabrikam")
    for text in (page_text(support, "fabrikam"), pdf_text(support, "fabrikam")):
        assert "not connected yet" in text
        assert "would be asked for" in text
        assert "Nothing yet." in text


def test_names_in_any_letters_get_into_the_file(db: None, support: Client) -> None:
    make_account("fabrikam", name="Žluťoučký & Ελλάς <Київ>")
    assert "Žluťoučký & Ελλάς <Київ>" in pdf_text(support, "fabrikam")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("北京", "Evidence pack for 北京 (account fabrikam)"),
        ("東京 서울 Ltd", "Evidence pack for 東京 서울 Ltd (account fabrikam)"),
        ("ไทย Ltd", "Evidence pack for □□□ Ltd (account fabrikam)"),
        ("Łódź Ltd", "Evidence pack for Łódź Ltd Cadence"),
    ],
)
def test_a_name_that_a_reader_may_lack_the_letters_of_has_the_slug_beside_it(
    db: None, support: Client, name: str, shown: str
) -> None:
    make_account("fabrikam", name=name)
    assert shown in pdf_text(support, "fabrikam")


def test_the_file_stays_small_and_names_the_account_and_the_day(contoso: Account, support: Client) -> None:
    answer = support.get("/admin/accounts/contoso/evidence.pdf")
    assert f'filename="cadence-exchange-contoso-{timezone.now():%Y-%m-%d}.pdf"' in answer["Content-Disposition"]
    assert len(PdfReader(BytesIO(answer.content)).pages) <= 2
    assert len(answer.content) < 150_000


def test_nobody_gets_a_pack_without_the_permission(contoso: Account) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("clerk", is_staff=True))
    for address in ("evidence/", "evidence.pdf"):
        assert browser.get(f"/admin/accounts/contoso/{address}").status_code == 403


def test_a_pack_costs_the_same_queries_however_long_the_history(
    contoso: Account, support: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(60):
        AuditEntry.objects.create(account=contoso, action="consent", outcome="access_denied", actor="a visitor")
    with django_assert_num_queries(3):  # account with connection, consent, history
        pack = evidence_of(Account.objects.select_related("connection").get(slug="contoso"), timezone.now())
    assert pack.more_history
    assert len(pack.history) == 40
