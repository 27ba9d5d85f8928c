"""An account's page: how it stands, why, who acts, what happened; for whom, and in how many queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Incident, Mail
from freebusy import probes
from microsoft.reasons import reason
from sandbox import Sandbox
from tenants import audit
from tenants.disconnecting import disconnect
from tenants.models import Account, AuditEntry, Connection, HealthCheck, TokenRecord
from tenants.refreshing import refresh_all
from tests.conftest import READER
from tests.console.people import ACT, READ, browser_of
from tests.factories import make_account

pytestmark = pytest.mark.django_db
PAGE = "/admin/accounts/contoso/"


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody of support who may only read."""
    return browser_of("reader", READ)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    words = re.sub(r"<[^>]*>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", unescape(words))


def part(answer: Any, name: str) -> str:
    """The words of one part of the page."""
    html = answer.content.decode()
    found = html[html.index(f'id="{name}" data-part') :]
    following = re.search(r'\sdata-part>|class="actions"', found[30:])
    words = re.sub(r"<[^>]*>", " ", found[: following.start() + 30] if following else found)
    return re.sub(r"\s+", " ", unescape(words))


def test_a_working_connection_says_so_and_through_whom(contoso: Account, reader: Client) -> None:
    words = text_of(reader.get(PAGE))
    assert "enabled" in words and "healthy" in words and "Nobody needs to act" in words
    for value in (READER, contoso.connection.tenant_id, "dedicated service account", "100 %"):
        assert value in words
    assert f"Consented {READER}" in words


def test_a_lost_connection_says_why_who_acts_and_what_is_next(
    contoso: Account, reader: Client, microsoft: Sandbox
) -> None:
    microsoft.control.set({"revoke_refresh_tokens": READER})
    refresh_all("contoso")
    answer = reader.get(PAGE)
    why = reason(Connection.objects.get().reason_code)
    for value in (why.title, why.cause, why.support, why.what_to_do, why.actor.in_words, why.code):
        assert value in text_of(answer)
    assert "needs consent" in part(answer, "standing")
    assert "Open incident: needs a new sign-in" in part(answer, "standing")


def test_an_account_that_was_never_connected_says_so(reader: Client) -> None:
    make_account("contoso")
    words = text_of(reader.get(PAGE))
    assert "Never connected" in words and "whoever signs in" in words


def test_a_connection_that_nobody_checked_lately_blames_no_old_reason(
    contoso: Account, reader: Client, settings: Any
) -> None:
    settings.HEALTH_STALE_SECONDS = 3600
    old = timezone.now() - timedelta(days=3)
    Connection.objects.update(
        health="down", last_check_at=old, last_check_code="AADSTS50173", last_check_outcome="refused",
        connected_at=old, last_used_at=None,
    )  # fmt: skip
    standing = part(reader.get(PAGE), "standing")
    assert "unknown" in standing and "Nobody has checked lately" in standing
    assert "AADSTS50173" not in standing


def test_everybodys_outage_stands_on_top_of_each_account(contoso: Account, reader: Client) -> None:
    Incident.objects.create(
        subject="service:graph:https://graph.example", code="timeout", severity="everybody", began_at=timezone.now()
    )
    assert "Open incident, for everybody" in part(reader.get(PAGE), "standing")


def test_another_accounts_incident_does_not(contoso: Account, reader: Client) -> None:
    other = Connection.objects.create(account=make_account("fabrikam"))
    Incident.objects.create(subject="connection:x", connection=other, severity="down", began_at=timezone.now())
    assert "Open incident" not in text_of(reader.get(PAGE))


def test_scopes_are_compared_and_what_was_never_asked_for_stands_out(
    consent: Callable[..., Any], microsoft: Sandbox, reader: Client
) -> None:
    microsoft.control.set({"extra_scopes": ["Mail.Read"]})
    assert consent(make_account("contoso")).status_code == 200
    answer = reader.get(PAGE)
    [odd] = re.findall(r'<tr class="odd-one">(.*?)</tr>', answer.content.decode())
    assert "Mail.Read" in odd and "granted although never asked for" in odd
    words = text_of(answer)
    assert "Calendars.Read yes yes" in words and "offline_access yes yes" in words


