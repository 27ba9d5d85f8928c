"""The buttons of an account's page: what each does, to whom it is open, what is written down, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from alerts.models import Kind, Mail
from console.permissions import PERMISSIONS
from freebusy import probes
from sandbox import Sandbox
from tenants.models import Account, AuditEntry, Connection, HealthCheck, TokenRecord
from tests.conftest import READER
from tests.console.people import ACT, ADMINISTER, READ, browser_of, last_entry
from tests.factories import make_account

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}
# Each button's address and the permission that opens it.
BUTTONS = {
    "check/": "check_now",
    "refresh/": "refresh_now",
    "copy-link/": "send_link",
    "send-link/": "send_link",
    "renew-key/": "renew_key",
    "disconnect/": "disconnect",
    "switch/propose/": "propose_switch",
    "switch/approve/": "approve_switch",
    "switch/withdraw/": "propose_switch",
}


@pytest.fixture
def actor(db: None) -> Client:
    """Somebody of support who may act."""
    return browser_of("actor", ACT)


@pytest.fixture
def boss(db: None) -> Client:
    """An administrator."""
    return browser_of("boss", ADMINISTER)


def press(client: Client, button: str, slug: str = "contoso", **form: str) -> str:
    """What the page says after the button, in words, having been sent back to it."""
    answer = client.post(f"/admin/accounts/{slug}/{button}", form)
    assert answer.status_code == 302 and answer["Location"] == f"/admin/accounts/{slug}/", answer.status_code
    [said] = [str(message) for message in get_messages(answer.wsgi_request)]
    client.get(answer["Location"])  # takes the message
    return said


def trouble(microsoft: Sandbox, path: str = "getSchedule", **what: Any) -> None:
    microsoft.control.set({"clear_faults": True, "faults": [{"path": path, "times": None, **what}]})


# --- to whom it is open ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("button", "permission"), BUTTONS.items())
def test_each_button_is_open_by_its_own_permission_alone(contoso: Account, button: str, permission: str) -> None:
    client = browser_of("somebody")
    own = Permission.objects.filter(content_type__app_label="console")
    user = User.objects.get(username="somebody")
    user.user_permissions.set(own.exclude(codename=permission))
    assert set(PERMISSIONS) - {permission} == {name.removeprefix("console.") for name in user.get_all_permissions()}
    before = AuditEntry.objects.count()
    assert client.post(f"/admin/accounts/contoso/{button}", {"why": "x"}).status_code == 403
    assert AuditEntry.objects.count() == before and TokenRecord.objects.exists()
    user.user_permissions.set(own.filter(codename=permission))
    assert client.post(f"/admin/accounts/contoso/{button}", {"why": "x"}).status_code in (200, 302)


@pytest.mark.parametrize("button", [name for name in BUTTONS if name not in ("renew-key/", "disconnect/")])
def test_no_button_acts_by_a_link(contoso: Account, boss: Client, button: str) -> None:
    assert boss.get(f"/admin/accounts/contoso/{button}").status_code == 405


@pytest.mark.parametrize("button", BUTTONS)
def test_no_button_can_be_pressed_from_another_site(contoso: Account, button: str) -> None:
    browser_of("boss", ADMINISTER)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))
    assert strict.post(f"/admin/accounts/contoso/{button}").status_code == 403


def test_who_may_only_read_may_press_nothing(contoso: Account) -> None:
    client = browser_of("reader", READ)
    assert {client.post(f"/admin/accounts/contoso/{button}").status_code for button in BUTTONS} == {403}


# --- check now -------------------------------------------------------------------------------------------------------
def test_check_now_reads_the_mailbox_and_says_that_it_works(
    contoso: Account, actor: Client, microsoft: Sandbox
) -> None:
    before = HealthCheck.objects.count()
    microsoft.counters.reset()
    assert press(actor, "check/").startswith("It works: Microsoft let us read")
    assert [call.reader for call in microsoft.counters.seen] == [READER]
    assert HealthCheck.objects.count() == before + 1
    entry = last_entry("check_now")
    assert (entry.outcome, entry.actor, entry.account, entry.address) == ("ok", "actor", contoso, "127.0.0.1")


def test_check_now_says_in_place_what_is_wrong_and_who_acts(
    contoso: Account, actor: Client, microsoft: Sandbox
) -> None:
    microsoft.control.set({"trouble": {READER: "ErrorNoFreeBusyAccess"}})
    answer = actor.post("/admin/accounts/contoso/check/", headers=JSON)
    said = answer.json()
    assert answer["Content-Type"] == "application/json" and said["tone"] == "bad"
    assert "(ErrorNoFreeBusyAccess)" in said["text"] and "Who acts:" in said["text"] and "Next:" in said["text"]
    assert last_entry("check_now").outcome == "ErrorNoFreeBusyAccess"
    assert Connection.objects.get().health == "degraded"


def test_check_now_renews_a_token_that_has_ended(contoso: Account, actor: Client) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    assert press(actor, "check/").startswith("It works")


def test_check_now_blames_nobody_for_our_own_fault(
    contoso: Account, actor: Client, microsoft: Sandbox, settings: Any
) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    settings.MICROSOFT_CLIENT_SECRET = "expired"
    before = HealthCheck.objects.count()
    assert press(actor, "check/").startswith("Our own fault, so nothing was noted for this connection.")
    assert HealthCheck.objects.count() == before
    assert Connection.objects.get().state == "enabled"


def test_check_now_tells_everybodys_trouble_from_this_connections(
    contoso: Account, consent: Callable[..., Any], actor: Client, microsoft: Sandbox
) -> None:
    assert consent(make_account("fabrikam"), "cadence-service@fabrikam.example").status_code == 200
    trouble(microsoft, status=503, retry_after="60")
    said = press(actor, "check/")
    assert said.startswith("It does not work: Microsoft fails for others too, so nothing was noted")
    assert Connection.objects.get(account=contoso).health == "healthy"


def test_check_now_asks_although_a_breaker_is_open(contoso: Account, actor: Client, microsoft: Sandbox) -> None:
    trouble(microsoft, status=503)
    for _ in range(6):
        probes.probe(Connection.objects.get())
    microsoft.control.set({"clear_faults": True})
    assert press(actor, "check/").startswith("It works")


def test_check_now_ends_in_time_although_microsoft_hangs(
    contoso: Account, actor: Client, microsoft: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "WAITED_SECONDS", 0.2)
    trouble(microsoft, delay=6.0)  # and then a good answer, for whoever would still wait
    assert press(actor, "check/").startswith("It does not work")
    assert last_entry("check_now").outcome == "timeout"


def test_only_an_enabled_connection_is_asked(contoso: Account, boss: Client, microsoft: Sandbox) -> None:
    press(boss, "disconnect/", why="test")
    microsoft.counters.reset()
    assert press(boss, "check/").startswith("Nothing was asked")
    assert press(boss, "refresh/").startswith("Nothing was asked")
    assert microsoft.counters.seen == []
    make_account("fabrikam")
    assert press(boss, "check/", "fabrikam").startswith("Nothing was asked")
    assert press(boss, "refresh/", "fabrikam").startswith("Nothing was asked")


# --- refresh now -----------------------------------------------------------------------------------------------------
def test_refresh_now_brings_a_new_token(contoso: Account, actor: Client) -> None:
    before = TokenRecord.objects.get().version
    assert press(actor, "refresh/") == "Refreshed: Microsoft gave a new token."
    assert TokenRecord.objects.get().version == before + 1
    assert (last_entry("refresh_now").outcome, last_entry("refresh_now").actor) == ("refreshed", "actor")


def test_refresh_now_of_one_account_leaves_the_others(
    contoso: Account, consent: Callable[..., Any], actor: Client
) -> None:
    assert consent(make_account("fabrikam"), "cadence-service@fabrikam.example").status_code == 200
    press(actor, "refresh/")
    assert TokenRecord.objects.get(connection__account__slug="fabrikam").version == 1


def test_refresh_now_says_when_somebody_must_sign_in_again(contoso: Account, actor: Client, microsoft: Sandbox) -> None:
    microsoft.control.set({"revoke_refresh_tokens": READER})
    said = press(actor, "refresh/")
    assert said.startswith("Microsoft refuses for good; somebody must sign in again.") and "Who acts:" in said
    assert Connection.objects.get().state == "needs_consent"
    assert last_entry("refresh_now").outcome == "needs_consent"


def test_a_refresh_that_fails_keeps_the_present_token(contoso: Account, actor: Client, microsoft: Sandbox) -> None:
    trouble(microsoft, "/token", status=503)
    said = press(actor, "refresh/")
    assert said.startswith("Not refreshed; the present token stays.")
    assert Connection.objects.get().state == "enabled" and last_entry("refresh_now").outcome == "failed"


# --- the link --------------------------------------------------------------------------------------------------------
def test_the_link_is_shown_to_who_asks_and_written_down(contoso: Account, actor: Client) -> None:
    answer = actor.post("/admin/accounts/contoso/copy-link/")
    assert f'value="{contoso.consent_url}"' in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert actor.post("/admin/accounts/contoso/copy-link/", headers=JSON).json()["link"] == contoso.consent_url
    assert AuditEntry.objects.filter(action="reconnect_link_copied", actor="actor").count() == 2


def test_the_link_is_kept_neither_in_session_nor_cookie_nor_log(contoso: Account, actor: Client) -> None:
    actor.post("/admin/accounts/contoso/copy-link/")
    kept = [*dict(actor.session).values(), *(cookie.value for cookie in actor.cookies.values())]
    assert contoso.consent_key not in str(kept)
    assert contoso.consent_key not in str(list(AuditEntry.objects.values()))


def test_a_reconnect_link_goes_to_the_contact_by_the_outbox(contoso: Account, actor: Client, settings: Any) -> None:
    settings.SENDS_MAILS = True
    Account.objects.update(contact_email="it@contoso.example")
    assert press(actor, "send-link/") == "The reconnect link leaves for the contact within a minute."
    mail = Mail.objects.get(kind=Kind.RECONNECT)
    assert (mail.recipient, mail.audience, mail.status) == ("it@contoso.example", "contact", "waiting")
    assert last_entry("reconnect_link_sent").actor == "actor"


def test_a_second_link_within_ten_minutes_is_not_sent(
    contoso: Account, actor: Client, settings: Any, time_machine: Any
) -> None:
    settings.SENDS_MAILS = True
    Account.objects.update(contact_email="it@contoso.example")
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    for minutes, mails in ((0, 1), (9, 1), (11, 2)):
        time_machine.move_to(start + timedelta(minutes=minutes), tick=False)
        assert press(actor, "send-link/").startswith("Not sent") == (minutes == 9)
        assert Mail.objects.filter(kind=Kind.RECONNECT).count() == mails
    assert AuditEntry.objects.filter(action="reconnect_link_sent").count() == 2


def test_without_a_contact_nothing_is_sent(contoso: Account, actor: Client) -> None:
    assert press(actor, "send-link/").startswith("Nobody to write to")
    assert not Mail.objects.filter(kind=Kind.RECONNECT).exists()
    assert not AuditEntry.objects.filter(action="reconnect_link_sent").exists()


def test_it_is_said_that_no_mail_leaves_without_a_server(contoso: Account, actor: Client, settings: Any) -> None:
    settings.SENDS_MAILS = False
    Account.objects.update(contact_email="it@contoso.example")
    assert "EMAIL_URL is not set" in press(actor, "send-link/")


def test_a_renewed_consent_key_closes_the_old_link_after_a_question(contoso: Account, boss: Client) -> None:
    other = make_account("fabrikam")
    old = contoso.consent_key
    question = boss.get("/admin/accounts/contoso/renew-key/").content.decode()
    assert "Links that were sent for this account stop working" in question and old not in question
    assert Client().get(f"/connect/{old}/").status_code == 200
    assert press(boss, "renew-key/").startswith("Renewed")
    contoso.refresh_from_db()
    assert Client().get(f"/connect/{old}/").status_code == 404
    assert Client().get(f"/connect/{contoso.consent_key}/").status_code == 200
    assert Account.objects.get(slug="fabrikam").consent_key == other.consent_key
    entry = last_entry("consent_key_renewed")
    assert (entry.actor, entry.account) == ("boss", contoso)
    assert contoso.consent_key not in str(entry.details)


# --- disconnect ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", [{}, {"why": "   "}, {"why": "x" * 201}])
def test_nobody_disconnects_without_a_reason(contoso: Account, boss: Client, form: dict[str, str]) -> None:
    answer = boss.post("/admin/accounts/contoso/disconnect/", form)
    assert answer.status_code == 400 and b"errorlist" in answer.content
    assert TokenRecord.objects.exists() and Connection.objects.get().state == "enabled"


def test_disconnecting_deletes_the_tokens_and_keeps_the_reason(contoso: Account, boss: Client) -> None:
    assert "asked" not in boss.get("/admin/accounts/contoso/disconnect/").content.decode()
    assert TokenRecord.objects.exists()
    assert press(boss, "disconnect/", why="contract ended").startswith("Disconnected")
    assert not TokenRecord.objects.exists() and Connection.objects.get().state == "disabled"
    entry = last_entry("disconnect")
    assert (entry.actor, entry.details["why"], entry.address) == ("boss", "contract ended", "127.0.0.1")