def test_the_timeline_tells_of_every_app(contoso: Account, reader: Client, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 403, "times": None}]})
    for _ in range(2):
        probes.probe(Connection.objects.get())
    microsoft.control.set({"clear_faults": True})
    probes.probe(Connection.objects.get())
    disconnect(contoso, why="moves away", actor="root")
    history = part(reader.get(PAGE), "history")
    for words in (
        "Consent given",
        "Disconnected",
        "Microsoft refused probes",
        "2 times",
        "Probes answered well",
        "Incident opened: cannot be read",
        "Incident closed: it works again",
        "Mail to support: alert",
        "why moves away",
    ):
        assert words in history, words
    assert history.index("why moves away") < history.index("Incident closed") < history.index("Consent given")


def test_pages_of_the_timeline_show_every_entry_once(reader: Client) -> None:
    account = make_account("contoso")
    for number in range(90):
        audit.record(account, f"step_{number}", "ok")
    seen: list[str] = []
    address = PAGE
    for _ in range(5):
        html = reader.get(address).content.decode()
        seen += re.findall(r"Step (\d+)", html)
        older = re.search(r'href="(\?before=[^"#]+)#timeline"', html)
        if older is None:
            break
        address = PAGE + unescape(older.group(1))
    assert seen == [str(number) for number in reversed(range(90))]


@pytest.mark.parametrize("before", ["yesterday", "2027-03-16T09:30", "%00", "9" * 400])
def test_a_time_that_is_none_shows_the_newest_page(contoso: Account, reader: Client, before: str) -> None:
    assert "Consent given" in text_of(reader.get(f"{PAGE}?before={before}"))


def test_another_accounts_history_is_not_told(contoso: Account, reader: Client) -> None:
    audit.record(make_account("fabrikam"), "check_now", "only_there")
    Mail.objects.create(key="x", kind="alert", audience="support", account=Account.objects.get(slug="fabrikam"))
    words = text_of(reader.get(PAGE))
    assert "only there" not in words and "Mail to support: alert" not in words


def test_the_page_takes_as_many_queries_for_a_long_history_as_for_a_short_one(contoso: Account, reader: Client) -> None:
    reader.get(PAGE)
    with CaptureQueriesContext(database) as few:
        reader.get(PAGE)
    now = timezone.now()
    row = Connection.objects.get()
    HealthCheck.objects.bulk_create(
        HealthCheck(connection=row, at=now - timedelta(minutes=n), outcome="ok" if n % 3 else "refused", latency_ms=n)
        for n in range(300)
    )
    for number in range(70):
        audit.record(contoso, "check_now", "ok")
        Mail.objects.create(key=str(number), kind="alert", audience="support", account=contoso)
        Incident.objects.create(
            subject=f"c{number}", connection=row, severity="down", began_at=now, closed_at=now, ending="recovered"
        )
    with CaptureQueriesContext(database) as many:
        answer = reader.get(PAGE)
    assert len(few) == len(many) <= 25
    assert answer.content.count(b'<li class="event') == 40


def test_a_reader_is_offered_no_button_that_acts(contoso: Account, reader: Client) -> None:
    html = reader.get(PAGE).content.decode()
    own = html[html.index('id="content-main"') :]
    assert "<form" not in own and "renew-key" not in own and 'href="/admin/accounts/contoso/disconnect/"' not in own
    acting = browser_of("actor", ACT).get(PAGE).content.decode()
    assert "Check now" in acting and "Refresh now" in acting and "Disconnect" not in acting[acting.index("actions") :]


def test_the_consent_link_and_tokens_are_not_on_the_page(contoso: Account) -> None:
    html = browser_of("root", superuser=True).get(PAGE).content.decode()
    token = TokenRecord.objects.get()
    assert contoso.consent_key not in html
    assert token.refresh_token.reveal() not in html and token.access_token.reveal() not in html


def test_whoever_may_not_see_the_status_gets_no_page(contoso: Account) -> None:
    assert browser_of("clerk").get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302


def test_an_account_that_is_none_is_not_found(reader: Client) -> None:
    assert reader.get("/admin/accounts/nobody/").status_code == 404


def test_looking_writes_nothing_down(contoso: Account, reader: Client) -> None:
    before = AuditEntry.objects.count()
    reader.get(PAGE)
    assert AuditEntry.objects.count() == before


def test_the_page_needs_no_inline_script_or_style(contoso: Account) -> None:
    html = browser_of("root", superuser=True).get(PAGE).content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)", html)


def test_the_change_form_leads_to_the_page(contoso: Account) -> None:
    html = browser_of("root", superuser=True).get(f"/admin/tenants/account/{contoso.pk}/change/").content.decode()
    assert f'href="{PAGE}"' in html
